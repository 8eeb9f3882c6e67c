"""What people call rooms and members: names and the beginnings of ids."""

from __future__ import annotations

from collections.abc import Iterable

from railgun_core.base.errors import UsageError
from railgun_core.base.ids import MemberId
from railgun_core.rooms.room import Room


def find_room(rooms: Iterable[Room], wanted: str) -> Room:
    """A room by its name or the start of its id. UsageError when none or several match."""
    found = [r for r in rooms if r.put.name == wanted] or [
        r for r in rooms if len(wanted) >= 4 and r.id.hex().startswith(wanted.lower())
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"several rooms are called {wanted}: use the id", code="ambiguous-room")
    raise UsageError(f"you are in no room called {wanted}", code="no-such-room")


def member_text(member: MemberId) -> str:
    """A member's name for people."""
    return member.hex()[:8]
