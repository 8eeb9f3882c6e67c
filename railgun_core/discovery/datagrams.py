"""The DHT's wire: one signed datagram per question and per answer, 1,200 bytes at most.

    suite u8 | kind u8 | public key 32 | time ms u64 | request id 8 | body | signature 64

The signature covers everything before it, so the sender's DHT id follows from the datagram itself and nobody speaks
under a foreign id. A question ends in zero padding: an address that has not proved itself gets no answer longer than
its question, so who asks for the first time pays with padding instead of with a round trip (RFC 9000, section 8.1,
has the same idea). Decoders raise MalformedFrame and nothing else.
"""

from __future__ import annotations

import enum
import functools
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.hashing import SUITE, u64
from railgun_core.base.ids import DHT_ID_BYTES, PublicKey, dht_id_of, peer_id_of
from railgun_core.base.keys import SIGNATURE_BYTES, Identity, verify
from railgun_core.wire.codec import Reader, array8, blob8, blob16, u16
from railgun_core.wire.records import MAX_RECORD_BYTES

MAX_DATAGRAM_BYTES = 1_200
HEAD_BYTES = 1 + 1 + 32 + 8 + 8
FRAME_BYTES = HEAD_BYTES + SIGNATURE_BYTES
REQUEST_ID_BYTES = 8
TOKEN_BYTES = 16
MIN_QUESTION_BYTES = 152  # no shorter than the longest PONG (150), so that any question may be answered
MAX_CONTACTS = 16
MAX_GROUP_KEYS = 24
MAX_RECORDS_PER_ANSWER = 8

Endpoint: TypeAlias = tuple[str, int]


class Kind(enum.IntEnum):
    """What a datagram asks or answers."""

    PING = 1
    FIND_NODE = 2
    FIND_VALUE = 3
    FIND_GROUPS = 4
    STORE = 5
    PONG = 17
    NODES = 18
    VALUES = 19
    GROUPS = 20
    STORED = 21
    CHALLENGE = 22

    @property
    def is_question(self) -> bool:
        return self < Kind.PONG


class ContactInfo(NamedTuple):
    """Where a DHT id is said to listen. Nothing is proved until it answers."""

    id: bytes
    host: str
    port: int

    @property
    def endpoint(self) -> Endpoint:
        return (self.host, self.port)

    def __repr__(self) -> str:
        return f"ContactInfo({self.id.hex()[:8]})"  # addresses never reach a log


@dataclass(frozen=True, slots=True)
class Ping:
    token: bytes


@dataclass(frozen=True, slots=True)
class FindNode:
    token: bytes
    target: bytes


@dataclass(frozen=True, slots=True)
class FindValue:
    """Records under `key`, from the `start`-th on."""

    token: bytes
    key: bytes
    start: int


@dataclass(frozen=True, slots=True)
class FindGroups:
    """Group keys nearest to `target` that the answerer holds records for, from the `start`-th on."""

    token: bytes
    target: bytes
    start: int


@dataclass(frozen=True, slots=True)
class Store:
    token: bytes
    key: bytes
    record: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """`seen` is the address the question came from, as the answerer saw it."""

    token: bytes
    seen: Endpoint


@dataclass(frozen=True, slots=True)
class Nodes:
    token: bytes
    contacts: tuple[ContactInfo, ...]


@dataclass(frozen=True, slots=True)
class Values:
    """`total` counts all records under the key; `records` are the ones from `start` on that fitted."""

    token: bytes
    total: int
    start: int
    records: tuple[bytes, ...]
    contacts: tuple[ContactInfo, ...]


@dataclass(frozen=True, slots=True)
class Groups:
    token: bytes
    total: int
    start: int
    keys: tuple[bytes, ...]
    contacts: tuple[ContactInfo, ...]


@dataclass(frozen=True, slots=True)
class Stored:
    token: bytes
    accepted: bool


