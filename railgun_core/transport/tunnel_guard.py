"""The guard's end of tunnels: plain TCP connections to relays, opened for clients and bounded in every way.

A client names a relay by its peer id and nothing else; `place` answers where it is, or None, and the relay proves its
key there first: a guard connects to relays that it knows itself and is no open proxy (threats.md B36).

Bytes that came from TCP are cut into cells at once: the socket is read only as far as the client's credit goes, so
what a slow client costs stays in the kernel and in the relay. Bytes for TCP wait in asyncio's buffer; credit for them
comes back below its high-water mark.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import LinkId, PeerId
from railgun_core.transport.link import DialFailure
from railgun_core.transport.tunnel import (
    WINDOW_BYTES,
    StreamEnd,
    TunnelLimits,
    Window,
    close_cell,
    data_cells,
    read_end,
)
from railgun_core.transport.tunnel_pipe import Send
from railgun_core.transport.tunnel_proofs import Place, Proofs, Prover
from railgun_core.wire.frames import CELL_DATA_BYTES, Cell, CellKind
from railgun_core.wire.records import Address

TCP_HIGH_BYTES = 32 * 1024
PEER_ID_BYTES = 32
_ENDS = {"wrong-peer": StreamEnd.WRONG_PEER, "timeout": StreamEnd.TIMEOUT, "busy": StreamEnd.BUSY}
FindPlace = Callable[[PeerId], Place | None]


class Opener(Prover, Protocol):
    """What makes a guard's connections: `TlsTransport`."""

    async def connect(self, address: Address, protocol: asyncio.BaseProtocol) -> None:
        """A plain TCP connection, handed to `protocol`. OSError."""


@dataclass(slots=True)
class TunnelCounts:
    """What one guard has done since its start."""

    opened: int = 0
    refused: int = 0  # unknown relay, or no place
    failed: int = 0  # the relay did not answer
    up_bytes: int = 0  # from clients to relays
    down_bytes: int = 0


class _Stream(asyncio.BufferedProtocol):
    """One client's connection to one relay."""

    def __init__(self, guard: TunnelGuard, number: LinkId, stream: int, send: Send) -> None:
        self.number = number
        self.stream = stream
        self.task: asyncio.Task[None] | None = None
        self._guard = guard
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._window = Window()
        self._tcp: asyncio.Transport | None = None
        self._held = bytearray()  # read and without credit: little, for reading stops with credit
        self._outgoing: list[bytes] = []
        self._write_handle: asyncio.Handle | None = None
        self._unpaid = 0  # cells whose content TCP has not taken yet
        self._is_full = self._client_ended = self._relay_ended = self._said_end = self._is_quiet = False
        self._heard_s = self._loop.time()
        self._watch_timer = self._loop.call_later(guard.limits.idle_s, self._watch)

    # -- from the client

    def cell(self, cell: Cell) -> None:
        """A cell of this stream."""
        if self._is_quiet:
            return
        try:
            self._take(cell)
        except MalformedFrame:
            self.fail(StreamEnd.MISUSE)

    def fail(self, end: StreamEnd) -> None:
        """Tell the client, and drop the connection."""
        if not self._is_quiet:
            self._send([close_cell(self.stream, end)])
        self.drop()

    def drop(self) -> None:
        """The client is gone: so is its connection."""
        self._is_quiet = True
        self._held.clear()
        if self._tcp is not None:
            self._tcp.abort()  # connection_lost follows
            return
        if self.task is not None:
            self.task.cancel()
        self._gone()

    def _take(self, cell: Cell) -> None:
        if cell.kind is CellKind.CLOSE:
            self._closed(read_end(cell.data))
        elif self._tcp is None:
            raise MalformedFrame("order")
        elif cell.kind is CellKind.DATA:
            self._window.heard()
            if self._client_ended:
                raise MalformedFrame("order")
            self._heard_s = self._loop.time()
            self._guard.counts.up_bytes += len(cell.data)
            self._outgoing.append(cell.data)
            self._schedule()
        elif cell.kind is CellKind.CREDIT:
            self._window.earned(cell.data)
            self._forward()
            if self._window.cells and not self._relay_ended and not self._tcp.is_closing():
                self._tcp.resume_reading()
        else:
            raise MalformedFrame("kind")

    def _closed(self, end: StreamEnd) -> None:
        if end is StreamEnd.EOF and self._tcp is not None:
            self._client_ended = True
            self._schedule()
        elif end is StreamEnd.ORDER and self._tcp is not None:
            self._is_quiet = True
            self._write_out()
            self._tcp.close()
        else:
            self._is_quiet = True
            self.drop()

    def _schedule(self) -> None:
        if self._write_handle is None:
            self._write_handle = self._loop.call_soon(self._write_out)  # the cells of one read leave in one write

    def _write_out(self) -> None:
        if self._write_handle is not None:
            self._write_handle.cancel()
            self._write_handle = None
        if self._tcp is None or self._tcp.is_closing():
            return
        if self._outgoing:
            self._unpaid += len(self._outgoing)
            data = b"".join(self._outgoing)
            self._outgoing.clear()
            self._tcp.write(data)
        if self._client_ended:
            with contextlib.suppress(OSError):
                self._tcp.write_eof()
        self._pay()

    def _pay(self) -> None:
        if self._is_full or self._is_quiet:
            return
        paid, self._unpaid = self._unpaid, 0
        grant = self._window.taken(paid)
        if grant is not None:
            self._send([Cell(CellKind.CREDIT, self.stream, grant).encode()])

    # -- from TCP

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._tcp = cast(asyncio.Transport, transport)
        self._tcp.set_write_buffer_limits(high=TCP_HIGH_BYTES)
        if self._is_quiet:
            self._tcp.abort()
            return
        self._guard.counts.opened += 1
        self._send([Cell(CellKind.CONNECTED, self.stream, b"").encode()])

    def get_buffer(self, sizehint: int) -> memoryview:
        """As much as there is credit for. Windows hands over what it has read whatever we say: that is held."""
        return self._guard.scratch[: max(1, self._window.cells) * CELL_DATA_BYTES]

    def buffer_updated(self, nbytes: int) -> None:
        if self._is_quiet:
            return
        self._heard_s = self._loop.time()
        self._guard.counts.down_bytes += nbytes
        self._held += self._guard.scratch[:nbytes]
        self._forward()
        if not self._window.cells and self._tcp is not None and not self._tcp.is_closing():
            self._tcp.pause_reading()

    def eof_received(self) -> bool:
        self._relay_ended = True
        self._forward()
        return True  # the client may have more to say

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        self._pay()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._is_quiet:
            orderly = exc is None and self._said_end
            self._send([close_cell(self.stream, StreamEnd.ORDER if orderly else StreamEnd.RESET)])
        self._is_quiet = True
        self._gone()

    def _forward(self) -> None:
        frames = data_cells(self.stream, self._held, self._window)
        if self._relay_ended and not self._held and not self._said_end:
            self._said_end = True
            frames.append(close_cell(self.stream, StreamEnd.EOF))
        if frames and not self._is_quiet:
            self._send(frames)

    def _watch(self) -> None:
        due_s = self._heard_s + self._guard.limits.idle_s
        if self._loop.time() < due_s:
            self._watch_timer = self._loop.call_at(due_s, self._watch)
        else:
            self.fail(StreamEnd.IDLE)

    def _gone(self) -> None:
        self._watch_timer.cancel()
        if self._write_handle is not None:
            self._write_handle.cancel()
        self._guard.forget(self)


