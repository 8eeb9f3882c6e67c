"""`railgun mode`: shown and changed, and what a mode leaves unused is said."""

from __future__ import annotations

import json

import pytest

from railgun_core.local_api.messages import ModeInfo, ModeSet
from railgun_core.status import CentralStatus
from tests.unit.cli.conftest import Cli, Engine

ENTRY, SERVER = "127.0.0.1:7000", "127.0.0.1:4222"


def test_without_arguments_nothing_is_changed(cli: Cli, engine: Engine) -> None:
    assert cli("mode").out.decode().splitlines() == [
        "Mode       p2p: configured peers to enter through, nothing central after that",
        f"Bootstrap  {ENTRY}",
    ]
    assert engine.asked == []
    assert json.loads(cli("mode", "--json").out)["mode"] == "p2p"


def test_what_mode_full_does_not_use_is_kept_and_said(cli: Cli, engine: Engine) -> None:
    engine.mode_info = ModeInfo("full", (ENTRY,), False, (SERVER,), False)
    assert cli("mode", "full").out.decode().splitlines() == [
        "Mode       full: no configured peer at all: known peers, the local network and invites",
        f"Bootstrap  {ENTRY} (not used in this mode; kept for later)",
        f"Central    {SERVER} (not used in this mode; kept for later)",
    ]
    assert engine.asked == [ModeSet("full")]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (CentralStatus(configured=True, up=True), f"{SERVER}, up; asked first"),
        (CentralStatus(configured=True, why="unreachable"), f"{SERVER}, down (unreachable); asked first"),
    ],
)
def test_the_server_of_mode_hybrid_and_how_it_is(cli: Cli, engine: Engine, status: CentralStatus, words: str) -> None:
    engine.mode_info = ModeInfo("hybrid", (), True, (SERVER,), True, status)
    said = cli("mode", "hybrid", "--central", SERVER, "--central-first", "on").out.decode()
    assert said.splitlines()[-1] == f"Central    {words}"
    assert engine.asked == [ModeSet("hybrid", (SERVER,), True)]


def test_one_thing_is_changed_without_naming_the_mode(cli: Cli, engine: Engine) -> None:
    assert cli("mode", "--central-first", "off").status == 0
    assert engine.asked == [ModeSet(None, None, False)]
