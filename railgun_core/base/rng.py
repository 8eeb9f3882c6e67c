"""Randomness as an argument: `SystemRandom()` in the engine, `Random(seed)` in the simulator."""

from __future__ import annotations

from typing import Protocol


class Rng(Protocol):
    """The part of `random.Random` that decisions may use."""

    def random(self) -> float: ...

    def randbytes(self, n: int, /) -> bytes: ...

    def uniform(self, a: float, b: float, /) -> float: ...

    def expovariate(self, lambd: float, /) -> float: ...

    def randrange(self, start: int, stop: int, /) -> int: ...
