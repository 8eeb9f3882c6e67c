"""The port at which another way between members is asked for when their committee is gone: direct, or through TURN.

Such a way shows members' addresses to each other or to a server, so a room has to allow it, and no room that sends
through mixes ever does. Until there are such ways in this network the honest answer is `NoDetour`: there is none, and
whoever asks goes on at once to the next resort. Source: protocol.md 9, "whole committee gone".
"""

from __future__ import annotations

from typing import Protocol

from railgun_core.base.ids import RoomId


class Detour(Protocol):
    """Ways to members that need neither a committee nor a mailbox."""

    def ways(self, room: RoomId) -> tuple[str, ...]:
        """The ways that are open to a room now, by name, the best first; empty when there is none."""


class NoDetour:
    """The answer of a network in which members reach each other only through others."""

    def ways(self, room: RoomId) -> tuple[str, ...]:
        return ()
