"""Where real time enters: both clocks at once."""

from __future__ import annotations

import time

from railgun_core.base.clock import Instant


def instant() -> Instant:
    """Both clocks, now."""
    return Instant(time.monotonic(), time.time())
