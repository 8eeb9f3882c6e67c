"""Telling how far own items have come."""

from __future__ import annotations

from collections.abc import Iterable

from railgun_core.changes import Delivery
from railgun_core.events import Effect, Moved, SaveSoon
from railgun_core.rooms.room import Room


def report(room: Room, seqs: Iterable[int], delivery: Delivery, epoch: int, out: list[Effect]) -> None:
    """Tell the store and whoever waits that items have come further."""
    marks = room.outbox.marks(seqs, delivery, epoch)
    if marks:
        out.append(SaveSoon(tuple(marks)))
        out += [Moved(room.id, mark.first, mark.last, delivery) for mark in marks]
