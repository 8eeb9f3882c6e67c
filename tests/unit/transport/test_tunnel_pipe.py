"""A pipe fed cell by cell: what a guard may say in any order, and what a protocol is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from railgun_core.base.ids import PeerId
from railgun_core.transport.link import DialFailure
from railgun_core.transport.tunnel import WINDOW_CELLS, StreamEnd, close_cell, read_end
from railgun_core.transport.tunnel_pipe import TunnelClient, TunnelPipe
from railgun_core.wire.codec import u32
from railgun_core.wire.frames import CELL_DATA_BYTES, Cell, CellKind, decode_control

RELAY = PeerId(b"r" * 32)


class Told(asyncio.Protocol):
    """Writes down what a transport tells."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.data = bytearray()
        self.keeps_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.events.append("made")

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> bool:
        self.events.append("eof")
        return self.keeps_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append("lost" if exc is None else "broken")

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")


class Wire:
    """The link: what the client sent, cell by cell."""

    def __init__(self) -> None:
        self.cells: list[Cell] = []
        self.client = TunnelClient(self.send)

    def send(self, chunks: Sequence[bytes | memoryview]) -> None:
        for chunk in chunks:
            cell = decode_control(bytes(chunk), 0, len(chunk))
            assert isinstance(cell, Cell)
            self.cells.append(cell)

    def say(self, kind: CellKind, data: bytes = b"", stream: int = 1) -> None:
        self.client.cell(Cell(kind, stream, data))

    def end(self, end: StreamEnd) -> None:
        frame = close_cell(1, end)
        cell = decode_control(frame, 0, len(frame))
        assert isinstance(cell, Cell)
        self.client.cell(cell)

    def take(self, kind: CellKind) -> list[bytes]:
        found = [cell.data for cell in self.cells if cell.kind is kind]
        self.cells = [cell for cell in self.cells if cell.kind is not kind]
        return found

    async def opened(self) -> tuple[TunnelPipe, Told]:
        told = Told()
        opening = asyncio.ensure_future(self.client.open(RELAY, told))
        await asyncio.sleep(0)
        assert self.take(CellKind.CONNECT) == [RELAY]
        self.say(CellKind.CONNECTED)
        return await opening, told


async def turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_twenty_small_writes_of_one_turn_leave_in_one_cell() -> None:
    wire = Wire()
    pipe, _ = await wire.opened()
    for number in range(20):
        pipe.write(bytes([number]) * 33)
    assert not wire.cells
    await turn()
    assert wire.take(CellKind.DATA) == [b"".join(bytes([number]) * 33 for number in range(20))]


async def test_without_credit_bytes_wait_and_are_joined_into_full_cells() -> None:
    wire = Wire()
    pipe, told = await wire.opened()
    pipe.write(bytes(WINDOW_CELLS * CELL_DATA_BYTES))
    await turn()
    assert len(wire.take(CellKind.DATA)) == WINDOW_CELLS
    for _ in range(3_000):
        pipe.write(b"x" * 30)
        await asyncio.sleep(0)
    assert told.events == ["made", "pause"]
    assert not wire.cells
    for _ in range(2):
        wire.say(CellKind.CREDIT, u32(WINDOW_CELLS * CELL_DATA_BYTES))
        await turn()
    cells = wire.take(CellKind.DATA)
    assert [len(cell) for cell in cells[:-1]] == [CELL_DATA_BYTES] * (len(cells) - 1)
    assert sum(map(len, cells)) == 90_000
    assert told.events == ["made", "pause", "resume"]


async def test_the_end_of_writing_comes_behind_the_last_byte_and_reading_goes_on() -> None:
    wire = Wire()
    pipe, told = await wire.opened()
    pipe.write(b"a" * (WINDOW_CELLS + 1) * CELL_DATA_BYTES)
    pipe.write_eof()
    pipe.write(b"too late")
    await turn()
    assert not wire.take(CellKind.CLOSE)
    wire.say(CellKind.DATA, b"still heard")
    wire.say(CellKind.CREDIT, u32(6 * CELL_DATA_BYTES))
    wire.say(CellKind.CREDIT, u32(3 * CELL_DATA_BYTES))
    await turn()
    assert [cell.kind for cell in wire.cells] == [CellKind.DATA] * (WINDOW_CELLS + 1) + [CellKind.CLOSE]
    assert read_end(wire.cells[-1].data) is StreamEnd.EOF
    assert told.data == b"still heard"
    wire.end(StreamEnd.ORDER)
    await turn()
    assert told.events == ["made", "pause", "resume", "lost"]
    assert len(wire.client) == 0


