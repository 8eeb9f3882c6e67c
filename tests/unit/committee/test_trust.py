"""The port of standing and tokens: what a network without testers and issuers honestly answers."""

from __future__ import annotations

from railgun_core.base.ids import PeerId
from railgun_core.committee.trust import NoTrust
from railgun_core.status import Trust


def test_without_testers_nothing_is_known_of_anybody_and_no_token_is_spent() -> None:
    trust = NoTrust()
    relay = PeerId(b"r" * 32)
    assert trust.standing(relay) is None
    assert trust.token(relay) == b""
    assert trust.status == Trust(standing="none", tokens="none")


def test_without_standing_a_death_lowers_nothing() -> None:
    trust = NoTrust()
    relay = PeerId(b"r" * 32)
    trust.died(relay, 2)
    assert trust.standing(relay) is None
