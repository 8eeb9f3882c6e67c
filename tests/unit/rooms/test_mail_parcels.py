"""Envelopes on their way to mailboxes: given once, tried again, kept when enough say so."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.ids import MsgId, PeerId
from railgun_core.rooms.mail import expiry_s, mail_lane
from railgun_core.rooms.mail_parcels import LINGER_S, QUOTA_MOST_S, QUOTA_RETRY_S, WINDOW, Parcel, Spool
from railgun_core.wire.kinds import Refusal
from railgun_core.wire.mail import sign_deposit

LANE = mail_lane({}, b"r" * 32, 20_000, Random(1))
BOXES = tuple(PeerId(bytes((n,)) * 32) for n in range(1, 4))


def parcel_of(number: int, seq: int | None, *, size: int = 256) -> Parcel:
    deposit = sign_deposit(
        LANE.keys.sign, LANE.epoch, expiry_s(LANE.epoch), MsgId(number.to_bytes(16, "big")), bytes(size)
    )
    return Parcel(deposit, seq, 0.0)


def spool_of(*seqs: int | None) -> Spool:
    spool = Spool(LANE, posts=False)
    spool.add(parcel_of(n, seq) for n, seq in enumerate(seqs))
    return spool


def give(spool: Spool, mailbox: PeerId, now_s: float) -> list[Parcel]:
    due = spool.due(mailbox, now_s)
    for parcel in due:
        parcel.sent_s[mailbox] = now_s
    return due


def test_an_item_of_several_envelopes_is_kept_when_all_of_them_are() -> None:
    spool = spool_of(4, 4, 5)
    one, two, other = spool.parcels.values()
    assert spool.kept(one, 1.0) is None
    assert spool.kept(one, 1.0) is None
    assert spool.kept(other, 1.0) == 5
    assert spool.kept(two, 1.0) == 4


def test_a_mailbox_is_given_each_envelope_once_and_again_when_its_link_was_lost() -> None:
    spool = spool_of(1, 2)
    assert len(give(spool, BOXES[0], 0.0)) == 2
    assert give(spool, BOXES[0], 1.0) == []
    spool.receipt(BOXES[0], next(iter(spool.parcels)), None, 0.0, 1.0)
    spool.lost(BOXES[0], 2.0)
    assert [parcel.seq for parcel in give(spool, BOXES[0], 2.0)] == [2]


def test_a_link_is_given_no_more_than_it_may_hold() -> None:
    spool = Spool(LANE, posts=False)
    spool.add(parcel_of(n, n + 1, size=65_536) for n in range(40))
    assert len(give(spool, BOXES[0], 0.0)) == 16
    assert give(spool, BOXES[0], 0.0) == []
    spool.receipt(BOXES[0], next(iter(spool.parcels)), None, 0.0, 1.0)
    assert [parcel.seq for parcel in give(spool, BOXES[0], 1.0)] == [17]
    assert len(give(spool, BOXES[1], 1.0)) == 16


def test_who_refuses_is_asked_again_ever_more_rarely_and_a_full_one_after_minutes() -> None:
    spool = spool_of(1)
    msg_id = next(iter(spool.parcels))
    now_s, waits = 0.0, []
    for _ in range(4):
        give(spool, BOXES[0], now_s)
        spool.receipt(BOXES[0], msg_id, Refusal.RATE, 0.0, now_s)
        waits.append(spool.parcels[msg_id].again_s[BOXES[0]] - now_s)
        now_s += waits[-1]
    assert waits == [1.0, 2.0, 4.0, 8.0]
    give(spool, BOXES[0], now_s)
    spool.receipt(BOXES[0], msg_id, Refusal.QUOTA, 0.0, now_s)
    assert spool.due(BOXES[0], now_s + QUOTA_RETRY_S - 1) == []
    assert len(spool.due(BOXES[0], now_s + QUOTA_RETRY_S)) == 1


def test_who_refuses_or_says_nothing_is_shut_for_a_while_and_who_is_only_asked_too_fast_is_not() -> None:
    spool = spool_of(1)
    msg_id = next(iter(spool.parcels))
    slow, late, full = BOXES
    for mailbox in BOXES:
        give(spool, mailbox, 0.0)
    spool.receipt(slow, msg_id, Refusal.RATE, 2.0, 1.0)
    spool.receipt(full, msg_id, Refusal.FULL, 60.0, 1.0)
    assert (spool.shut(1.0), spool.lack(1.0)) == ({full}, Refusal.FULL)
    spool.tidy(20.0, BOXES)
    assert spool.shut(20.0) == {full, late}
    assert spool.shut(40.0) == {full}
    assert (spool.shut(1.0 + QUOTA_RETRY_S), spool.lack(1.0 + QUOTA_RETRY_S)) == (frozenset(), None)
    for mailbox, code in ((full, Refusal.QUOTA), (late, Refusal.WRONG_EPOCH)):
        give(spool, mailbox, 400.0)
        spool.receipt(mailbox, msg_id, code, 4e6, 400.0)
    assert (spool.shut(401.0), spool.lack(401.0)) == ({full, late}, Refusal.QUOTA)
    assert spool.shut(400.0 + QUOTA_MOST_S) == frozenset()  # whatever it said


def test_a_mailbox_that_takes_something_is_open_again() -> None:
    spool = spool_of(1, 2)
    first, second = spool.parcels
    give(spool, BOXES[0], 0.0)
    spool.receipt(BOXES[0], first, Refusal.FULL, 60.0, 1.0)
    spool.receipt(BOXES[0], second, None, 0.0, 1.0)
    assert spool.shut(1.0) == frozenset()


def test_a_receipt_that_nobody_waits_for_counts_for_nothing() -> None:
    spool = spool_of(1)
    msg_id = next(iter(spool.parcels))
    assert spool.receipt(BOXES[0], msg_id, None, 0.0, 0.0) is None
    assert spool.receipt(BOXES[0], MsgId(b"x" * 16), None, 0.0, 0.0) is None
    assert spool.parcels[msg_id].kept_by == set()


def test_what_is_kept_goes_when_all_have_answered_or_after_a_while() -> None:
    spool = spool_of(1, 2)
    first, second = spool.parcels.values()
    for parcel in (first, second):
        for mailbox in BOXES:
            parcel.sent_s[mailbox] = 0.0
        for mailbox in BOXES[:2]:
            spool.receipt(mailbox, parcel.deposit.msg_id, None, 0.0, 1.0)
        spool.kept(parcel, 1.0)
    spool.receipt(BOXES[2], first.deposit.msg_id, None, 0.0, 1.0)
    spool.tidy(2.0, BOXES)
    assert list(spool.parcels.values()) == [second]
    assert not spool.holds(1)
    spool.tidy(1.0 + LINGER_S, BOXES)
    assert len(spool) == 0
    assert spool.free == WINDOW


def test_an_answer_that_does_not_come_is_not_waited_for_without_end() -> None:
    spool = spool_of(1)
    give(spool, BOXES[0], 0.0)
    spool.tidy(20.0, BOXES)
    assert spool.due(BOXES[0], 20.0) == []
    assert len(spool.due(BOXES[0], 22.0)) == 1


def test_items_that_everybody_has_are_let_go_and_so_are_old_words() -> None:
    spool = spool_of(1, 2, None)
    list(spool.parcels.values())[2].until_s = 5.0
    spool.drop_items((2,))
    assert [parcel.seq for parcel in spool.parcels.values()] == [2, None]
    spool.tidy(5.0, ())
    assert [parcel.seq for parcel in spool.parcels.values()] == [2]


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 4), st.sampled_from([None, Refusal.RATE, Refusal.QUOTA])),
        max_size=60,
    )
)
def test_whatever_mailboxes_say_an_item_is_kept_exactly_once_and_only_by_those_who_were_asked(
    said: list[tuple[int, int, Refusal | None]],
) -> None:
    spool = spool_of(1, 2, 2, 3, 3)
    ids, kept, now_s = list(spool.parcels), list[int](), 0.0
    for box, number, code in said:
        now_s += 400.0
        for mailbox in BOXES[:2]:
            give(spool, mailbox, now_s)
        parcel = spool.receipt(BOXES[box], ids[number], code, 0.0, now_s)
        assert parcel is None or box < 2
        if parcel is not None and len(parcel.kept_by) >= 2:
            seq = spool.kept(parcel, now_s)
            kept += [] if seq is None else [seq]
    assert len(kept) == len(set(kept))
    for seq in kept:
        assert all(len(p.kept_by) == 2 for p in spool.parcels.values() if p.seq == seq)
