"""What every transport promises, checked over real sockets (and memory), on asyncio and on uvloop.

Each scenario runs in a loop of its own; when it ends, its transports are closed, and no task and no socket may be
left. Waits are for events, with a deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import hashlib
import random
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.base.keys import Identity
from railgun_core.transport.link import CloseReason, DialFailure, Limits, Link, Transport
from railgun_core.transport.memory import MemoryLink, MemoryNetwork, MemoryTransport
from railgun_core.transport.quic import QuicTransport
from railgun_core.transport.tls import TlsTransport
from railgun_core.wire.frames import FrameBatch, FrameType, frame
from railgun_core.wire.records import Address, AddressKind

WAIT_S = 30.0
ALICE, BOB, CAROL = (Identity(bytes((n,)) * 32) for n in (1, 2, 3))
ROOT = Path(__file__).resolve().parents[2]


class Peer:
    """A handler and acceptor that writes down what it hears."""

    def __init__(self) -> None:
        self.links: list[Link] = []
        self.ends: list[CloseReason] = []
        self.reads = self.count = self.credits = 0
        self.digest = hashlib.sha256()
        self.after_end = 0
        self.on_frames: Callable[[Link], None] | None = None
        self._changed = asyncio.Event()

    def accepted(self, link: Link) -> Peer:
        self.links.append(link)
        self._changed.set()
        return self

    def frames(self, link: Link, batch: FrameBatch) -> None:
        self.reads += 1
        self.count += len(batch)
        self.digest.update(batch.data[batch.bounds[0] : batch.bounds[-1]])
        self.after_end += len(self.ends)
        if self.on_frames is not None:
            self.on_frames(link)
        self._changed.set()

    def credit(self, link: Link) -> None:
        self.credits += 1
        self.after_end += len(self.ends)
        self._changed.set()

    def closed(self, link: Link, reason: CloseReason) -> None:
        self.ends.append(reason)
        self._changed.set()

    async def until(self, condition: Callable[[], bool], wait_s: float = WAIT_S) -> None:
        async with asyncio.timeout(wait_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


class World:
    """The transports of one scenario."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._network = MemoryNetwork()
        self._made: list[Transport] = []

    def make(self, identity: Identity, limits: Limits | None = None) -> Transport:
        made: Transport
        if self.kind == "memory":
            made = MemoryTransport(identity, self._network, limits=limits)
        elif self.kind == "tls":
            made = TlsTransport(identity, limits=limits)
        else:
            made = QuicTransport(identity, limits=limits)
        self._made.append(made)
        return made

    async def pair(self, limits: Limits | None = None, far_limits: Limits | None = None) -> Pair:
        """Alice has dialled Bob."""
        near, far, alice, bob = self.make(ALICE, limits), self.make(BOB, far_limits or limits), Peer(), Peer()
        address = await far.listen("127.0.0.1", 0, bob)
        link = await near.dial(address, BOB.public_key, ALICE, alice)
        await bob.until(lambda: bool(bob.links))
        return Pair(near, far, alice, bob, link, bob.links[0], address)

    async def close(self) -> None:
        for transport in self._made:
            await transport.close()
            await transport.close()  # harmless
        for _ in range(3):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}


@dataclasses.dataclass
class Pair:
    near: Transport
    far: Transport
    alice: Peer
    bob: Peer
    link: Link
    far_link: Link
    address: Address


def _loops() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.SelectorEventLoop}
    with contextlib.suppress(ImportError):
        import uvloop

        loops["uvloop"] = uvloop.new_event_loop
    return loops


def scenario(*kinds: str) -> Callable[[Callable[[World], Awaitable[None]]], Callable[[str, str], None]]:
    """Run an async scenario for each kind of transport on each loop."""

    def decorate(body: Callable[[World], Awaitable[None]]) -> Callable[[str, str], None]:
        async def whole(kind: str) -> None:
            world = World(kind)
            try:
                await body(world)
            finally:
                await world.close()

        def run(kind: str, loop: str) -> None:
            with asyncio.Runner(loop_factory=_loops()[loop]) as runner:
                runner.run(whole(kind))
            gc.collect()  # a forgotten socket warns here, and a warning is an error

        run.__name__, run.__doc__, run.__module__ = body.__name__, body.__doc__, body.__module__
        settings = [(k, loop) for k in kinds for loop in _loops() if k != "memory" or loop == "asyncio"]
        return pytest.mark.parametrize(("kind", "loop"), settings)(run)

    return decorate


def some_frame(size: int = 64) -> bytes:
    return frame(FrameType.ENVELOPE, b"e" * (size - 5))


ALL = ("memory", "tls", "quic")
REAL = ("tls", "quic")


