"""Who waits for what: senders for their items, readers for a conversation, a newcomer for its welcome."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field

from railgun_core.base.ids import RoomId
from railgun_core.changes import Delivery


@dataclass(eq=False, slots=True)
class SendWait:
    """Items first..last of one call, and which of them have not come far enough."""

    room: RoomId
    target: Delivery
    remaining: set[int]
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Waiting:
    """All waits of one engine."""

    def __init__(self) -> None:
        self._sends: dict[RoomId, set[SendWait]] = defaultdict(set)
        self._growth: dict[RoomId, set[asyncio.Event]] = defaultdict(set)
        self._welcomes: dict[RoomId, set[asyncio.Event]] = defaultdict(set)

    def send(self, room: RoomId, first: int, last: int, target: Delivery) -> SendWait:
        """Wait for items; call `forget` afterwards."""
        wait = SendWait(room, target, set(range(first, last + 1)))
        self._sends[room].add(wait)
        return wait

    def forget(self, wait: SendWait) -> None:
        self._sends[wait.room].discard(wait)

    def moved(self, room: RoomId, first: int, last: int, delivery: Delivery) -> None:
        """Items have come further."""
        for wait in self._sends.get(room, ()):
            if delivery >= wait.target:
                wait.remaining.difference_update(range(first, last + 1))
                if not wait.remaining:
                    wait.done.set()

    def growth(self, room: RoomId) -> asyncio.Event:
        """An event that is set whenever the conversation has grown; the waiter clears it, and `leave`s in the end."""
        event = asyncio.Event()
        self._growth[room].add(event)
        return event

    def leave(self, room: RoomId, event: asyncio.Event) -> None:
        self._growth[room].discard(event)
        self._welcomes[room].discard(event)

    def grew(self, room: RoomId) -> None:
        """A conversation has new messages."""
        for event in self._growth.get(room, ()):
            event.set()

    def welcome(self, room: RoomId) -> asyncio.Event:
        """An event that is set once a member has answered."""
        event = asyncio.Event()
        self._welcomes[room].add(event)
        return event

    def welcomed(self, room: RoomId) -> None:
        for event in self._welcomes.get(room, ()):
            event.set()
