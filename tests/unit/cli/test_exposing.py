"""`railgun exposure`: the day's ledger in words, and what an empty day says."""

from __future__ import annotations

import json

from railgun_core.local_api.messages import ExposureAsk
from tests.unit.cli.conftest import Cli, Engine


def test_each_role_says_what_it_could_and_could_not_learn(cli: Cli, engine: Engine) -> None:
    assert cli("exposure").out.decode().splitlines() == [
        "What others saw on 2025-11-22 (UTC)",
        "",
        "Guards: 3 peers",
        "  could learn      Your internet address, and when 2 sessions were open.",
        "  could not learn  Which rooms you are in.",
    ]


def test_an_empty_day_says_so(cli: Cli, engine: Engine) -> None:
    assert "Nothing: no link was open" in cli("exposure", "--days-ago", "3").out.decode()
    assert engine.asked == [ExposureAsk(3)]


def test_the_ledger_is_one_json_object_and_goes_back_thirty_days(cli: Cli, engine: Engine) -> None:
    told = json.loads(cli("exposure", "--json").out)
    assert told["roles"][0]["counts"] == {"sessions": 2}
    assert cli("exposure", "--days-ago", "31").status == 2
