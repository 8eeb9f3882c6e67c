"""The figures of rounds of kills, on rounds and messages whose answer is known."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from railgun_core.demo.figures import quantiles
from railgun_core.demo.kills import _is_its_turn, elsewhere, failover_figures
from railgun_core.demo.options import DemoOptions
from railgun_core.demo.plan import Round, plan
from railgun_core.demo.traffic import Attempt
from railgun_core.local_api.messages import Counters
from railgun_core.status import Failovers, NodeStatus

WHOLE = Round("a", ("p1", "p2", "p3", "p4", "p5"), 5, at_s=100.0, back_s=112.0)


def status(failovers: Failovers) -> NodeStatus:
    words = {"peer_id": "", "version": "", "mode": "p2p", "state": "relaying", "reason": "", "nat": ""}
    numbers = dict.fromkeys(("revision", "peers", "relays", "groups", "uptime_s", "epoch_s", "overlap_s", "unix_s"), 0)
    empty = msgspec.convert({**words, **numbers, "reachable": None, "young_network": False}, NodeStatus)
    return msgspec.structs.replace(empty, failovers=failovers)


def counters(*failover_ms: float) -> Counters:
    return Counters({}, {}, 0, {}, 0, failover_ms, (), 0.0, 0)


def test_quantiles_are_by_nearest_rank_and_none_without_values() -> None:
    assert quantiles([float(n) for n in range(1, 101)], (50, 99, 100)) == {"p50": 51.0, "p99": 100.0, "max": 100.0}
    assert quantiles([], (50, 100)) == {"p50": None, "max": None}


def test_failovers_of_all_members_count_together() -> None:
    statuses = [
        status(Failovers(worst=900.0, count=2, causes={"closed": 2})),
        status(Failovers(worst=3_100.0, count=3, causes={"closed": 1, "silent": 2})),
        status(Failovers()),
    ]
    found = failover_figures(statuses, [counters(100.0, 900.0), counters(200.0, 300.0, 3_100.0), counters()])
    assert found["count"] == 5
    assert found["causes"] == {"closed": 3, "silent": 2}
    assert found["worst"] == found["max"] == 3_100.0


def test_without_failovers_there_is_no_figure() -> None:
    found = failover_figures([status(Failovers())], [counters()])
    assert (found["p99"], found["worst"], found["count"], found["causes"]) == (None, None, 0, {})


@pytest.mark.parametrize(
    ("attempt", "wait_ms"),
    [
        (Attempt("a", 99.0, 103.0), 3_000.0),  # sent before, not stored yet when all died: counts from there
        (Attempt("a", 105.0, 106.5), 1_500.0),
        (Attempt("a", 99.0, 99.5), None),  # stored before
        (Attempt("a", 113.0, 114.0), None),  # sent when seats were back
        (Attempt("b", 105.0, 106.0), None),  # another room's
    ],
)
def test_a_message_counts_as_stored_elsewhere_while_no_seat_is_left(attempt: Attempt, wait_ms: float | None) -> None:
    found = elsewhere([WHOLE], [attempt])
    assert found["max"] == wait_ms
    assert (found["messages"], found["late"], found["never"]) == (wait_ms is not None, 0, 0)


def test_what_was_stored_only_by_seats_that_came_back_or_never_is_said() -> None:
    found = elsewhere([WHOLE], [Attempt("a", 101.0, 113.0), Attempt("a", 102.0)])
    assert (found["messages"], found["late"], found["never"], found["max"]) == (1, 1, 1, 12_000.0)


def test_the_central_server_dies_once_in_the_middle_in_a_round_of_the_largest_size(tmp_path: Path) -> None:
    options = DemoOptions(peers=14, members=4, kills=9, kill_sizes=(1, 5), mode="hybrid", kill_central=True)
    network = plan(options, tmp_path)
    assert [number for number in range(9) if _is_its_turn(network, number)] == [5]
    without = plan(DemoOptions(peers=14, members=4, kills=9, kill_sizes=(5,), mode="hybrid"), tmp_path)
    assert not any(_is_its_turn(without, number) for number in range(9))
