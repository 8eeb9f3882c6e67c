"""Rooms, members and items that the contract suites of the store share."""

from __future__ import annotations

from railgun_core.base.ids import MemberId, RoomId, Tag
from railgun_core.changes import Item, MailAdd, Membership, RoomPut

DEVICE = RoomId(b"")
ROOM = RoomId(b"room-one" * 2)
OTHER_ROOM = RoomId(b"room-two" * 2)
ME = MemberId(b"me------")
ANN = MemberId(b"ann-----")
BOB = MemberId(b"bob-----")
TAG = Tag(b"t" * 32)
OTHER_TAG = Tag(b"u" * 32)


def room_put(room: RoomId = ROOM, *, created_s: float = 1.0, name: str = "friends") -> RoomPut:
    return RoomPut(room, name, b"root" * 8, b"seed" * 8, created_s, Membership.ACTIVE)


def items(first: int, last: int, *, at_s: float = 10.0) -> tuple[Item, ...]:
    return tuple(Item(seq, 0, 1, b"body %d" % seq, at_s) for seq in range(first, last + 1))


def mail(
    position: int, *, tag: Tag = TAG, day: int = 5, expiry_s: int = 100, size: int = 7, number: int = 0
) -> MailAdd:
    """An envelope frame for a mailbox; its id follows from `number`, else from the position."""
    named = number or position
    return MailAdd(tag, day, position, named.to_bytes(16, "big"), expiry_s, b"%d " % named + bytes(size - 2))
