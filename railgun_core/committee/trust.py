"""The port at which standing and blinded tokens are asked for (protocol.md 7 and 8).

Who chooses a mix asks for its standing, who opens a session asks for a token. Until testers and issuers exist in this
network the honest answer is `NoTrust`: nothing is known of anybody, so every valid record is eligible, and no token is
spent because nobody asks for one. The status says so.
"""

from __future__ import annotations

from typing import Protocol

from railgun_core.base.ids import PeerId
from railgun_core.status import Trust as TrustStatus


class Trust(Protocol):
    """What is known of relays, and what can be spent with them."""

    @property
    def status(self) -> TrustStatus:
        """What stands behind the answers, for people."""

    def standing(self, relay: PeerId) -> float | None:
        """0 to 100; None: not known, which keeps nobody out."""

    def token(self, relay: PeerId) -> bytes:
        """One token to spend on a session with this relay; empty when there is none to spend."""

    def died(self, relay: PeerId, observers: int) -> None:
        """A relay fell silent in a duty, by the signed word of so many observers: its standing is debited."""


class NoTrust:
    """The answer of a network without testers and issuers."""

    @property
    def status(self) -> TrustStatus:
        return TrustStatus(standing="none", tokens="none")

    def standing(self, relay: PeerId) -> float | None:
        return None

    def token(self, relay: PeerId) -> bytes:
        return b""

    def died(self, relay: PeerId, observers: int) -> None:
        """Nobody keeps standing in this network yet, so there is nothing to debit."""
