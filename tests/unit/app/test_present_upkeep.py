"""What keeps messages safe, in words."""

from __future__ import annotations

import msgspec
import pytest

from app.present_upkeep import (
    clock_sentence,
    failover_sentence,
    mailbox_sentence,
    mode_sentence,
    upkeep_rows,
    way_sentence,
)
from railgun_core.status import CentralStatus, ClockStatus, Failovers, MailboxStatus, RoomStatus
from tests.unit.app.test_present_network import STATUS

ROOM = RoomStatus("aa", "friends", 3, 1, 5, 0, 2, 0)


def test_a_node_that_has_nothing_to_tell_says_its_mode_and_its_clock() -> None:
    assert [row.name for row in upkeep_rows(STATUS)] == ["Mode", "Clock"]
    busy = msgspec.structs.replace(
        STATUS, mailbox=MailboxStatus(serving=True), failovers=Failovers(120.0, 300.0, 400.0, 450.0, 3, {"closed": 3})
    )
    assert [row.name for row in upkeep_rows(busy)] == ["Mode", "Take-overs", "Mailbox", "Clock"]


@pytest.mark.parametrize(
    ("central", "says"),
    [
        (CentralStatus(), "No server is set."),
        (CentralStatus(configured=True, up=True), "It answers, and is asked last."),
        (CentralStatus(configured=True, up=True, first=True), "It answers, and is asked first."),
        (CentralStatus(configured=True, why="unreachable"), "Not now: it cannot be reached."),
        (CentralStatus(configured=True), "Not now: it does not answer."),
    ],
)
def test_hybrid_mode_says_whether_its_server_answers(central: CentralStatus, says: str) -> None:
    assert mode_sentence("hybrid", central).endswith(says)
    assert says not in mode_sentence("p2p", central)


def test_take_overs_tell_how_long_and_why() -> None:
    words = failover_sentence(Failovers(120.0, 300.0, 400.0, 450.0, 3, {"silent": 1, "closed": 2}))
    assert words == "3: half of them within 120 ms, the slowest 450 ms. Relays: 2 closed their links, 1 fell silent."
    one = failover_sentence(Failovers(450.0, 450.0, 450.0, 450.0, 1, {"silent": 1}))
    assert one == "One, within 450 ms. Relays: 1 fell silent."
    assert failover_sentence(Failovers()) == "None was needed yet."


def test_a_mailbox_says_what_it_keeps_and_what_it_could_not_keep() -> None:
    kept = MailboxStatus(serving=True, envelopes=1, used_bytes=4_096, limit_bytes=10**9)
    assert mailbox_sentence(kept).startswith("Keeps 1 sealed envelope for people who are away")
    assert "before" not in mailbox_sentence(kept)
    assert mailbox_sentence(msgspec.structs.replace(kept, evicted=2)).endswith("2 had to go before their time.")
    ending = msgspec.structs.replace(kept, serving=False)
    assert mailbox_sentence(ending) == "Takes nothing new; hands out 1 sealed envelope until they expire."
    status = msgspec.structs.replace(STATUS, mailbox=ending)
    assert "Mailbox" in [row.name for row in upkeep_rows(status)]
    empty = MailboxStatus(serving=True, limit_bytes=10**9)
    assert mailbox_sentence(empty) == "Has room for 1 GB of sealed envelopes; keeps none now."


@pytest.mark.parametrize(
    ("clock", "says"),
    [
        (ClockStatus(), "Not checked yet: that takes eight peers."),
        (ClockStatus("right", 0.2, 11), "Right, by the word of 11 peers."),
        (ClockStatus("corrected", -70.0, 11), "Off by 1 min 10 s; this node allows for it."),
        (ClockStatus("wrong", 600.0, 11), "10 min behind: this node relays for nobody until it is set right."),
        (ClockStatus("wrong", -600.0, 11), "10 min ahead: this node relays for nobody until it is set right."),
    ],
)
def test_the_clock_is_one_sentence(clock: ClockStatus, says: str) -> None:
    assert clock_sentence(clock) == says


def test_a_room_says_its_way_only_when_no_committee_carries_it() -> None:
    assert way_sentence(ROOM) == ""
    assert "mailboxes" in way_sentence(msgspec.structs.replace(ROOM, way="mailbox"))
    assert "central server" in way_sentence(msgspec.structs.replace(ROOM, way="central"))
    assert "wait on this device" in way_sentence(msgspec.structs.replace(ROOM, way="none"))
    assert way_sentence(msgspec.structs.replace(ROOM, way="none", queued=0)) == ""
