"""A guard fed cell by cell, with plain TCP servers in the relays' place: bounds, half closes, what a client may not do.

Only the proof of keys is left out here; tests/integration/test_tunnels.py has it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from railgun_core.base.ids import LinkId, PeerId, PublicKey
from railgun_core.base.keys import Identity
from railgun_core.transport.link import DialFailure
from railgun_core.transport.tls import TlsTransport
from railgun_core.transport.tunnel import WINDOW_CELLS, StreamEnd, TunnelLimits, close_cell, read_end
from railgun_core.transport.tunnel_guard import TCP_HIGH_BYTES, TunnelGuard
from railgun_core.transport.tunnel_proofs import Place, Proofs
from railgun_core.wire.codec import u32
from railgun_core.wire.frames import CELL_DATA_BYTES, Cell, CellKind, decode_control
from railgun_core.wire.records import Address, AddressKind

RELAY, STRANGER = PeerId(b"r" * 32), PeerId(b"s" * 32)
KEY = PublicKey(b"k" * 32)
CLIENT, OTHER = LinkId(1), LinkId(2)


class Trusting(TlsTransport):
    """Connects as a guard does, and takes every relay's word for its address."""

    async def prove(self, address: Address, expected: PublicKey) -> None:
        return


class Wire:
    """A client's link: it grants credit for what it hears when `grants` says so."""

    def __init__(self, guard: TunnelGuard, number: LinkId = CLIENT) -> None:
        self.guard, self.number = guard, number
        self.cells: list[Cell] = []

    def send(self, chunks: Sequence[bytes | memoryview]) -> None:
        for chunk in chunks:
            cell = decode_control(bytes(chunk), 0, len(chunk))
            assert isinstance(cell, Cell)
            self.cells.append(cell)

    def say(self, kind: CellKind, data: bytes = b"", stream: int = 1) -> None:
        self.guard.cell(self.number, Cell(kind, stream, data), send=self.send)

    def end(self, end: StreamEnd, stream: int = 1) -> None:
        frame = close_cell(stream, end)
        cell = decode_control(frame, 0, len(frame))
        assert isinstance(cell, Cell)
        self.guard.cell(self.number, cell, send=self.send)

    def ends(self, stream: int = 1) -> list[StreamEnd]:
        return [read_end(cell.data) for cell in self.cells if cell.kind is CellKind.CLOSE and cell.stream == stream]

    def data(self, stream: int = 1) -> bytes:
        return b"".join(cell.data for cell in self.cells if cell.kind is CellKind.DATA and cell.stream == stream)

    def count(self, kind: CellKind) -> int:
        return sum(cell.kind is kind for cell in self.cells)

    async def opened(self, stream: int = 1) -> None:
        before = self.count(CellKind.CONNECTED)
        self.say(CellKind.CONNECT, RELAY, stream)
        await until(lambda: self.count(CellKind.CONNECTED) == before + 1)


