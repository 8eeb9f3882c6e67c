"""What `railgun status` says of failovers, the mailbox, the clock and the central server."""

from __future__ import annotations

import msgspec
import pytest

from railgun_core.cli.look import central_words, clock_words, failover_words, mailbox_words
from railgun_core.status import CentralStatus, ClockStatus, Failovers, MailboxStatus, Quantiles
from tests.unit.cli.conftest import STATUS


def test_failovers_are_told_with_their_worst_and_their_causes() -> None:
    found = Failovers(p50=900.0, p95=2_000.0, p99=2_400.0, worst=3_100.0, count=7, causes={"silent": 2, "closed": 5})
    assert failover_words(found, Quantiles()) == (
        "p50 900 ms, p95 2000 ms, worst 3100 ms of 7 (5 closed, 2 silent) (promised 5000 ms)"
    )
    assert failover_words(Failovers(), Quantiles()) == "not measured yet (promised 5000 ms)"


def test_a_mailbox_says_what_it_holds_and_what_it_could_not_keep() -> None:
    assert mailbox_words(MailboxStatus()) == "not a mailbox"
    full = MailboxStatus(True, 1, 2, 1_500_000, 2_000_000, 5, 1, 3, 4)
    assert mailbox_words(full) == (
        "2 envelopes under 1 tag, 1.5 MB of 2.0 MB; 5 deposits, 1 collection"
        ", 3 deposits refused for want of room, 4 envelopes given up before their time"
    )


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (ClockStatus(peers=3), "not compared yet: 3 of 8 peers have told the time"),
        (ClockStatus("right", 0.2, 9), "right, 0.2 s behind the median of 9 peers"),
        (ClockStatus("corrected", -90.0, 9), "corrected, 90.0 s ahead of the median of 9 peers"),
        (
            ClockStatus("wrong", 600.0, 12),
            "WRONG, 600.0 s behind the median of 12 peers: this node relays for nobody until it is set right",
        ),
    ],
)
def test_the_clock_is_compared_in_words(found: ClockStatus, words: str) -> None:
    assert clock_words(found) == words


def test_the_central_server_is_told_as_it_is() -> None:
    def words(central: CentralStatus, mode: str = "hybrid") -> str:
        return central_words(msgspec.structs.replace(STATUS, mode=mode, central=central))

    assert words(CentralStatus(), "p2p") == "none"
    assert words(CentralStatus()) == "no server is configured"
    assert words(CentralStatus(True, True, True, "", 5, 6)) == "up, asked first; 5 given, 6 brought"
    assert words(CentralStatus(True, False, False, "unreachable", 0, 0)) == (
        "down (unreachable), asked when committees and mailboxes fail; 0 given, 0 brought"
    )
