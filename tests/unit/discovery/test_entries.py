"""A quiet node on real sockets: it asks its entries for relays when they are wanted, and nobody else, ever."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from railgun_core.base.clock import Instant
from railgun_core.base.ids import PeerId
from railgun_core.base.keys import Identity
from railgun_core.discovery.config import DhtConfig
from railgun_core.discovery.datagrams import ContactInfo, FindGroups, Kind, Ping, decode_head
from railgun_core.discovery.dht import Dht
from railgun_core.wire.records import Address, AddressKind, PeerBody, PeerRole, Record, sign_record

HOST = "127.0.0.1"


def clock() -> Instant:
    return Instant(time.monotonic(), time.time())


def node(seed: int, *, quiet: bool = False, notices: list[str] | None = None, state_path: Path | None = None) -> Dht:
    config = DhtConfig(
        net_limits=False, group_by_port=True, puzzle_bits=0, young_cache_s=60.0, quiet=quiet, state_path=state_path
    )
    notice = None if notices is None else notices.append
    return Dht(
        Identity(random.Random(seed).randbytes(32)),
        config=config,
        rng=random.Random(seed),
        clock=clock,
        on_notice=notice,
    )


def relay_record(seed: int, port: int) -> Record:
    now_s = time.time()
    body = PeerBody((Address(AddressKind.DHT, HOST, port),), PeerRole.RELAY, "test", 1, 1)
    return sign_record(
        Identity(random.Random(seed).randbytes(32)),
        body,
        sequence=int(now_s * 1000),
        not_before_s=int(now_s),
        expires_s=int(now_s) + 600,
    )


@contextmanager
def taped(dht: Dht) -> Iterator[list[tuple[Kind, int]]]:
    """Every datagram that `dht` sends: its kind and the port it goes to."""
    tape: list[tuple[Kind, int]] = []
    send = dht._sockets.send

    def noting(data: bytes, endpoint: tuple[str, int]) -> None:
        tape.append((decode_head(data).kind, endpoint[1]))
        send(data, endpoint)

    dht._sockets.send = noting  # type: ignore[method-assign]
    dht._questions._send = noting
    dht._replies._send = noting
    yield tape


@asynccontextmanager
async def network(size: int) -> AsyncIterator[tuple[int, list[Dht]]]:
    """An entry and relays around it; the entry's port and the relays."""
    made = [node(seed) for seed in range(size + 1)]
    try:
        ports = [await dht.start(HOST, 0) for dht in made]
        await asyncio.gather(*(dht.bootstrap([(HOST, ports[0])]) for dht in made[1:]))
        for seed in range(1, size + 1):
            await made[seed].publish(relay_record(seed, ports[seed]))
        yield ports[0], made[1:]
    finally:
        await asyncio.gather(*(dht.close() for dht in made))


async def test_a_quiet_node_finds_the_relays_that_its_entry_holds_and_speaks_to_nobody_else() -> None:
    async with network(8) as (entry, relays):
        quiet = node(99, quiet=True)
        await quiet.start(HOST, 0)
        with taped(quiet) as tape:
            try:
                assert await quiet.bootstrap([(HOST, entry)]) == 0
                assert not tape
                found = await quiet.relays_near([bytes(20), bytes([200]) * 20])
                assert {record.peer_id for record in found} == {relay._identity.peer_id for relay in relays}
                assert {port for _, port in tape} == {entry}
                assert {kind for kind, _ in tape} == {Kind.FIND_GROUPS, Kind.FIND_VALUE}
                before = len(tape)
                await quiet.relays_near([bytes([7]) * 20])
                assert len(tape) == before  # known for a while
            finally:
                await quiet.close()


async def test_a_quiet_node_answers_nobody_and_stays_out_of_every_table() -> None:
    async with network(3) as (entry, relays):
        quiet = node(99, quiet=True)
        port = await quiet.start(HOST, 0)
        with taped(quiet) as tape:
            try:
                await quiet.bootstrap([(HOST, entry)])
                await quiet.relays_near([bytes(20)])
                before = len(tape)
                who = ContactInfo(quiet.dht_id, HOST, port)
                asked = relays[0]._questions
                answers = await asyncio.gather(
                    asked.call(who, Ping), asked.call(who, lambda token: FindGroups(token, bytes(20), 0))
                )
                assert answers == [None, None]
                assert len(tape) == before
                assert all(relay.table.get(quiet.dht_id) is None for relay in relays)
            finally:
                await quiet.close()


async def test_a_quiet_node_publishes_nothing_and_looks_for_no_peer(tmp_path: Path) -> None:
    async with network(2) as (entry, _):
        state = tmp_path / "contacts.json"
        quiet = node(99, quiet=True, state_path=state)
        port = await quiet.start(HOST, 0)
        with taped(quiet) as tape:
            await quiet.bootstrap([(HOST, entry)])
            assert await quiet.publish(relay_record(99, port)) == 0
            assert await quiet.find_peer(PeerId(bytes(32))) is None
            assert await quiet.announcements(bytes(32)) == ()
            assert not tape
            await quiet.relays_near([bytes(20)])
            before = len(tape)
            assert before > 0
            assert await quiet.find_peer(PeerId(bytes(32))) is None  # now it has a contact, and does not ask it
            assert len(tape) == before
            await quiet.close()
        assert not state.exists()


async def test_an_entry_that_does_not_answer_is_said_once_and_asked_again() -> None:
    notices: list[str] = []
    quiet = node(99, quiet=True, notices=notices)
    await quiet.start(HOST, 0)
    late = node(5)
    try:
        free = await late.start(HOST, 0)
        await late.close()
        await quiet.bootstrap([(HOST, free)])
        assert await quiet.relays_near([bytes(20)]) == ()
        assert await quiet.relays_near([bytes(20)]) == ()
        assert notices == ["bootstrap-unreachable"]
        late = node(5)
        await late.start(HOST, free)
        await late.publish(relay_record(5, free))
        assert len(await quiet.relays_near([bytes(20)])) == 1
    finally:
        await asyncio.gather(quiet.close(), late.close())