async def test_when_the_relay_ends_its_half_the_pipe_closes_unless_the_protocol_keeps_it() -> None:
    for keeps_open, sent, events in ((False, [StreamEnd.ORDER], ["made", "eof", "lost"]), (True, [], ["made", "eof"])):
        wire = Wire()
        _, told = await wire.opened()
        told.keeps_open = keeps_open
        wire.end(StreamEnd.EOF)
        wire.end(StreamEnd.EOF)  # once is enough
        await turn()
        assert [read_end(data) for data in wire.take(CellKind.CLOSE)] == sent
        assert told.events == events


@pytest.mark.parametrize(
    "bad",
    [
        Cell(CellKind.CONNECTED, 1, b""),
        Cell(CellKind.CONNECT, 1, bytes(32)),
        Cell(CellKind.CREDIT, 1, u32(CELL_DATA_BYTES)),
        Cell(CellKind.CREDIT, 1, b"x"),
        Cell(CellKind.CLOSE, 1, b""),
        Cell(CellKind.IDLE, 1, b""),
    ],
)
async def test_a_guard_that_says_what_cannot_be_loses_its_stream_and_no_other(bad: Cell) -> None:
    wire = Wire()
    _, told = await wire.opened()
    other = asyncio.ensure_future(wire.client.open(RELAY, Told()))
    await asyncio.sleep(0)
    wire.client.cell(bad)
    await turn()
    assert told.events == ["made", "broken"]
    assert [read_end(data) for data in wire.take(CellKind.CLOSE)] == [StreamEnd.MISUSE]
    wire.say(CellKind.CONNECTED, stream=2)
    assert (await other).stream == 2


async def test_a_guard_that_ignores_credit_is_cut_off() -> None:
    wire = Wire()
    pipe, told = await wire.opened()
    pipe._window._expected = 2  # as if all the rest were on its way
    for _ in range(3):
        wire.say(CellKind.DATA, b"z")
    await turn()
    assert told.data == b"zz"
    assert told.events == ["made", "broken"]


async def test_data_before_the_stream_is_open_is_misuse() -> None:
    wire = Wire()
    opening = asyncio.ensure_future(wire.client.open(RELAY, Told()))
    await asyncio.sleep(0)
    wire.say(CellKind.DATA, b"early")
    with pytest.raises(DialFailure) as failure:
        await opening
    assert failure.value.code == "unreachable"


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (StreamEnd.BUSY, "busy"),
        (StreamEnd.REFUSED, "refused"),
        (StreamEnd.TIMEOUT, "timeout"),
        (StreamEnd.WRONG_PEER, "wrong-peer"),
        (StreamEnd.UNREACHABLE, "unreachable"),
        (StreamEnd.ORDER, "unreachable"),
        (StreamEnd.EOF, "unreachable"),
    ],
)
async def test_a_refusal_reaches_the_dial_under_its_code(end: StreamEnd, code: str) -> None:
    wire = Wire()
    told = Told()
    opening = asyncio.ensure_future(wire.client.open(RELAY, told))
    await asyncio.sleep(0)
    wire.end(end)
    with pytest.raises(DialFailure) as failure:
        await opening
    await turn()
    assert failure.value.code == code
    assert not told.events
    assert len(wire.client) == 0


async def test_when_the_link_to_the_guard_ends_dials_fail_and_pipes_break() -> None:
    wire = Wire()
    _, told = await wire.opened()
    opening = asyncio.ensure_future(wire.client.open(RELAY, Told()))
    await asyncio.sleep(0)
    wire.client.down()
    with pytest.raises(DialFailure) as failure:
        await opening
    await turn()
    assert failure.value.code == "no-guard"
    assert told.events == ["made", "broken"]
    assert len(wire.client) == 0


async def test_a_cancelled_dial_tells_the_guard_and_a_late_answer_changes_nothing() -> None:
    wire = Wire()
    told = Told()
    opening = asyncio.ensure_future(wire.client.open(RELAY, told))
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    assert [read_end(data) for data in wire.take(CellKind.CLOSE)] == [StreamEnd.RESET]
    wire.say(CellKind.CONNECTED)
    wire.say(CellKind.DATA, b"late")
    await turn()
    assert not told.events
    assert len(wire.client) == 0


async def test_an_aborted_pipe_says_so_once_and_nothing_follows() -> None:
    wire = Wire()
    pipe, told = await wire.opened()
    pipe.write(b"never sent")
    pipe.abort()
    pipe.abort()
    wire.say(CellKind.DATA, b"late")
    await turn()
    assert [cell.kind for cell in wire.cells] == [CellKind.CLOSE]
    assert told.events == ["made", "lost"]
    assert not told.data