@dataclass(frozen=True, slots=True)
class Challenge:
    """Ask again with this token: your address is not proved."""

    token: bytes


Question: TypeAlias = Ping | FindNode | FindValue | FindGroups | Store
Answer: TypeAlias = Pong | Nodes | Values | Groups | Stored | Challenge
Message: TypeAlias = Question | Answer

KIND_OF: dict[type[Message], Kind] = {
    Ping: Kind.PING,
    FindNode: Kind.FIND_NODE,
    FindValue: Kind.FIND_VALUE,
    FindGroups: Kind.FIND_GROUPS,
    Store: Kind.STORE,
    Pong: Kind.PONG,
    Nodes: Kind.NODES,
    Values: Kind.VALUES,
    Groups: Kind.GROUPS,
    Stored: Kind.STORED,
    Challenge: Kind.CHALLENGE,
}


@dataclass(frozen=True, slots=True)
class Head:
    """The unverified front of a datagram, for the cheap checks that come before the signature."""

    kind: Kind
    public_key: PublicKey
    time_ms: int
    request_id: bytes

    @property
    def dht_id(self) -> bytes:
        return dht_id_of(peer_id_of(self.public_key))


def packed_host(host: str) -> bytes:
    """4 or 16 bytes. ValueError when `host` is no numeric address."""
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except OSError:
        raise ValueError("host") from None


def encode_endpoint(endpoint: Endpoint) -> bytes:
    return blob8(packed_host(endpoint[0])) + u16(endpoint[1])


def _decode_endpoint(reader: Reader) -> Endpoint:
    packed = reader.blob8(16)
    port = reader.u16()
    if len(packed) == 4:
        usable = 0 < packed[0] < 224
        host = socket.inet_ntoa(packed)
    elif len(packed) == 16:
        address = ipaddress.IPv6Address(packed)
        usable = not (address.is_unspecified or address.is_multicast or address.ipv4_mapped)
        host = socket.inet_ntop(socket.AF_INET6, packed)
    else:
        raise MalformedFrame("address")
    if not usable or port == 0:
        raise MalformedFrame("address")
    return host, port


@functools.lru_cache(maxsize=4_096)
def encode_contact(contact: ContactInfo) -> bytes:
    """27 bytes for IPv4, 39 for IPv6. Cached: the same few hundred contacts go into every answer."""
    return contact.id + encode_endpoint(contact.endpoint)


def _decode_contacts(reader: Reader) -> tuple[ContactInfo, ...]:
    count = reader.count(MAX_CONTACTS)
    return tuple(ContactInfo(reader.take(DHT_ID_BYTES), *_decode_endpoint(reader)) for _ in range(count))


def _encode_body(message: Message) -> bytes:
    head = blob8(message.token)
    match message:
        case Ping() | Challenge():
            return head
        case FindNode(_, target):
            return head + target
        case FindValue(_, key, start) | FindGroups(_, key, start):
            return head + key + u16(start)
        case Store(_, key, record):
            return head + key + blob16(record)
        case Pong(_, seen):
            return head + encode_endpoint(seen)
        case Nodes(_, contacts):
            return head + array8([encode_contact(c) for c in contacts])
        case Values(_, total, start, records, contacts):
            listed = array8([blob16(r) for r in records]) + array8([encode_contact(c) for c in contacts])
            return head + u16(total) + u16(start) + listed
        case Groups(_, total, start, keys, contacts):
            return head + u16(total) + u16(start) + array8(keys) + array8([encode_contact(c) for c in contacts])
        case Stored(_, accepted):
            return head + bytes((accepted,))


