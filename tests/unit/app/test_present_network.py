"""The page Network in words."""

from __future__ import annotations

import msgspec
import pytest

from app import figures
from app.present import Connection, Seen
from app.present_network import network_view, notice_rows, relay_rows, target_row
from railgun_core.local_api.messages import PeerInfo, Peers
from railgun_core.status import NodeStatus, Notice, Quantiles, Standing, State

NOW_S = 1_000_000.0
STATUS = NodeStatus(
    revision=1,
    peer_id="aa" * 32,
    version="0.1.0",
    mode="p2p",
    state=State.STANDBY,
    reason="",
    reachable=None,
    nat="",
    peers=1_204,
    relays=12,
    groups=2,
    young_network=True,
    uptime_s=1.0,
    epoch_s=600,
    overlap_s=120,
    unix_s=NOW_S,
)


def view(**changes: object):  # type: ignore[no-untyped-def]
    return network_view(Seen(msgspec.structs.replace(STATUS, **changes), Connection.CONNECTED), NOW_S)


@pytest.mark.parametrize(
    ("measured", "text", "chip"),
    [
        (Quantiles(), figures.UNKNOWN, "Not measured yet"),
        (Quantiles(182.4, 420.0, 37), "182 ms · p95 420 ms · 37 samples", "Met"),
        (Quantiles(650.0, 900.0, 1), "650 ms · p95 900 ms · 1 sample", "Missed"),
    ],
)
def test_a_target_is_met_missed_or_not_measured(measured: Quantiles, text: str, chip: str) -> None:
    row = target_row("Find", measured, 500.0)
    assert (row.target, row.measured, row.chip) == ("≤ 500 ms", text, chip)


def test_a_young_network_is_warned_of_and_an_old_one_is_not() -> None:
    assert view(young_network=True).warning
    assert not view(young_network=False).warning


def test_what_does_not_exist_yet_is_said_to_be_none() -> None:
    assert view().standing == "none yet · tokens: none yet"
    assert view(standing=Standing(known=True, score=87.4, level=2)).standing == "87 of 100, level 2 · tokens: none yet"


@pytest.mark.parametrize(("reachable", "word"), [(None, "Not checked"), (True, "directly"), (False, "through a relay")])
def test_reachability_is_one_sentence(reachable: bool | None, word: str) -> None:
    assert word in view(reachable=reachable, nat="symmetric NAT").reach


def test_only_transports_in_use_are_named() -> None:
    assert view(transports={"tls": 3, "quic": 18, "webrtc": 0}).transports == "QUIC 18 · TLS 3"
    assert view().transports == "none open"


def test_notices_are_newest_first_bounded_and_in_words() -> None:
    notices = tuple(Notice("disk-full", "error", NOW_S - n, n, "") for n in range(1, 20))
    rows = notice_rows(notices, NOW_S)
    assert len(rows) == 8
    assert rows[0].sentence.startswith("The disk is full.")
    assert rows[1].sentence.endswith("(2 times)")
    assert (rows[0].age, rows[0].word) == ("1 s ago", "Error")


def test_an_unknown_notice_without_words_shows_its_code_as_words() -> None:
    assert notice_rows((Notice("moon-full", "info", NOW_S),), NOW_S)[0].sentence == "Moon full"


def test_relays_show_no_full_id_and_stand_by_age() -> None:
    peers = Peers(2, tuple(PeerInfo(f"{n}" * 64, "10.1", ("relay",), "", NOW_S - n, NOW_S, 0) for n in (1, 5)))
    rows = relay_rows(peers, NOW_S)
    assert [row.peer for row in rows] == ["55555555", "11111111"]
    assert (rows[0].software, rows[0].linked) == (figures.UNKNOWN, "no link")


def test_without_an_engine_every_number_is_a_dash() -> None:
    empty = network_view(Seen(None, Connection.STARTING), NOW_S)
    assert {fact.value for fact in empty.facts} == {figures.UNKNOWN}
