"""Signed records: what peers say of themselves in the DHT.

`payload || signature`, 1,000 bytes at most, so that one datagram of 1,200 carries it. Payload: suite, kind, public key,
sequence, not_before, expires, body. The exact bytes are signed and kept; decoding is strict.

`sequence` is the Unix time of signing in milliseconds, so a later record always wins and its age is known;
`not_before` is when the peer started, and stays the same when the record is renewed. A peer that was away for so short
a time that its last record was still valid goes on serving since it did before (`since_s`): to everybody's committees
such a restart changes nothing, whichever of the two records they have.
"""

from __future__ import annotations

import enum
import ipaddress
from dataclasses import dataclass, field

from railgun_core.base.errors import MalformedFrame, UsageError
from railgun_core.base.hashing import SUITE, u64
from railgun_core.base.ids import Group, PeerId, PublicKey, Tag, peer_id_of
from railgun_core.base.keys import SIGNATURE_BYTES, Identity, verify
from railgun_core.wire.codec import Reader, array8, blob8, u16

MAX_RECORD_BYTES = 1_000
MAX_LIFETIME_S = 7_200  # protocol.md 2
CLOCK_SLACK_S = 120
MAX_ADDRESSES = 4
MAX_INTRODUCERS = 3
MAX_ROSTER = 10  # 7 seats and 3 standbys


class RecordKind(enum.IntEnum):
    """What a record is. Unknown kinds are refused."""

    PEER = 1
    ANNOUNCEMENT = 4


class PeerRole(enum.IntFlag):
    """What a peer offers to others."""

    RELAY = 1
    MIX = 2
    INTRODUCER = 4
    TURN = 8
    TESTER = 16
    MAILBOX = 32
    BOOTSTRAP = 64


class AddressKind(enum.IntEnum):
    """Which protocol listens at an address."""

    DHT = 1
    QUIC = 2
    TLS = 3


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """Where one protocol of a peer listens. `host` is a numeric IP address."""

    kind: AddressKind
    host: str
    port: int

    def __repr__(self) -> str:
        return f"Address({self.kind.name})"  # addresses never reach a log

    def encode(self) -> bytes:
        packed = ipaddress.ip_address(self.host).packed
        return bytes((self.kind, len(packed))) + packed + u16(self.port)

    @classmethod
    def decode(cls, reader: Reader) -> Address:
        try:
            kind = AddressKind(reader.u8())
            packed = reader.take(reader.u8())
            host = str(ipaddress.ip_address(packed))
        except ValueError:
            raise MalformedFrame("address") from None
        port = reader.u16()
        if port == 0:
            raise MalformedFrame("address")
        return cls(kind, host, port)


def group_of(host: str, port: int, *, by_port: bool) -> Group:
    """The address group of a relay: /16 of IPv4, /32 of IPv6.

    `by_port` is for networks on one machine whose loopback has a single address: there each port is a group.
    """
    packed = ipaddress.ip_address(host).packed
    head = packed[:2] if len(packed) == 4 else packed[:4]
    return Group(head + u16(port)) if by_port else Group(head)


@dataclass(frozen=True, slots=True)
class PeerBody:
    """A peer's own description."""

    addresses: tuple[Address, ...]
    roles: PeerRole
    software: str
    protocol_min: int
    protocol_max: int
    introducers: tuple[PeerId, ...] = ()
    mix_key: bytes = b""
    token_key: bytes = b""
    admission: bytes = b""
    mix_load: int = 0  # packets a second through this mix, as it measured itself, times ten
    since_s: int = 0  # since when it serves but for short absences, where that is before not_before; else 0

    def group(self, *, by_port: bool) -> Group | None:
        """The address group of this peer: that of its DHT address, which storers prove; None without one."""
        home = next((a for a in self.addresses if a.kind is AddressKind.DHT), None)
        return None if home is None else group_of(home.host, home.port, by_port=by_port)

    def encode(self) -> bytes:
        return b"".join(
            (
                array8([address.encode() for address in self.addresses]),
                u16(self.roles),
                blob8(self.software.encode("ascii")),
                bytes((self.protocol_min, self.protocol_max)),
                array8(self.introducers),
                blob8(self.mix_key),
                blob8(self.token_key),
                blob8(self.admission),
                u16(self.mix_load),
                u64(self.since_s) if self.since_s else b"",
            )
        )

    @classmethod
    def decode(cls, reader: Reader) -> PeerBody:
        addresses = tuple(Address.decode(reader) for _ in range(reader.count(MAX_ADDRESSES)))
        roles = reader.u16()
        if roles & ~int(~PeerRole(0)):
            raise MalformedFrame("roles")
        software = reader.text8(40)
        if not (software.isascii() and software.isprintable()):
            raise MalformedFrame("software")
        low, high = reader.u8(), reader.u8()
        introducers = tuple(PeerId(reader.take(32)) for _ in range(reader.count(MAX_INTRODUCERS)))
        mix_key, token_key, admission = reader.blob8(32), reader.blob8(32), reader.blob8(200)
        mix_load, since = reader.u16(), reader.rest()
        if since and (len(since) != 8 or not any(since)):
            raise MalformedFrame("since")
        if len(mix_key) not in (0, 32) or len(token_key) not in (0, 32) or low > high:
            raise MalformedFrame("peer")
        keys = mix_key, token_key, admission
        since_s = int.from_bytes(since, "big")
        return cls(addresses, PeerRole(roles), software, low, high, introducers, *keys, mix_load, since_s)


