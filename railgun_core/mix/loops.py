"""Packets that a sender sends to itself, and the alarm when too many of them vanish.

Who drops a part of somebody's packets cannot tell loops from the rest, so loops vanish with them. The alarm is a CUSUM
of the losses (Page 1954; no test reacts sooner for the same false alarms, Moustakides 1986): a loss adds LOSS, a return
takes one away, the floor is 0 and ALARM is the limit. LOSS and ALARM are computed for 1 % natural loss against 20 %:

    one false alarm in 62,138 loops: less than one a week at 0.1 loops/s, which are 60,480
    20 % vanish in all: the alarm is there within 57 loops with P = 0.99, within 21 with P = 0.63
    20 % on top of the natural 1 %: within 53 loops with P = 0.99

Both at once, 21 loops and one false alarm a week, no test can give: of 21 loops at 20 % at least one vanishes with P =
0.9908 and at least two with P = 0.94. So one single loss would have to alarm, and by nature one loop in 100 is lost.
"""

from __future__ import annotations

from collections import deque

from railgun_core.base.clock import Instant

LOSS = 23
ALARM = 75
WINDOW = 100  # settled loops that `share` counts
MAX_OPEN = 1_000  # loops on their way; at 0.1/s and 10 s a handful


class LoopWatch:
    """The loops of one sender. Ids are any bytes that name a loop once."""

    def __init__(self) -> None:
        self._due: dict[bytes, float] = {}
        self._settled: deque[bool] = deque(maxlen=WINDOW)
        self._score = 0
        self.alarm = False  # set when the score reaches its limit, cleared when it is down to 0 again
        self.alarms = 0

    @property
    def settled(self) -> int:
        """How many of the last WINDOW loops came back or were given up."""
        return len(self._settled)

    @property
    def share(self) -> float | None:
        """The share of these that came back in time; None before one was due."""
        return sum(self._settled) / len(self._settled) if self._settled else None

    @property
    def open(self) -> int:
        """Loops that are on their way."""
        return len(self._due)

    def sent(self, loop: bytes, now: Instant, *, due_s: float) -> None:
        """A loop has left; it counts as lost when it is not back `due_s` seconds from now."""
        if len(self._due) >= MAX_OPEN:
            del self._due[next(iter(self._due))]  # the oldest says nothing: neither lost nor back
        self._due[loop] = now.mono_s + due_s

    def returned(self, loop: bytes, now: Instant) -> bool:
        """A loop came back; False when it is none of ours, came before, or was given up."""
        self.expire(now)
        if self._due.pop(loop, None) is None:
            return False
        self._settle(came_back=True)
        return True

    def expire(self, now: Instant) -> int:
        """Give up the loops whose time is over; how many."""
        late = [loop for loop, due_s in self._due.items() if due_s < now.mono_s]
        for loop in late:
            del self._due[loop]
            self._settle(came_back=False)
        return len(late)

    def next_s(self) -> float | None:
        """The monotonic time at which the next loop is given up."""
        return min(self._due.values(), default=None)

    def void(self) -> None:
        """Forget the loops on their way: this device's own link broke, so their loss would say nothing of mixes."""
        self._due.clear()

    def _settle(self, *, came_back: bool) -> None:
        self._settled.append(came_back)
        self._score = max(0, self._score - 1) if came_back else min(ALARM, self._score + LOSS)
        if self._score >= ALARM and not self.alarm:
            self.alarm, self.alarms = True, self.alarms + 1
        elif self._score == 0:
            self.alarm = False
