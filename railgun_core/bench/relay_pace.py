"""How loads are paced and asked, the same for a relay and for its rivals.

A publisher keeps a bounded window open: what was sent and not yet received by every receiver. So nothing queues
without bound, nothing is dropped, and what a load counts has really arrived.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Protocol

from railgun_core.base.errors import RailGunError
from railgun_core.bench.relay_process import Asked

WINDOW_BYTES = 1024 * 1024  # of envelopes; a receiver's queue at a relay can never overflow
WINDOW_MAX = 1_024
WINDOW_MIN = 8
REFILL_SHARE = 4  # a quarter of the window is free before more is sent
RUN_MAX_BYTES = 1024**3  # what one run may publish: a relay keeps it all in memory
DRAIN_WITHIN_S = 20.0


class LoadFailed(RailGunError):
    """A relay refused, ended or lost something. `detail` says what."""

    code = "bench-failed"


@dataclass(frozen=True, slots=True)
class Count:
    """What has happened so far."""

    at_s: float
    delivered: int  # envelopes, to all receivers together


class Progress:
    """Wakes whoever waits for something to happen; knows what went wrong."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._failure = ""

    def fail(self, why: str) -> None:
        """What the next wait raises."""
        self._failure = self._failure or why
        self._changed.set()

    def touch(self) -> None:
        """Something happened."""
        self._changed.set()

    async def wait(self) -> None:
        """Until something happens. LoadFailed when that was a failure."""
        self.check()
        self._changed.clear()
        await self._changed.wait()
        self.check()

    def check(self) -> None:
        """LoadFailed when something went wrong."""
        if self._failure:
            raise LoadFailed(self._failure)


class Window:
    """How much a publisher may send now."""

    def __init__(self, envelope_bytes: int) -> None:
        self._envelope_bytes = envelope_bytes
        self.size = max(WINDOW_MIN, min(WINDOW_MAX, WINDOW_BYTES // envelope_bytes))
        self.is_open = False
        self.sent = 0

    @property
    def is_spent(self) -> bool:
        """Whether this run has published all that it may."""
        return self.sent * self._envelope_bytes >= RUN_MAX_BYTES

    def free(self, slowest: int) -> int:
        """How many envelopes to send now, when the slowest receiver has `slowest`; they count as sent."""
        free = slowest + self.size - self.sent
        if not self.is_open or free * REFILL_SHARE < self.size or self.is_spent:
            return 0
        self.sent += free
        return free


class Load(Protocol):
    """A publisher and its receivers."""

    @property
    def progress(self) -> Progress: ...

    @property
    def window(self) -> Window: ...

    def publish(self) -> None:
        """Send what the window allows."""

    def received(self) -> list[int]:
        """Envelopes that have arrived, by receiver."""


async def serve_load(asked: Asked, load: Load) -> None:
    """Answer start, run (seconds; less when the run is spent), count and finish (deliveries that never came)."""

    async def count(_: object) -> Count:
        load.progress.check()
        return Count(time.perf_counter(), sum(load.received()))

    async def start(_: object) -> None:
        load.window.is_open = True
        load.publish()

    async def run(seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not load.window.is_spent:
                    await load.progress.wait()
        except TimeoutError:
            return

    async def finish(_: object) -> int:
        load.window.is_open = False

        def missing() -> int:
            return sum(load.window.sent - one for one in load.received())

        try:
            async with asyncio.timeout(DRAIN_WITHIN_S):
                while missing():
                    await load.progress.wait()
        except TimeoutError:
            pass
        return missing()

    await asked.serve({"start": start, "run": run, "count": count, "finish": finish})
