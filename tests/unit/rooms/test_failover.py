"""Timing a failover: when it begins, what ends it, and what is none."""

from __future__ import annotations

from railgun_core.base.ids import PeerId
from railgun_core.rooms.failover import Cause, Failovers

A, B = PeerId(b"a" * 32), PeerId(b"b" * 32)


def waits(seq: int) -> bool:
    return True


def test_it_ends_when_another_pushes_and_has_taken_everything() -> None:
    failovers = Failovers()
    failovers.begin(A, Cause.CLOSED, since_s=10.0, items=[1, 2])
    assert failovers.over(10.1, pushed=True, waits=waits) == []
    failovers.taken([1])
    assert failovers.over(10.2, pushed=True, waits=waits) == []
    failovers.taken([2, 3])
    assert failovers.over(10.3, pushed=False, waits=waits) == []
    assert failovers.over(10.5, pushed=True, waits=waits) == [(Cause.CLOSED, 500.0)]
    assert not failovers


def test_items_that_nobody_waits_for_any_more_hold_nothing_up() -> None:
    failovers = Failovers()
    failovers.begin(A, Cause.REFUSED, since_s=1.0, items=[1])
    assert failovers.over(2.0, pushed=True, waits=lambda seq: False) == [(Cause.REFUSED, 1000.0)]


def test_each_relay_is_counted_once_and_one_that_comes_back_not_at_all() -> None:
    failovers = Failovers()
    failovers.begin(A, Cause.SILENT, since_s=1.0, items=[])
    failovers.begin(A, Cause.CLOSED, since_s=2.0, items=[])
    failovers.begin(B, Cause.SILENT, since_s=2.0, items=[7])
    failovers.returned(B)
    assert failovers.over(6.0, pushed=True, waits=waits) == [(Cause.SILENT, 5000.0)]
    failovers.begin(A, Cause.CLOSED, since_s=7.0, items=[])
    failovers.clear()
    assert failovers.over(8.0, pushed=True, waits=waits) == []
