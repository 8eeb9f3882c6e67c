"""Client, guard and relay on loopback: what the relay and the guard see, and what neither client nor guard can do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest

from railgun_core.base.ids import PeerId
from railgun_core.base.keys import Identity
from railgun_core.transport.link import CloseReason, DialFailure, Link
from railgun_core.transport.tls import TlsTransport
from railgun_core.transport.tunnel import WINDOW_BYTES, StreamEnd, TunnelLimits, read_end
from railgun_core.wire.frames import PACKET_BYTES, Cell, CellKind
from railgun_core.wire.records import Address, AddressKind, PeerRole
from tests.contract.transport_world import Peer, pour, some_frame
from tests.contract.tunnel_world import CLIENT, HOST, GuardPeer, TunnelledTransport, relay_record

ALICE, BOB, CAROL = (Identity(bytes((n,)) * 32) for n in (1, 2, 3))
CELL_FRAME_BYTES = PACKET_BYTES + 5


@dataclass
class Scene:
    """A client with a link to a guard that knows the relays Bob and Carol."""

    client: TunnelledTransport
    guard: GuardPeer
    bob: Peer
    carol: Peer
    bob_address: Address
    carol_address: Address

    async def dial(self, relay: Identity, handler: Peer, *addresses: Address) -> Link:
        known = self.guard.relays.get(relay.peer_id)
        record = relay_record(relay, *addresses) if addresses or known is None else known
        return await self.client.through(record, identity=ALICE, handler=handler)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    guard = await GuardPeer(TunnelLimits(per_link=4)).start()
    relays = TlsTransport(BOB), TlsTransport(CAROL)
    bob, carol = Peer(), Peer()
    places = [await relay.listen(HOST, 0, peer) for relay, peer in zip(relays, (bob, carol), strict=True)]
    for identity, place in zip((BOB, CAROL), places, strict=True):
        guard.relays[identity.peer_id] = relay_record(identity, place)
    client = TunnelledTransport(ALICE)
    await client.join(guard)
    yield Scene(client, guard, bob, carol, *places)
    await client.close()
    await guard.close()
    for relay in relays:
        await relay.close()
    assert guard.tunnels.carried == 0
    for _ in range(3):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def refused(scene: Scene, relay: Identity, *addresses: Address) -> str:
    with pytest.raises(DialFailure) as failure:
        await scene.dial(relay, Peer(), *addresses)
    return failure.value.code


async def until(condition: Callable[[], bool], wait_s: float = 10.0) -> None:
    """A bounded wait for what no event tells."""
    async with asyncio.timeout(wait_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_the_relay_sees_a_normal_link_and_the_guard_cells_of_one_size(scene: Scene) -> None:
    alice = Peer()
    link = await scene.dial(BOB, alice)
    await scene.bob.until(lambda: bool(scene.bob.links))
    there = scene.bob.links[0]
    assert (link.transport, there.transport) == ("tunnel", "tls")
    assert (link.remote_key, there.remote_key) == (BOB.public_key, ALICE.public_key)
    assert link.binding == there.binding
    secret = b"the relay alone reads this"
    link.send([some_frame(4_000), some_frame(289), b"\x00\x00\x00\x1b\x05" + secret])
    there.send([some_frame(60_000)])
    await scene.bob.until(lambda: scene.bob.count == 3)
    await alice.until(lambda: alice.count == 1)
    for end in (scene.guard.end, scene.client.end):
        assert sum(map(len, end.reads)) > 0
        assert all(cell.kind >= CellKind.CONNECT for cell in end.cells)
        assert secret not in b"".join(end.reads)
        assert all(key not in b"".join(end.reads) for key in (ALICE.public_key, BOB.public_key))
    (guard_link,) = scene.guard.end.links.values()
    assert guard_link.remote_key == CLIENT.public_key
    assert guard_link.bytes_received == len(scene.guard.end.cells) * CELL_FRAME_BYTES


async def test_a_client_reaches_no_service_but_the_relays_that_the_guard_knows(scene: Scene) -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(4_096))
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    service = Address(AddressKind.TLS, HOST, server.sockets[0].getsockname()[1])
    stranger, liar, idler = (Identity(bytes((n,)) * 32) for n in (20, 21, 22))
    # The address in the client's own hands counts for nothing: the guard goes by its own view.
    assert await refused(scene, stranger, service) == "refused"
    scene.guard.relays[idler.peer_id] = relay_record(idler, service, roles=PeerRole.BOOTSTRAP)
    assert await refused(scene, idler) == "refused"
    assert not heard
    assert scene.guard.tunnels.counts.opened == 0
    # A relay may sign any address. Whoever is there gets the guard's own TLS greeting, and nothing of the client's.
    scene.guard.relays[liar.peer_id] = relay_record(liar, service)
    assert await refused(scene, liar) in ("busy", "wrong-peer")
    assert await refused(scene, liar) in ("busy", "wrong-peer")
    assert len(heard) == 1
    assert heard[0][:3] == b"\x16\x03\x01"
    assert scene.guard.tunnels.counts.opened == 0
    # Not even another relay's place.
    scene.guard.relays[liar.peer_id] = relay_record(liar, Address(AddressKind.TLS, HOST, scene.carol_address.port))
    assert await refused(scene, liar) == "wrong-peer"
    assert scene.guard.tunnels.counts.opened == 0
    assert not scene.carol.links
    server.close()
    await server.wait_closed()


async def test_a_guard_that_leads_to_another_relay_is_found_out(scene: Scene) -> None:
    await scene.guard.tunnels.close()
    wrong = relay_record(CAROL, scene.carol_address)
    redirecting = GuardPeer()
    redirecting.transport = scene.guard.transport
    redirecting.relays[BOB.peer_id] = wrong  # asked for Bob, it connects to Carol, who proves to be Carol
    redirecting.tunnels._link = scene.guard.end.links.get
    scene.guard.end.tunnels = redirecting.tunnels
    assert await refused(scene, BOB) == "wrong-peer"
    assert redirecting.tunnels.counts.opened == 1
    assert not scene.carol.links
    assert not scene.bob.links
    await redirecting.tunnels.close()


async def test_a_guard_that_changes_a_byte_ends_the_link_and_nothing_false_is_delivered(scene: Scene) -> None:
    alice = Peer()
    link = await scene.dial(BOB, alice)
    await scene.bob.until(lambda: bool(scene.bob.links))
    scene.guard.end.is_deaf = True
    link.send([some_frame(500)])
    await until(lambda: scene.guard.end.cells[-1].kind is CellKind.DATA and len(scene.guard.end.cells[-1].data) > 500)
    true = scene.guard.end.cells[-1]
    changed = bytes((*true.data[:-1], true.data[-1] ^ 1))
    (number,) = scene.guard.end.links
    scene.guard.tunnels.cell(number, Cell(CellKind.DATA, true.stream, changed))
    await scene.bob.until(lambda: bool(scene.bob.ends))
    assert scene.bob.ends == [CloseReason.LOST]
    assert scene.bob.count == 0
    await alice.until(lambda: bool(alice.ends))
    assert alice.ends[0] in (CloseReason.LOST, CloseReason.REMOTE)


async def test_a_client_has_so_many_streams_and_gets_them_back(scene: Scene) -> None:
    links = [await scene.dial(BOB, Peer()) for _ in range(4)]
    assert await refused(scene, CAROL) == "busy"
    assert scene.guard.tunnels.carried == 4
    links[0].close()
    await until(lambda: scene.guard.tunnels.carried == 3)
    assert (await scene.dial(CAROL, Peer())).remote_key == CAROL.public_key


async def test_when_the_link_to_the_guard_ends_so_does_everything_in_it(scene: Scene) -> None:
    alice = Peer()
    await scene.dial(BOB, alice)
    await scene.dial(CAROL, alice)
    (outer,) = scene.client.end.links.values()
    outer.close()
    await alice.until(lambda: len(alice.ends) == 2)
    assert alice.ends == [CloseReason.LOST] * 2
    await until(lambda: scene.guard.tunnels.carried == 0)
    assert await refused(scene, BOB) == "no-guard"
    await scene.bob.until(lambda: bool(scene.bob.ends))
    await scene.carol.until(lambda: bool(scene.carol.ends))


async def test_closing_the_client_ends_its_links_in_order_through_the_tunnel(scene: Scene) -> None:
    alice = Peer()
    link = await scene.dial(BOB, alice)
    link.send([some_frame(60_000)] * 8)
    async with asyncio.timeout(2.0):
        await scene.client.tunnels.close()
    await scene.bob.until(lambda: bool(scene.bob.ends))
    assert (scene.bob.count, scene.bob.ends) == (8, [CloseReason.REMOTE])
    await alice.until(lambda: bool(alice.ends))
    assert alice.ends == [CloseReason.LOCAL]


async def test_a_guard_that_closes_ends_its_streams_and_says_so(scene: Scene) -> None:
    alice = Peer()
    await scene.dial(BOB, alice)
    await scene.guard.tunnels.close()
    await alice.until(lambda: bool(alice.ends))
    assert alice.ends == [CloseReason.LOST]
    assert read_end(scene.client.end.cells[-1].data) is StreamEnd.RESET
    assert await refused(scene, BOB) == "refused"


async def test_twenty_megabytes_each_way_pass_while_the_guard_holds_a_few_windows(scene: Scene) -> None:
    alice = Peer()
    link = await scene.dial(BOB, alice)
    await scene.bob.until(lambda: bool(scene.bob.links))
    there = scene.bob.links[0]
    (guard_link,) = scene.guard.end.links.values()
    queued = 0

    def measure(_: Link) -> None:
        nonlocal queued
        queued = max(queued, guard_link._queued_bytes + guard_link._flight_bytes)  # type: ignore[attr-defined]

    alice.on_frames = scene.bob.on_frames = measure
    chunks = [some_frame(4_129)] * 4_900
    async with asyncio.TaskGroup() as group:
        group.create_task(pour(link, alice, chunks))
        group.create_task(pour(there, scene.bob, chunks))
    await alice.until(lambda: alice.count == len(chunks))
    await scene.bob.until(lambda: scene.bob.count == len(chunks))
    assert 0 < queued <= 2 * WINDOW_BYTES
    assert not alice.ends
    assert not scene.bob.ends


async def test_a_peer_id_that_no_relay_has_costs_the_guard_nothing(scene: Scene) -> None:
    for n in range(30, 60):
        assert await refused(scene, Identity(bytes((n,)) * 32), scene.bob_address) == "refused"
    assert scene.guard.tunnels.carried == 0
    assert PeerId(bytes(32)) not in scene.guard.relays
