"""What lies between virtual peers: latency, loss, slowness, clogs and partitions. Which chunk arrives when, if at all.

A link is ordered and reliable, as the real ones are. So a lost chunk is one that the transport sends again: loss shows
as delay of that chunk and of all behind it, never as a gap. Chunks are not doubled or turned around within a link
either; copies and disorder come from several links, as in a real network. Each pair of peers has a base latency drawn
from the seed: 5 to 60 ms one way, as between homes of one continent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from railgun_core.base.ids import LinkId
from railgun_core.wire.frames import FrameSplitter

RETRANSMIT_S = 0.2
LATENCY_S = (0.005, 0.060)
UNCLOG_S = 1.0  # what a clog held back comes within so long after it, each link at a moment of its own

Block = Callable[[int, int], bool]
"""Whether nothing gets from one peer to another."""


@dataclass(slots=True, eq=False)
class End:
    """One side of a link."""

    peer: int
    link: LinkId
    splitter: FrameSplitter = field(default_factory=FrameSplitter)
    free_s: float = 0.0  # when the last chunk towards this side arrives
    other: End | None = None
    open: bool = True
    guard: int | None = None  # the peer through which a tunnelled link leads
    carried: list[End] = field(default_factory=list)  # of a link to a guard: the links that lead through it
    held: list[bytes] = field(default_factory=list)  # sent towards this side into a partition, not yet given up
    stalled_s: float | None = None  # since when nothing towards this side is acknowledged


class Network:
    """Delays between peers, and who reaches whom. `split`, `blocks` and `clogs` change while a run lasts."""

    def __init__(self, rng: Random, loss: float) -> None:
        self._rng = rng
        self._salt = rng.randbytes(8)
        self._latency: dict[tuple[int, int], float] = {}
        self.loss = loss
        self.slowness = 1.0  # times the base latency
        self.split: frozenset[int] = frozenset()
        self.blocks: dict[object, Block] = {}
        self.clogs: dict[object, tuple[frozenset[int], float]] = {}  # these peers' links, until then

    def latency_s(self, a: int, b: int) -> float:
        """The base latency of a pair, one way."""
        pair = (min(a, b), max(a, b))
        found = self._latency.get(pair)
        if found is None:
            draw = hashlib.blake2b(b"%d-%d" % pair, key=self._salt, digest_size=4).digest()
            found = LATENCY_S[0] + (LATENCY_S[1] - LATENCY_S[0]) * int.from_bytes(draw, "big") / 2**32
            self._latency[pair] = found
        return found

    def passes(self, a: int, b: int) -> bool:
        """Whether anything gets from `a` to `b`."""
        if (a in self.split) != (b in self.split):
            return False
        return not self.blocks or not any(block(a, b) for block in self.blocks.values())

    def reachable(self, a: int, b: int) -> bool:
        """Whether two peers can talk: both directions pass."""
        return self.passes(a, b) and (not self.blocks or self.passes(b, a))

    def arrival_s(self, end: End, source: int, now_s: float) -> float:
        """When a chunk sent now reaches `end`: after everything sent before it."""
        base_s = self.latency_s(source, end.peer)
        if end.guard is not None:
            base_s = self.latency_s(source, end.guard) + self.latency_s(end.guard, end.peer)
        delay_s = base_s * self.slowness * self._rng.uniform(1.0, 1.2)
        backoff_s = RETRANSMIT_S
        while self._rng.random() < self.loss:
            delay_s += backoff_s
            backoff_s *= 2
        arrival_s = now_s + delay_s
        if self.clogs and (until_s := self._clogged_until(source, end.peer)) > arrival_s:
            arrival_s = until_s + self._rng.uniform(0.0, UNCLOG_S)
        end.free_s = max(end.free_s, arrival_s)
        return end.free_s

    def _clogged_until(self, a: int, b: int) -> float:
        return max((until_s for peers, until_s in self.clogs.values() if a in peers or b in peers), default=0.0)
