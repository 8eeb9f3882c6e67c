"""The last sixty seconds of traffic, as the sparkline wants them. Pure: the caller says what time it is.

The engine says rates when they change, at most four times a second, so between two reports the last one holds.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

SPAN_S = 60
_PER_S = 4


@dataclass(frozen=True, slots=True)
class Rates:
    """Up and down at one moment, in bits a second."""

    unix_s: float
    up_bps: float
    down_bps: float


class LastMinute:
    """A bounded memory of rates."""

    def __init__(self) -> None:
        self._seen: deque[Rates] = deque(maxlen=(SPAN_S + 2) * _PER_S)

    def add(self, rates: Rates) -> None:
        """Remember one report. One that is older than the newest means the clock was set back: start again."""
        if self._seen and rates.unix_s < self._seen[-1].unix_s:
            self._seen.clear()
        self._seen.append(rates)

    def points(self, now_s: float) -> tuple[Rates | None, ...]:
        """One value a second from a minute ago until now; None before the first report."""
        result: list[Rates | None] = []
        reports = list(self._seen)
        position, held = 0, None
        for second in range(SPAN_S + 1):
            moment = now_s - SPAN_S + second
            while position < len(reports) and reports[position].unix_s <= moment:
                held = reports[position]
                position += 1
            result.append(held)
        if position < len(reports):  # the engine's clock is a moment ahead of ours
            result[-1] = reports[-1]
        return tuple(result)

    def clear(self) -> None:
        """Forget everything, when another engine answers."""
        self._seen.clear()