@dataclass(frozen=True, slots=True)
class AnnouncementBody:
    """ "I hold a seat for this tag": the roster as the signer sees it, its seat and its load."""

    tag: Tag
    epoch: int
    seat: int
    load: int
    roster: tuple[PeerId, ...]

    def encode(self) -> bytes:
        head = self.tag + u64(self.epoch) + bytes((self.seat,)) + u16(self.load)
        return head + array8(self.roster)

    @classmethod
    def decode(cls, reader: Reader) -> AnnouncementBody:
        tag, epoch, seat, load = Tag(reader.take(32)), reader.u64(), reader.u8(), reader.u16()
        return cls(tag, epoch, seat, load, tuple(PeerId(reader.take(32)) for _ in range(reader.count(MAX_ROSTER))))


@dataclass(frozen=True, slots=True)
class Record:
    """A verified record and the exact bytes that were signed."""

    kind: RecordKind
    public_key: PublicKey
    sequence: int
    not_before_s: int
    expires_s: int
    body: PeerBody | AnnouncementBody
    raw: bytes
    peer_id: PeerId = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "peer_id", peer_id_of(self.public_key))

    @property
    def serves_since_s(self) -> int:
        """Since when this peer serves, short absences not counted: what decides whether it may hold a seat."""
        return (self.body.since_s if isinstance(self.body, PeerBody) else 0) or self.not_before_s

    def is_live(self, unix_s: float) -> bool:
        """Whether the record may be used now: signed at most MAX_LIFETIME_S before its end, not expired.

        Clocks may differ by CLOCK_SLACK_S either way.
        """
        signed_s = self.sequence / 1000
        return (
            signed_s - CLOCK_SLACK_S <= unix_s < self.expires_s + CLOCK_SLACK_S
            and self.not_before_s <= signed_s + 1
            and self.expires_s - signed_s <= MAX_LIFETIME_S
        )


def sign_record(
    identity: Identity,
    body: PeerBody | AnnouncementBody,
    *,
    sequence: int,
    not_before_s: int,
    expires_s: int,
) -> Record:
    """A record by `identity`. UsageError when it would be too large or live too long."""
    kind = RecordKind.PEER if isinstance(body, PeerBody) else RecordKind.ANNOUNCEMENT
    payload = b"".join(
        (
            bytes((SUITE, kind)),
            identity.public_key,
            u64(sequence),
            u64(not_before_s),
            u64(expires_s),
            body.encode(),
        )
    )
    raw = payload + identity.sign("record", payload)
    if len(raw) > MAX_RECORD_BYTES:
        raise UsageError("record too large")
    return Record(kind, identity.public_key, sequence, not_before_s, expires_s, body, raw)


def decode_record(raw: bytes) -> Record:
    """The record in `raw`, signature checked. Costs one verification, about 100 us. MalformedFrame."""
    if not SIGNATURE_BYTES + 58 <= len(raw) <= MAX_RECORD_BYTES:
        raise MalformedFrame("record")
    payload, signature = raw[:-SIGNATURE_BYTES], raw[-SIGNATURE_BYTES:]
    reader = Reader(payload)
    if reader.u8() != SUITE:
        raise MalformedFrame("suite")
    try:
        kind = RecordKind(reader.u8())
    except ValueError:
        raise MalformedFrame("kind") from None
    public_key = PublicKey(reader.take(32))
    sequence, not_before_s, expires_s = reader.u64(), reader.u64(), reader.u64()
    body: PeerBody | AnnouncementBody = (
        PeerBody.decode(reader) if kind is RecordKind.PEER else AnnouncementBody.decode(reader)
    )
    reader.end()
    if isinstance(body, PeerBody) and body.since_s and not body.since_s < not_before_s:
        raise MalformedFrame("since")
    if not verify(public_key, "record", payload, signature):
        raise MalformedFrame("signature")
    return Record(kind, public_key, sequence, not_before_s, expires_s, body, raw)
