"""What becomes of envelopes: pushed once, replicated to every seat, stored when a majority says so, refused by name."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import handle_of
from railgun_core.relay.duty import IDS_PER_WANT, RelayLimits
from railgun_core.rooms.epoch_keys import epoch_keys
from railgun_core.wire.frames import Ack, Bye, Got, Have, Nack, Pull, Slice, Want
from railgun_core.wire.kinds import Refusal
from tests.unit.relay.desk import CLOCK, EPOCH, FELLOWS, KEYS, Desk, Wire, envelope, id_of

HANDLE = handle_of(KEYS.tag)


def acks(wire: Wire) -> list[tuple[int, int]]:
    return [(frame.taken, frame.stored) for frame in wire.control() if isinstance(frame, Ack)]


def got(count: int) -> bytes:
    return Got(HANDLE, count).encode()


def test_an_envelope_goes_to_every_pushed_member_but_its_sender() -> None:
    desk = Desk()
    writer, reader, other, quiet = desk.member(), desk.member(), desk.member(), desk.member(Slice.QUIET)
    writer.say(envelope(1), envelope(2), envelope(3))
    assert writer.envelopes() == []
    assert reader.envelopes() == other.envelopes() == [1, 2, 3]
    assert quiet.envelopes() == []


def test_what_is_forwarded_are_the_very_bytes_that_came() -> None:
    desk = Desk()
    writer, reader = desk.member(), desk.member()
    frames = [envelope(1), envelope(2, size=4_096), envelope(3, size=65_536)]
    writer.say(*frames)
    assert reader.raw() == b"".join(frames)


def test_taken_is_said_at_once_and_stored_only_when_a_majority_holds_it() -> None:
    desk = Desk()
    writer, first, second = desk.member(), desk.fellow(0), desk.fellow(1)
    writer.say(envelope(1), envelope(2))
    assert acks(writer) == [(2, 0)]
    first.say(got(2))
    assert acks(writer) == []
    second.say(got(1))
    assert acks(writer) == []  # the read of two counts as one step
    second.say(got(2))
    assert acks(writer) == [(2, 2)]


def test_each_read_is_stored_for_itself() -> None:
    desk = Desk()
    writer, first, second = desk.member(), desk.fellow(0), desk.fellow(1)
    writer.say(envelope(1))
    writer.say(envelope(2))
    first.say(got(2))
    second.say(got(1))
    assert acks(writer) == [(1, 0), (2, 0), (2, 1)]


def test_a_replica_that_comes_late_is_given_what_is_not_stored() -> None:
    desk = Desk()
    writer, first = desk.member(), desk.fellow(0)
    writer.say(envelope(1))
    first.say(got(1))
    assert acks(writer) == [(1, 0)]
    late = desk.fellow(1)
    assert late.envelopes() == [1]
    late.say(got(1))
    assert acks(writer) == [(1, 1)]


def test_a_replica_that_leaves_before_it_confirmed_is_no_holder() -> None:
    desk = Desk()
    writer, first, second = desk.member(), desk.fellow(0), desk.fellow(1)
    writer.say(envelope(1))
    first.say(got(1))
    second.drop()
    assert acks(writer) == [(1, 0)]
    back = desk.fellow(1)
    assert back.envelopes() == [1]
    back.say(got(1))
    assert acks(writer) == [(1, 1)]


def test_a_confirmation_of_more_than_was_sent_confirms_what_was_sent() -> None:
    desk = Desk()
    writer, first, second = desk.member(), desk.fellow(0), desk.fellow(1)
    first.say(got(1 << 60))
    second.say(got(1 << 60))
    writer.say(envelope(1))
    assert acks(writer) == [(1, 0)]


def test_a_replica_of_another_relay_is_pushed_and_confirmed_by_count() -> None:
    desk = Desk()
    reader, fellow = desk.member(), desk.fellow(0)
    fellow.heard()
    fellow.say(envelope(1), envelope(2))
    assert reader.envelopes() == [1, 2]
    assert [frame for frame in fellow.control() if isinstance(frame, Got)] == [Got(HANDLE, 2)]
    fellow.say(envelope(2), envelope(3))
    assert reader.envelopes() == [3]
    assert [frame for frame in fellow.control() if isinstance(frame, Got)] == [Got(HANDLE, 4)]


def test_a_second_publication_is_pushed_to_nobody_but_replicated() -> None:
    desk = Desk()
    writer, hedger, reader, fellow = desk.member(), desk.member(), desk.member(), desk.fellow(0)
    writer.say(envelope(1))
    fellow.heard(), reader.heard(), writer.heard()
    hedger.say(envelope(1))
    assert reader.envelopes() == writer.envelopes() == []
    assert fellow.envelopes() == [1]
    other = desk.fellow(1)
    other.say(got(2))
    fellow.say(got(2))
    assert acks(hedger)[-1] == (1, 1)


def test_members_that_asked_for_ids_hear_them_after_300_ms() -> None:
    desk = Desk()
    writer, listener, reader = desk.member(), desk.member(Slice.ANNOUNCE), desk.member()
    writer.say(envelope(1))
    desk.after(0.25)
    writer.say(envelope(2))
    assert listener.raw() == b""
    desk.after(0.1)
    assert listener.control() == [Have(HANDLE, 1, (id_of(1),))]
    desk.after(0.3)
    assert listener.control() == [Have(HANDLE, 2, (id_of(2),))]
    assert [frame for frame in reader.control() if isinstance(frame, Have)] == []


def test_pull_tells_everything_held_and_want_brings_it() -> None:
    desk = Desk()
    writer, reader = desk.member(), desk.member(Slice.QUIET)
    reader.say(Pull(HANDLE, 0).encode())
    assert reader.control() == [Have(HANDLE, 0, ())]
    writer.say(*(envelope(n) for n in range(1, 4)))
    reader.say(Pull(HANDLE, 1).encode())
    assert reader.control() == [Have(HANDLE, 3, (id_of(2), id_of(3)))]
    reader.say(Want(HANDLE, (id_of(3), id_of(99), id_of(1))).encode())
    assert reader.envelopes() == [3, 1]


def test_a_want_of_what_is_not_held_is_answered_with_nothing() -> None:
    desk = Desk()
    reader = desk.member()
    mark = len(desk.out)
    reader.say(Want(HANDLE, (id_of(99),)).encode())
    assert desk.out[mark:] == []


def test_a_want_of_very_many_brings_only_what_a_link_can_queue() -> None:
    desk = Desk()
    writer, reader = desk.member(), desk.member(Slice.QUIET)
    writer.say(*(envelope(n) for n in range(200)))
    reader.say(Want(HANDLE, tuple(id_of(n) for n in range(200))).encode())
    assert len(reader.envelopes()) == IDS_PER_WANT


def test_a_replica_asks_its_fellow_for_what_it_lacks_a_few_at_a_time() -> None:
    desk = Desk()
    desk.member()
    fellow = desk.fellow(0)
    fellow.heard()
    ids = tuple(id_of(n) for n in range(IDS_PER_WANT + 2))
    fellow.say(Have(HANDLE, len(ids), ids).encode())
    (want,) = fellow.control()
    assert isinstance(want, Want)
    assert set(want.ids) == set(ids[:IDS_PER_WANT])
    fellow.say(*(envelope(n) for n in range(IDS_PER_WANT)))
    wants = [frame for frame in fellow.control() if isinstance(frame, Want)]
    assert [set(frame.ids) for frame in wants] == [set(ids[IDS_PER_WANT:])]


def test_more_than_the_quota_is_refused_with_the_time_to_wait() -> None:
    desk = Desk(limits=RelayLimits(rate_per_s=10, burst=3))
    writer, reader = desk.member(), desk.member()
    writer.say(*(envelope(n) for n in range(5)))
    nack, ack = writer.control()
    assert isinstance(nack, Nack)
    assert (nack.code, nack.ids) == (Refusal.RATE, (id_of(3), id_of(4)))
    assert 190 <= nack.retry_after_ms <= 210
    assert isinstance(ack, Ack)
    assert ack.taken == 5
    assert reader.envelopes() == [0, 1, 2]
    desk.after(nack.retry_after_ms / 1000)
    writer.say(envelope(3), envelope(4))
    assert reader.envelopes() == [3, 4]
    assert not [frame for frame in writer.control() if isinstance(frame, Nack)]


def test_the_quota_of_one_member_costs_the_others_nothing() -> None:
    desk = Desk(limits=RelayLimits(rate_per_s=1, burst=2))
    greedy, modest, reader = desk.member(), desk.member(), desk.member()
    greedy.say(*(envelope(n) for n in range(100)))
    reader.heard()
    modest.say(envelope(500), envelope(501))
    assert reader.envelopes() == [500, 501]


def test_an_expired_envelope_is_refused() -> None:
    desk = Desk()
    writer, reader = desk.member(), desk.member()
    writer.say(envelope(1, expiry_s=desk.now.unix_s), envelope(2, expiry_s=desk.now.unix_s + 1))
    nack = writer.control()[0]
    assert isinstance(nack, Nack)
    assert (nack.code, nack.ids) == (Refusal.EXPIRED, (id_of(1),))
    assert reader.envelopes() == [2]


def test_a_full_spool_refuses_by_name_and_takes_what_is_held_already() -> None:
    desk = Desk(limits=RelayLimits(spool_bytes=700))
    writer, reader = desk.member(), desk.member()
    writer.say(*(envelope(n) for n in range(4)))
    nack = writer.control()[0]
    assert isinstance(nack, Nack)
    assert (nack.code, nack.ids) == (Refusal.FULL, (id_of(2), id_of(3)))
    writer.say(envelope(1))
    assert [type(frame) for frame in writer.control()] == [Ack]
    assert reader.envelopes() == [0, 1]


def test_the_spools_of_all_duties_together_have_one_bound() -> None:
    desk = Desk(limits=RelayLimits(spool_bytes=700))
    other = next(k for n in range(99) if (k := epoch_keys(bytes((n,)) * 32, EPOCH)).tag and _seated(desk, k.tag))
    writer, stranger = desk.member(), desk.member(keys=other)
    writer.say(envelope(1))
    stranger.say(envelope(2, keys=other), envelope(3, keys=other))
    assert [frame.ids for frame in stranger.control() if isinstance(frame, Nack)] == [(id_of(3),)]
    assert sum(duty.spool.held_bytes for duty in desk.relay.duties.values()) <= 700


def _seated(desk: Desk, tag: bytes) -> bool:
    committee = desk.view.committee(tag, EPOCH, size=5, clock=CLOCK)  # type: ignore[arg-type]
    return committee.seat_of(desk.own.peer_id) is not None


def test_a_full_replica_never_confirms_what_it_could_not_keep() -> None:
    desk = Desk(limits=RelayLimits(spool_bytes=700))
    desk.member()
    fellow = desk.fellow(0)
    fellow.heard()
    fellow.say(*(envelope(n) for n in range(2)))
    fellow.say(*(envelope(n) for n in range(2, 5)))
    fellow.say(envelope(0))
    assert {frame.count for frame in fellow.control() if isinstance(frame, Got)} == {2}


def test_an_envelope_of_a_wrong_size_ends_the_link() -> None:
    desk = Desk()
    writer = desk.member()
    with pytest.raises(MalformedFrame):
        writer.say(envelope(1, size=300))


def test_who_says_goodbye_is_pushed_nothing_more() -> None:
    desk = Desk()
    writer, reader = desk.member(), desk.member()
    reader.say(Bye(HANDLE).encode())
    writer.say(envelope(1))
    assert reader.envelopes() == []


def test_what_members_confirm_is_counted_up_to_what_was_sent() -> None:
    desk = Desk()
    writer, reader = desk.member(), desk.member()
    writer.say(envelope(1), envelope(2))
    session = desk.duty.members[reader.link]
    reader.say(got(1))
    assert (session.delivered, session.confirmed) == (2, 1)
    reader.say(got(9))
    assert session.confirmed == 2


@given(st.integers(0, 2**32))
def test_stored_never_outruns_what_a_majority_confirmed(seed: int) -> None:
    """Any interleaving of reads, confirmations, losses and returns of three fellows."""
    rng, desk = random.Random(seed), Desk()
    writer = desk.member()
    wires: dict[int, Wire] = {}
    sent: dict[int, list[int]] = {}  # by fellow: the envelopes on its present link, in order
    holds: dict[int, set[int]] = {0: set(), 1: set(), 2: set()}
    order: list[int] = []
    for number in range(40):
        fellow = rng.randrange(3)
        match rng.randrange(4):
            case 0 | 1:
                frames = [envelope(100 * number + n) for n in range(rng.randrange(1, 4))]
                order += [100 * number + n for n in range(len(frames))]
                writer.say(*frames)
            case 2 if fellow in wires:
                sent[fellow] += wires[fellow].envelopes()
                count = rng.randrange(len(sent[fellow]) + 1)
                holds[fellow] |= set(sent[fellow][:count])
                wires[fellow].say(got(count))
            case 3 if fellow in wires:
                wires.pop(fellow).drop()
            case _ if fellow not in wires:
                wires[fellow], sent[fellow] = desk.fellow(fellow), []
            case _:
                pass
        stored = desk.duty.members[writer.link].stored
        for one in order[:stored]:
            assert sum(one in held for held in holds.values()) >= 2
    for fellow in range(3):
        if fellow not in wires:
            wires[fellow] = desk.fellow(fellow)
        wires[fellow].say(got(1 << 30))
    assert desk.duty.members[writer.link].stored == len(order)
    assert len(FELLOWS) == 4
