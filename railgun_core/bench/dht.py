"""How long a DHT lookup takes when a share of the nodes is dead.

Real nodes on real loopback sockets in one process; the round trip is added by holding back each datagram for half of
it. Nodes die after all have joined and published, without a word, so tables and answers are full of them. CPU is that
of the whole process, so it counts both ends of every question.
"""

from __future__ import annotations

import asyncio
import random
import time
from statistics import quantiles

from railgun_core.base.clock import Instant
from railgun_core.base.keys import Identity
from railgun_core.discovery.config import DhtConfig
from railgun_core.discovery.dht import Dht
from railgun_core.wire.records import Address, AddressKind, PeerBody, PeerRole, Record, sign_record

_JOINING_AT_ONCE = 10
_LIFETIME_S = 3_600
_SETTLE_S = 16.0  # the owners' early repeats are over by then


def _clock() -> Instant:
    return Instant(time.monotonic(), time.time())


def _record(identity: Identity, port: int) -> Record:
    now_s = time.time()
    body = PeerBody((Address(AddressKind.DHT, "127.0.0.1", port),), PeerRole(0), "bench", 1, 1)
    return sign_record(
        identity, body, sequence=int(now_s * 1000), not_before_s=int(now_s), expires_s=int(now_s) + _LIFETIME_S
    )


async def _join(nodes: list[Dht], identities: list[Identity], ports: list[int]) -> None:
    for start in range(1, len(nodes), _JOINING_AT_ONCE):
        batch = range(start, min(start + _JOINING_AT_ONCE, len(nodes)))
        await asyncio.gather(*(nodes[i].bootstrap([("127.0.0.1", ports[0])]) for i in batch))
    for start in range(0, len(nodes), _JOINING_AT_ONCE):
        batch = range(start, min(start + _JOINING_AT_ONCE, len(nodes)))
        await asyncio.gather(*(nodes[i].publish(_record(identities[i], ports[i])) for i in batch))


async def run(peers: int, dead_share: float, rtt_ms: float, lookups: int, seed: int) -> dict[str, object]:
    """Figures of `lookups` searches for live peers' records, one after the other. Times in ms, CPU in us."""
    rng = random.Random(seed)
    config = DhtConfig(net_limits=False, group_by_port=True, puzzle_bits=0, extra_delay_s=rtt_ms / 2_000)
    identities = [Identity(rng.randbytes(32)) for _ in range(peers)]
    nodes = [Dht(each, config=config, rng=random.Random(rng.random()), clock=_clock) for each in identities]
    try:
        ports = [await node.start("127.0.0.1", 0) for node in nodes]
        await _join(nodes, identities, ports)
        await asyncio.sleep(_SETTLE_S)
        dead = set(rng.sample(range(peers), round(peers * dead_share)))
        await asyncio.gather(*(nodes[i].close() for i in dead))
        alive = [i for i in range(peers) if i not in dead]
        times_ms: list[float] = []
        found = 0
        started_cpu_s = time.process_time()
        for _ in range(lookups):
            asker, wanted = rng.sample(alive, 2)
            started_s = time.perf_counter()
            record = await nodes[asker].find_peer(identities[wanted].peer_id)
            times_ms.append((time.perf_counter() - started_s) * 1000)
            found += record is not None
        cpu_s = time.process_time() - started_cpu_s
    finally:
        await asyncio.gather(*(node.close() for node in nodes))
    cuts = quantiles(times_ms, n=100, method="inclusive")
    return {
        "peers": peers,
        "dead": len(dead),
        "rtt_ms": rtt_ms,
        "lookups": lookups,
        "found": found,
        "lookup_ms": {"p50": round(cuts[49], 1), "p95": round(cuts[94], 1), "p99": round(cuts[98], 1)},
        "cpu_us_per_lookup": round(cpu_s / lookups * 1e6),
    }
