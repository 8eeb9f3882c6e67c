"""Which key a record may stand under, and which keys its owner stores it at.

A PEER record stands under its peer's DHT id; a relay's also in the directory of its address group; a mailbox's also in
the lists of mailboxes; an ANNOUNCEMENT under the ring key of its tag. The group of a peer is that of the address it
stores from, and the record must name an address of that group, so nobody enters the directory of a network it has no
address in.

Mailboxes are few, and the ring is wide: who wants those nearest to a place would have to search half of it. So they
stand in lists by the first bits of their group's place: one of all, 16 by four bits, and so on; the last is one
group's own. A list that is full says: read the next ones. A group has four places in a list of several groups, so
that the many of one cannot fill it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

from railgun_core.base.ids import DHT_ID_BYTES, dht_id_of, group_key, ring_key
from railgun_core.discovery.datagrams import Endpoint
from railgun_core.discovery.record_store import Listing
from railgun_core.wire.records import AddressKind, AnnouncementBody, PeerBody, PeerRole, Record, group_of

RING_BITS = 8 * DHT_ID_BYTES
MAIL_LIST_BITS = (0, 4, 8, 12, RING_BITS)
MAILBOXES_PER_GROUP = 4  # in a list of several groups


def announcement_key(tag: bytes) -> bytes:
    """Where the announcements of a tag are."""
    return ring_key("committee", tag)


def mail_list_key(place: bytes, bits: int) -> bytes:
    """Where the mailboxes are listed whose groups' places begin with the first `bits` bits of this one."""
    tail = RING_BITS - bits
    prefix = int.from_bytes(place, "big") >> tail << tail
    return ring_key("mailboxes", bytes((bits,)) + prefix.to_bytes(DHT_ID_BYTES, "big"))


def mailbox_place(record: Record, *, by_port: bool) -> bytes | None:
    """The place on the ring of a mailbox's group; None when the record is not a mailbox's."""
    body = record.body
    if not isinstance(body, PeerBody) or not body.roles & PeerRole.MAILBOX:
        return None
    home = next((a for a in body.addresses if a.kind is AddressKind.DHT), None)
    return None if home is None else _place(home.host, home.port, by_port=by_port)


@functools.lru_cache(maxsize=4_096)
def _place(host: str, port: int, *, by_port: bool) -> bytes:
    """Cached: each entry of a list is asked for its place whenever one more comes."""
    return group_key(group_of(host, port, by_port=by_port))


def mail_list_keys(record: Record, *, by_port: bool) -> tuple[bytes, ...]:
    """The lists a mailbox stands in, the widest first; none for others."""
    place = mailbox_place(record, by_port=by_port)
    return () if place is None else tuple(mail_list_key(place, bits) for bits in MAIL_LIST_BITS)


def is_relay(record: Record) -> bool:
    return isinstance(record.body, PeerBody) and bool(record.body.roles & PeerRole.RELAY)


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
    return (own_key(record), *named_group_keys(record, by_port=by_port), *mail_list_keys(record, by_port=by_port))


def listing_of(key: bytes, record: Record, *, by_port: bool) -> Listing | None:
    """What kind of list this key is for this record; None when it has no business there."""
    if key == own_key(record):
        return Listing.OWN
    if names_group(record, key, by_port=by_port):
        return Listing.GROUP
    return Listing.MAILBOXES if key in mail_list_keys(record, by_port=by_port) else None


def may_store(key: bytes, record: Record, source: Endpoint, *, by_port: bool) -> bool:
    """Whether `source`, an address proved by its token, may put this record under this key."""
    listing = listing_of(key, record, by_port=by_port)
    if listing is None or listing is Listing.OWN:
        return listing is not None
    here = group_key(group_of(source[0], source[1], by_port=by_port))
    return here == (key if listing is Listing.GROUP else mailbox_place(record, by_port=by_port))


def has_room(key: bytes, record: Record, held: Iterable[Record], *, by_port: bool) -> bool:
    """Whether a list of mailboxes that holds `held` takes one more of this record's group. True for other keys."""
    place = mailbox_place(record, by_port=by_port)
    if place is None or key not in mail_list_keys(record, by_port=by_port)[:-1]:
        return True
    others = (other for other in held if other.peer_id != record.peer_id)
    return sum(mailbox_place(other, by_port=by_port) == place for other in others) < MAILBOXES_PER_GROUP
