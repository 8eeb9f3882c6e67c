"""Real DHT nodes on loopback sockets."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from railgun_core.base.clock import Instant
from railgun_core.base.errors import EnvironmentFailure
from railgun_core.base.ids import PeerId, Tag
from railgun_core.base.keys import Identity
from railgun_core.discovery.config import DhtConfig
from railgun_core.discovery.dht import Dht
from railgun_core.discovery.lan import LanDiscovery
from railgun_core.wire.records import (
    Address,
    AddressKind,
    AnnouncementBody,
    PeerBody,
    PeerRole,
    Record,
    sign_record,
)

CONFIG = DhtConfig(net_limits=False, group_by_port=True, puzzle_bits=0, young_cache_s=0.2)


def clock() -> Instant:
    return Instant(time.monotonic(), time.time())


def node(seed: int, config: DhtConfig = CONFIG, notices: list[str] | None = None) -> tuple[Dht, Identity]:
    identity = Identity(random.Random(seed).randbytes(32))
    notice = None if notices is None else notices.append
    return Dht(identity, config=config, rng=random.Random(seed), clock=clock, on_notice=notice), identity


def relay_record(identity: Identity, port: int, host: str = "127.0.0.1", lifetime_s: int = 3_600) -> Record:
    now_s = time.time()
    body = PeerBody((Address(AddressKind.DHT, host, port),), PeerRole.RELAY, "test", 1, 1)
    return sign_record(
        identity, body, sequence=int(now_s * 1000), not_before_s=int(now_s), expires_s=int(now_s) + lifetime_s
    )


def announcement(identity: Identity, tag: Tag, seat: int) -> Record:
    now_s = time.time()
    body = AnnouncementBody(tag, 7, seat, 1, tuple(PeerId(bytes((i,)) * 32) for i in range(10)))
    return sign_record(identity, body, sequence=int(now_s * 1000), not_before_s=int(now_s), expires_s=int(now_s) + 600)


async def until(ready: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    """Ask again and again until it is so, at most `seconds`."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        if await ready():
            return True
        await asyncio.sleep(0.05)
    return False


@asynccontextmanager
async def network(size: int, config: DhtConfig = CONFIG) -> AsyncIterator[list[tuple[Dht, Identity, int]]]:
    """`size` nodes; the first is the others' bootstrap node and publishes nothing."""
    members: list[tuple[Dht, Identity, int]] = []
    try:
        for seed in range(size):
            dht, identity = node(seed, config)
            members.append((dht, identity, await dht.start("127.0.0.1", 0)))
        entry = ("127.0.0.1", members[0][2])
        await asyncio.gather(*(dht.bootstrap([entry]) for dht, _, _ in members[1:]))
        yield members
    finally:
        await asyncio.gather(*(dht.close() for dht, _, _ in members))


async def test_twelve_relays_that_start_together_see_each_other_within_seconds() -> None:
    async with network(13) as members:
        relays = members[1:]
        await asyncio.gather(*(dht.publish(relay_record(identity, port)) for dht, identity, port in relays))
        targets = [random.Random(i).randbytes(20) for i in range(8)]

        async def everyone_sees_all() -> bool:
            views = await asyncio.gather(*(dht.relays_near(targets) for dht, _, _ in relays))
            return all(len(view) == len(relays) for view in views)

        assert await until(everyone_sees_all, 15.0)


async def test_asking_again_for_relays_sends_nothing_for_a_while() -> None:
    async with network(
        6, DhtConfig(net_limits=False, group_by_port=True, puzzle_bits=0, young_cache_s=60.0)
    ) as members:
        for dht, identity, port in members[1:]:
            await dht.publish(relay_record(identity, port))
        asker = members[3][0]
        target = bytes(20)
        await asker.relays_near([target])
        looked_up = len(asker.lookup_times_ms())
        again = await asker.relays_near([target, bytes([7]) * 20])
        assert len(again) == 5
        assert len(asker.lookup_times_ms()) == looked_up


async def test_a_peer_is_found_by_its_id_and_an_unknown_one_is_not() -> None:
    async with network(6) as members:
        dht, identity, port = members[2]
        assert await dht.publish(relay_record(identity, port)) >= 4
        found = await members[5][0].find_peer(identity.peer_id)
        assert found is not None
        assert found.public_key == identity.public_key
        assert await members[4][0].find_peer(PeerId(bytes(32))) is None
        assert 0 < members[5][0].lookup_times_ms()[-1] < 4_000


async def test_seven_announcements_under_a_tag_are_all_found() -> None:
    async with network(9) as members:
        tag = Tag(bytes(range(32)))
        for seat, (dht, identity, _) in enumerate(members[1:8]):
            assert await dht.publish(announcement(identity, tag, seat)) >= 6
        found = await members[8][0].announcements(tag)
        assert len(found) == 7
        assert await members[8][0].announcements(bytes(32)) == ()


