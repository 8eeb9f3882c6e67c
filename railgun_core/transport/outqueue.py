"""What all links share: the queue, the flush policy, credit, idle limits and the one end of a link.

A transport adds how bytes leave and how its channel ends; everything that the contract promises is here, once.

Flush policy: what is queued while the link is quiet leaves at the end of the same loop iteration, so nothing waits
without need. What is queued within `tick_s` of the last flush waits for the rest of the tick, or until JOIN_BYTES have
gathered: one write of many frames costs what one write of one frame costs (transports.md, section 2).

Nothing here looks at a frame: `FrameSplitter` finds the bounds of a whole read at once.
"""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import PublicKey
from railgun_core.transport.link import CloseReason, Limits, LinkHandler
from railgun_core.wire.frames import FrameSplitter

JOIN_BYTES = 64 * 1024  # enough for one write: more waiting brings no further saving
WRITE_BYTES = 256 * 1024  # one write takes at most this much (and one chunk more)
PIECE_BYTES = 8 * 1024  # chunks from this size on are not worth a copy
CLOSE_S = 1.0  # how long an orderly close may take to hand over what is queued


@dataclass(frozen=True, slots=True)
class Ends:
    """Who is at the other end, as the handshake proved it."""

    remote_key: PublicKey
    binding: bytes
    inbound: bool
    remote_host: str