async def pour(link: Link, peer: Peer, chunks: Sequence[bytes]) -> None:
    """Send all of `chunks` within the link's credit."""
    at = 0
    while at < len(chunks):
        size, start = 0, at
        while at < len(chunks) and size < link.credit_bytes:
            size += len(chunks[at])
            at += 1
        heard = peer.credits
        link.send(chunks[start:at])
        if not link.credit_bytes:
            await peer.until(lambda heard=heard: peer.credits > heard)  # type: ignore[misc]


@scenario(*ALL)
async def test_ten_thousand_frames_of_any_size_arrive_whole_and_in_order_both_ways(world: World) -> None:
    rng = random.Random(7)
    pair = await world.pair()
    sizes = [rng.choice((6, 14, 33, 289, 900, 4129)) for _ in range(9_990)] + [
        rng.randrange(6, 70_001) for _ in range(9)
    ]
    chunks = [frame(FrameType.ENVELOPE, rng.randbytes(size - 5)) for size in [*sizes, 70_000]]
    rng.shuffle(chunks)
    want = hashlib.sha256(b"".join(chunks)).digest()
    async with asyncio.TaskGroup() as group:
        group.create_task(pour(pair.link, pair.alice, chunks))
        group.create_task(pour(pair.far_link, pair.bob, [memoryview(chunk) for chunk in chunks]))  # type: ignore[list-item]
    for peer in (pair.alice, pair.bob):
        await peer.until(lambda peer=peer: peer.count == 10_000)  # type: ignore[misc]
        assert peer.digest.digest() == want
        assert peer.reads < 3_000  # joined, not one by one
    assert pair.link.bytes_sent == pair.far_link.bytes_received == sum(map(len, chunks))


@scenario(*ALL)
async def test_chunks_of_one_loop_iteration_leave_in_one_write(world: World) -> None:
    pair = await world.pair()
    for _ in range(100):
        pair.link.send([some_frame(10)])
    await pair.bob.until(lambda: pair.bob.count == 100)
    assert pair.bob.reads == 1


@scenario(*ALL)
async def test_a_busy_link_joins_the_chunks_of_a_tick(world: World) -> None:
    pair = await world.pair(Limits(tick_s=0.1))
    for _ in range(50):
        pair.link.send([some_frame(10)])
        await asyncio.sleep(0)
    await pair.bob.until(lambda: pair.bob.count == 50)
    assert pair.bob.reads <= 3


@scenario(*ALL)
async def test_credit_falls_to_zero_and_comes_back(world: World) -> None:
    pair = await world.pair()
    assert pair.link.credit_bytes == Limits().queue_bytes
    pair.link.send([some_frame(60_000)] * 5)
    assert pair.link.credit_bytes == 0
    await pair.alice.until(lambda: pair.alice.credits == 1)
    assert pair.link.credit_bytes > Limits().queue_bytes // 2
    await pair.bob.until(lambda: pair.bob.count == 5)
    assert pair.alice.credits == 1


@scenario(*ALL)
async def test_a_link_that_lets_too_much_pile_up_is_closed(world: World) -> None:
    pair = await world.pair()
    pair.link.send([some_frame(60_000)] * 100)
    assert not pair.alice.ends  # never from inside send()
    await pair.alice.until(lambda: bool(pair.alice.ends))
    assert pair.alice.ends == [CloseReason.OVERFLOW]
    await pair.bob.until(lambda: bool(pair.bob.ends))


@scenario(*ALL)
async def test_bytes_that_are_no_frame_close_only_their_own_link(world: World) -> None:
    pair = await world.pair()
    bad = (struct.pack(">I", 70_001 - 4) + b"x", struct.pack(">I", 0) + b"xxxx", b"\xff" * 500)
    for garbage in bad:
        attacker = Peer()
        before = len(pair.bob.links)
        link = await pair.near.dial(pair.address, BOB.public_key, CAROL, attacker)
        await pair.bob.until(lambda before=before: len(pair.bob.links) > before)  # type: ignore[misc]
        link.send([garbage])
        await attacker.until(lambda attacker=attacker: bool(attacker.ends))  # type: ignore[misc]
    await pair.bob.until(lambda: len(pair.bob.ends) == 3)
    assert pair.bob.ends == [CloseReason.MALFORMED] * 3
    pair.link.send([some_frame()])
    await pair.bob.until(lambda: pair.bob.count == 1)
    assert not pair.alice.ends


@scenario(*ALL)
async def test_the_largest_frame_passes(world: World) -> None:
    pair = await world.pair()
    pair.link.send([some_frame(70_000)])
    await pair.bob.until(lambda: pair.bob.count == 1)


