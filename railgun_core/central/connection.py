"""One connection to one NATS server: the only place that knows how the library speaks and fails.

The library's own reconnecting is off: it gives up for good after a refused login, waits without jitter, and also dials
addresses that a server names, which the person never configured. So a connection here has one server and one life; who
wants another makes another (client.py). Sent are the library's name and version, no name of this device; the inboxes
are random for each connection. A server that asks for TLS gets it, checked against the system's authorities.

Source: the NATS client protocol and JetStream API of nats-server 2.9, and nats-py 2.16 as installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Any

from nats import errors
from nats.aio.client import Client
from nats.js import JetStreamContext, api
from nats.js import errors as js_errors

from railgun_core.base.errors import RailGunError
from railgun_core.base.ids import Tag
from railgun_core.central.port import KEEP_WITHIN_S, MAX_AGE_S, MAX_MESSAGE_BYTES, PREFIX, Why, subject_of
from railgun_core.config import HostPort

STREAM = "RAILGUN"
TELEMETRY_STREAM = "RAILGUN_TELEMETRY"
TELEMETRY_SUBJECT = "railgun-telemetry"
TELEMETRY_AGE_S = 31 * 86_400
TELEMETRY_BYTES = 4_096
CONNECT_WITHIN_S = 3.0
ANSWER_WITHIN_S = 3.0
FIRST_TRIES_S = (1.0, 1.0)  # while a cluster elects, questions are lost and not answered late
CLOSE_WITHIN_S = 1.0
PING_EVERY_S = 10  # the third unanswered one ends a connection; a keep that times out asks at once
UNSENT_BYTES = 8 * 1024 * 1024
_OPTIONS: dict[str, Any] = {
    "allow_reconnect": False,
    "max_reconnect_attempts": 1,
    "reconnect_time_wait": 0,
    "connect_timeout": CONNECT_WITHIN_S,
    "ping_interval": PING_EVERY_S,
    "no_echo": True,  # what this device publishes need not come back to it
    "pending_size": UNSENT_BYTES,
    "flush_timeout": CLOSE_WITHIN_S,
}

# Error codes of the JetStream API (server/errors.json).
_NO_JETSTREAM = {10039, 10076}
_NO_QUORUM = {10005, 10008, 10009}
_REPLICAS = {10052, 10074}
_FULL = {10023, 10028, 10047, 10077}
_STREAM_EXISTS = {10058, 10065}


class CentralFailure(RailGunError):
    """The server cannot be used; `code` is a Why."""

    code = "central"


class Connection:
    """An open connection whose stream is there. Make it with `open_connection`."""

    def __init__(self, nats: Client, replicas: int) -> None:
        self.nats = nats
        self.js: JetStreamContext = nats.jetstream(timeout=ANSWER_WITHIN_S)
        self.ended = asyncio.Event()
        self.code: str = Why.UNREACHABLE  # why it ended, once it has
        self.stream: api.StreamInfo
        self._replicas = replicas
        self._in_doubt = False

    def end(self, code: str) -> None:
        """It is of no more use. The first reason counts."""
        if not self.ended.is_set():
            self.code = code
            self.ended.set()

    async def ensure_stream(self) -> None:
        """The stream, made if it is missing and left as it is if not. CentralFailure when it cannot be used."""
        config = api.StreamConfig(
            name=STREAM,
            subjects=[PREFIX + "*"],
            retention=api.RetentionPolicy.LIMITS,
            storage=api.StorageType.FILE,
            discard=api.DiscardPolicy.OLD,
            max_age=MAX_AGE_S,
            max_msg_size=MAX_MESSAGE_BYTES,
            num_replicas=self._replicas,
        )
        self.stream = await self._stream(config)
        if PREFIX + "*" not in (self.stream.config.subjects or []):
            raise CentralFailure(code=Why.OTHER_STREAM)

    async def keep(self, tag: Tag, frame: bytes) -> str:
        """Publish an envelope frame and wait until the stream has it: "" or why it does not."""
        try:
            await self.js.publish(subject_of(tag), frame, timeout=KEEP_WITHIN_S)
        except Exception as error:
            if isinstance(error, js_errors.NoStreamResponseError):  # somebody removed the stream: make it again
                self.end(Why.UNREACHABLE)
            return code_of(error)
        return Why.NONE

    async def tell(self, text: bytes) -> bool:
        """Publish one line of telemetry; whether the server has it."""
        config = api.StreamConfig(
            name=TELEMETRY_STREAM,
            subjects=[TELEMETRY_SUBJECT],
            storage=api.StorageType.FILE,
            discard=api.DiscardPolicy.OLD,
            max_age=TELEMETRY_AGE_S,
            max_msg_size=TELEMETRY_BYTES,
            num_replicas=self._replicas,
        )
        try:
            await self._stream(config)
            await self.js.publish(TELEMETRY_SUBJECT, text, timeout=KEEP_WITHIN_S)
        except Exception:  # its errors have no common root; the server has not said that it has the line
            return False
        return True

    async def check(self) -> None:
        """Something went unanswered: end the connection unless the stream's leader still answers."""
        if self._in_doubt or self.ended.is_set():
            return
        self._in_doubt = True
        try:
            await self.js.stream_info(STREAM)
        except Exception as error:
            code = code_of(error)
            self.end(Why.UNREACHABLE if code == Why.TIMEOUT else code)
        finally:
            self._in_doubt = False

    async def close(self) -> None:
        """Close the socket and end the library's tasks. Idempotent, bounded, quiet."""
        self.end(Why.OFF)
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await self.nats.close()

    async def _stream(self, config: api.StreamConfig) -> api.StreamInfo:
        assert config.name is not None
        try:
            try:
                return await self._info(config.name)
            except js_errors.NotFoundError:
                pass
            try:
                return await self.js.add_stream(config)
            except js_errors.APIError as error:  # another peer was faster
                if error.err_code not in _STREAM_EXISTS:
                    raise
                return await self.js.stream_info(config.name)
        except Exception as error:
            raise CentralFailure(code=code_of(error, api_call=True)) from None

    async def _info(self, name: str) -> api.StreamInfo:
        for within_s in FIRST_TRIES_S:
            with contextlib.suppress(errors.TimeoutError):
                return await self.nats.jetstream(timeout=within_s).stream_info(name)
            if self.ended.is_set():
                raise errors.ConnectionClosedError
        return await self.js.stream_info(name)


