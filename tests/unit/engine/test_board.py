"""What is measured and how it is told: failovers by cause, and the way a room's messages go."""

from __future__ import annotations

from pathlib import Path

from railgun_core.base.clock import Instant
from railgun_core.config import Config
from railgun_core.engine.board import Board, failovers, way_of
from railgun_core.status import Failovers
from tests.unit.rooms.table import Table, seated

NOW = Instant(5.0, 1_800_000_000.0)


def board(tmp_path: Path) -> Board:
    return Board(Config(data_dir=tmp_path), NOW)


def test_nothing_measured_is_nothing_said() -> None:
    assert failovers((), {}) == Failovers()


def test_failovers_are_told_by_cause_with_their_worst(tmp_path: Path) -> None:
    found = board(tmp_path)
    for ms in range(1, 101):
        found.measured("failover", float(ms), "silent" if ms % 2 else "closed")
    found.measured("relayed", 9_999.0)
    said = failovers(found.times("failover"), found.causes)
    assert (said.p50, said.p95, said.p99, said.worst, said.count) == (51.0, 96.0, 100.0, 100.0, 100)
    assert said.causes == {"silent": 50, "closed": 50}


def test_one_failover_is_all_of_its_quantiles(tmp_path: Path) -> None:
    found = board(tmp_path)
    found.measured("failover", 412.34, "refused")
    said = failovers(found.times("failover"), found.causes)
    assert (said.p50, said.p99, said.worst, said.count) == (412.3, 412.3, 412.3, 1)


def test_a_room_goes_through_the_committee_while_a_relay_is_not_suspect() -> None:
    table = seated()
    assert way_of(table.room) == "committee"
    for relay in table.relays:
        relay.silent = True
    table.answers = False
    table.after(6.0)
    assert way_of(table.room) != "committee"


def test_a_room_without_relays_has_no_way_through_the_committee() -> None:
    table = Table(answers=False)
    table.enter()
    assert way_of(table.room) != "committee"
