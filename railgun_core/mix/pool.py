"""What waits in a mix: for its tag to be saved, for its time, or for the link to its next hop.

One bound over all three, and a smaller one for what came on one link: a flood costs the packets of the flood, no
memory, and it takes several links to crowd the others out. What is not gone by its last moment is dropped and counted
as late: a mix that sends when it can, instead of when it was told, tells an observer which packet it was that it held.
Nothing here knows keys or links. Source: protocol.md 10; threats.md B17.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from dataclasses import dataclass, field, replace

from railgun_core.base.ids import LinkId, PeerId

WINDOW_S = 60
OWN_SOURCE = LinkId(0)  # made here; numbers of links begin at 1


@dataclass(frozen=True, slots=True)
class Held:
    """A packet for `hop`, or without one a payload that has arrived. Leaves at `due_s`, at `last_s` at the latest."""

    due_s: float
    last_s: float
    hop: PeerId | None
    body: bytes = field(repr=False)
    recipient: bytes = field(default=b"", repr=False)
    reply_id: bytes = field(default=b"", repr=False)
    source: LinkId = OWN_SOURCE

    def later(self, by_s: float) -> Held:
        """The same with its time moved."""
        return replace(self, due_s=self.due_s + by_s, last_s=self.last_s + by_s)


class Pool:
    """At most `bound` packets, `share` of them from one link. Every step costs O(log n) a packet."""

    def __init__(self, *, bound: int, share: int) -> None:
        self._bound = bound
        self._share = share
        self._size = 0
        self._of: dict[LinkId, int] = {}  # how many are here from a link
        self._heap: list[tuple[float, int, Held]] = []
        self._serials = itertools.count()
        self._parked: dict[PeerId, list[Held]] = {}
        self.late = 0
        self.full = 0

    def __len__(self) -> int:
        return self._size

    def enter(self, source: LinkId) -> bool:
        """A place for a packet whose tag has to be saved first; False, and counted, when there is none."""
        if self._of.get(source, 0) >= self._share:
            self.full += 1
            return False
        return self._in(source)

    def leave(self, source: LinkId) -> None:
        """Give back a place: the packet that entered was none."""
        self._size -= 1
        self._of[source] -= 1
        if not self._of[source]:
            del self._of[source]

    def saved(self, batch: list[Held], now_s: float) -> list[Held]:
        """The tags of these are durable: those whose time has come, the others wait for theirs."""
        ready: list[Held] = []
        for held in batch:
            if held.due_s <= now_s:
                ready.append(held)
            else:
                heapq.heappush(self._heap, (held.due_s, next(self._serials), held))
        return self._out(ready, now_s)

    def pop_due(self, now_s: float) -> list[Held]:
        """Those whose time has come, in its order. What waits for a link in vain is dropped on the way."""
        ready: list[Held] = []
        while self._heap and self._heap[0][0] <= now_s:
            ready.append(heapq.heappop(self._heap)[2])
        for hop in [hop for hop, parked in self._parked.items() if any(held.last_s <= now_s for held in parked)]:
            for held in self._parked[hop]:
                if held.last_s <= now_s:
                    self.leave(held.source)
                    self.late += 1
            self._parked[hop] = [held for held in self._parked[hop] if held.last_s > now_s]
            if not self._parked[hop]:
                del self._parked[hop]
        return self._out(ready, now_s)

    def park(self, held: Held) -> bool:
        """Keep a packet whose link is not there yet; False, and counted, when there is no place."""
        assert held.hop is not None
        if not self._in(held.source):
            return False
        self._parked.setdefault(held.hop, []).append(held)
        return True

    def unpark(self, hop: PeerId, now_s: float) -> list[Held]:
        """The link to `hop` is there: what waited for it and is still in time."""
        return self._out(self._parked.pop(hop, []), now_s)

    def next_s(self) -> float | None:
        """When `pop_due` has something to do. Costs a look at all packets that wait for links."""
        first_s = self._heap[0][0] if self._heap else math.inf
        for parked in self._parked.values():
            first_s = min(first_s, min(held.last_s for held in parked))
        return None if first_s == math.inf else first_s

    def _in(self, source: LinkId) -> bool:
        if self._size >= self._bound:
            self.full += 1
            return False
        self._size += 1
        self._of[source] = self._of.get(source, 0) + 1
        return True

    def _out(self, ready: list[Held], now_s: float) -> list[Held]:
        """These go; the ones that are late go nowhere."""
        for held in ready:
            self.leave(held.source)
        kept = [held for held in ready if now_s <= held.last_s]
        self.late += len(ready) - len(kept)
        return kept


class Arrivals:
    """How many came a second, over the last WINDOW_S seconds."""

    def __init__(self) -> None:
        self._seconds: deque[list[int]] = deque()  # [second, count]
        self._sum = 0

    def note(self, now_s: float) -> None:
        """One came."""
        second = int(now_s)
        if not self._seconds or self._seconds[-1][0] != second:
            self._forget(second)
            self._seconds.append([second, 0])
        self._seconds[-1][1] += 1
        self._sum += 1

    def per_s(self, now_s: float) -> float:
        """The mean; a mix that is younger than the window says less than it carries, never more."""
        self._forget(int(now_s))
        return self._sum / WINDOW_S

    def _forget(self, second: int) -> None:
        while self._seconds and self._seconds[0][0] <= second - WINDOW_S:
            self._sum -= self._seconds.popleft()[1]