class TunnelGuard:
    """All streams that one engine carries for clients."""

    def __init__(self, transport: Opener, place: FindPlace, *, limits: TunnelLimits | None = None) -> None:
        """`transport`: what connections are made and proved with; `place`: where a relay is, or None."""
        self.limits = limits or TunnelLimits()
        self.counts = TunnelCounts()
        self.scratch = memoryview(bytearray(WINDOW_BYTES))
        self._transport = transport
        self._place = place
        self._proofs = Proofs(transport)
        self._links: dict[LinkId, dict[int, _Stream]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._total = 0
        self._is_closed = False

    def __len__(self) -> int:
        return self._total

    def cell(self, number: LinkId, cell: Cell, *, send: Send) -> None:
        """A tunnel cell came from a client; `send` queues frames on its link. A late cell is ignored."""
        stream = self._links.get(number, {}).get(cell.stream)
        if cell.kind is CellKind.CONNECT:
            if stream is None:
                self._connect(number, cell, send)
            else:
                stream.fail(StreamEnd.MISUSE)
        elif stream is not None:
            stream.cell(cell)

    def link_closed(self, number: LinkId) -> None:
        """A client's link has ended, and all its streams with it."""
        for stream in list(self._links.get(number, {}).values()):
            stream.drop()

    async def close(self) -> None:
        """End every stream and free the sockets. Does not wait for peers."""
        self._is_closed = True
        for number in list(self._links):
            for stream in list(self._links.get(number, {}).values()):
                stream.fail(StreamEnd.RESET)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._proofs.close()
        for _ in range(3):  # the loop gives the sockets back in its next turns
            await asyncio.sleep(0)

    def forget(self, stream: _Stream) -> None:
        """A stream and its socket are gone."""
        mine = self._links.get(stream.number, {})
        if mine.get(stream.stream) is stream:
            del mine[stream.stream]
            self._total -= 1
            if not mine:
                del self._links[stream.number]

    def _connect(self, number: LinkId, cell: Cell, send: Send) -> None:
        known = len(cell.data) == PEER_ID_BYTES
        place = self._place(PeerId(cell.data)) if known and not self._is_closed else None
        full = self._total >= self.limits.total or len(self._links.get(number, {})) >= self.limits.per_link
        if place is None or full:
            self.counts.refused += 1
            send([close_cell(cell.stream, StreamEnd.BUSY if full else StreamEnd.REFUSED)])
            return
        stream = _Stream(self, number, cell.stream, send)
        self._links.setdefault(number, {})[cell.stream] = stream
        self._total += 1
        task = asyncio.create_task(self._open(stream, place), name="tunnel-connect")
        stream.task = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, stream: _Stream, place: Place) -> None:
        try:
            async with asyncio.timeout(self.limits.connect_s):
                await self._proofs.check(place)
                await self._transport.connect(place.address, stream)
            return
        except TimeoutError:
            end = StreamEnd.TIMEOUT
        except OSError:
            end = StreamEnd.UNREACHABLE
        except DialFailure as failure:
            end = _ENDS.get(failure.code, StreamEnd.UNREACHABLE)
        self.counts.failed += 1
        stream.task = None  # this one ends by itself
        stream.fail(end)
