"""What this peer says of itself in the DHT: one signed record, renewed at a third of its life.

`not_before` stays the moment of this start, so that renewing does not make it a newcomer; nor does a start while the
last record is still valid: then nobody has missed this peer yet, and it says since when it served before. The address
is the one it listens at; when it listens everywhere, the one others see, else that of the interface a packet would
leave by. Sequences only grow, though clocks are set back. A peer whose clock is wrong offers nothing: what it would
relay, it would relay in the wrong epoch.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence

from railgun_core import __version__
from railgun_core.base.clock import Instant
from railgun_core.base.keys import Identity
from railgun_core.base.skew import ClockState
from railgun_core.config import Config
from railgun_core.discovery.dht import Dht
from railgun_core.engine.clock import Clock
from railgun_core.engine.ports import Ports
from railgun_core.mix.mix import Mix
from railgun_core.wire.records import CLOCK_SLACK_S, MAX_LIFETIME_S, Address, PeerBody, PeerRole, Record, sign_record

PROTOCOL = 1
LIFETIME_EPOCHS = 3
MIN_LIFETIME_S = 60
OFFERED = PeerRole.RELAY | PeerRole.MIX | PeerRole.MAILBOX  # what a wrong clock forbids


class Presence:
    """The record of one peer, and whether it is time for a new one."""

    def __init__(
        self,
        config: Config,
        identity: Identity,
        *,
        offers: Callable[[], Sequence[str]],
        clock: Clock,
        dht: Dht,
        ports: Ports,
        mix: Mix,
    ) -> None:
        """`offers`: the roles of this peer now; they can be switched while it runs."""
        self._config = config
        self._offers = offers
        self._identity = identity
        self._clock = clock
        self._dht = dht
        self._ports = ports
        self._mix = mix
        self._since_s = clock.own().unix_s
        self._said: tuple[str, bytes, PeerRole] = ("", b"", PeerRole(0))
        self._due_s = 0.0
        self._sequence = 0
        self._served_since_s = 0
        self.record: Record | None = None

    @property
    def host(self) -> str:
        """The address this peer gives to others."""
        seen = self._dht.seen_at
        return advertised_host(self._config.listen.host, seen[0] if seen is not None else None)

    @property
    def roles(self) -> PeerRole:
        """What this peer offers now."""
        roles = roles_of(self._offers())
        return roles & ~OFFERED if self._clock.judgement.state is ClockState.WRONG else roles

    def said_before(self, record: Record) -> None:
        """An earlier start published this. While it is valid others count with this peer, so it goes on as it was."""
        self._sequence = record.sequence
        if record.is_live(self._clock.public().unix_s):
            self._served_since_s = record.serves_since_s

    def is_due(self, now: Instant) -> bool:
        """Whether what was said last is no longer so, or soon too old."""
        if self.record is None:
            return False
        return now.mono_s >= self._due_s or self._said != (self.host, self._mix.published_key, self.roles)

    def renew(self, now: Instant) -> Record:
        """Sign what is so now. The caller publishes it, and retires the one before."""
        host, roles, mix, unix_s = self.host, self.roles, self._mix, self._clock.public().unix_s
        self.record = own_record(
            self._identity,
            self._ports.addresses(host),
            roles,
            mix_key=mix.published_key,
            mix_load=mix.load_for_record(now),
            since_s=self._since_s + unix_s - self._clock.own().unix_s,
            served_since_s=self._served_since_s,
            unix_s=unix_s,
            epoch_s=self._config.epoch_s,
            after=self._sequence,
        )
        self._sequence = self.record.sequence
        self._said = (host, mix.published_key, roles)
        self._due_s = now.mono_s + lifetime_s(self._config.epoch_s) / 3
        return self.record


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
    after: int = 0,
    served_since_s: int = 0,
) -> Record:
    """This peer's record as of now. `after`: the sequence of the one before; `served_since_s`: what that one said.

    One before that is further ahead than clocks may differ is no rival: no peer with a right clock has taken it.
    """
    sequence = int(unix_s * 1000)
    if sequence <= after <= sequence + CLOCK_SLACK_S * 1000:
        sequence = after + 1
    not_before_s = int(min(since_s, unix_s))
    body = PeerBody(
        tuple(addresses),
        roles,
        __version__,
        PROTOCOL,
        PROTOCOL,
        mix_key=mix_key,
        mix_load=mix_load,
        since_s=served_since_s if served_since_s < not_before_s else 0,
    )
    return sign_record(
        identity,
        body,
        sequence=sequence,
        not_before_s=not_before_s,
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
    return seen_host or leaving_by(listen_host) or outgoing_host()


def outgoing_host() -> str:
    """The IPv4 address of the interface that a packet to the outside would leave by. Sends nothing."""
    return leaving_by("0.0.0.0") or "127.0.0.1"


def leaving_by(listen_host: str) -> str | None:
    """The address, of the same family, that a packet to the outside would leave by. None: no way out. Sends nothing."""
    six = ":" in listen_host
    outside = "2001:db8::1" if six else "192.0.2.1"  # for documentation (RFC 3849, RFC 5737): nobody has them
    with socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((outside, 9))  # connecting a datagram socket sends no packet
        except OSError:
            return None
        return str(probe.getsockname()[0])
