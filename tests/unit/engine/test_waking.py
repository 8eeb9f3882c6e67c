"""A machine that sleeps, stands still, moves or has its clock set: seen within a second, and only when it is so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from railgun_core.engine.clock import Clock
from railgun_core.engine.waking import Gaps, Place, Waking, addresses_for
from railgun_core.events import Event, Woke
from tests.unit.engine.machine import Machine

HOUR_S = 3_600.0


@dataclass(slots=True)
class Recorded:
    """An engine that writes down what it is told. `asked`: how often peers were asked for the time."""

    clock: Clock
    told: list[Event] = field(default_factory=list)
    notices: list[tuple[str, str, str]] = field(default_factory=list)
    found_back: list[bool] = field(default_factory=list)
    renewed: int = 0
    asked: int = 0
    reconnected: int = 0

    @property
    def dht(self) -> Any:
        return self

    @property
    def entering(self) -> Any:
        return self

    @property
    def modes(self) -> Any:
        return self

    def woke(self) -> None:
        self.reconnected += 1

    def ask_the_time(self, known: frozenset[bytes]) -> int:
        self.asked += 1
        return 0

    def find_back(self, *, moved: bool) -> None:
        self.found_back.append(moved)

    def tell(self, event: Event) -> None:
        self.told.append(event)

    def notice(self, code: str, level: str = "info", detail: str = "") -> None:
        self.notices.append((code, level, detail))

    def renew_record(self) -> None:
        self.renewed += 1


class Desk:
    """A machine, an engine on it, and what watches both."""

    def __init__(self, addresses: list[str] | None = None) -> None:
        self.machine = Machine()
        self.addresses = addresses
        self.engine = Recorded(self.machine.clock())
        place = None if addresses is None else Place(lambda: frozenset(self.addresses or ()))
        self.waking = Waking(cast("Any", self.engine), place)

    def seconds(self, count: int) -> None:
        for _ in range(count):
            self.machine.passes(1.0)
            self.waking.look()

    def votes(self, offset_s: float, peers: int = 9) -> None:
        """What `peers` answer whose clocks are that far ahead of this machine's."""
        for number in range(peers):
            self.engine.clock.heard(bytes([number]) * 20, self.machine.unix_s + offset_s, self.machine.mono_s)


def test_an_hour_of_plain_seconds_wakes_nobody() -> None:
    desk = Desk(["10.0.0.2"])
    desk.votes(0.0)
    desk.seconds(int(HOUR_S))
    assert desk.engine.told == []
    assert desk.engine.notices == []


@pytest.mark.parametrize("away_s", [16.0, 8 * HOUR_S])
def test_a_sleep_is_noticed_at_the_first_look_and_everything_begins_anew(away_s: float) -> None:
    desk = Desk()
    desk.seconds(3)
    desk.machine.sleeps(away_s)
    desk.seconds(2)
    assert desk.engine.told == [Woke("sleep", pytest.approx(away_s + 1))]
    assert desk.engine.found_back == [False]
    assert (desk.engine.renewed, desk.engine.asked, desk.engine.reconnected) == (1, 1, 1)


def test_a_process_that_was_stopped_is_noticed_by_the_monotonic_clock() -> None:
    desk = Desk()
    desk.seconds(3)
    desk.machine.passes(20.0)
    desk.seconds(2)
    assert desk.engine.told == [Woke("sleep", pytest.approx(21.0))]


@pytest.mark.parametrize("away_s", [0.5, 5.0, 13.9])
def test_a_busy_machine_is_no_sleeping_one(away_s: float) -> None:
    desk = Desk()
    desk.machine.passes(away_s)
    desk.seconds(1)
    desk.machine.sleeps(away_s)
    desk.seconds(1)
    assert desk.engine.told == []


def test_after_a_sleep_old_votes_do_not_make_a_right_clock_wrong() -> None:
    desk = Desk()
    desk.votes(0.0)
    desk.seconds(2)
    assert desk.engine.clock.status().state == "right"
    desk.machine.sleeps(8 * HOUR_S)
    desk.seconds(3)
    assert desk.engine.clock.status().state == "right"
    assert desk.engine.notices == [("slept", "info", "")]
    desk.votes(0.0)
    desk.seconds(1)
    assert desk.engine.clock.status().peers == 9


@pytest.mark.parametrize(("step_s", "detail"), [(600.0, "by +600 s"), (-600.0, "by -600 s")])
def test_a_clock_set_ten_minutes_wrong_is_said_with_the_next_answers_and_taken_back(step_s: float, detail: str) -> None:
    desk = Desk()
    desk.votes(0.0)
    desk.seconds(5)
    desk.machine.unix_s += step_s
    desk.seconds(1)
    desk.votes(-step_s)  # peers were asked at once where the step looked like a sleep
    desk.seconds(1)
    assert desk.engine.clock.status().state == "wrong"
    assert desk.engine.notices[-1] == ("clock-wrong", "error", detail)
    desk.machine.unix_s -= step_s
    desk.seconds(1)
    desk.votes(0.0)
    desk.seconds(1)
    assert desk.engine.clock.status().state == "right"
    assert desk.engine.notices[-1] == ("clock-right", "info", "")


def test_a_correction_is_told_to_the_node_because_epochs_move_with_it() -> None:
    desk = Desk()
    desk.votes(-75.0)
    desk.seconds(2)
    assert desk.engine.told == [Woke("clock", pytest.approx(75.0))]
    assert desk.engine.notices == [("clock-corrected", "warning", "by -75 s")]
    assert desk.engine.renewed == 1


def test_while_few_have_told_the_time_more_are_asked_every_ten_seconds() -> None:
    desk = Desk()
    desk.votes(0.0, peers=3)
    desk.seconds(35)
    assert desk.engine.asked == 3
    desk.votes(0.0)
    desk.seconds(35)
    assert desk.engine.asked == 3


def test_another_address_is_noticed_within_three_seconds() -> None:
    desk = Desk(["10.0.0.2"])
    desk.seconds(4)
    desk.addresses = ["10.0.0.3"]
    desk.seconds(3)
    assert desk.engine.told == [Woke("address", 0.0)]
    assert desk.engine.found_back == [True]
    assert desk.engine.renewed == 1
    desk.seconds(30)
    assert len(desk.engine.told) == 1


def test_without_an_address_nothing_is_dialled_and_with_the_first_one_everything() -> None:
    desk = Desk(["10.0.0.2"])
    desk.addresses = []
    desk.seconds(60)
    assert desk.engine.told == []
    desk.addresses = ["10.0.0.2"]
    desk.seconds(3)
    assert desk.engine.told == [Woke("address", 0.0)]


def test_this_machine_has_addresses_and_loopback_is_none_of_them_unless_it_is_the_way_out() -> None:
    found = addresses_for("0.0.0.0")
    assert all(address.count(".") == 3 for address in found)
    assert "127.0.0.1" not in found


def test_a_gap_is_told_once() -> None:
    machine = Machine()
    gaps = Gaps(machine.clock().own())
    machine.sleeps(100.0)
    assert gaps.look(machine.clock().own()) == 100.0
    assert gaps.look(machine.clock().own()) == 0.0
