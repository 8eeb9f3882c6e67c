"""B12: a member gives its own bytes the name that another's next envelope will have. Nobody says yes to bytes it lacks.

Names can be guessed by everybody in the room. A relay or a mailbox that took the first bytes under a name for all bytes
under it would confirm what it does not hold, and the item would be lost with its sender.
"""

from __future__ import annotations

import dataclasses

from railgun_core.base.ids import MsgId
from railgun_core.mailbox.limits import LEAST_CHARGE_BYTES, MailboxLimits
from railgun_core.wire.frames import ENVELOPE_HEADER_BYTES
from railgun_core.wire.kinds import Refusal
from railgun_core.wire.mail import Deposit, sign_deposit
from railgun_core.wire.posts import PostStatus
from tests.property.networks import NOW_S
from tests.unit.mailbox.desk import TODAY, TTL_S, Desk, id_of, room

NAME = id_of(7)


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
