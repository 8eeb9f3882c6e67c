"""One reading of both clocks."""

from __future__ import annotations

from railgun_core.base.clock import Instant


def test_a_later_moment_is_later_on_both_clocks(now: Instant) -> None:
    assert now.after(1.5) == Instant(now.mono_s + 1.5, now.unix_s + 1.5)
