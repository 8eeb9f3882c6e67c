"""B04: taking over a routing table, or the answers of a lookup."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from railgun_core.base.clock import Instant
from railgun_core.base.keys import Identity
from railgun_core.discovery.config import DhtConfig
from railgun_core.discovery.datagrams import ContactInfo, Ping, encode_datagram
from railgun_core.discovery.dht import Dht
from railgun_core.discovery.lookup import Lookup
from railgun_core.discovery.routing import Table, net_of

NODES = 300
K = 16


def clock() -> Instant:
    return Instant(time.monotonic(), time.time())


def contact(rng: random.Random, host: str) -> ContactInfo:
    return ContactInfo(rng.randbytes(20), host, rng.randrange(1_024, 65_536))


def test_four_hundred_answering_identities_of_one_network_take_ten_places_at_most() -> None:
    rng = random.Random(4)
    table = Table(rng.randbytes(20), k=K, per_net_in_bucket=2, per_net_in_table=10)
    for i in range(40):
        table.heard(contact(rng, f"10.{i}.0.1"), now_s=0.0)
    honest = len(table)
    for i in range(400):
        table.heard(contact(rng, f"66.6.6.{i % 250 + 1}"), now_s=1.0)
    assert table.net_count(net_of("66.6.6.1")) <= 10
    assert all(sum(c.net == net_of("66.6.6.1") for c in bucket.everyone()) <= 2 for bucket in table.buckets)
    assert sum(c.net != net_of("66.6.6.1") for c in table.contacts()) == honest


async def test_four_hundred_pings_from_one_network_put_nobody_into_the_table() -> None:
    victim = Dht(Identity(bytes(32)), config=DhtConfig(puzzle_bits=0), rng=random.Random(1), clock=clock)
    await victim.start("127.0.0.1", 0)
    try:
        rng = random.Random(2)
        for _ in range(400):
            raw = encode_datagram(
                Identity(rng.randbytes(32)), Ping(b""), request_id=rng.randbytes(8), time_ms=int(time.time() * 1000)
            )
            # Handed in directly: the sources are spoofed, so nothing that is sent back ever reaches the sender.
            victim._received(raw, (f"127.6.6.{rng.randrange(1, 255)}", rng.randrange(1_024, 65_536)))
        assert len(victim.table) <= 10
        assert victim.contacts == 0
    finally:
        await victim.close()


class Model:
    """A network of tables with real lookup machines, without sockets: hostile nodes send askers in circles."""

    def __init__(self, rng: random.Random, hostile_share: float) -> None:
        self.rng = rng
        self.all = [ContactInfo(rng.randbytes(20), f"10.{i // 250}.{i % 250}.1", 4_000) for i in range(NODES)]
        self.hostile = {c.id for c in rng.sample(self.all, round(NODES * hostile_share))}
        self.bad = [c for c in self.all if c.id in self.hostile]
        self.views = {c.id: self._table(c.id) for c in self.all if c.id not in self.hostile}

    def _table(self, own_id: bytes) -> Table:
        table = Table(own_id, k=K, per_net_in_bucket=None, per_net_in_table=None)
        for other in self.rng.sample(self.all, NODES):
            table.heard(other, now_s=0.0)
        return table

    def nearest(self, pool: list[ContactInfo], target: bytes) -> list[ContactInfo]:
        goal = int.from_bytes(target, "big")
        return sorted(pool, key=lambda c: int.from_bytes(c.id, "big") ^ goal)[:K]

    def answer(self, asked: bytes, target: bytes) -> list[ContactInfo]:
        """Hostile: half invented neighbours of the target that never answer, half accomplices."""
        if asked not in self.hostile:
            return self.views[asked].nearest(target, K)
        invented = [ContactInfo(target[:12] + self.rng.randbytes(8), "10.200.0.1", 4_000) for _ in range(K // 2)]
        return invented + self.nearest(self.bad, target)[: K // 2]

    def search(self, asker: bytes, target: bytes, paths: int, holds: Callable[[bytes], bool]) -> bool:
        """Whether a lookup by `asker` meets a node that holds and gives the record."""
        seeds = self.views[asker].nearest(target, max(K, 2 * paths))
        machine = Lookup(target, seeds, own_id=asker, k=K, alpha=2, paths=paths)
        met = False
        queue = machine.questions()
        while queue:
            asked = queue.pop(0)
            if asked.id in self.views or asked.id in self.hostile:
                met = met or (asked.id in self.views and holds(asked.id))
                machine.answered(asked.id, self.answer(asked.id, target))
            else:
                machine.slow(asked.id)
                machine.failed(asked.id)
            queue += machine.questions()
        assert machine.finished
        assert machine.questions_asked <= 6 * K
        return met


def success(model: Model, paths: int, attempts: int) -> float:
    hits = 0
    for _ in range(attempts):
        target = model.rng.randbytes(20)
        holders = {c.id for c in model.nearest(model.all, target)}
        asker = model.rng.choice(sorted(model.views))
        hits += model.search(asker, target, paths, holders.__contains__)
    return hits / attempts


def test_with_a_fifth_of_the_nodes_hostile_lookups_succeed() -> None:
    model = Model(random.Random(20), 0.2)
    assert success(model, 4, 200) >= 0.94
    assert success(model, 8, 200) >= 0.99
