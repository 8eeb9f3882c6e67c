"""`railgun telemetry`: how relays performed in a table, and plain words on who gets to know."""

from __future__ import annotations

import json

import msgspec
import pytest

from railgun_core.local_api.messages import TelemetryAsk, TelemetryDay, TelemetrySet
from tests.unit.cli.conftest import ONE_DAY, Cli, Engine

DAY_S = 86_400.0


def changed(**fields: object) -> TelemetryDay:
    return msgspec.structs.replace(ONE_DAY, **fields)


def test_each_relay_has_a_line_and_the_day_stays_here(cli: Cli, engine: Engine) -> None:
    assert cli("telemetry").out.decode().splitlines() == [
        "How relays performed for this device on 2025-11-22 (UTC)",
        "",
        "Relay     Attempts  Stored  Failures  Not reached  Ack p50   Ack p95",
        "0a1b2c3d  1,200     1,198   2         1            to 50 ms  over 1,600 ms",
        "others    3         0       0         0            none      none",
        "",
        "This stays on this device.",
    ]


def test_an_empty_day_says_so(cli: Cli, engine: Engine) -> None:
    engine.performed = changed(relays=())
    assert "Nothing: no room of this device used a relay" in cli("telemetry", "--days-ago", "3").out.decode()
    assert engine.asked == [TelemetryAsk(3)]


@pytest.mark.parametrize(
    ("fields", "said", "unsaid"),
    [
        ({"goes": "not-hybrid"}, "stays on this device: it would be shared in mode hybrid only", "server"),
        ({"goes": "central", "mode": "hybrid"}, "Newest day it was told: nothing yet", "stays on"),
        (
            {"goes": "central", "mode": "hybrid", "told_unix_s": ONE_DAY.day_unix_s - DAY_S},
            "go to the central server, rounded, with no name",
            "nothing yet",
        ),
    ],
)
def test_who_gets_to_know_is_said_plainly(
    cli: Cli, engine: Engine, fields: dict[str, object], said: str, unsaid: str
) -> None:
    engine.performed = changed(**fields)
    text = cli("telemetry").out.decode()
    assert said in text
    assert unsaid not in text
    assert ("2025-11-21" in text) == ("told_unix_s" in fields)


def test_a_day_is_one_json_object_and_days_go_back_thirty(cli: Cli, engine: Engine) -> None:
    told = json.loads(cli("telemetry", "--json").out)
    assert told["goes"] == "nowhere"
    assert told["relays"][0]["ack_p95_ms"] == 3_200
    assert told["relays"][1]["ack_p50_ms"] is None
    assert cli("telemetry", "--days-ago", "31").status == 2


def test_whether_it_stays_here_is_changed_while_the_engine_runs(cli: Cli, engine: Engine) -> None:
    assert cli("telemetry", "share").status == 0
    assert cli("telemetry", "local").status == 0
    changes = [asked for asked in engine.asked if isinstance(asked, TelemetrySet)]
    assert changes == [TelemetrySet(True), TelemetrySet(False)]
