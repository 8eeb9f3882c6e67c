"""Named deadlines in a heap: the only way pure code waits.

`set` replaces a name's deadline, `cancel` removes it, `pop_due` gives the names whose time has come, in order.
Deadlines are monotonic seconds. Setting and popping cost O(log n); replaced entries stay in the heap until they
come up, so the heap holds at most one stale entry per `set`.
"""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

Name = TypeVar("Name")


class Timers(Generic[Name]):
    """Deadlines by name."""

    __slots__ = ("_deadlines", "_heap", "_serial")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Name]] = []
        self._deadlines: dict[Name, tuple[float, int]] = {}
        self._serial = 0

    def set(self, name: Name, at_s: float) -> None:
        """Wake `name` at `at_s`, instead of whenever it was set before."""
        self._serial += 1
        self._deadlines[name] = (at_s, self._serial)
        heapq.heappush(self._heap, (at_s, self._serial, name))

    def set_earlier(self, name: Name, at_s: float) -> None:
        """Wake `name` at `at_s` unless it wakes earlier anyway."""
        known = self._deadlines.get(name)
        if known is None or at_s < known[0]:
            self.set(name, at_s)

    def cancel(self, name: Name) -> None:
        """Do not wake `name`."""
        self._deadlines.pop(name, None)

    def next_s(self) -> float | None:
        """The earliest deadline."""
        heap, deadlines = self._heap, self._deadlines
        while heap:
            at_s, serial, name = heap[0]
            known = deadlines.get(name)
            if known is not None and known[1] == serial:
                return at_s
            heapq.heappop(heap)
        return None

    def pop_due(self, now_s: float) -> list[Name]:
        """The names whose deadline is at or before `now_s`; they are no longer set."""
        due: list[Name] = []
        while (at_s := self.next_s()) is not None and at_s <= now_s:
            name = heapq.heappop(self._heap)[2]
            del self._deadlines[name]
            due.append(name)
        return due
