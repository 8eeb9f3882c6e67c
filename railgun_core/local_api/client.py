"""The client side of the local API: what the window, the command line, tests and messenger apps use.

Calls share one connection and may be many at once. Each stream has a connection of its own, so a reader that stops
reading slows its own stream and nothing else, and dropping the iterator ends the stream in the engine.
Nothing here logs, and no answer is believed before it has the asked type.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TypeVar

import msgspec

from railgun_core.base.errors import EnvironmentFailure, RailGunError
from railgun_core.local_api import endpoint as door
from railgun_core.local_api.messages import MAX_LINE_BYTES, Empty, Failure

CONNECT_S = 5.0
ANSWER_S = 30.0  # on top of what the verb itself may wait (`wait_s`)
CLOSE_S = 2.0

T = TypeVar("T")


class ApiError(RailGunError):
    """The engine said no. `code` is stable, `sentence` is for a person, `exit_status` is for the command line."""

    def __init__(self, sentence: str, *, code: str, exit_status: int = 1) -> None:
        super().__init__(sentence, code=code)
        self.sentence = sentence
        self.exit_status = exit_status


class _Answer(msgspec.Struct, frozen=True):
    id: int
    ok: msgspec.Raw = msgspec.Raw(b"")
    error: Failure | None = None
    event: msgspec.Raw = msgspec.Raw(b"")
    done: bool = False


class _Call(msgspec.Struct, frozen=True):
    id: int
    verb: str
    args: msgspec.Struct


_ANSWERS = msgspec.json.Decoder(_Answer)
_ENCODER = msgspec.json.Encoder()


class Client:
    """One connection to a running engine. Use `connect`; close it with `close` or `async with`."""

    def __init__(self, data_dir: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._data_dir = data_dir
        self._reader = reader
        self._writer = writer
        self._next_id = 1
        self._waiting: dict[int, asyncio.Future[_Answer]] = {}
        self._gone = False
        self._pump = asyncio.get_running_loop().create_task(self._read_answers(), name="local-api-client")

    @classmethod
    async def connect(cls, data_dir: Path) -> Client:
        """A client of the engine on `data_dir`. EnvironmentFailure(no-engine, not-yours) within 5 s otherwise."""
        reader, writer = await _open(data_dir)
        return cls(data_dir, reader, writer)

    @property
    def connected(self) -> bool:
        """False once the engine has gone or `close` was called; connect again then."""
        return not self._gone

    async def call(
        self, verb: str, args: msgspec.Struct | None, result_type: type[T], *, timeout_s: float | None = None
    ) -> T:
        """The engine's answer. ApiError when it says no or is late, EnvironmentFailure(engine-gone) when it dies.

        Without `timeout_s` it waits 30 s more than the verb's own `wait_s`.
        """
        if self._gone:
            raise _engine_gone()
        args = Empty() if args is None else args
        limit_s = float(getattr(args, "wait_s", 0.0)) + ANSWER_S if timeout_s is None else timeout_s
        call_id, self._next_id = self._next_id, self._next_id + 1
        answered: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        self._waiting[call_id] = answered
        try:
            async with asyncio.timeout(limit_s):
                await self._write(_line(call_id, verb, args))
                answer = await answered
        except TimeoutError:
            self._cancel(call_id)
            raise ApiError("The engine did not answer in time.", code="timeout", exit_status=3) from None
        except asyncio.CancelledError:
            self._cancel(call_id)
            raise
        finally:
            self._waiting.pop(call_id, None)
        return _result(answer.ok, answer, result_type)

    async def stream(self, verb: str, args: msgspec.Struct | None, event_type: type[T]) -> AsyncGenerator[T, None]:
        """Events until the engine ends the stream, dies (EnvironmentFailure) or the iterator is closed."""
        reader, writer = await _open(self._data_dir)
        try:
            writer.write(_line(1, verb, Empty() if args is None else args))
            await writer.drain()
            while True:
                answer = await _next_answer(reader)
                if answer.error is not None or answer.id != 1:
                    _result(b"", answer, event_type)
                if answer.done:
                    return
                yield _result(answer.event, answer, event_type)
        except (ConnectionError, asyncio.IncompleteReadError):
            raise _engine_gone() from None
        finally:
            await _shut(writer)

    async def close(self) -> None:
        """Close; calls under way fail with engine-gone. Idempotent."""
        self._gone = True
        self._pump.cancel()
        await asyncio.gather(self._pump, return_exceptions=True)
        await _shut(self._writer)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _write(self, line: bytes) -> None:
        try:
            self._writer.write(line)
            await self._writer.drain()
        except ConnectionError:
            raise _engine_gone() from None

    def _cancel(self, call_id: int) -> None:
        if not self._gone and not self._writer.is_closing():
            self._writer.write(b'{"id":%d,"verb":"cancel"}\n' % call_id)

    async def _read_answers(self) -> None:
        try:
            while True:
                answer = await _next_answer(self._reader)
                if answer.id == 0 and answer.error is not None:  # said of the connection, not of a call
                    return
                waiting = self._waiting.get(answer.id)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
        except (ConnectionError, asyncio.IncompleteReadError, ApiError):
            return
        finally:
            self._gone = True
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(_engine_gone())


def _line(call_id: int, verb: str, args: msgspec.Struct) -> bytes:
    try:
        line = _ENCODER.encode(_Call(call_id, verb, args)) + b"\n"
    except UnicodeEncodeError:  # bytes typed in a terminal that are no UTF-8
        raise ApiError("A name or a link must be text.", code="no-text", exit_status=2) from None
    if len(line) > MAX_LINE_BYTES:
        raise ApiError("The request is too large for one call.", code="line-too-long", exit_status=2)
    return line


async def _open(data_dir: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    found = door.find(data_dir)
    try:
        async with asyncio.timeout(CONNECT_S):
            if found.socket:
                return await asyncio.open_unix_connection(found.socket, limit=MAX_LINE_BYTES)
            reader, writer = await asyncio.open_connection(door.LOOPBACK, found.port, limit=MAX_LINE_BYTES)
            try:
                await _greet(reader, writer, found)
            except BaseException:
                await _shut(writer)
                raise
            return reader, writer
    except PermissionError:
        raise EnvironmentFailure("The engine belongs to another user.", code="not-yours") from None
    except (OSError, asyncio.IncompleteReadError, ApiError):
        raise door.no_engine() from None


async def _greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, found: door.Endpoint) -> None:
    """Say the token, and go on only if the other side knows the answer: a stranger on a stale port does not."""
    writer.write(b'{"token":"%s"}\n' % found.token.encode())
    await writer.drain()
    answer = await _next_answer(reader)
    if not hmac.compare_digest(bytes(answer.ok), b'"%s"' % found.answer.encode()):
        raise door.no_engine()


async def _next_answer(reader: asyncio.StreamReader) -> _Answer:
    try:
        return _ANSWERS.decode(await reader.readuntil(b"\n"))
    except (asyncio.LimitOverrunError, msgspec.DecodeError):
        raise ApiError("The engine sent something that is no answer.", code="bad-answer", exit_status=3) from None


def _result(raw: msgspec.Raw | bytes, answer: _Answer, result_type: type[T]) -> T:
    if answer.error is not None:
        raise ApiError(answer.error.sentence, code=answer.error.code, exit_status=answer.error.exit_status)
    try:
        return msgspec.json.decode(raw, type=result_type)
    except msgspec.DecodeError:
        raise ApiError("The engine is of another version.", code="bad-answer", exit_status=3) from None


def _engine_gone() -> EnvironmentFailure:
    return EnvironmentFailure("The engine stopped before it answered.", code="engine-gone")


async def _shut(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        async with asyncio.timeout(CLOSE_S):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        writer.transport.abort()
