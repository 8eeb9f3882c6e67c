"""One reading of both clocks.

`mono_s` orders timers and never jumps; `unix_s` picks epochs and stamps records. They are never mixed,
and no decision reads a clock by itself: `now` is always an argument.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment: monotonic seconds for timers, Unix seconds for epochs."""

    mono_s: float
    unix_s: float

    def after(self, seconds: float) -> Instant:
        """The moment `seconds` later on both clocks."""
        return Instant(self.mono_s + seconds, self.unix_s + seconds)
