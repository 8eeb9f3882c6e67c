"""Bounds of a demo run, each refused with one sentence before anything starts."""

from __future__ import annotations

from typing import Any

import pytest

from railgun_core.base.errors import UsageError
from railgun_core.demo.options import DemoOptions, parse_sizes


def test_the_defaults_are_a_valid_run() -> None:
    assert DemoOptions().peers >= DemoOptions().members


@pytest.mark.parametrize(
    "wrong",
    [
        {"peers": 0},
        {"peers": 1_000},
        {"peers": 2, "members": 3},
        {"members": 0},
        {"epoch_s": 1},
        {"duration_s": 0},
        {"duration_s": float("nan")},
        {"rate_per_s": -1},
        {"kill": 8},
        {"transport": "webrtc"},
        {"seed": -1},
        {"kills": -1},
        {"kills": 1, "kill": 1},
        {"kills": 1, "rooms": 0},
        {"kills": 1, "live": True},
        {"kills": 1, "kill_sizes": (0,)},
        {"kills": 1, "kill_sizes": (6,), "peers": 20},
        {"kills": 1, "kill_sizes": (1, 4), "peers": 9},
        {"kills": 1, "kill_sizes": (5,), "peers": 7, "mode": "hybrid"},
        {"mailboxes": 9},
        {"mode": "full"},
        {"kill_central": True},
    ],
    ids=str,
)
def test_wrong_options_are_refused_with_one_sentence(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        DemoOptions(**wrong)
    assert caught.value.detail.endswith(".")


def test_members_serve_nobody_where_seats_are_killed_in_rounds() -> None:
    assert DemoOptions(peers=14, members=4).relays == 14
    assert DemoOptions(peers=14, members=4, kills=9, kill_sizes=(1, 2, 4)).relays == 10
    assert DemoOptions(peers=14, members=4, kills=9, secure=True).relays == 14  # devices are the members there


def test_every_relay_may_die_at_once_where_a_central_server_is() -> None:
    assert DemoOptions(peers=8, members=3, kills=1, kill_sizes=(5,), mode="hybrid").relays == 5


def test_three_relays_keep_mail_where_committees_die_and_none_elsewhere() -> None:
    assert DemoOptions().keepers == 0
    assert DemoOptions(mailboxes=2).keepers == 2
    assert DemoOptions(peers=10, kills=1).keepers == 3
    assert DemoOptions(peers=10, kills=1, mailboxes=0).keepers == 0


def test_kill_sizes_are_read_as_they_are_written() -> None:
    assert parse_sizes("1,2, 4") == (1, 2, 4)
    assert parse_sizes("5") == (5,)


@pytest.mark.parametrize("text", ["", "1,", "a", "-1", "1.5", "²", "111"])
def test_kill_sizes_that_are_no_numbers_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_sizes(text)
