"""`railgun room outbox`: honest words for what has not come all the way."""

from __future__ import annotations

import json

import pytest

from railgun_core.cli.outbox import outbox_text
from railgun_core.local_api.messages import Outbox, OutboxGroup, OutboxMember
from tests.unit.cli.conftest import Cli, Engine

WAITING = Outbox(
    "ab12cd34",
    unsent=(OutboxGroup("no-relay", 2), OutboxGroup("relay-silent", 1)),
    stored=(OutboxGroup("committee", 4), OutboxGroup("mailbox", 3)),
    members=(OutboxMember("Bo\x1bb", 10, 0.0), OutboxMember("Cat", 12, 0.0, awaited=False)),
    last_seq=40,
)


def test_nothing_open_is_one_sentence(cli: Cli, engine: Engine) -> None:
    assert cli("room", "outbox", "Harbour").out == b"Everything that you sent was delivered to everybody.\n"


def test_what_waits_is_told_with_its_reason_its_place_and_for_whom(cli: Cli, engine: Engine) -> None:
    engine.not_delivered = WAITING
    lines = cli("room", "outbox", "Harbour").out.decode().splitlines()
    assert lines[:3] == [
        "Not stored yet",
        "2 pieces: no relay of this room answers, and no mailbox or server has it yet",
        "1 piece: given to a relay that has not said that it has it",
    ]
    assert "3 pieces: in mailboxes, on disk for seven days" in lines
    assert any(line.split()[:3] == ["Bo?b", "10", "pieces"] for line in lines)
    assert lines[-1].endswith("silent for a week: no longer waited for")


def test_the_same_as_json(cli: Cli, engine: Engine) -> None:
    engine.not_delivered = WAITING
    told = json.loads(cli("room", "outbox", "Harbour", "--json").out)
    assert told["unsent"][0] == {"why": "no-relay", "items": 2, "since_unix_s": None}
    assert told["members"][1]["awaited"] is False


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        ("central", "at the central server"),
        ("committee-gone", "only here: the committee that had it has ended; it is sent again when a member asks"),
        ("made-up", "made-up"),
    ],
)
def test_every_place_has_words_and_an_unknown_one_its_code(stored: str, words: str) -> None:
    assert f"1 piece: {words}" in outbox_text(Outbox("ab", stored=(OutboxGroup(stored, 1),)))
