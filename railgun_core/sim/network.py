"""Virtual links: ordered and reliable like the real ones, with latency, loss and partitions.

A lost chunk is sent again by the transport, so loss shows as delay of that chunk and all behind it. Each pair of
peers has a base latency drawn from the seed: 5 to 60 ms one way, as between homes of one continent.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from random import Random

from railgun_core.base.ids import LinkId
from railgun_core.wire.frames import FrameSplitter

RETRANSMIT_S = 0.2
LATENCY_S = (0.005, 0.060)
CONNECT_TIMEOUT_S = 5.0
VANISHED_AFTER_S = 10.0  # how long until a transport gives up on a silent peer


@dataclass(slots=True)
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


class Network:
    """Delays between peers."""

    def __init__(self, rng: Random, loss: float) -> None:
        self._rng = rng
        self._loss = loss
        self._salt = rng.randbytes(8)
        self.split: frozenset[int] = frozenset()

    def latency_s(self, a: int, b: int) -> float:
        """The base latency of a pair, one way."""
        low, high = min(a, b), max(a, b)
        draw = hashlib.blake2b(b"%d-%d" % (low, high), key=self._salt, digest_size=4).digest()
        return LATENCY_S[0] + (LATENCY_S[1] - LATENCY_S[0]) * int.from_bytes(draw, "big") / 2**32

    def reachable(self, a: int, b: int) -> bool:
        """Whether no partition lies between two peers."""
        return (a in self.split) == (b in self.split)

    def arrival_s(self, end: End, source: int, now_s: float) -> float:
        """When a chunk sent now reaches `end`: after everything sent before it."""
        base_s = self.latency_s(source, end.peer)
        if end.guard is not None:
            base_s = self.latency_s(source, end.guard) + self.latency_s(end.guard, end.peer)
        delay_s = base_s * self._rng.uniform(1.0, 1.2)
        backoff_s = RETRANSMIT_S
        while self._rng.random() < self._loss:
            delay_s += backoff_s
            backoff_s *= 2
        end.free_s = max(end.free_s, now_s + delay_s)
        return end.free_s
