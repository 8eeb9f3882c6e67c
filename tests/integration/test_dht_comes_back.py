"""A directory node that was away, has moved, or forgets its entries: real sockets on loopback."""

from __future__ import annotations

import asyncio
import random
import time

from railgun_core.base.clock import Instant
from railgun_core.base.ids import dht_id_of
from railgun_core.base.keys import Identity
from railgun_core.discovery.contacts_file import contacts_of
from railgun_core.discovery.dht import Dht
from tests.integration.test_dht import CONFIG, network, node, relay_record, until

HOST = "127.0.0.1"


async def test_after_a_sleep_those_who_are_known_are_asked_at_once_and_nobody_is_lost() -> None:
    async with network(6) as members:
        dht = members[3][0]
        before, asked = dht.contacts, dht.traffic()["datagrams_sent"]
        await dht.find_back(moved=False)
        assert dht.contacts >= before > 0
        assert dht.traffic()["datagrams_sent"] >= asked + before
        assert dht.seen_at is not None


async def test_after_a_move_the_address_others_saw_is_forgotten_until_they_say_the_new_one() -> None:
    async with network(4) as members:
        dht = members[2][0]
        assert dht.seen_at is not None
        going = asyncio.get_running_loop().create_task(dht.find_back(moved=True))
        await asyncio.sleep(0)
        assert dht.seen_at is None
        await going

        async def seen() -> bool:
            return dht.seen_at == (HOST, members[2][2])

        assert await until(seen, 5.0)


async def test_who_is_remembered_is_a_way_in_and_who_has_none_asks_nobody() -> None:
    async with network(3) as members:
        fresh, _ = node(77)
        await fresh.start(HOST, 0)
        try:
            assert await fresh.bootstrap([]) == 0
            assert fresh.traffic()["datagrams_sent"] == 0
            fresh.remember([relay_record(identity, port) for _, identity, port in members[1:]])
            assert await fresh.bootstrap([]) == 2
            assert fresh.contacts >= 2
        finally:
            await fresh.close()


async def test_entries_that_are_dropped_are_asked_no_more_and_stay_known() -> None:
    async with network(3) as members:
        dht, _, _ = members[1]
        before = dht.contacts
        dht.drop_entries([(HOST, members[0][2])])
        assert dht.contacts == before > 0
        assert dht._membership._entries == {}


async def test_a_peer_with_a_wrong_clock_finds_the_others_and_their_time_but_stores_nothing() -> None:
    heard: dict[bytes, float] = {}
    async with network(9) as members:
        late = Identity(b"late" * 8)
        wrong = Dht(
            late,
            config=CONFIG,
            rng=random.Random(5),
            clock=lambda: Instant(time.monotonic(), time.time() - 600),
        )
        wrong.on_time = lambda node_id, unix_s, asked_s, net: heard.__setitem__(node_id, unix_s - time.time())
        port = await wrong.start(HOST, 0)
        try:
            await wrong.bootstrap([(HOST, members[0][2])])

            async def known() -> bool:
                return len(heard) >= 8

            assert await until(known, 10.0)
            assert all(abs(offset_s) < 1.0 for offset_s in heard.values())
            await wrong.publish(relay_record(late, port))
            assert not any(dht.store.get(dht_id_of(late.peer_id), now_s=time.time()) for dht, _, _ in members)
        finally:
            await wrong.close()


def test_a_record_says_where_its_peer_takes_questions() -> None:
    identity = Identity(b"some" * 8)
    (who,) = contacts_of(relay_record(identity, 4_000))
    assert (who.id, who.endpoint) == (dht_id_of(identity.peer_id), (HOST, 4_000))
