"""What every transport promises when links end, fail or are refused: peers that vanish, dials that bring nothing."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys

import pytest

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.transport.link import CloseReason, DialFailure, Limits
from railgun_core.transport.memory import MemoryLink
from railgun_core.wire.records import Address, AddressKind
from tests.contract.transport_world import (
    ALICE,
    ALL,
    BOB,
    CAROL,
    REAL,
    ROOT,
    WAIT_S,
    Peer,
    World,
    scenario,
    some_frame,
)


@scenario(*ALL)
async def test_a_silent_link_is_closed(world: World) -> None:
    pair = await world.pair(Limits(idle_s=0.4))
    pair.link.send([some_frame()])
    await pair.alice.until(lambda: bool(pair.alice.ends), 3.0)
    assert pair.alice.ends == [CloseReason.IDLE]


@scenario(*ALL)
async def test_who_sends_no_first_frame_in_time_is_closed(world: World) -> None:
    pair = await world.pair(Limits(), Limits(first_frame_s=0.2))
    pair.link.send([b"\x00\x00"])  # a beginning, but no frame
    await pair.bob.until(lambda: bool(pair.bob.ends), 3.0)
    assert pair.bob.ends == [CloseReason.IDLE]


@scenario("memory")
async def test_a_cut_wire_is_noticed(world: World) -> None:
    pair = await world.pair(Limits(idle_s=0.3))
    assert isinstance(pair.link, MemoryLink)
    pair.link.cut()
    pair.link.send([some_frame()])
    await pair.alice.until(lambda: bool(pair.alice.ends), 3.0)
    await pair.bob.until(lambda: bool(pair.bob.ends), 3.0)
    assert pair.alice.ends == pair.bob.ends == [CloseReason.IDLE]


CHILD = """
import asyncio, sys
from railgun_core.base.keys import Identity
from railgun_core.transport.quic import QuicTransport
from railgun_core.transport.tls import TlsTransport
class Peer:
    def accepted(self, link): return self
    def frames(self, link, batch): link.send([batch.data[:batch.bounds[-1]]])
    def credit(self, link): pass
    def closed(self, link, reason): pass