def encode_datagram(
    identity: Identity, message: Message, *, request_id: bytes, time_ms: int, at_least: int = MIN_QUESTION_BYTES
) -> bytes:
    """The signed datagram; questions are padded to `at_least` bytes. About 50 us, most of it the signature."""
    kind = KIND_OF[type(message)]
    body = _encode_body(message)
    if kind.is_question:
        body += blob16(bytes(max(0, min(at_least, MAX_DATAGRAM_BYTES) - FRAME_BYTES - len(body) - 2)))
    signed = b"".join((bytes((SUITE, kind)), identity.public_key, u64(time_ms), request_id, body))
    return signed + identity.sign("dht", signed)


def decode_head(raw: bytes) -> Head:
    """The front of a datagram, signature unchecked. MalformedFrame."""
    if not FRAME_BYTES < len(raw) <= MAX_DATAGRAM_BYTES:
        raise MalformedFrame("datagram")
    reader = Reader(raw)
    if reader.u8() != SUITE:
        raise MalformedFrame("suite")
    try:
        kind = Kind(reader.u8())
    except ValueError:
        raise MalformedFrame("kind") from None
    if kind.is_question and len(raw) < MIN_QUESTION_BYTES:
        raise MalformedFrame("question too short to be answered")
    return Head(kind, PublicKey(reader.take(32)), reader.u64(), reader.take(REQUEST_ID_BYTES))


def decode_message(raw: bytes, head: Head) -> Message:
    """The message, signature checked. About 110 us. MalformedFrame."""
    signed = raw[:-SIGNATURE_BYTES]
    if not verify(head.public_key, "dht", signed, raw[-SIGNATURE_BYTES:]):
        raise MalformedFrame("signature")
    reader = Reader(signed, HEAD_BYTES)
    token = reader.blob8(TOKEN_BYTES)
    if len(token) != TOKEN_BYTES and (token or not head.kind.is_question):
        raise MalformedFrame("token")
    message = _decode_question(reader, head.kind, token) if head.kind.is_question else None
    if message is None:
        message = _decode_answer(reader, head.kind, token)
    else:
        padding = reader.blob16()
        if padding.count(0) != len(padding):
            raise MalformedFrame("padding")
    reader.end()
    return message


def _decode_question(reader: Reader, kind: Kind, token: bytes) -> Message:
    match kind:
        case Kind.PING:
            return Ping(token)
        case Kind.FIND_NODE:
            return FindNode(token, reader.take(DHT_ID_BYTES))
        case Kind.FIND_VALUE:
            return FindValue(token, reader.take(DHT_ID_BYTES), reader.u16())
        case Kind.FIND_GROUPS:
            return FindGroups(token, reader.take(DHT_ID_BYTES), reader.u16())
        case Kind.STORE:
            return Store(token, reader.take(DHT_ID_BYTES), reader.blob16(MAX_RECORD_BYTES))
    raise MalformedFrame("kind")


def _decode_answer(reader: Reader, kind: Kind, token: bytes) -> Message:
    match kind:
        case Kind.PONG:
            return Pong(token, _decode_endpoint(reader))
        case Kind.NODES:
            return Nodes(token, _decode_contacts(reader))
        case Kind.VALUES:
            total, start = reader.u16(), reader.u16()
            records = tuple(reader.blob16(MAX_RECORD_BYTES) for _ in range(reader.count(MAX_RECORDS_PER_ANSWER)))
            return Values(token, total, start, records, _decode_contacts(reader))
        case Kind.GROUPS:
            total, start = reader.u16(), reader.u16()
            keys = tuple(reader.take(DHT_ID_BYTES) for _ in range(reader.count(MAX_GROUP_KEYS)))
            return Groups(token, total, start, keys, _decode_contacts(reader))
        case Kind.STORED:
            return Stored(token, reader.flag())
        case Kind.CHALLENGE:
            return Challenge(token)
    raise MalformedFrame("kind")


def fitting(budget_bytes: int, sizes: Sequence[int]) -> int:
    """How many items of these sizes, in order, fit into the budget."""
    for index, size in enumerate(sizes):
        budget_bytes -= size
        if budget_bytes < 0:
            return index
    return len(sizes)
