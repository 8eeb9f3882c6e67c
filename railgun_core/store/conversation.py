"""From stored parts to whole messages: one rule for both stores.

A message is the run of one sender's sequences first..first+parts-1 in which every item says the right part number and
the same count. It appears where the part that completed it was stored: the highest position of its parts. So who
reads on from a position never misses a message whose parts came out of order. Incomplete messages do not appear.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from railgun_core.base.ids import MemberId
from railgun_core.changes import Delivery, OutboxRange


@dataclass(frozen=True, slots=True)
class Place:
    """Where one stored item is, without its body."""

    position: int
    sender: MemberId
    seq: int
    part: int
    parts: int
    size: int = 0  # bytes of its body

    @property
    def first_seq(self) -> int:
        """The sequence of the first part of its message."""
        return self.seq - self.part

    @property
    def sound(self) -> bool:
        """Whether its part number can be right at all."""
        return 0 <= self.part < self.parts and self.first_seq >= 0


@dataclass(frozen=True, slots=True)
class Whole:
    """A complete message: its parts are the sender's sequences first_seq..last_seq."""

    position: int
    sender: MemberId
    first_seq: int
    last_seq: int


Siblings = Callable[[MemberId, int, int], Sequence[Place]]
"""(sender, first, last) -> the stored items of that run, by sequence."""


def whole_messages(
    places: Iterable[Place], siblings: Siblings, *, limit: int, max_bytes: int | None = None
) -> list[Whole]:
    """The first `limit` complete messages in the order of `places` (ascending or descending positions).

    Past the first, only what keeps their bodies within `max_bytes`. Reads no further in `places` than it must; asks
    for the siblings of a message once.
    """
    found: list[Whole] = []
    completed_at: dict[tuple[MemberId, int, int], tuple[int | None, int]] = {}
    used_bytes = 0
    if limit <= 0:
        return found
    for place in places:
        if not place.sound:
            continue
        size = place.size
        if place.parts > 1:
            group = (place.sender, place.first_seq, place.parts)
            if group not in completed_at:
                completed_at[group] = _completed_at(place, siblings)
            position, size = completed_at[group]
            if position != place.position:
                continue
        used_bytes += size
        if found and max_bytes is not None and used_bytes > max_bytes:
            break
        last = place.first_seq + place.parts - 1
        found.append(Whole(place.position, place.sender, place.first_seq, last))
        if len(found) >= limit:
            break
    return found


def _completed_at(place: Place, siblings: Siblings) -> tuple[int | None, int]:
    """The position where a message became whole (None: it is not), and the bytes of its body."""
    run = siblings(place.sender, place.first_seq, place.first_seq + place.parts - 1)
    if len(run) != place.parts:
        return None, 0
    if any(p.parts != place.parts or p.first_seq != place.first_seq for p in run):
        return None, 0
    return max(p.position for p in run), sum(p.size for p in run)


def compressed(entries: Iterable[tuple[int, Delivery, int]]) -> tuple[OutboxRange, ...]:
    """Runs of consecutive sequences in the same state, from the same epoch. Entries by sequence."""
    ranges: list[OutboxRange] = []
    for seq, delivery, epoch in entries:
        if ranges:
            run = ranges[-1]
            if run.last + 1 == seq and run.delivery is delivery and run.epoch == epoch:
                ranges[-1] = OutboxRange(run.first, seq, delivery, epoch)
                continue
        ranges.append(OutboxRange(seq, seq, delivery, epoch))
    return tuple(ranges)
