"""Token bucket: at most `burst` at once and `rate_per_s` over time. A clock that goes back admits nothing extra."""

from __future__ import annotations


class TokenBucket:
    """Admits whole units. Starts full."""

    __slots__ = ("_level", "_seen_s", "burst", "rate_per_s")

    def __init__(self, rate_per_s: float, burst: float, *, now_s: float) -> None:
        self.rate_per_s = rate_per_s
        self.burst = burst
        self._level = burst
        self._seen_s = now_s

    def take(self, wanted: int, now_s: float) -> int:
        """How many of `wanted` are admitted now."""
        if now_s > self._seen_s:
            self._level = min(self.burst, self._level + (now_s - self._seen_s) * self.rate_per_s)
            self._seen_s = now_s
        granted = min(wanted, int(self._level))
        self._level -= granted
        return granted

    def give_back(self, units: int) -> None:
        """Return units that were not used after all."""
        self._level = min(self.burst, self._level + units)

    def retry_after_ms(self, wanted: int) -> int:
        """When `wanted` (at most the burst) will be there, rounded up: who waits that long is not refused again."""
        missing = min(wanted, self.burst) - self._level
        return 1 + int(missing / self.rate_per_s * 1000) if missing > 0 else 0