async def main():
    transport = (QuicTransport if sys.argv[1] == "quic" else TlsTransport)(Identity(bytes([2]) * 32))
    print((await transport.listen("127.0.0.1", 0, Peer())).port, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


@contextlib.asynccontextmanager
async def echo_process(kind: str):  # type: ignore[no-untyped-def]
    """Bob, in a process of his own."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, kind, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert child.stdout is not None
        port = int(await asyncio.wait_for(child.stdout.readline(), WAIT_S))
        yield child, Address(AddressKind.QUIC if kind == "quic" else AddressKind.TLS, "127.0.0.1", port)
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
        child._transport.close()  # type: ignore[attr-defined]


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGSTOP")
@scenario(*REAL)
async def test_a_peer_that_vanishes_without_goodbye_is_noticed_within_the_idle_limit(world: World) -> None:
    async with echo_process(world.kind) as (child, address):
        alice = Peer()
        near = world.make(ALICE, Limits(idle_s=0.6))
        link = await near.dial(address, BOB.public_key, ALICE, alice)
        link.send([some_frame()])
        await alice.until(lambda: alice.count == 1)
        child.send_signal(signal.SIGSTOP)
        link.send([some_frame()])
        await alice.until(lambda: bool(alice.ends), 3.0)
        assert alice.ends == [CloseReason.IDLE]


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGSTOP")
@scenario(*REAL)
async def test_a_peer_that_does_not_read_costs_credit_and_then_its_link(world: World) -> None:
    async with echo_process(world.kind) as (child, address):
        alice = Peer()
        near = world.make(ALICE)
        link = await near.dial(address, BOB.public_key, ALICE, alice)
        child.send_signal(signal.SIGSTOP)
        async with asyncio.timeout(WAIT_S):
            while not alice.ends:
                link.send([some_frame(60_000)] * 8)
                await asyncio.sleep(0.002)
                if link.credit_bytes == 0 and not alice.ends:
                    link.send([some_frame(60_000)] * 8)
        assert alice.ends == [CloseReason.OVERFLOW]


@scenario(*REAL)
async def test_a_peer_whose_process_dies_is_noticed(world: World) -> None:
    async with echo_process(world.kind) as (child, address):
        alice = Peer()
        near = world.make(ALICE, Limits(idle_s=0.6))
        await near.dial(address, BOB.public_key, ALICE, alice)
        child.kill()
        await alice.until(lambda: bool(alice.ends), 3.0)
        assert alice.ends[0] in (CloseReason.REMOTE, CloseReason.LOST, CloseReason.IDLE)


@scenario(*REAL)
async def test_a_dial_to_an_address_that_never_answers_ends_at_its_deadline(world: World) -> None:
    near = world.make(ALICE, Limits(handshake_s=0.3))
    with contextlib.closing(
        socket.socket(type=socket.SOCK_DGRAM if world.kind == "quic" else socket.SOCK_STREAM)
    ) as deaf:
        deaf.bind(("127.0.0.1", 0))
        if world.kind != "quic":
            deaf.listen(1)
        address = Address(AddressKind.TLS, "127.0.0.1", deaf.getsockname()[1])
        started = asyncio.get_running_loop().time()
        with pytest.raises(DialFailure) as failure:
            await near.dial(address, BOB.public_key, ALICE, Peer())
    assert failure.value.code == "timeout"
    assert asyncio.get_running_loop().time() - started < 1.5


@scenario("memory", "tls", "tunnel")
async def test_a_dial_to_a_closed_port_is_unreachable(world: World) -> None:
    pair = await world.pair()
    await pair.far.close()
    with pytest.raises(DialFailure) as failure:
        await pair.near.dial(pair.address, BOB.public_key, ALICE, Peer())
    assert failure.value.code == "unreachable"


@scenario(*ALL)
async def test_a_taken_port_is_said_plainly(world: World) -> None:
    pair = await world.pair()
    with pytest.raises(EnvironmentFailure) as failure:
        await world.make(CAROL).listen("127.0.0.1", pair.address.port, Peer())
    assert failure.value.code == "port-taken"


@scenario(*ALL)
async def test_one_key_gets_no_more_links_than_its_share_and_loses_none(world: World) -> None:
    pair = await world.pair(Limits(per_key=2))
    second = await pair.near.dial(pair.address, BOB.public_key, ALICE, Peer())
    with pytest.raises(DialFailure) as failure:
        await pair.near.dial(pair.address, BOB.public_key, ALICE, Peer())
    assert failure.value.code == "busy"
    pair.link.send([some_frame()])
    second.send([some_frame()])
    await pair.bob.until(lambda: pair.bob.count == 2)
    second.close()
    await pair.bob.until(lambda: len(pair.bob.ends) == 1)
    await pair.near.dial(pair.address, BOB.public_key, ALICE, Peer())


@scenario(*REAL)
async def test_one_host_gets_no_more_links_than_its_share(world: World) -> None:
    pair = await world.pair(Limits(per_host=2, per_key=8))
    await pair.near.dial(pair.address, BOB.public_key, CAROL, Peer())
    with pytest.raises(DialFailure) as failure:
        await pair.near.dial(pair.address, BOB.public_key, ALICE, Peer())
    assert failure.value.code == "busy"
    pair.link.send([some_frame()])
    await pair.bob.until(lambda: pair.bob.count == 1)


@scenario(*ALL)
async def test_a_cancelled_dial_leaves_nothing_behind(world: World) -> None:
    far, near, bob = world.make(BOB), world.make(ALICE), Peer()
    address = await far.listen("127.0.0.1", 0, bob)
    for turns in (0, 1, 2, 3, 5, 8, 13):
        dial = asyncio.ensure_future(near.dial(address, BOB.public_key, ALICE, Peer()))
        for _ in range(turns):
            await asyncio.sleep(0)
        dial.cancel()
        await asyncio.gather(dial, return_exceptions=True)
    fine = await near.dial(address, BOB.public_key, ALICE, Peer())
    assert fine.remote_key == BOB.public_key
