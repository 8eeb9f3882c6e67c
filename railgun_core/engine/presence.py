"""What this peer says of itself in the DHT: one signed record, renewed at a third of its life.

`not_before` stays the moment this peer began to serve, so that renewing does not make it a newcomer. The address is
the one it listens at; when it listens everywhere, the one others see, else that of the interface a packet would
leave by.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

from railgun_core import __version__
from railgun_core.base.keys import Identity
from railgun_core.wire.records import MAX_LIFETIME_S, Address, PeerBody, PeerRole, Record, sign_record

PROTOCOL = 1
LIFETIME_EPOCHS = 3
MIN_LIFETIME_S = 60


def lifetime_s(epoch_s: int) -> int:
    """How long a record is valid: three epochs, between a minute and two hours."""
    return max(MIN_LIFETIME_S, min(MAX_LIFETIME_S, LIFETIME_EPOCHS * epoch_s))


def own_record(
    identity: Identity,
    addresses: Sequence[Address],
    roles: PeerRole,
    *,
    since_s: float,
    unix_s: float,
    epoch_s: int,
    mix_key: bytes = b"",
    mix_load: int = 0,
) -> Record:
    """This peer's record as of now."""
    body = PeerBody(tuple(addresses), roles, __version__, PROTOCOL, PROTOCOL, mix_key=mix_key, mix_load=mix_load)
    return sign_record(
        identity,
        body,
        sequence=int(unix_s * 1000),
        not_before_s=int(since_s),
        expires_s=int(unix_s) + lifetime_s(epoch_s),
    )


def roles_of(names: Sequence[str]) -> PeerRole:
    """The configured roles as a record says them."""
    roles = PeerRole(0)
    for name in names:
        roles |= PeerRole[name.upper()]
    return roles


def advertised_host(listen_host: str, seen_host: str | None) -> str:
    """The address to put into the record."""
    if not ipaddress.ip_address(listen_host).is_unspecified:
        return listen_host
    return seen_host or outgoing_host()


def outgoing_host() -> str:
    """The address of the interface that a packet to the outside would leave by. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1 (RFC 5737): connecting a datagram socket sends no packet
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
