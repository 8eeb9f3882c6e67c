"""What a transport is: the contract that QUIC, TLS and memory all pass.

A link is an ordered, reliable, mutually authenticated byte stream between two Ed25519 keys. The key
of the dialling side is either its relay identity or a fresh pseudonym; which, only it knows. Frames are cut by
the transport, a whole read at a time; what is queued leaves in one joined write.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from railgun_core.base.errors import PeerError
from railgun_core.base.ids import PublicKey
from railgun_core.base.keys import Identity
from railgun_core.transport.backlog import Backlog
from railgun_core.wire.frames import FrameBatch
from railgun_core.wire.records import Address


class CloseReason(enum.Enum):
    """Why a link ended. The values are the codes in logs and notices."""

    LOCAL = "local"  # this side called close()
    REMOTE = "remote"  # the other side closed in order
    LOST = "lost"  # it vanished: reset, time-out, cable
    MALFORMED = "malformed"  # it sent bytes that are no frame
    IDLE = "idle"  # nothing for idle_s
    OVERFLOW = "overflow"  # it does not read what we send


class DialFailure(PeerError):
    """A dial that brought no link. Codes: unreachable, timeout, wrong-peer, busy."""

    code = "unreachable"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one transport endpoint (protocol.md 5.1, threats B21, B24)."""

    handshake_s: float = 5.0
    first_frame_s: float = 10.0
    idle_s: float = 60.0
    half_open: int = 64  # handshakes under way, all peers
    per_host: int = 100  # accepted links from one IP address
    per_key: int = 8  # accepted links of one key
    queue_bytes: int = 256 * 1024  # credit of one link; above it `credit_bytes` is 0
    queue_max_bytes: int = 4 * 1024 * 1024  # a link that lets more pile up is closed: OVERFLOW
    tick_s: float = 0.002  # while busy, writes are joined for this long
    backlog: Backlog = field(default_factory=Backlog, compare=False)  # all links of the endpoints that share it


class Link(Protocol):
    """One open link."""

    @property
    def remote_key(self) -> PublicKey:
        """The key that the other side proved."""

    @property
    def inbound(self) -> bool:
        """Whether the other side dialled."""

    @property
    def binding(self) -> bytes:
        """32 bytes that both sides of this link share and no other link has: what signatures bind to."""

    @property
    def transport(self) -> str:
        """`quic`, `tls` or `memory`."""

    @property
    def remote_host(self) -> str:
        """The other side's numeric IP address; empty for memory links. Never log it."""

    @property
    def credit_bytes(self) -> int:
        """How much may be queued before the sender should wait."""

    @property
    def bytes_sent(self) -> int: ...

    @property
    def bytes_received(self) -> int: ...

    def send(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Queue whole frames. Never blocks, never raises; on a closed link it does nothing.

        Chunks queued in one loop iteration leave in one write; while the link is busy, those of one tick.
        """

    def close(self) -> None:
        """Flush what is queued, then close in order. `closed` is called once, with LOCAL."""


class LinkHandler(Protocol):
    """Who is told what happens on a link. Called on the loop's thread; must not raise."""

    def frames(self, link: Link, batch: FrameBatch) -> None:
        """A read completed these frames."""

    def credit(self, link: Link) -> None:
        """The queue fell below half of its credit after it had none."""

    def closed(self, link: Link, reason: CloseReason) -> None:
        """The link ended. Called exactly once per link; nothing follows it."""


class Acceptor(Protocol):
    """Who receives inbound links."""

    def accepted(self, link: Link) -> LinkHandler:
        """A link is authenticated and open; answers with its handler."""


class Transport(Protocol):
    """Opens and accepts links for one identity."""

    @property
    def name(self) -> str: ...

    async def listen(self, host: str, port: int, acceptor: Acceptor) -> Address:
        """Accept links at `host:port` (0: any free port). EnvironmentFailure(port-taken) when it cannot."""

    async def dial(self, address: Address, expected: PublicKey, identity: Identity, handler: LinkHandler) -> Link:
        """A link to the peer whose key is `expected`, as `identity` (own or a pseudonym).

        DialFailure within Limits.handshake_s otherwise; `wrong-peer` when somebody else answered.
        """

    async def close(self) -> None:
        """Close all links in order and free the port. Bounded by two seconds."""
