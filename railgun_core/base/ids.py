"""The names of things, as fixed-length bytes; hex only at the edges.

Source of the derivations: PROTOCOL.md, "Identity".
"""

from __future__ import annotations

import hashlib
from typing import NewType

from railgun_core.base.hashing import tagged_hash

PublicKey = NewType("PublicKey", bytes)  # Ed25519, 32 bytes
PeerId = NewType("PeerId", bytes)  # 32 bytes
Tag = NewType("Tag", bytes)  # 32 bytes: what a room is called on every wire, for one epoch
TagHandle = NewType("TagHandle", bytes)  # the first 8 bytes of a tag, in every envelope frame
MsgId = NewType("MsgId", bytes)  # 16 bytes
RoomId = NewType("RoomId", bytes)  # 16 bytes, local: never on a wire
MemberId = NewType("MemberId", bytes)  # 8 bytes, inside sealed envelopes only
Group = NewType("Group", bytes)  # an address group: /16 of IPv4, /32 of IPv6
LinkId = NewType("LinkId", int)
DialId = NewType("DialId", int)

PEER_ID_BYTES = 32
DHT_ID_BYTES = 20


def peer_id_of(public_key: PublicKey) -> PeerId:
    """The 32-byte id of a peer, from its identity key."""
    return PeerId(tagged_hash("peer", public_key))


def dht_id_of(peer_id: PeerId) -> bytes:
    """A peer's place in the DHT: the first 20 bytes of its id."""
    return peer_id[:DHT_ID_BYTES]


def handle_of(tag: Tag) -> TagHandle:
    """The 8 bytes that stand for a tag in envelope frames."""
    return TagHandle(tag[:8])


def ring_key(kind: str, value: bytes) -> bytes:
    """A 20-byte DHT key for things that are no peer: `H(kind || value)[:20]`, length-prefixed."""
    return hashlib.sha256(kind.encode() + b"\x00" + len(value).to_bytes(2, "big") + value).digest()[:20]


def group_key(group: Group) -> bytes:
    """Where the DHT keeps the relay records of an address group, and the group's place on the ring."""
    return ring_key("group", group)


def short(value: bytes) -> str:
    """The ten hex characters that people see of an id."""
    return value.hex()[:10]