async def test_a_taken_port_is_an_environment_failure() -> None:
    first, _ = node(1)
    second, _ = node(2)
    port = await first.start("127.0.0.1", 0)
    try:
        with pytest.raises(EnvironmentFailure) as caught:
            await second.start("127.0.0.1", port)
        assert caught.value.code == "port-taken"
    finally:
        await first.close()
        await second.close()


async def test_a_bootstrap_node_that_comes_late_is_joined_in_the_background() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    notices: list[str] = []
    early, _ = node(1, notices=notices)
    late, _ = node(2)
    try:
        await early.start("127.0.0.1", 0)
        assert await early.bootstrap([("127.0.0.1", port)]) == 0
        assert notices == ["bootstrap-unreachable"]
        await late.start("127.0.0.1", port)

        async def joined() -> bool:
            return early.contacts == 1

        assert await until(joined, 8.0)
        assert "joined" in notices
    finally:
        await asyncio.gather(early.close(), late.close())


async def test_saved_contacts_bring_a_node_back_without_bootstrap(tmp_path: Path) -> None:
    path = tmp_path / "contacts.json"
    config = DhtConfig(net_limits=False, group_by_port=True, puzzle_bits=0, state_path=path)
    async with network(4) as members:
        first, _ = node(50, config)
        await first.start("127.0.0.1", 0)
        assert await first.bootstrap([("127.0.0.1", members[0][2])]) == 1
        await first.close()
        again, _ = node(50, config)
        try:
            await again.start("127.0.0.1", 0)
            assert await again.bootstrap([]) >= 3
        finally:
            await again.close()


async def test_ipv6_nodes_find_each_other() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    one, identity = node(1)
    two, _ = node(2)
    try:
        try:
            port = await one.start("::1", 0)
        except EnvironmentFailure:
            pytest.skip("no IPv6 loopback here")
        await two.start("::1", 0)
        assert await two.bootstrap([("::1", port)]) == 1
        await one.publish(relay_record(identity, port, host="::1"))
        assert await two.find_peer(identity.peer_id) is not None
    finally:
        await asyncio.gather(one.close(), two.close())


async def test_a_dead_neighbour_is_never_given_as_a_result_and_leaves_the_table() -> None:
    async with network(6) as members:
        gone, _, _ = members[5]
        await gone.close()
        asker = members[2][0]

        async def forgotten() -> bool:
            await asker.find_peer(PeerId(gone.dht_id + bytes(12)))
            return asker.table.get(gone.dht_id) is None

        assert await until(forgotten, 15.0)


async def test_garbage_and_foreign_answers_change_nothing() -> None:
    async with network(2) as members:
        dht, _, port = members[0]
        before = len(dht.table)
        rng = random.Random(3)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for size in (0, 1, 113, 114, 115, 500, 1_200, 1_201, 9_000):
                sender.sendto(b"\x01\x02" + rng.randbytes(max(0, size - 2)), ("127.0.0.1", port))

        async def received() -> bool:
            return dht.traffic()["rejected"] >= 8

        assert await until(received, 5.0)
        assert len(dht.table) == before


async def test_closing_twice_is_harmless_and_a_closed_node_answers_calls() -> None:
    dht, identity = node(1)
    port = await dht.start("127.0.0.1", 0)
    await dht.close()
    await dht.close()
    assert await dht.find_peer(identity.peer_id) is None
    assert len(await dht.relays_near([bytes(20)])) == 0
    assert await dht.publish(relay_record(identity, port)) >= 0


async def test_peers_on_one_lan_find_each_other_by_multicast() -> None:
    one, one_identity = node(1)
    two, two_identity = node(2)
    met = asyncio.Event()

    async def found(addresses: object) -> int:
        assert isinstance(addresses, list)
        reached = await two.bootstrap(addresses)
        if reached:
            met.set()
        return reached

    async def ignore(addresses: object) -> int:
        return 0

    announcing = LanDiscovery(one_identity.peer_id, found=ignore, interfaces=["127.0.0.1"])
    listening = LanDiscovery(two_identity.peer_id, found=found, interfaces=["127.0.0.1"])
    try:
        port = await one.start("127.0.0.1", 0)
        other_port = await two.start("127.0.0.1", 0)
        try:
            await announcing.start(["127.0.0.1"], port)
            await listening.start(["127.0.0.1"], other_port)
        except EnvironmentFailure:
            pytest.skip("multicast DNS is not available here")
        await asyncio.wait_for(met.wait(), 10.0)
        assert two.contacts == 1
    finally:
        await asyncio.gather(announcing.close(), listening.close(), one.close(), two.close())
