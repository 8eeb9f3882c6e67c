"""One client's connection: reads requests, runs their handlers, writes the answers.

What must stay true: every well-formed request gets exactly one answer or one end of stream; only an oversize line,
bytes that are no JSON, and HTTP end the connection; memory is bounded by the limits below whatever a client sends or
does not read; no text of an unexpected error leaves the process.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import assert_never

import msgspec
import structlog

from railgun_core.base.errors import RailGunError, sentence_of
from railgun_core.local_api.handlers import Handler, Kind
from railgun_core.local_api.messages import MAX_LINE_BYTES, Failure, Reply, Request
from railgun_core.logs import places_of

CANCEL = "cancel"
_HTTP = (b"GET ", b"POST ", b"PUT ", b"HEAD ", b"OPTIONS ", b"DELETE ", b"PATCH ", b"CONNECT ", b"TRACE ", b"PRI ")
_LOG = structlog.get_logger("local_api")
_ENCODER = msgspec.json.Encoder()
_REQUESTS = msgspec.json.Decoder(Request)


@dataclass(frozen=True, slots=True)
class ApiLimits:
    """Bounds of the local API. All are guesses with room to spare for one person's programs."""

    line_bytes: int = MAX_LINE_BYTES
    connections: int = 32
    calls: int = 64  # under way in one connection; the next is read when one ends
    streams: int = 16  # of one connection; more are answered `busy`
    request_bytes: int = 32 * 1024 * 1024  # requests under way in all connections
    write_bytes: int = 256 * 1024  # unread answers after which a connection's handlers wait
    first_line_s: float = 5.0  # until the token, where there is one
    close_s: float = 2.0


class ByteBudget:
    """How many bytes of requests may be under way. One request always fits, so nothing waits for ever."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._used_bytes = 0
        self._freed = asyncio.Event()

    async def take(self, size: int) -> None:
        """Wait until `size` bytes fit."""
        while self._used_bytes and self._used_bytes + size > self._limit_bytes:
            self._freed.clear()
            await self._freed.wait()
        self._used_bytes += size

    def give(self, size: int) -> None:
        """Return what `take` took."""
        self._used_bytes -= size
        self._freed.set()


class _ClientGone(Exception):
    """The answer has nobody to go to. Of its own class, so that a handler's ConnectionError is not taken for it."""


