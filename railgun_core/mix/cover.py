"""The one queue of a client: when a packet leaves and what it is, and what that costs.

Slots come as a Poisson process of a fixed rate. A fixed share of them are loops, drawn without a look at the queue. Any
other slot carries the oldest real packet; when there is none it carries cover: a drop, or in a high-security room now
and then a dummy post to the room's own committee. So neither when packets leave nor how many says whether anything
is said. Every packet brings one back: a loop itself, everything else an answer (parcel.py).

What it costs, in frames of 5,313 bytes, 5 % more for TLS, TCP and IP, both directions, 30 days:

    2 x rate                   every packet out and what it brings back
    2 x rate x q / (1 - q)     keep-alive and its answer after IDLE_AFTER_S of silence, q = exp(-rate x IDLE_AFTER_S)
    9 / 600 s or 9 / 1,500 s   asking for relay records and about eight cells of them; more rarely at low rates

What a tunnel carries down (the room's messages) comes on top: it depends on what others say.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from typing import Generic, TypeVar

from railgun_core.base.rng import Rng
from railgun_core.wire.frames import PACKET_BYTES

Item = TypeVar("Item")

LOOPS_PER_S = 0.1
LOOP_SHARE = 1 / 6
DUMMY_SHARE = 0.1
MAX_QUEUED = 1_000
IDLE_AFTER_S = 45.0  # links end after 60 s of silence
SLOW_PER_S = 0.2  # below this rate records are refreshed more rarely
ASK_EVERY_S, ASK_EVERY_SLOW_S = 600.0, 1_500.0  # the key of a mix lives for 1,800 s at least
RECORD_CELLS = 9

FRAME_BYTES = (PACKET_BYTES + 5) * 1.05
MONTH_S = 30 * 86_400
MAX_PER_S = 1_000.0


class Slot(enum.Enum):
    """What a slot carries."""

    LOOP = "loop"
    REAL = "real"
    DROP = "drop"
    DUMMY = "dummy"


def loop_share(packets_per_s: float) -> float:
    """The share of slots that are loops: 0.1 a second, or a sixth of the rate when that is less."""
    return min(LOOP_SHARE, LOOPS_PER_S / packets_per_s) if packets_per_s > 0 else 0.0


def ask_every_s(packets_per_s: float) -> float:
    """How often relay records are asked for."""
    return ASK_EVERY_S if packets_per_s >= SLOW_PER_S else ASK_EVERY_SLOW_S


def gb_for(packets_per_s: float) -> float:
    """What a rate costs a month, in GB (1e9 bytes), both directions; at 0 what a silent guard link costs."""
    if packets_per_s > 0:
        quiet = math.exp(-packets_per_s * IDLE_AFTER_S)
        idle_per_s = packets_per_s * quiet / (1 - quiet)
    else:
        idle_per_s = 1 / IDLE_AFTER_S
    frames_per_s = 2 * (packets_per_s + idle_per_s) + RECORD_CELLS / ask_every_s(packets_per_s)
    return frames_per_s * FRAME_BYTES * MONTH_S / 1e9


def rate_for(gb_month: float) -> float:
    """The packets a second that a budget buys; 0 when it does not even pay for the link. Never over the budget."""
    low, high = 0.0, MAX_PER_S
    if gb_for(low) >= gb_month:
        return 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if gb_for(middle) <= gb_month else (low, middle)
    return low


class SendQueue(Generic[Item]):
    """What waits to be sent, and the draw of every slot."""

    def __init__(self, packets_per_s: float = 0.0) -> None:
        self.packets_per_s = packets_per_s
        self._waiting: deque[Item] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, item: Item) -> bool:
        """Queue a real packet; False when the queue is full."""
        if len(self._waiting) >= MAX_QUEUED:
            return False
        self._waiting.append(item)
        return True

    def again(self, item: Item) -> None:
        """Queue one that was sent before and has to go again: it is older than all that waits."""
        self._waiting.appendleft(item)

    def withdraw(self, item: Item) -> None:
        """Take one out, if it waits."""
        if item in self._waiting:
            self._waiting.remove(item)

    def clear(self) -> list[Item]:
        """Take all out, oldest first."""
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting

    def gap_s(self, rng: Rng) -> float:
        """The time to the next slot; infinite at rate 0."""
        return rng.expovariate(self.packets_per_s) if self.packets_per_s > 0 else math.inf

    def draw(self, rng: Rng, *, secure: bool) -> tuple[Slot, Item | None]:
        """What this slot carries. The same draws are made whether something waits or not."""
        loop = rng.random() < loop_share(self.packets_per_s)
        dummy = rng.random() < DUMMY_SHARE
        if loop:
            return Slot.LOOP, None
        if self._waiting:
            return Slot.REAL, self._waiting.popleft()
        return (Slot.DUMMY if secure and dummy else Slot.DROP), None
