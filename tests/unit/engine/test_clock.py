"""The one clock of an engine: corrected where it may be, honest about where it may not."""

from __future__ import annotations

import pytest

from railgun_core.engine.clock import Clock
from railgun_core.status import ClockStatus
from tests.unit.engine.machine import Machine


def told(clock: Clock, machine: Machine, offset_s: float, peers: int = 9) -> float:
    for number in range(peers):
        clock.heard(bytes([number]) * 20, machine.unix_s + offset_s, machine.mono_s)
    return clock.review()


def test_a_clock_is_corrected_and_its_timers_are_not() -> None:
    machine = Machine()
    clock = machine.clock()
    assert clock.status() == ClockStatus()
    assert told(clock, machine, 90.0) == pytest.approx(90.0)
    assert clock.instant().unix_s == pytest.approx(machine.unix_s + 90.0)
    assert clock.instant().mono_s == machine.mono_s
    assert clock.own().unix_s == machine.unix_s
    assert clock.public() == clock.instant()
    assert clock.status() == ClockStatus("corrected", 90.0, 9)


def test_a_clock_that_is_far_off_is_left_as_it_is_and_only_what_is_said_to_others_is_in_their_time() -> None:
    machine = Machine()
    clock = machine.clock()
    assert told(clock, machine, -600.0) == 0.0
    assert clock.instant() == clock.own()
    assert clock.public().unix_s == pytest.approx(machine.unix_s - 600.0)
    assert clock.status().state == "wrong"
    machine.unix_s -= 600.0  # the person has set it right: no new answer is needed to see it
    assert clock.review() == 0.0
    assert clock.status().state == "right"
    assert clock.public() == clock.own()


def test_a_slow_answer_says_nothing_of_the_time() -> None:
    machine = Machine()
    clock = machine.clock()
    for number in range(9):
        clock.heard(bytes([number]) * 20, machine.unix_s + 90.0, machine.mono_s - 2.5)
    assert clock.review() == 0.0
    assert clock.status() == ClockStatus()
