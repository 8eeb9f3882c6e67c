"""The dialer: preference, stagger, the most useful failure, memory of what worked, and oneself."""

from __future__ import annotations

import asyncio

import pytest

from railgun_core.base.ids import PublicKey
from railgun_core.base.keys import Identity
from railgun_core.transport.dialer import Dialer
from railgun_core.transport.failures import NobodyListens
from railgun_core.transport.link import Acceptor, CloseReason, DialFailure, Link, LinkHandler
from railgun_core.transport.memory import MemoryNetwork, MemoryTransport
from railgun_core.transport.quic import QuicTransport
from railgun_core.transport.tls import TlsTransport
from railgun_core.wire.frames import FrameBatch
from railgun_core.wire.kinds import FrameType, frame
from railgun_core.wire.records import Address, AddressKind

ME, THEM, OTHER = (Identity(bytes((n,)) * 32) for n in (1, 2, 3))
QUIC, TLS = Address(AddressKind.QUIC, "127.0.0.1", 1), Address(AddressKind.TLS, "127.0.0.1", 2)


class Peer:
    """Handler and acceptor."""

    def __init__(self) -> None:
        self.links: list[Link] = []
        self.frames_heard = 0
        self.ends: list[CloseReason] = []
        self.changed = asyncio.Event()

    def accepted(self, link: Link) -> Peer:
        self.links.append(link)
        self.changed.set()
        return self

    def frames(self, link: Link, batch: FrameBatch) -> None:
        self.frames_heard += len(batch)
        self.changed.set()

    def credit(self, link: Link) -> None: ...

    def closed(self, link: Link, reason: CloseReason) -> None:
        self.ends.append(reason)
        self.changed.set()

    async def next_event(self) -> None:
        self.changed.clear()
        await asyncio.wait_for(self.changed.wait(), 5)


class Path:
    """A way to a peer that can be slow, fail, or never answer; below it is a memory transport."""

    def __init__(self, below: MemoryTransport, address: Address) -> None:
        self.below, self.address = below, address
        self.failure: DialFailure | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.dials = 0
        self.dialled = asyncio.Event()

    @property
    def name(self) -> str:
        return "path"

    async def listen(self, host: str, port: int, acceptor: Acceptor) -> Address:
        return await self.below.listen(host, port, acceptor)

    async def dial(self, address: Address, expected: PublicKey, identity: Identity, handler: LinkHandler) -> Link:
        self.dials += 1
        self.dialled.set()
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return await self.below.dial(self.address, expected, identity, handler)

    async def close(self) -> None:
        await self.below.close()


class Fixture:
    """Me with two paths to a peer."""

    def __init__(self, stagger_s: float = 5.0) -> None:
        network = MemoryNetwork()
        self.them, self.me = Peer(), Peer()
        self.far = MemoryTransport(THEM, network)
        address = self.far.open("far", 0, self.them)
        self.near = MemoryTransport(ME, network)
        self.quic, self.tls = Path(self.near, address), Path(self.near, address)
        paths = [(AddressKind.QUIC, self.quic), (AddressKind.TLS, self.tls)]
        self.dialer = Dialer(ME, paths, acceptor=self.me, stagger_s=stagger_s, after_nobody_s=0.05)

    async def dial(self, *addresses: Address, handler: Peer | None = None) -> Link:
        return await self.dialer.dial(
            THEM.public_key, addresses or (TLS, QUIC), identity=OTHER, handler=handler or Peer()
        )


async def test_the_preferred_transport_is_tried_first_and_alone() -> None:
    world = Fixture()
    link = await world.dial()
    assert link.remote_key == THEM.public_key
    assert (world.quic.dials, world.tls.dials) == (1, 0)
    assert world.them.links[0].remote_key == OTHER.public_key


async def test_a_failure_starts_the_next_at_once_and_what_worked_is_remembered() -> None:
    world = Fixture()
    world.quic.failure = DialFailure()
    await asyncio.wait_for(world.dial(), 1)
    assert (world.quic.dials, world.tls.dials) == (1, 1)
    assert world.dialer.remembered(THEM.public_key) is AddressKind.TLS
    await world.dial()
    assert (world.quic.dials, world.tls.dials) == (1, 2)


