"""A machine whose clocks a test turns."""

from __future__ import annotations

from dataclasses import dataclass

from railgun_core.engine.clock import Clock


@dataclass(slots=True)
class Machine:
    """Both clocks of a machine."""

    mono_s: float = 1_000.0
    unix_s: float = 1_800_000_000.0

    def clock(self) -> Clock:
        return Clock(wall=lambda: self.unix_s, mono=lambda: self.mono_s)

    def passes(self, seconds: float) -> None:
        """Time as it should pass."""
        self.mono_s += seconds
        self.unix_s += seconds

    def sleeps(self, seconds: float) -> None:
        """A suspend: the monotonic clock stands still."""
        self.unix_s += seconds