@scenario(*ALL)
async def test_both_sides_know_each_other_and_share_a_binding_that_no_other_link_has(world: World) -> None:
    pair = await world.pair()
    again = await pair.near.dial(pair.address, BOB.public_key, ALICE, Peer())
    await pair.bob.until(lambda: len(pair.bob.links) == 2)
    assert (pair.link.remote_key, pair.far_link.remote_key) == (BOB.public_key, ALICE.public_key)
    assert (pair.link.inbound, pair.far_link.inbound) == (False, True)
    assert pair.link.binding == pair.far_link.binding
    assert again.binding == pair.bob.links[1].binding != pair.link.binding
    assert len(again.binding) == 32
    assert pair.link.transport == world.kind
    assert pair.link.remote_host == ("" if world.kind == "memory" else "127.0.0.1")


@scenario(*ALL)
async def test_a_pseudonym_is_all_that_the_other_side_sees(world: World) -> None:
    pair = await world.pair()
    handler = Peer()
    link = await pair.near.dial(pair.address, BOB.public_key, CAROL, handler)
    await pair.bob.until(lambda: len(pair.bob.links) == 2)
    assert pair.bob.links[1].remote_key == CAROL.public_key
    link.send([some_frame()])
    await pair.bob.until(lambda: pair.bob.count == 1)
    link.close()
    await handler.until(lambda: bool(handler.ends))
    again = await pair.near.dial(pair.address, BOB.public_key, CAROL, Peer())
    assert again.remote_key == BOB.public_key


@scenario(*ALL)
async def test_a_peer_with_another_key_is_found_out(world: World) -> None:
    pair = await world.pair()
    with pytest.raises(DialFailure) as failure:
        await pair.near.dial(pair.address, CAROL.public_key, ALICE, Peer())
    assert failure.value.code == "wrong-peer"
    assert len(pair.bob.links) == 1


@scenario(*ALL)
async def test_a_clean_close_delivers_everything_sent_before(world: World) -> None:
    pair = await world.pair()
    pair.link.send([some_frame(50_000)] * 60)
    pair.link.close()
    pair.link.close()
    pair.link.send([some_frame()])
    await pair.bob.until(lambda: bool(pair.bob.ends))
    await pair.alice.until(lambda: bool(pair.alice.ends))
    assert pair.bob.count == 60
    assert (pair.alice.ends, pair.bob.ends) == ([CloseReason.LOCAL], [CloseReason.REMOTE])
    assert pair.alice.after_end == pair.bob.after_end == 0


@scenario(*ALL)
async def test_a_handler_may_answer_and_close_while_it_is_told_of_frames(world: World) -> None:
    pair = await world.pair()

    def answer(link: Link) -> None:
        link.send([some_frame(500)])
        link.close()

    pair.bob.on_frames = answer
    pair.link.send([some_frame()])
    pair.link.send([some_frame(60_000)] * 4)
    await pair.alice.until(lambda: bool(pair.alice.ends))
    await pair.bob.until(lambda: bool(pair.bob.ends))
    assert pair.alice.count == 1
    assert (pair.alice.ends, pair.bob.ends) == ([CloseReason.REMOTE], [CloseReason.LOCAL])


@scenario(*ALL)
async def test_closing_a_transport_ends_its_links_in_order(world: World) -> None:
    pair = await world.pair()
    pair.link.send([some_frame(30_000)] * 3)
    async with asyncio.timeout(2.0):
        await pair.near.close()
    assert pair.alice.ends == [CloseReason.LOCAL]
    await pair.bob.until(lambda: bool(pair.bob.ends))
    assert pair.bob.count == 3
    with pytest.raises(DialFailure):
        await pair.near.dial(Address(pair.address.kind, "127.0.0.1", 9), BOB.public_key, ALICE, Peer())


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
    transport = (TlsTransport if sys.argv[1] == "tls" else QuicTransport)(Identity(bytes([2]) * 32))
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
        yield child, Address(AddressKind.TLS if kind == "tls" else AddressKind.QUIC, "127.0.0.1", port)
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
        socket.socket(type=socket.SOCK_STREAM if world.kind == "tls" else socket.SOCK_DGRAM)
    ) as deaf:
        deaf.bind(("127.0.0.1", 0))
        if world.kind == "tls":
            deaf.listen(1)
        address = Address(AddressKind.TLS, "127.0.0.1", deaf.getsockname()[1])
        started = asyncio.get_running_loop().time()
        with pytest.raises(DialFailure) as failure:
            await near.dial(address, BOB.public_key, ALICE, Peer())
    assert failure.value.code == "timeout"
    assert asyncio.get_running_loop().time() - started < 1.5


@scenario("memory", "tls")
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
