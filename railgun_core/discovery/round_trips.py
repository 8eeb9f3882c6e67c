"""How long to wait for an answer: from 400 ms down, as fast as the network turns out to be.

RFC 6298's smoothed time and deviation, per contact and over all. Which copy of a repeated question was answered is
unknown (Karn and Partridge 1987); the time since the first is taken, which errs on the side of patience: dropping the
sample would leave a busy network with timeouts that are always too short.
"""

from __future__ import annotations

from collections import OrderedDict

from railgun_core.discovery.datagrams import Endpoint

START_S = 0.4  # protocol.md 2
FLOOR_S = 0.1  # guess: a busy laptop pauses a process for tens of milliseconds
_REMEMBERED = 2_048


class _Estimate:
    __slots__ = ("deviation_s", "smooth_s")

    def __init__(self, sample_s: float) -> None:
        self.smooth_s = sample_s
        self.deviation_s = sample_s / 2

    def add(self, sample_s: float) -> None:
        self.deviation_s += (abs(sample_s - self.smooth_s) - self.deviation_s) / 4
        self.smooth_s += (sample_s - self.smooth_s) / 8

    @property
    def timeout_s(self) -> float:
        return min(START_S, max(FLOOR_S, self.smooth_s + 4 * self.deviation_s))


class RoundTrips:
    """Timeouts per endpoint, learnt from answers."""

    def __init__(self) -> None:
        self._overall: _Estimate | None = None
        self._each: OrderedDict[Endpoint, _Estimate] = OrderedDict()

    def sample(self, endpoint: Endpoint, seconds: float) -> None:
        """An answer came this long after its question was first sent."""
        if self._overall is None:
            self._overall = _Estimate(seconds)
        self._overall.add(seconds)
        known = self._each.get(endpoint)
        if known is None:
            self._each[endpoint] = _Estimate(seconds)
            if len(self._each) > _REMEMBERED:
                self._each.popitem(last=False)
        else:
            known.add(seconds)

    def timeout_s(self, endpoint: Endpoint) -> float:
        """How long the first copy of a question to this endpoint may take."""
        estimate = self._each.get(endpoint) or self._overall
        return START_S if estimate is None else estimate.timeout_s
