"""B12: a member gives its own bytes the name that another's next envelope will have. Nobody says yes to bytes it lacks.

Names can be guessed by everybody in the room. A relay or a mailbox that took the first bytes under a name for all bytes
under it would confirm what it does not hold, and the item would be lost with its sender.
"""

from __future__ import annotations

import dataclasses
import itertools

from railgun_core.base.ids import MsgId
from railgun_core.mailbox.limits import LEAST_CHARGE_BYTES, MailboxLimits
from railgun_core.relay.duty import IDS_PER_WANT, RelayLimits
from railgun_core.relay.forward import from_post
from railgun_core.relay.spool import OTHERS_AT_ONCE
from railgun_core.wire.frames import ENVELOPE_HEADER_BYTES, FrameSplitter, Got, Nack, Slice, Want, envelope_frame
from railgun_core.wire.kinds import FrameType, Refusal
from railgun_core.wire.mail import Deposit, sign_deposit
from railgun_core.wire.posts import PostStatus
from tests.property.networks import NOW_S
from tests.unit.mailbox.desk import TODAY, TTL_S, Desk, id_of, room
from tests.unit.relay import desk as relay_desk
from tests.unit.relay.desk import CLOCK, EPOCH, KEYS

NAME = id_of(7)
HANDLE = KEYS.tag[:8]


def left(byte: int, *, name: MsgId = NAME, size: int = 256) -> Deposit:
    """A deposit under a name that says nothing of its bytes."""
    return sign_deposit(room(0), TODAY, NOW_S + TTL_S, name, bytes((byte,)) * size)


def on_disk(desk: Desk) -> list[int]:
    """What the disk of a mailbox holds, by the first byte of each envelope, in order."""
    return [add.frame[ENVELOPE_HEADER_BYTES] for tag in desk.disk.tags.values() for add in tag.kept.values()]


# ---------------------------------------------------------------- mailboxes


def test_a_receipt_is_for_these_bytes_and_not_for_others_of_their_name() -> None:
    desk = Desk()
    thief, owner = desk.wire(), desk.wire()
    thief.leave(left(1))
    desk.save()
    assert owner.leave(left(2)) == []  # it is not durable yet, whatever lies there under its name
    assert on_disk(desk) == [1]
    desk.save()
    assert [(r.msg_id, r.code) for r in owner.receipts()] == [(NAME, None)]
    assert on_disk(desk) == [1, 2]
    assert desk.wire().collect() == ([0x01_01_01_01_01_01_01_01, 0x02_02_02_02_02_02_02_02], 3)


def test_who_comes_while_the_others_bytes_are_on_their_way_waits_for_its_own() -> None:
    desk = Desk()
    thief, owner = desk.wire(), desk.wire()
    thief.leave(left(1))
    owner.leave(left(2))
    desk.save(1)
    assert (len(thief.receipts()), owner.receipts()) == (1, [])
    desk.save()
    assert [r.code for r in owner.receipts()] == [None]


def test_after_a_restart_a_name_stands_for_the_same_bytes_as_before() -> None:
    desk = Desk()
    desk.wire().leave(left(1))
    desk.save()
    desk.crash()
    owner = desk.wire()
    assert [r.code for r in owner.leave(left(1))] == [None]
    assert owner.leave(left(2)) == []
    desk.save()
    assert [r.code for r in owner.receipts()] == [None]
    assert on_disk(desk) == [1, 2]


def test_through_the_mixnet_it_is_the_same() -> None:
    desk = Desk()
    desk.post(left(1, size=4_096))
    desk.save()
    answers = desk.post(left(2, size=4_096))
    assert answers == []
    desk.save()
    assert [answer.status for answer in answers] == [PostStatus.STORED]
    assert on_disk(desk) == [1, 2]


def test_what_is_left_under_one_name_has_the_bound_of_all_and_a_full_share_is_said() -> None:
    desk = Desk(dataclasses.replace(MailboxLimits(), tag_bytes=9 * LEAST_CHARGE_BYTES))
    thief, owner = desk.wire(), desk.wire()
    thief.leave(*(left(n) for n in range(1, 10)))
    assert [r.code for r in owner.leave(left(99))] == [Refusal.QUOTA]
    desk.save()
    assert on_disk(desk) == list(range(1, 10))


# ---------------------------------------------------------------- relays


def published(byte: int, *, number: int = 7, size: int = 256) -> bytes:
    """The frame of an envelope whose name says nothing of its bytes."""
    expiry_s = int(CLOCK.retire_s(EPOCH))
    body = bytes((byte,)) * size
    return envelope_frame(HANDLE, expiry_s=expiry_s, msg_id=id_of(number), envelope=body)