class QueuedLink(abc.ABC):
    """A link without its channel. `start` opens it for traffic; `ended` is told once, before the handler.

    Subclasses write in `_write_out`, end in order in `_shut` and at once in `_abort`, and call
    `_received`, `_sent` and `_end`.
    """

    __slots__ = (
        "_busy",
        "_close_timer",
        "_closing",
        "_ended",
        "_ends",
        "_exhausted",
        "_flight_bytes",
        "_flush_handle",
        "_flushed_s",
        "_framed",
        "_handler",
        "_heard_s",
        "_is_soon",
        "_limits",
        "_loop",
        "_on_end",
        "_opened_s",
        "_queue",
        "_queued_bytes",
        "_received_bytes",
        "_sent_bytes",
        "_splitter",
        "_watch_timer",
    )
    name: ClassVar[str]

    def __init__(self, ends: Ends, limits: Limits, *, on_end: Callable[[QueuedLink], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ends = ends
        self._limits = limits
        self._on_end = on_end
        self._handler: LinkHandler | None = None
        self._splitter = FrameSplitter()
        self._queue: list[bytes | memoryview] = []
        self._queued_bytes = self._flight_bytes = 0
        self._sent_bytes = self._received_bytes = 0
        self._flush_handle: asyncio.Handle | None = None
        self._flushed_s = -limits.tick_s  # when the last flush was
        self._is_soon = False  # the flush is due at the end of this iteration
        self._busy = False  # the channel takes nothing now and will call when it does
        self._exhausted = self._closing = self._ended = self._framed = False
        self._opened_s = self._heard_s = self._loop.time()
        self._watch_timer: asyncio.Handle | None = None
        self._close_timer: asyncio.Handle | None = None

    # -- what callers see

    @property
    def remote_key(self) -> PublicKey:
        return self._ends.remote_key

    @property
    def inbound(self) -> bool:
        return self._ends.inbound

    @property
    def binding(self) -> bytes:
        return self._ends.binding

    @property
    def transport(self) -> str:
        return self.name

    @property
    def remote_host(self) -> str:
        return self._ends.remote_host

    @property
    def credit_bytes(self) -> int:
        return max(0, self._limits.queue_bytes - self._queued_bytes - self._flight_bytes)

    @property
    def bytes_sent(self) -> int:
        return self._sent_bytes

    @property
    def bytes_received(self) -> int:
        return self._received_bytes

    def send(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Queue whole frames; memoryviews must be of bytes. About 1 us a call, whatever the number of chunks."""
        if self._closing:
            return
        self._queue += chunks
        self._queued_bytes += sum(map(len, chunks))
        waiting = self._queued_bytes + self._flight_bytes
        if waiting >= self._limits.queue_bytes:
            self._exhausted = True
            if waiting > self._limits.queue_max_bytes:
                self._overflow()
                return
            self._limits.backlog.note(self, waiting, self._overflow)
        if not self._busy and not self._is_soon and (self._flush_handle is None or self._queued_bytes >= JOIN_BYTES):
            self._schedule()

    def close(self) -> None:
        """Flush, then close in order; the handler hears LOCAL within CLOSE_S."""
        if self._closing:
            return
        self._closing = True
        self._close_timer = self._loop.call_later(CLOSE_S, self.cut_short)
        self._drop(self._flush_handle)
        self._flush_handle = self._loop.call_soon(self._shut)

    # -- what transports use

    @property
    def is_closing(self) -> bool:
        """Whether nothing more may be sent or told."""
        return self._closing

    @property
    def has_ended(self) -> bool:
        """Whether the channel is gone."""
        return self._ended

    def start(self, handler: LinkHandler) -> None:
        """Open for traffic: `handler` hears everything from now on."""
        self._handler = handler
        self._watch()

    def adopt(self, handler: LinkHandler) -> None:
        """Hand the link to another handler, before or after it started."""
        self._handler = handler

    @abc.abstractmethod
    def _write_out(self) -> None:
        """Give the channel what it takes of the queue; set `_busy` if that was not all."""

    @abc.abstractmethod
    def _shut(self) -> None:
        """Give the channel the rest of the queue and close it in order, then `_end(LOCAL)`."""

    @abc.abstractmethod
    def _abort(self, reason: CloseReason) -> None:
        """Drop the channel at once. Must not call back."""

    def _take(self) -> bytes:
        """The next joined write, at most WRITE_BYTES and one chunk. It counts as in flight until `_sent`."""
        if self._queued_bytes <= WRITE_BYTES:
            data = b"".join(self._queue)
            self._queue.clear()
        else:
            cut = size = 0
            while size < WRITE_BYTES and cut < len(self._queue):
                size += len(self._queue[cut])
                cut += 1
            data = b"".join(self._queue[:cut])
            del self._queue[:cut]
        self._queued_bytes -= len(data)
        self._flight_bytes += len(data)
        return data

    def _take_pieces(self, at_most: int) -> tuple[list[bytes | memoryview], int]:
        """The next write in pieces, and its size: for channels that take pieces. Only short chunks are joined.

        At most `at_most` bytes and one chunk. They count as in flight until `_sent`.
        """
        pieces: list[bytes | memoryview] = []
        short: list[bytes | memoryview] = []
        cut = size = 0
        for chunk in self._queue:
            if size >= at_most:
                break
            cut += 1
            size += len(chunk)
            if len(chunk) < PIECE_BYTES:
                short.append(chunk)
                continue
            if short:
                pieces.append(b"".join(short))
                short.clear()
            pieces.append(chunk)
        if short:
            pieces.append(b"".join(short))
        del self._queue[:cut]
        self._queued_bytes -= size
        self._flight_bytes += size
        return pieces, size

    def _sent(self, count: int) -> None:
        """The channel has taken `count` bytes off our hands."""
        self._sent_bytes += count
        self._flight_bytes -= count
        if self._exhausted and 2 * (self._queued_bytes + self._flight_bytes) < self._limits.queue_bytes:
            self._exhausted = False
            self._limits.backlog.forget(self)
            if not self._closing and self._handler is not None:
                self._handler.credit(self)

    def _ready(self) -> None:
        """The channel takes bytes again."""
        self._busy = False
        if self._queue and not self._closing and not self._is_soon:
            self._schedule()

    def _received(self, data: bytes) -> None:
        """One whole read. Cuts it and hands it on; closes the link if it is no frame."""
        self._received_bytes += len(data)
        if self._closing or self._handler is None:
            return
        self._heard_s = self._loop.time()
        try:
            batch = self._splitter.feed(data)
        except MalformedFrame:
            self._fail(CloseReason.MALFORMED)
            return
        if batch is not None:
            self._framed = True
            self._handler.frames(self, batch)

    def _fail(self, reason: CloseReason) -> None:
        """End at once, without flushing."""
        if self._ended:
            return
        self._closing = True
        self._abort(reason)
        self._end(reason)

    def _overflow(self) -> None:
        self._fail(CloseReason.OVERFLOW)

    def _end(self, reason: CloseReason) -> None:
        """The channel is gone. Only the first call counts; the handler hears of it in its own callback."""
        if self._ended:
            return
        self._ended = self._closing = True
        for handle in (self._flush_handle, self._watch_timer, self._close_timer):
            self._drop(handle)
        self._limits.backlog.forget(self)
        self._queue.clear()
        self._queued_bytes = self._flight_bytes = 0
        self._loop.call_soon(self._report, reason)

    # -- inside

    def _schedule(self) -> None:
        """Flush at the end of this iteration, or of the tick when the last flush was just before."""
        self._drop(self._flush_handle)
        wait_s = self._flushed_s + self._limits.tick_s - self._loop.time()
        if wait_s <= 0 or self._queued_bytes >= JOIN_BYTES:
            self._is_soon = True
            self._flush_handle = self._loop.call_soon(self._flush)
        else:
            self._flush_handle = self._loop.call_later(wait_s, self._flush)

    def _flush(self) -> None:
        self._flush_handle = None
        self._is_soon = False
        self._flushed_s = self._loop.time()
        if self._queue and not self._closing and not self._busy:
            self._write_out()

    def _watch(self) -> None:
        """Close a link that is silent too long, and an inbound one without a first frame. One timer a link."""
        now_s = self._loop.time()
        due_s = self._heard_s + self._limits.idle_s
        if self.inbound and not self._framed:
            due_s = min(due_s, self._opened_s + self._limits.first_frame_s)
        if now_s < due_s:
            self._watch_timer = self._loop.call_at(due_s, self._watch)
        elif not self._closing:
            self._fail(CloseReason.IDLE)

    def cut_short(self) -> None:
        """End a close that takes too long."""
        if not self._ended:
            self._abort(CloseReason.LOCAL)
            self._end(CloseReason.LOCAL)

    def _report(self, reason: CloseReason) -> None:
        self._on_end(self)
        handler, self._handler = self._handler, None
        if handler is not None:
            handler.closed(self, reason)

    @staticmethod
    def _drop(handle: asyncio.Handle | None) -> None:
        if handle is not None:
            handle.cancel()


class OpenLinks:
    """The links of one transport, until their handlers have heard of the end."""

    def __init__(self) -> None:
        self._links: set[QueuedLink] = set()
        self._quiet = asyncio.Event()
        self._quiet.set()

    def keep(self, link: QueuedLink) -> None:
        """`link` is about to open."""
        self._links.add(link)
        self._quiet.clear()

    def forget(self, link: QueuedLink) -> None:
        """`link` has ended."""
        self._links.discard(link)
        if not self._links:
            self._quiet.set()

    async def close_all(self) -> None:
        """Close all in order; at the latest after CLOSE_S and a little more they are gone."""
        for link in list(self._links):
            link.close()
        try:
            async with asyncio.timeout(1.5 * CLOSE_S):
                await self._quiet.wait()
        except TimeoutError:  # a starved machine: their own timers have not run yet
            for link in list(self._links):
                link.cut_short()
            await asyncio.sleep(0)