class Connection:
    """One accepted and authenticated connection."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        handlers: Mapping[str, Handler],
        limits: ApiLimits,
        budget: ByteBudget,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._handlers = handlers
        self._limits = limits
        self._budget = budget
        self._calls = asyncio.Semaphore(limits.calls)
        self._running: dict[int, asyncio.Task[None]] = {}
        self._streams = 0
        self._called_off: set[int] = set()
        self._open = True
        writer.transport.set_write_buffer_limits(high=limits.write_bytes)

    async def serve(self) -> None:
        """Answer until the client goes, sends garbage, or this task is cancelled. Never raises otherwise."""
        try:
            while await self._next_request():
                pass
        except (_ClientGone, ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            self._open = False
            running = list(self._running.values())
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _next_request(self) -> bool:
        """Read one line and start what it asks for; False when the connection has to end."""
        try:
            line = await self._reader.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            await self._fail(0, "line-too-long", "A request may be 8 MiB long at most.")
            return False
        if looks_like_http(line):
            return False
        try:
            request = _REQUESTS.decode(line)
        except msgspec.ValidationError:
            await self._fail(_id_of(line), "bad-request", "A request needs an id, a verb and args.")
            return True
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            await self._fail(0, "bad-json", "The local API speaks JSON, one object a line.")
            return False
        await self._start(request, len(line))
        return True

    async def _start(self, request: Request, size: int) -> None:
        if request.verb == CANCEL:
            self._call_off(request.id)
            return
        handler = self._handlers.get(request.verb)
        if handler is None:
            await self._fail(request.id, "unknown-verb", "This engine does not know that verb.")
        elif request.id in self._running:
            await self._fail(request.id, "bad-request", "That id is still in use.")
        elif handler.kind is not Kind.CALL and self._streams >= self._limits.streams:
            await self._fail(request.id, "busy", "Too many streams are open on this connection.")
        else:
            if handler.kind is Kind.CALL:
                await self._calls.acquire()
            else:
                self._streams += 1
            await self._budget.take(size)
            task = asyncio.get_running_loop().create_task(self._run(request, handler, size), name="local-api-request")
            self._running[request.id] = task
            await asyncio.sleep(0)  # a task that is cancelled before its first step would never answer

    def _call_off(self, request_id: int) -> None:
        """Cancelling what has ended already is no error: the answer and the cancel crossed."""
        task = self._running.get(request_id)
        if task is not None and request_id not in self._called_off:
            self._called_off.add(request_id)
            task.cancel()

    async def _run(self, request: Request, handler: Handler, size: int) -> None:
        try:
            with contextlib.suppress(_ClientGone):  # `serve` notices by itself
                await self._answer(request, handler)
        finally:
            self._running.pop(request.id, None)
            self._called_off.discard(request.id)
            if handler.kind is Kind.CALL:
                self._calls.release()
            else:
                self._streams -= 1
            self._budget.give(size)

    async def _answer(self, request: Request, handler: Handler) -> None:
        try:
            args = msgspec.json.decode(request.args, type=handler.args)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            await self._fail(request.id, "bad-args", f"The arguments of {request.verb} are not what it takes.")
            return
        try:
            await self._work(request.id, handler, args)
        except _ClientGone:
            raise
        except asyncio.CancelledError as error:
            if not self._open:
                raise
            if request.id not in self._called_off:  # a handler let somebody else's cancellation through
                await self._internal(request, error)
            elif handler.kind is Kind.CALL:
                await self._fail(request.id, "cancelled", "The call was called off.", exit_status=1)
            else:
                await self._send(Reply(request.id, done=True))
        except RailGunError as error:
            await self._fail(request.id, error.code, sentence_of(error), exit_status=error.exit_status)
        except Exception as error:
            await self._internal(request, error)

    async def _work(self, request_id: int, handler: Handler, args: msgspec.Struct) -> None:
        match handler.kind:
            case Kind.CALL:
                assert handler.answer is not None
                await self._send(Reply(request_id, ok=await handler.answer(args)))
            case Kind.STREAM | Kind.LATEST:
                assert handler.events is not None
                events = handler.events(args)
                if handler.kind is Kind.LATEST:
                    events = newest(events)
                async with contextlib.aclosing(events):
                    async for event in events:
                        await self._send(Reply(request_id, event=event))
                await self._send(Reply(request_id, done=True))
            case _:
                assert_never(handler.kind)

    async def _send(self, reply: Reply) -> None:
        line = _ENCODER.encode(reply) + b"\n"
        if len(line) > self._limits.line_bytes:
            raise RailGunError("The answer is too large for one line; ask for less.", code="answer-too-large")
        try:
            self._writer.write(line)
            await self._writer.drain()
        except ConnectionError:
            raise _ClientGone from None

    async def _internal(self, request: Request, error: BaseException) -> None:
        _LOG.error("api-internal", verb=request.verb, error=type(error).__name__, places=places_of(error))
        sentence = "The engine met an error of its own; its log says where."
        await self._fail(request.id, "internal", sentence, exit_status=3)

    async def _fail(self, request_id: int, code: str, sentence: str, *, exit_status: int = 2) -> None:
        await self._send(Reply(request_id, error=Failure(code, sentence, exit_status)))


async def newest(source: AsyncGenerator[msgspec.Struct, None]) -> AsyncGenerator[msgspec.Struct, None]:
    """The events of `source`, less those that were replaced before the reader asked for them."""
    box: list[msgspec.Struct] = []
    changed = asyncio.Event()

    async def pump() -> None:
        async for value in source:
            box[:] = [value]
            changed.set()

    pumping = asyncio.get_running_loop().create_task(pump(), name="local-api-latest")
    pumping.add_done_callback(lambda _: changed.set())
    try:
        while True:
            await changed.wait()
            changed.clear()
            if box:
                yield box.pop()
            if pumping.done() and not box:
                await pumping  # an error of the source surfaces here
                return
            if pumping.done():
                changed.set()
    finally:
        pumping.cancel()
        await asyncio.gather(pumping, return_exceptions=True)
        await source.aclose()


def looks_like_http(line: bytes) -> bool:
    """Whether a web page is knocking (DNS rebinding, a form posted to a port)."""
    return not line.startswith(b"{") and (line.startswith(_HTTP) or b" HTTP/" in line[:8_192])


class _IdOnly(msgspec.Struct):
    id: int = 0


def _id_of(line: bytes) -> int:
    """The id of a request that is wrong in something else; 0 when it has none."""
    try:
        return msgspec.json.decode(line, type=_IdOnly).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0