def bodies(wire: relay_desk.Wire) -> list[int]:
    """The first byte of each envelope that came since the last time somebody listened."""
    data = wire.raw()
    batch = FrameSplitter().feed(data) if data else None
    starts = [start for start, _ in itertools.pairwise(batch.bounds)] if batch else []
    assert batch is not None or not starts
    return [data[start + ENVELOPE_HEADER_BYTES] for start in starts if data[start + 4] == FrameType.ENVELOPE]


def test_a_relay_holds_pushes_and_replicates_what_comes_under_a_name_that_is_held() -> None:
    desk = relay_desk.Desk()
    thief, owner, reader, fellow = desk.member(), desk.member(), desk.member(), desk.fellow(0)
    thief.say(published(1))
    owner.say(published(2))
    assert (bodies(reader), bodies(fellow)) == ([1, 2], [1, 2])
    owner.say(published(2))  # a hedge: replicated again, pushed to nobody
    assert (bodies(reader), bodies(fellow)) == ([], [2])


def test_a_relay_confirms_a_copy_only_of_the_bytes_that_it_was_sent() -> None:
    """A relay that sees an envelope first can send its own bytes under that name to all others before they get it."""
    desk = relay_desk.Desk(own=relay_desk.FELLOWS[1])
    liar, honest = (desk.relay_of(one.peer_id) for one in (relay_desk.FELLOWS[0], relay_desk.OWN))
    reader, late = desk.member(), desk.member(Slice.QUIET)
    liar.say(published(1))
    honest.heard()
    honest.say(published(2))
    assert Got(HANDLE, 1) in honest.control()
    assert bodies(reader) == [1, 2]
    late.say(Want(HANDLE, (id_of(7),)).encode())
    assert bodies(late) == [1, 2]


def test_a_post_is_stored_for_its_own_bytes() -> None:
    desk = relay_desk.Desk()
    thief, reader, fellow = desk.member(), desk.member(), desk.fellow(0)
    thief.say(published(1, size=4_096))
    bodies(fellow)
    assert from_post(desk.duty, id_of(7), published(2, size=4_096), desk.out)
    assert (bodies(reader), bodies(fellow)) == ([1, 2], [2])
    assert from_post(desk.duty, id_of(7), published(2, size=4_096), desk.out)
    assert (bodies(reader), bodies(fellow)) == ([], [2])


def test_who_asks_for_a_name_again_and_again_gets_all_that_has_it() -> None:
    desk = relay_desk.Desk()
    thief, reader = desk.member(), desk.member(Slice.QUIET)
    thief.say(*(published(n) for n in range(1, 40)))
    thief.say(*(published(n, number=8) for n in range(100, 103)))
    seen: set[int] = set()
    for _ in range(10):
        reader.say(Want(HANDLE, (id_of(7), id_of(8), id_of(7))).encode())
        got = bodies(reader)
        assert got[:2] == [1, 100]  # each name that was asked for is answered, whatever else is there
        assert len(got) == len(set(got)) == 2 + OTHERS_AT_ONCE + 2
        seen.update(got)
    assert seen == {*range(1, 40), *range(100, 103)}


def test_an_answer_never_holds_more_than_a_link_bears() -> None:
    desk = relay_desk.Desk()
    thief, reader = desk.member(), desk.member(Slice.QUIET)
    for byte in (1, 2, 3):
        thief.say(*(published(byte, number=n, size=65_536) for n in range(IDS_PER_WANT)))
    reader.say(Want(HANDLE, tuple(id_of(n) for n in range(IDS_PER_WANT))).encode())
    assert bodies(reader) == [1] * IDS_PER_WANT


def test_what_no_majority_has_is_replicated_with_all_that_has_its_name() -> None:
    desk = relay_desk.Desk()
    thief, owner = desk.member(), desk.member()
    thief.say(published(1))
    owner.say(published(2))
    owner.say(published(2))
    late = desk.fellow(0)
    assert bodies(late) == [1, 2]


def test_other_bytes_of_a_name_have_the_bound_of_all_and_are_refused_by_name() -> None:
    frame_bytes = len(published(1))
    desk = relay_desk.Desk(limits=RelayLimits(spool_bytes=3 * frame_bytes))
    thief, owner = desk.member(), desk.member()
    thief.say(published(1), published(2), published(3))
    owner.say(published(4))
    (nack,) = [frame for frame in owner.control() if isinstance(frame, Nack)]
    assert (nack.code, nack.ids) == (Refusal.FULL, (id_of(7),))
    assert desk.duty.spool.held_bytes == 3 * frame_bytes