async def open_connection(server: HostPort, *, replicas: int) -> Connection:
    """Connect to one server and see to its stream. CentralFailure within some seconds when that does not work."""
    nats = Client()
    connection = Connection(nats, replicas)
    causes: list[Exception] = []

    async def failed(error: Exception) -> None:
        del causes[:-1]
        causes.append(error)
        if "permissions violation" in str(error).lower():
            connection.end(Why.REFUSED)

    async def closed() -> None:
        connection.end(code_of(nats.last_error) if nats.last_error is not None else Why.UNREACHABLE)

    try:
        async with asyncio.timeout(CONNECT_WITHIN_S):
            await nats.connect([f"nats://{server}"], error_cb=failed, closed_cb=closed, **_OPTIONS)
        if not nats.is_connected:
            raise CentralFailure(code=Why.UNREACHABLE)
        await connection.ensure_stream()
    except BaseException as error:
        forbidden = connection.ended.is_set() and connection.code == Why.REFUSED
        await connection.close()
        if forbidden and isinstance(error, Exception):  # the answer to that came apart from the question
            raise CentralFailure(code=Why.REFUSED) from None
        if isinstance(error, CentralFailure) or not isinstance(error, Exception):
            raise
        cause = causes[-1] if isinstance(error, errors.NoServersError) and causes else error
        code = code_of(cause)
        raise CentralFailure(code=Why.UNREACHABLE if code == Why.TIMEOUT else code) from None
    return connection


def code_of(error: Exception, *, api_call: bool = False) -> str:
    """What a failure of the library or the system means. `api_call`: it came from the JetStream API itself."""
    if isinstance(error, js_errors.APIError):
        return _api_code(error)
    if isinstance(error, js_errors.NoStreamResponseError | errors.NoRespondersError):
        return Why.NO_JETSTREAM
    if isinstance(error, TimeoutError):
        return Why.NO_QUORUM if api_call else Why.TIMEOUT  # connected, but nobody leads
    text = str(error).lower()
    refused = isinstance(error, errors.AuthorizationError | errors.MaxPayloadError | ssl.SSLError)
    if refused or any(word in text for word in ("authorization", "permission", "maximum connections")):
        return Why.REFUSED
    return Why.UNREACHABLE


def _api_code(error: js_errors.APIError) -> str:
    number = error.err_code or 0
    if number in _NO_QUORUM:
        return Why.NO_QUORUM
    if number in _REPLICAS:
        return Why.REPLICAS
    if number in _FULL:
        return Why.FULL
    if number in _NO_JETSTREAM or isinstance(error, js_errors.ServiceUnavailableError):
        return Why.NO_JETSTREAM
    return Why.REFUSED
