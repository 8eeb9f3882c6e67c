"""The engine's side of the local API: opens the door that endpoint.py describes and serves who comes in.

Only this person's programs get in: a 0600 socket in 0700 directories, and on Linux the kernel's word for the other
side's user; where there is no such socket, loopback TCP whose first line must be the token. The secrets are in
one 0600 file and nowhere else: no argument, no environment, no log line (threat B27).
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import hmac
import os
import socket
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import msgspec
import structlog

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.local_api import endpoint as door
from railgun_core.local_api.connection import ApiLimits, ByteBudget, Connection, looks_like_http
from railgun_core.local_api.handlers import Handler
from railgun_core.local_api.messages import Failure, Reply
from railgun_core.transport.accepting import stop_accepting

_LOG = structlog.get_logger("local_api")
_FIRST_LINE_BYTES = 512
_BUSY = msgspec.json.encode(Reply(0, error=Failure("busy", "Too many programs use this engine at once.", 3))) + b"\n"


class DoorKind(enum.Enum):
    """Which kind of socket."""

    UNIX = "unix"
    TCP = "tcp"


class _Token(msgspec.Struct, frozen=True):
    token: str


class ApiServer:
    """Serves `handlers` on the door of one data dir, from `start` to `close`."""

    def __init__(self, handlers: Mapping[str, Handler], *, limits: ApiLimits | None = None) -> None:
        self._handlers = dict(handlers)
        self._limits = limits or ApiLimits()
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._held: IO[bytes] | None = None
        self._data_dir: Path | None = None
        self._endpoint: door.Endpoint | None = None
        self._budget: ByteBudget | None = None

    async def start(
        self, data_dir: Path, *, kind: DoorKind | None = None, held: IO[bytes] | None = None
    ) -> door.Endpoint:
        """Open the door. `held`: the lock, when the engine took it earlier; the server releases it either way.

        EnvironmentFailure: already-running, unwritable, unsafe-directory.
        """
        self._data_dir = data_dir
        self._held = held or door.lock(data_dir)
        self._budget = ByteBudget(self._limits.request_bytes)
        unix = kind is DoorKind.UNIX or (kind is None and sys.platform != "win32")
        try:
            listening, self._endpoint = _unix_socket(data_dir) if unix else _tcp_socket()
            serve = asyncio.start_unix_server if unix else asyncio.start_server
            self._server = await serve(self._accept, sock=listening, limit=self._limits.line_bytes)
            door.publish(data_dir, self._endpoint)
        except BaseException:
            await self.close()
            raise
        return self._endpoint

    async def close(self) -> None:
        """Take the door away, end every connection, release the data dir. Idempotent, bounded by twice `close_s`."""
        if self._held is None or self._data_dir is None:
            return
        door.withdraw(self._data_dir)
        server, self._server = self._server, None
        if server is not None:
            await stop_accepting(server)
            server.close()
        for task in self._connections:
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections, timeout=self._limits.close_s)
        if server is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(server.wait_closed(), self._limits.close_s)
        if self._endpoint is not None and self._endpoint.socket:
            _unlink(Path(self._endpoint.socket))
        held, self._held = self._held, None
        held.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer), name="local-api-connection")
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        task.add_done_callback(lambda _: writer.close())  # also when it was cancelled before its first step

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if len(self._connections) > self._limits.connections:
                writer.write(_BUSY)
            elif await self._may_enter(reader, writer):
                assert self._budget is not None
                await Connection(
                    reader, writer, handlers=self._handlers, limits=self._limits, budget=self._budget
                ).serve()
        except (OSError, EOFError):  # the client went away at a bad moment
            return
        finally:
            await _shut(writer, self._limits.close_s)

    async def _may_enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        assert self._endpoint is not None
        if self._endpoint.socket:
            return _same_user(writer)
        try:
            async with asyncio.timeout(self._limits.first_line_s):
                line = await _first_line(reader)
        except TimeoutError:
            return False
        if looks_like_http(line):
            _LOG.warning("api-http-refused")
            return False
        try:
            token = msgspec.json.decode(line, type=_Token).token
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        if not hmac.compare_digest(token.encode(), self._endpoint.token.encode()):
            _LOG.warning("api-token-refused")
            return False
        writer.write(msgspec.json.encode(Reply(0, ok=self._endpoint.answer)) + b"\n")
        return True


async def _first_line(reader: asyncio.StreamReader) -> bytes:
    """What came first, up to a newline and hardly more than 512 bytes: who is not known yet gets no room to fill."""
    line = b""
    while b"\n" not in line and len(line) <= _FIRST_LINE_BYTES:
        piece = await reader.read(_FIRST_LINE_BYTES)
        if not piece:
            break
        line += piece
    return line


def _same_user(writer: asyncio.StreamWriter) -> bool:
    """The kernel's word for who is there (Linux). Root may always look after a person's engine."""
    if sys.platform != "linux":
        return True
    sock = writer.get_extra_info("socket")
    _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return uid in (os.geteuid(), 0)


def _unix_socket(data_dir: Path) -> tuple[socket.socket, door.Endpoint]:
    path = door.socket_path(data_dir)
    door.private_dir(path.parent)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)  # ours: the lock says no other engine uses it
        listening.bind(str(path))  # nobody else can reach it meanwhile: the directory is 0700
        path.chmod(0o600)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise EnvironmentFailure(f"The engine's socket cannot be made: {error.strerror}.", code="unwritable") from None
    return listening, door.Endpoint(socket=str(path))


def _tcp_socket() -> tuple[socket.socket, door.Endpoint]:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        exclusive = getattr(socket, "SO_EXCLUSIVEADDRUSE", None)  # Windows: or anyone may bind the same port
        if exclusive is not None:
            listening.setsockopt(socket.SOL_SOCKET, exclusive, 1)
        listening.bind((door.LOOPBACK, 0))
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise EnvironmentFailure(f"No local port can be opened: {error.strerror}.", code="port-taken") from None
    return listening, door.new_tcp_endpoint(listening.getsockname()[1])


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


async def _shut(writer: asyncio.StreamWriter, limit_s: float) -> None:
    """Flush and close; a client that does not read is cut off."""
    writer.close()
    try:
        async with asyncio.timeout(limit_s):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        writer.transport.abort()
    except asyncio.CancelledError:
        writer.transport.abort()
        raise