async def test_where_nobody_listens_the_other_way_gets_little_time() -> None:
    world = Fixture()
    world.quic.failure = NobodyListens()
    world.tls.gate.clear()  # as a handshake over UDP with a process that is gone
    with pytest.raises(DialFailure):
        await asyncio.wait_for(world.dial(), 2)
    assert (world.quic.dials, world.tls.dials) == (1, 1)


async def test_a_way_that_only_won_because_nobody_listened_at_the_other_is_not_remembered() -> None:
    world = Fixture()
    world.quic.failure = NobodyListens()
    await asyncio.wait_for(world.dial(), 2)
    assert world.dialer.remembered(THEM.public_key) is None
    world.quic.failure = None
    await world.dial()
    assert (world.quic.dials, world.tls.dials) == (2, 1)


async def test_a_path_that_says_nothing_is_overtaken_after_the_stagger() -> None:
    world = Fixture(stagger_s=0.02)
    world.quic.gate.clear()
    link = await asyncio.wait_for(world.dial(), 2)
    assert (world.quic.dials, world.tls.dials) == (1, 1)
    assert len(world.them.links) == 1
    assert link.credit_bytes > 0


async def test_of_two_links_one_is_kept_and_the_other_closed() -> None:
    world, handler = Fixture(stagger_s=0.01), Peer()
    world.quic.gate.clear()
    world.tls.gate.clear()
    dial = asyncio.ensure_future(world.dial(handler=handler))
    await asyncio.wait_for(world.tls.dialled.wait(), 2)
    world.quic.gate.set()
    world.tls.gate.set()
    link = await dial
    while len(world.them.ends) < len(world.them.links) - 1:
        await world.them.next_event()
    for inbound in world.them.links:
        inbound.send([frame(FrameType.PING, bytes(8))])
    await handler.next_event()
    assert handler.frames_heard == 1
    assert not handler.ends
    link.close()
    await handler.next_event()
    assert handler.ends == [CloseReason.LOCAL]


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [("timeout", "wrong-peer", "wrong-peer"), ("unreachable", "busy", "busy"), ("timeout", "unreachable", "timeout")],
)
async def test_when_all_fail_the_most_useful_reason_is_told(first: str, second: str, told: str) -> None:
    world = Fixture()
    world.quic.failure, world.tls.failure = DialFailure(code=first), DialFailure(code=second)
    with pytest.raises(DialFailure) as failure:
        await world.dial()
    assert failure.value.code == told


async def test_a_peer_without_a_usable_address_is_unreachable() -> None:
    world = Fixture()
    with pytest.raises(DialFailure) as failure:
        await world.dial(Address(AddressKind.DHT, "127.0.0.1", 3))
    assert failure.value.code == "unreachable"


async def test_a_cancelled_dial_leaves_no_attempt_running() -> None:
    world = Fixture(stagger_s=0.01)
    world.quic.gate.clear()
    world.tls.gate.clear()
    dial = asyncio.ensure_future(world.dial())
    await asyncio.wait_for(world.tls.dialled.wait(), 2)
    dial.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dial
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_peer_that_dials_itself_gets_a_link_in_memory() -> None:
    world, handler = Fixture(), Peer()
    link = await world.dialer.dial(ME.public_key, [], identity=OTHER, handler=handler)
    assert link.transport == "memory"
    assert world.me.links[0].remote_key == OTHER.public_key
    assert world.me.links[0].binding == link.binding
    link.send([frame(FrameType.PING, bytes(8))])
    await world.me.next_event()
    assert world.me.frames_heard == 1
    await world.dialer.close()
    assert handler.ends == [CloseReason.LOCAL]


async def test_over_real_sockets_a_dead_quic_address_gives_way_to_tls() -> None:
    them, me = Peer(), Peer()
    far, quic, tls = TlsTransport(THEM), QuicTransport(ME), TlsTransport(ME)
    dialer = Dialer(ME, [(AddressKind.QUIC, quic), (AddressKind.TLS, tls)], acceptor=me, stagger_s=0.05)
    try:
        address = await far.listen("127.0.0.1", 0, them)
        dead = Address(AddressKind.QUIC, "127.0.0.1", 9)
        link = await dialer.dial(THEM.public_key, [dead, address], identity=ME, handler=Peer())
        assert link.transport == "tls"
    finally:
        for each in (dialer, quic, tls, far):
            await each.close()
