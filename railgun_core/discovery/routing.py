"""The routing table: kademlia's Node, KBucket and RoutingTable, with the rules they lack.

What must stay true: at most 2 contacts of a /24 (IPv4) or /48 (IPv6) in a bucket and 10 in the table, waiting ones
counted; nobody enters who has not answered us; `nearest` is exact (the library's own walk misses 44 % of the true
neighbours); a full bucket never drops a contact that answers. The library's calls to the clock and to asyncio are
overridden. Theory: Maymounkov and Mazieres, Kademlia (2002), sections 2.2 and 4.1.
"""

from __future__ import annotations

from collections.abc import Iterator

from kademlia.node import Node
from kademlia.routing import KBucket, RoutingTable

from railgun_core.discovery.datagrams import ContactInfo, Endpoint, packed_host

DROP_AFTER_FAILURES = 2
WAITING_PER_SLOT = 1  # replacement cache: as many again as the bucket holds


def net_of(host: str) -> bytes:
    """The /24 of an IPv4 or the /48 of an IPv6 address."""
    packed = packed_host(host)
    return packed[:3] if len(packed) == 4 else packed[:6]


class Contact(Node):
    """A node that answered us, and when. `failures` counts questions in a row that it let pass."""

    id: bytes
    ip: str
    port: int
    long_id: int

    def __init__(self, info: ContactInfo, *, now_s: float) -> None:
        super().__init__(info.id, info.host, info.port)
        self.info = info
        self.net = net_of(info.host)
        self.answered_s = now_s
        self.failures = 0


class LimitedBucket(KBucket):
    """A k-bucket that admits few contacts per network and keeps no clock of its own."""

    nodes: dict[bytes, Contact]
    replacement_nodes: dict[bytes, Contact]

    def __init__(self, low: int, high: int, ksize: int) -> None:
        super().__init__(low, high, ksize, WAITING_PER_SLOT)

    def touch_last_updated(self) -> None:
        self.last_updated = 0.0

    def everyone(self) -> Iterator[Contact]:
        yield from self.nodes.values()
        yield from self.replacement_nodes.values()

    def split(self) -> tuple[LimitedBucket, LimitedBucket]:
        middle = (self.range[0] + self.range[1]) // 2
        low = LimitedBucket(self.range[0], middle, self.ksize)
        high = LimitedBucket(middle + 1, self.range[1], self.ksize)
        for contact in self.everyone():
            (low if contact.long_id <= middle else high).add_node(contact)
        return low, high


class Table(RoutingTable):
    """Contacts that answered, by distance from us."""

    buckets: list[LimitedBucket]

    def __init__(self, own_id: bytes, *, k: int, per_net_in_bucket: int | None, per_net_in_table: int | None) -> None:
        """`None` for a limit switches it off (LAN mode, or one loopback address for all)."""
        self._per_bucket = per_net_in_bucket
        self._per_table = per_net_in_table
        super().__init__(None, k, Node(own_id))

    def flush(self) -> None:
        self.buckets = [LimitedBucket(0, 2**160 - 1, self.ksize)]

    def __len__(self) -> int:
        return sum(len(bucket.nodes) for bucket in self.buckets)

    def contacts(self) -> Iterator[Contact]:
        """Everyone in a bucket; not the ones who wait for a place."""
        for bucket in self.buckets:
            yield from bucket.nodes.values()

    def get(self, node_id: bytes) -> Contact | None:
        return self._bucket(int.from_bytes(node_id, "big")).nodes.get(node_id)

    def has_room_for(self, info: ContactInfo) -> bool:
        """Whether it is worth asking this one to prove itself."""
        bucket = self._bucket(int.from_bytes(info.id, "big"))
        if info.id == self.node.id or self._known(bucket, info.id) is not None:
            return False
        full = len(bucket.nodes) >= self.ksize and not bucket.has_in_range(self.node)
        return not full and self._admits(bucket, info.host)

    def heard(self, info: ContactInfo, *, now_s: float) -> bool:
        """An answer arrived from this address under this id. True when it is new in the table."""
        if info.id == self.node.id:
            return False
        bucket = self._bucket(int.from_bytes(info.id, "big"))
        known = self._known(bucket, info.id)
        if known is not None and known.info == info:
            known.answered_s, known.failures = now_s, 0
            if info.id in bucket.nodes:
                bucket.add_node(known)
            return False
        if known is not None:
            # The same key answers elsewhere: it has moved. The old place is given up before the new one is weighed.
            was_in = info.id in bucket.nodes
            bucket.nodes.pop(info.id, None)
            bucket.replacement_nodes.pop(info.id, None)
            return self._insert(Contact(info, now_s=now_s)) and not was_in
        return self._insert(Contact(info, now_s=now_s))

    def failed(self, node_id: bytes, endpoint: Endpoint, *, may_drop: bool) -> None:
        """A question, repeated once, got no answer. Dropped the second time, unless the fault may be ours."""
        bucket = self._bucket(int.from_bytes(node_id, "big"))
        known = self._known(bucket, node_id)
        if known is None or known.info.endpoint != endpoint:
            return
        known.failures += 1
        if may_drop and known.failures >= DROP_AFTER_FAILURES:
            bucket.remove_node(known)

    def nearest(self, target: bytes, count: int, *, exclude: bytes = b"") -> list[ContactInfo]:
        """The `count` contacts nearest to `target`, nearest first; those that failed lately come only at the end.

        Sorts the whole table: 40 us for 100 contacts.
        """
        goal = int.from_bytes(target, "big")
        ranked = sorted(self.contacts(), key=lambda c: (c.failures > 0, c.long_id ^ goal))
        return [c.info for c in ranked if c.id != exclude][:count]

    def stalest(self) -> Contact | None:
        """The contact that has been silent longest."""
        return min(self.contacts(), key=lambda c: c.answered_s, default=None)

    def net_count(self, net: bytes) -> int:
        """How many contacts of one network are in the table or wait for a place."""
        return sum(c.net == net for bucket in self.buckets for c in bucket.everyone())

    def _insert(self, contact: Contact) -> bool:
        index = self._index(contact.long_id)
        bucket = self.buckets[index]
        if not self._admits(bucket, contact.ip):
            return False
        while len(bucket.nodes) >= self.ksize and bucket.has_in_range(self.node) and bucket.range[0] < bucket.range[1]:
            self.split_bucket(index)
            index = self._index(contact.long_id)
            bucket = self.buckets[index]
        return bool(bucket.add_node(contact))

    def _admits(self, bucket: LimitedBucket, host: str) -> bool:
        net = net_of(host)
        if self._per_table is not None and self.net_count(net) >= self._per_table:
            return False
        return self._per_bucket is None or sum(c.net == net for c in bucket.everyone()) < self._per_bucket

    def _bucket(self, long_id: int) -> LimitedBucket:
        return self.buckets[self._index(long_id)]

    def _index(self, long_id: int) -> int:
        for index, bucket in enumerate(self.buckets):
            if long_id <= bucket.range[1]:
                return index
        raise ValueError("id of more than 160 bits")

    @staticmethod
    def _known(bucket: LimitedBucket, node_id: bytes) -> Contact | None:
        return bucket.nodes.get(node_id) or bucket.replacement_nodes.get(node_id)
