"""Which key a record may stand under, and which keys its owner stores it at.

A PEER record stands under its peer's DHT id, and a relay's also in the directory of its address group; an
ANNOUNCEMENT under the ring key of its tag. The group of a relay is that of the address it stores from, and the record
must name an address of that group, so nobody enters the directory of a network it has no address in.
"""

from __future__ import annotations

from railgun_core.base.ids import dht_id_of, group_key, ring_key
from railgun_core.discovery.datagrams import Endpoint
from railgun_core.wire.records import AddressKind, AnnouncementBody, PeerBody, PeerRole, Record, group_of


def announcement_key(tag: bytes) -> bytes:
    """Where the announcements of a tag are."""
    return ring_key("committee", tag)


def is_relay(record: Record) -> bool:
    return isinstance(record.body, PeerBody) and bool(record.body.roles & (PeerRole.RELAY | PeerRole.MAILBOX))


def named_group_keys(record: Record, *, by_port: bool) -> tuple[bytes, ...]:
    """The ring keys of the groups a relay's record names; its DHT addresses first, the others where it has none."""
    if not isinstance(record.body, PeerBody) or not is_relay(record):
        return ()
    listening = [a for a in record.body.addresses if a.kind is AddressKind.DHT] or record.body.addresses
    return tuple(dict.fromkeys(group_key(group_of(a.host, a.port, by_port=by_port)) for a in listening))


def names_group(record: Record, key: bytes, *, by_port: bool) -> bool:
    """Whether the record is a relay's and names an address in the group with this ring key."""
    if not isinstance(record.body, PeerBody) or not is_relay(record):
        return False
    return any(group_key(group_of(a.host, a.port, by_port=by_port)) == key for a in record.body.addresses)


def own_key(record: Record) -> bytes:
    """The key that follows from the record alone."""
    if isinstance(record.body, AnnouncementBody):
        return announcement_key(record.body.tag)
    return dht_id_of(record.peer_id)


def keys_of(record: Record, *, by_port: bool) -> tuple[bytes, ...]:
    """Every key its owner stores it at."""
    return (own_key(record), *named_group_keys(record, by_port=by_port))


def may_store(key: bytes, record: Record, source: Endpoint, *, by_port: bool) -> bool:
    """Whether `source`, an address proved by its token, may put this record under this key."""
    if key == own_key(record):
        return True
    return is_group_key_of(key, source, by_port=by_port) and names_group(record, key, by_port=by_port)


def is_group_key_of(key: bytes, source: Endpoint, *, by_port: bool) -> bool:
    """Whether `key` is the directory of the group that `source` is in."""
    return key == group_key(group_of(source[0], source[1], by_port=by_port))