async def until(condition: Callable[[], bool], wait_s: float = 5.0) -> None:
    """A bounded wait for what no event tells."""
    async with asyncio.timeout(wait_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@asynccontextmanager
async def guarding(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]] | None,
    limits: TunnelLimits | None = None,
    *,
    port: int = 0,
) -> AsyncIterator[TunnelGuard]:
    """A guard that knows one relay: a TCP server that does what `serve` says."""
    server = None
    serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        assert serve is not None
        serving[task] = writer
        with suppress(ConnectionError):
            await serve(reader, writer)
        writer.close()

    if serve is not None:
        server = await asyncio.start_server(served, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
    place = Place(KEY, Address(AddressKind.TLS, "127.0.0.1", port))
    transport = Trusting(Identity(b"\x05" * 32))
    guard = TunnelGuard(transport, lambda peer: place if peer == RELAY else None, limits=limits)
    try:
        yield guard
    finally:
        await guard.close()
        await transport.close()
        if server is not None:
            server.close()
            for writer in serving.values():
                writer.transport.abort()  # one that does not read hears of nothing
            await asyncio.gather(*serving)
            await server.wait_closed()
        assert len(guard) == 0


async def quiet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads nothing until the other side is gone."""
    await writer.wait_closed()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(60_000):
        writer.write(data)
        await writer.drain()
    writer.write_eof()
    await writer.wait_closed()


async def test_bytes_go_to_the_relay_and_back_and_a_half_close_loses_nothing() -> None:
    async with guarding(echo) as guard:
        wire = Wire(guard)
        await wire.opened()
        wire.say(CellKind.DATA, b"one ")
        wire.say(CellKind.DATA, b"two")
        wire.end(StreamEnd.EOF)
        await until(lambda: bool(wire.ends()))
        assert wire.data() == b"one two"
        assert wire.ends() == [StreamEnd.EOF]
        assert (guard.counts.up_bytes, guard.counts.down_bytes, guard.counts.opened) == (7, 7, 1)
        wire.end(StreamEnd.ORDER)
        await until(lambda: len(guard) == 0)


async def test_an_unknown_relay_and_a_name_that_is_none_are_refused_without_a_connection() -> None:
    async with guarding(echo) as guard:
        wire = Wire(guard)
        wire.say(CellKind.CONNECT, STRANGER, 1)
        wire.say(CellKind.CONNECT, b"", 2)
        wire.say(CellKind.CONNECT, b"127.0.0.1:22", 3)
        wire.say(CellKind.CONNECT, RELAY + b"x", 4)
        assert [wire.ends(stream) for stream in (1, 2, 3, 4)] == [[StreamEnd.REFUSED]] * 4
        assert guard.counts.refused == 4
        assert len(guard) == guard.counts.opened == 0


async def test_a_relay_that_nobody_runs_is_unreachable() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with guarding(None, port=port) as guard:
        wire = Wire(guard)
        wire.say(CellKind.CONNECT, RELAY)
        await until(lambda: bool(wire.ends()))
        assert wire.ends() == [StreamEnd.UNREACHABLE]
        assert (len(guard), guard.counts.failed) == (0, 1)


async def test_one_client_and_all_clients_together_have_bounded_streams_and_get_them_back() -> None:
    async with guarding(quiet, TunnelLimits(per_link=3, total=4)) as guard:
        one, two = Wire(guard), Wire(guard, OTHER)
        for stream in (1, 2, 3):
            await one.opened(stream)
        one.say(CellKind.CONNECT, RELAY, 4)
        assert one.ends(4) == [StreamEnd.BUSY]
        await two.opened(1)
        two.say(CellKind.CONNECT, RELAY, 2)
        assert two.ends(2) == [StreamEnd.BUSY]
        guard.link_closed(CLIENT)
        await until(lambda: len(guard) == 1)
        await two.opened(3)


async def test_connections_under_way_count_too() -> None:
    async with guarding(quiet, TunnelLimits(per_link=2)) as guard:
        wire = Wire(guard)
        for stream in range(50):
            wire.say(CellKind.CONNECT, RELAY, stream)
        assert len(guard) == 2
        assert wire.count(CellKind.CLOSE) == 48


async def test_a_relay_that_does_not_read_stops_the_client_and_holds_a_window_at_most() -> None:
    async with guarding(quiet) as guard:
        wire = Wire(guard)
        await wire.opened()
        sent = 0
        room = WINDOW_CELLS
        for _ in range(3_000):
            if not room:
                break
            wire.cells.clear()
            for _ in range(room):
                wire.say(CellKind.DATA, bytes(CELL_DATA_BYTES))
            sent += room
            await asyncio.sleep(0.002)
            room = sum(int.from_bytes(cell.data, "big") for cell in wire.cells if cell.kind is CellKind.CREDIT)
            room //= CELL_DATA_BYTES
        assert room == 0  # what the kernel took is gone; the rest stays here
        stream = guard._links[CLIENT][1]
        assert stream._tcp is not None
        assert stream._tcp.get_write_buffer_size() <= TCP_HIGH_BYTES + WINDOW_CELLS * CELL_DATA_BYTES
        assert not wire.ends()


async def test_twenty_megabytes_for_a_client_that_reads_slowly_never_pile_up_at_the_guard() -> None:
    total = 20_000_000

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        block = bytes(range(250)) * 4_000
        for _ in range(total // len(block)):
            writer.write(block)
            await writer.drain()
        writer.write_eof()
        await quiet(reader, writer)

    async with guarding(pour) as guard:
        wire = Wire(guard)
        await wire.opened()
        stream = guard._links[CLIENT][1]
        heard = most_held = 0
        async with asyncio.timeout(60):
            while not wire.ends():
                before = wire.count(CellKind.DATA)
                assert before <= WINDOW_CELLS
                heard += len(wire.data())
                wire.cells = [cell for cell in wire.cells if cell.kind is CellKind.CLOSE]
                if before:
                    wire.say(CellKind.CREDIT, u32(before * CELL_DATA_BYTES))
                most_held = max(most_held, len(stream._held))
                await asyncio.sleep(0)
        heard += len(wire.data())
        assert heard == total
        assert most_held <= CELL_DATA_BYTES
        assert wire.ends() == [StreamEnd.EOF]


@pytest.mark.parametrize(
    "bad",
    [
        Cell(CellKind.CONNECT, 1, RELAY),
        Cell(CellKind.CONNECTED, 1, b""),
        Cell(CellKind.CREDIT, 1, u32(CELL_DATA_BYTES)),
        Cell(CellKind.CREDIT, 1, b"abc"),
        Cell(CellKind.CLOSE, 1, b"\xff"),
    ],
)
async def test_a_client_that_says_what_cannot_be_loses_that_stream_only(bad: Cell) -> None:
    async with guarding(echo) as guard:
        wire = Wire(guard)
        await wire.opened(1)
        await wire.opened(2)
        guard.cell(CLIENT, bad, send=wire.send)
        await until(lambda: len(guard) == 1)
        assert wire.ends(1) == [StreamEnd.MISUSE]
        wire.say(CellKind.DATA, b"fine", 2)
        await until(lambda: wire.data(2) == b"fine")


async def test_a_client_that_ignores_its_window_is_cut_off() -> None:
    async with guarding(quiet) as guard:
        wire = Wire(guard)
        await wire.opened()
        for _ in range(WINDOW_CELLS + 1):
            wire.say(CellKind.DATA, bytes(CELL_DATA_BYTES))
        assert wire.ends() == [StreamEnd.MISUSE]


async def test_data_before_the_connection_or_after_the_end_is_misuse_and_for_no_stream_is_ignored() -> None:
    async with guarding(quiet) as guard:
        wire = Wire(guard)
        wire.say(CellKind.DATA, b"nobody", 9)
        wire.say(CellKind.CONNECT, RELAY, 1)
        wire.say(CellKind.DATA, b"early", 1)
        assert wire.ends(1) == [StreamEnd.MISUSE]
        await wire.opened(2)
        wire.end(StreamEnd.EOF, 2)
        wire.say(CellKind.DATA, b"more", 2)
        assert wire.ends(2) == [StreamEnd.MISUSE]
        await until(lambda: len(guard) == 0)


async def test_a_stream_without_traffic_ends() -> None:
    async with guarding(quiet, TunnelLimits(idle_s=0.2)) as guard:
        wire = Wire(guard)
        await wire.opened()
        await until(lambda: bool(wire.ends()))
        assert wire.ends() == [StreamEnd.IDLE]
        await until(lambda: len(guard) == 0)


async def test_what_was_read_without_credit_is_held_and_comes_first_when_credit_comes() -> None:
    """Windows hands over a whole read whatever the buffer: the guard may not lose it, nor send it too early."""
    async with guarding(echo) as guard:
        wire = Wire(guard)
        await wire.opened()
        stream = guard._links[CLIENT][1]
        stream._window.cells = 0
        for part in (b"first ", b"second "):
            assert len(stream.get_buffer(-1)) > 0
            guard.scratch[: len(part)] = part
            stream.buffer_updated(len(part))
        stream.eof_received()
        assert wire.count(CellKind.DATA) == wire.count(CellKind.CLOSE) == 0
        wire.say(CellKind.CREDIT, u32(CELL_DATA_BYTES))
        assert wire.data() == b"first second "
        assert wire.ends() == [StreamEnd.EOF]


async def test_a_relay_that_never_answers_ends_at_the_deadline_and_leaves_nothing() -> None:
    class Waiting(Trusting):
        async def prove(self, address: Address, expected: PublicKey) -> None:
            await asyncio.Event().wait()

    transport = Waiting(Identity(b"\x05" * 32))
    place = Place(KEY, Address(AddressKind.TLS, "127.0.0.1", 9))
    guard = TunnelGuard(transport, lambda peer: place, limits=TunnelLimits(connect_s=0.1))
    wire = Wire(guard)
    wire.say(CellKind.CONNECT, RELAY)
    assert len(guard) == 1
    await until(lambda: bool(wire.ends()))
    assert wire.ends() == [StreamEnd.TIMEOUT]
    assert len(guard) == 0
    wire.say(CellKind.CONNECT, RELAY, 2)
    guard.link_closed(CLIENT)
    assert len(guard) == 0
    await guard.close()
    await transport.close()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_relay_that_resets_is_told_as_a_reset() -> None:
    async def slam(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    async with guarding(slam) as guard:
        wire = Wire(guard)
        await wire.opened()
        wire.say(CellKind.DATA, b"hello, and more that is never read")
        await until(lambda: len(guard) == 0 or wire.ends() == [StreamEnd.EOF])
        for _ in range(5):  # writing into the dead connection is what shows that it is dead
            wire.say(CellKind.DATA, b"again")
            await asyncio.sleep(0.01)
        await until(lambda: StreamEnd.RESET in wire.ends())


async def test_many_clients_waiting_for_one_relay_cost_one_proof_and_a_failure_is_remembered() -> None:
    asked = 0
    answer = asyncio.Event()

    class Prover:
        async def prove(self, address: Address, expected: PublicKey) -> None:
            nonlocal asked
            asked += 1
            await answer.wait()
            if expected != KEY:
                raise DialFailure("another peer answered", code="wrong-peer")

    proofs = Proofs(Prover())
    good = Place(KEY, Address(AddressKind.TLS, "127.0.0.1", 9))
    bad = Place(PublicKey(b"b" * 32), good.address)
    waiting = [asyncio.ensure_future(proofs.check(good)) for _ in range(20)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    answer.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert results[1:] == [None] * 19
    await proofs.check(good)
    assert asked == 1
    for _ in range(5):
        with pytest.raises(DialFailure) as failure:
            await proofs.check(bad)
        assert failure.value.code == "wrong-peer"
    assert asked == 2
    await proofs.close()
