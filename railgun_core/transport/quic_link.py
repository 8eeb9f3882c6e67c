"""One QUIC link: one bidirectional stream of one iroh connection.

A call into the library costs 75-140 us whatever it carries, so one writer takes everything queued and one reader asks
for READ_BYTES at a time. Further streams and datagrams are not part of the protocol: a peer that opens a
second stream is cut off, because each unread stream would hold its whole window of memory.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from iroh import Connection, IrohError, RecvStream, SendStream

from railgun_core.transport.link import CloseReason, Limits, LinkHandler
from railgun_core.transport.outqueue import CLOSE_S, JOIN_BYTES, Ends, QueuedLink

READ_BYTES = 192 * 1024  # with the rest of an unfinished frame (70,000) at most 256 KiB are held
Streams = tuple[SendStream, RecvStream]
CODE_DONE = 0  # application close codes
CODE_BUSY = 1
BUSY_REASON = b"busy"
CODE_MALFORMED = 2


class QuicLink(QueuedLink):
    """A link over an open stream."""

    __slots__ = ("_connection", "_recv", "_send", "_tasks", "_wake")
    name = "quic"

    def __init__(
        self,
        connection: Connection,
        streams: Streams,
        ends: Ends,
        limits: Limits,
        *,
        on_end: Callable[[QueuedLink], None],
    ) -> None:
        super().__init__(ends, limits, on_end=on_end)
        self._connection = connection
        self._send, self._recv = streams
        self._wake: asyncio.Future[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, handler: LinkHandler) -> None:
        super().start(handler)
        parts: tuple[Coroutine[Any, Any, None], ...] = (
            self._read_all(),
            self._write_all(),
            self._refuse_more(self._connection.accept_bi),
            self._refuse_more(self._connection.accept_uni),
        )
        self._tasks = [self._loop.create_task(part) for part in parts]

    async def finished(self) -> None:
        """Wait until no task of this link is left."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _write_out(self) -> None:
        self._busy = True
        self._wake_writer()

    def _shut(self) -> None:
        self._wake_writer()

    def _abort(self, reason: CloseReason) -> None:
        code = CODE_MALFORMED if reason is CloseReason.MALFORMED else CODE_DONE
        with contextlib.suppress(IrohError):
            self._connection.close(code, b"")
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()

    def _wake_writer(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _write_all(self) -> None:
        """The only writer: everything queued in one call, then what has gathered meanwhile."""
        try:
            while not self._closing:
                self._wake = self._loop.create_future()
                self._ready()
                await self._wake
                await self._drain(stop_below=JOIN_BYTES)
            await self._drain(stop_below=0)
            await self._finish()
        except IrohError:
            self._fail(self._why())

    async def _drain(self, *, stop_below: int) -> None:
        """Write until the queue is empty, or holds so little that it may wait for its tick."""
        while self._queue:
            data = self._take()
            await self._send.write_all(data)
            self._sent(len(data))
            if self._queued_bytes < stop_below and not self._closing:
                return

    async def _finish(self) -> None:
        """Tell the peer that this was all, and give it a moment to take it."""
        with contextlib.suppress(IrohError, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._send.finish()
                await self._send.stopped()
        if not self._ended:
            self._abort(CloseReason.LOCAL)
            self._end(CloseReason.LOCAL)

    async def _read_all(self) -> None:
        try:
            while not self._ended:
                data = await self._recv.read(READ_BYTES)
                if not data:
                    break
                self._received(data)
        except IrohError:
            if not self._closing:
                self._fail(self._why())
            return
        if not self._closing:
            self._fail(CloseReason.REMOTE)

    async def _refuse_more(self, accept: Callable[[], Coroutine[Any, Any, object]]) -> None:
        with contextlib.suppress(IrohError):
            await accept()
            self._fail(CloseReason.MALFORMED)

    def _why(self) -> CloseReason:
        """Whether the peer closed the connection or it vanished."""
        if self._closing:
            return CloseReason.LOCAL
        reason = self._connection.close_reason() or ""
        return CloseReason.REMOTE if reason.startswith("closed by peer") else CloseReason.LOST
