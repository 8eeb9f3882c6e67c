"""The client's end of tunnels: an asyncio transport whose bytes travel in cells over the link to a guard.

`TlsChannel` runs on a `TunnelPipe` as it does on a socket, so the handshake, the hello and the orderly end are the same
code and reach from this device to the relay. What must stay true: `write` never sends, a turn of the loop does, so
that all writes of a turn share cells; `connection_lost` comes once, from the loop, and nothing follows it; a half
close travels behind the last byte.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import PeerId
from railgun_core.transport.link import DialFailure
from railgun_core.transport.tunnel import StreamEnd, Window, close_cell, data_cells, read_end
from railgun_core.wire.frames import Cell, CellKind

HIGH_BYTES = 64 * 1024
Send = Callable[[Sequence[bytes | memoryview]], None]
_TOLD = frozenset({StreamEnd.BUSY, StreamEnd.TIMEOUT, StreamEnd.REFUSED, StreamEnd.WRONG_PEER})


class TunnelPipe(asyncio.Transport):
    """One stream. Made by `TunnelClient.open`."""

    def __init__(
        self, stream: int, protocol: asyncio.Protocol, *, send: Send, on_end: Callable[[TunnelPipe], None]
    ) -> None:
        super().__init__()  # no peername, no socket: this device has no connection with the relay
        self.stream = stream
        self._protocol = protocol
        self._send = send
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._opening: asyncio.Future[None] = self._loop.create_future()
        self._window = Window()
        self._waiting = bytearray()
        self._high, self._low = HIGH_BYTES, HIGH_BYTES // 4
        self._flush_handle: asyncio.Handle | None = None
        self._is_paused = self._is_closing = self._is_over = False
        self._ends_here = self._said_end = self._ended_there = False

    async def opened(self) -> None:
        """Wait for the guard's answer. DialFailure: busy, timeout, refused, wrong-peer, unreachable, no-guard."""
        await self._opening

    # -- what a protocol uses

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        if not isinstance(protocol, asyncio.Protocol):
            raise TypeError("a pipe needs an asyncio.Protocol")
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def is_closing(self) -> bool:
        return self._is_closing

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = HIGH_BYTES if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        return len(self._waiting)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Queue bytes; they leave at the end of this turn of the loop, as far as credit goes."""
        if self._is_closing or self._ends_here:
            return
        self._waiting += data
        self._schedule()
        if len(self._waiting) > self._high and not self._is_paused:
            self._is_paused = True
            self._protocol.pause_writing()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """No more from here, once what waits is gone; reading goes on."""
        if not self._is_closing and not self._ends_here:
            self._ends_here = True
            self._schedule()

    def close(self) -> None:
        """End once what waits is gone. No more data is told."""
        if not self._is_closing:
            self._is_closing = True
            self._schedule()

    def abort(self) -> None:
        """End now; the guard drops its connection."""
        if not self._is_over:
            self._send([close_cell(self.stream, StreamEnd.RESET)])
            self._end(None)

    # -- told by the client

    def cell(self, cell: Cell) -> None:
        """A cell of this stream came from the guard."""
        if self._is_over:
            return
        try:
            self._take(cell)
        except MalformedFrame:
            self._send([close_cell(self.stream, StreamEnd.MISUSE)])
            self.lost("unreachable")

    def lost(self, code: str) -> None:
        """The stream broke: `code` is what a dial under way is told."""
        if not self._opening.done():
            self._opening.set_exception(DialFailure("the guard opened no tunnel", code=code))
            self._opening.exception()  # a dial that was cancelled does not ask any more
        self._end(ConnectionResetError())

    # -- inside

    def _take(self, cell: Cell) -> None:
        if cell.kind is CellKind.CLOSE:
            self._closed(read_end(cell.data))
            return
        if cell.kind is CellKind.CONNECTED and not self._opening.done():
            self._opening.set_result(None)
            self._protocol.connection_made(self)
            return
        if not self._opening.done() or self._ended_there:
            raise MalformedFrame("order")
        if cell.kind is CellKind.DATA:
            self._data(cell.data)
        elif cell.kind is CellKind.CREDIT:
            self._window.earned(cell.data)
            self._schedule()
        else:
            raise MalformedFrame("kind")

    def _data(self, data: bytes) -> None:
        self._window.heard()
        if data and not self._is_closing:
            self._protocol.data_received(data)
        grant = self._window.taken(1)
        if grant is not None and not self._is_over:
            self._send([Cell(CellKind.CREDIT, self.stream, grant).encode()])

    def _closed(self, end: StreamEnd) -> None:
        if not self._opening.done():
            self.lost(end.value if end in _TOLD else "unreachable")
        elif end is StreamEnd.EOF:
            if not self._ended_there:
                self._ended_there = True
                if not self._is_closing and not self._protocol.eof_received():
                    self.close()
        else:
            self._end(None if end is StreamEnd.ORDER else ConnectionResetError())

    def _schedule(self) -> None:
        if self._flush_handle is None and not self._is_over:
            self._flush_handle = self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_handle = None
        if not self._opening.done():
            return
        frames = data_cells(self.stream, self._waiting, self._window)
        if frames:
            self._send(frames)
        if not self._waiting:
            if self._is_closing:
                self._send([close_cell(self.stream, StreamEnd.ORDER)])
                self._end(None)
                return
            if self._ends_here and not self._said_end:
                self._said_end = True
                self._send([close_cell(self.stream, StreamEnd.EOF)])
        if self._is_paused and len(self._waiting) <= self._low:
            self._is_paused = False
            self._protocol.resume_writing()

    def _end(self, error: Exception | None) -> None:
        if self._is_over:
            return
        self._is_over = self._is_closing = True
        self._waiting.clear()
        if self._flush_handle is not None:
            self._flush_handle.cancel()
        was_open = self._opening.done() and not self._opening.cancelled() and self._opening.exception() is None
        self._opening.cancel()
        self._loop.call_soon(self._on_end, self)
        if was_open:
            self._loop.call_soon(self._protocol.connection_lost, error)


class TunnelClient:
    """The streams of one link to a guard."""

    def __init__(self, send: Send, *, on_end: Callable[[TunnelPipe], None] = lambda pipe: None) -> None:
        """`send` queues whole frames on the link; `on_end` hears once of every pipe that has ended."""
        self._send = send
        self._on_end = on_end
        self._numbers = itertools.count(1)
        self._pipes: dict[int, TunnelPipe] = {}

    def __len__(self) -> int:
        return len(self._pipes)

    async def open(self, peer: PeerId, protocol: asyncio.Protocol) -> TunnelPipe:
        """A stream to the relay `peer`, connected to `protocol`. The caller keeps the deadline.

        DialFailure: busy, timeout, refused (the guard does not know this relay), wrong-peer, unreachable, no-guard.
        """
        pipe = TunnelPipe(next(self._numbers), protocol, send=self._send, on_end=self._forget)
        self._pipes[pipe.stream] = pipe
        self._send([Cell(CellKind.CONNECT, pipe.stream, peer).encode()])
        try:
            await pipe.opened()
        except BaseException:
            pipe.abort()
            raise
        return pipe

    def cell(self, cell: Cell) -> None:
        """A tunnel cell came from the guard. One for a stream that has ended is late, not wrong."""
        pipe = self._pipes.get(cell.stream)
        if pipe is not None:
            pipe.cell(cell)

    def down(self) -> None:
        """The link to the guard has ended, and every stream with it."""
        for pipe in list(self._pipes.values()):
            pipe.lost("no-guard")

    def abort(self) -> None:
        """End every stream now."""
        for pipe in list(self._pipes.values()):
            pipe.abort()

    def _forget(self, pipe: TunnelPipe) -> None:
        self._pipes.pop(pipe.stream, None)
        self._on_end(pipe)
