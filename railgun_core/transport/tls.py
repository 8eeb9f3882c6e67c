"""TLS 1.3 over TCP: the cheapest transport, and the one where UDP is blocked.

One accept loop takes sockets and asks the gate before any cryptography; a handshake is a task with a deadline; a link
is an asyncio.Protocol, so a whole read arrives at once and goes to the frame splitter as it is. Works on asyncio and
on uvloop; nothing here may depend on one of them.

Certificates prove nothing here; keys are proved by `hello.TlsHello` over the channel binding. Both sides of a
fresh TLS 1.3 handshake see the same `tls-unique` (checked by the contract suite).
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import secrets
import socket
import ssl
from collections.abc import Callable
from typing import cast

from railgun_core.base.ids import PublicKey
from railgun_core.base.keys import Identity
from railgun_core.transport.certificate import client_context, server_context
from railgun_core.transport.failures import dial_failure, listen_failure
from railgun_core.transport.gate import Gate, Ticket
from railgun_core.transport.hello import ALPN, NONCE_BYTES, PROOF_BYTES, TlsHello, Verdict, tls_binding
from railgun_core.transport.link import Acceptor, CloseReason, DialFailure, Limits, Link, LinkHandler
from railgun_core.transport.outqueue import CLOSE_S, Ends, QueuedLink
from railgun_core.wire.records import Address, AddressKind

WRITE_HIGH_BYTES = 64 * 1024  # the channel says stop above this, so that frames wait in our queue, where they join
BACKLOG = 512
HELLO_MAX_BYTES = 512 * 1024  # a peer that sends more before its hello is over is dropped


class TlsLink(QueuedLink, asyncio.Protocol):
    """A link over an established TLS channel."""

    __slots__ = ("_channel", "_eof")
    name = "tls"

    def __init__(
        self, channel: asyncio.Transport, ends: Ends, limits: Limits, *, on_end: Callable[[QueuedLink], None]
    ) -> None:
        super().__init__(ends, limits, on_end=on_end)
        self._channel = channel
        self._eof = False

    def data_received(self, data: bytes) -> None:
        self._received(data)

    def eof_received(self) -> None:
        self._eof = True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._closing:
            self._end(CloseReason.LOCAL)
        else:
            self._end(CloseReason.REMOTE if exc is None else CloseReason.LOST)

    def pause_writing(self) -> None:
        self._busy = True

    def resume_writing(self) -> None:
        self._sent(self._flight_bytes)
        if self._closing:
            self._busy = False
            self._shut()
        else:
            self._ready()

    def _write_out(self) -> None:
        while self._queue and not self._busy:
            data = self._take()
            self._channel.write(data)
            if not self._busy:
                self._sent(len(data))

    def _shut(self) -> None:
        if self._ended:
            return
        self._write_out()
        if not self._busy:
            self._channel.close()

    def _abort(self, reason: CloseReason) -> None:
        self._channel.abort()


class _Channel(asyncio.Protocol):
    """A TLS channel during the hello: collects bytes until somebody asks for them."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._data = b""
        self._wanted = 0
        self._waiter: asyncio.Future[None] | None = None
        self._lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)

    def data_received(self, data: bytes) -> None:
        self._data += data
        if len(self._data) > HELLO_MAX_BYTES and self.transport is not None:
            self.transport.abort()
        elif len(self._data) >= self._wanted:
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._wake()

    async def take(self, count: int) -> bytes:
        """Exactly `count` bytes. ConnectionError when the channel ends before. The caller keeps the deadline."""
        while len(self._data) < count:
            if self._lost:
                raise ConnectionResetError
            self._wanted = count
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        taken, self._data = self._data[:count], self._data[count:]
        return taken

    def become(self, link: TlsLink, handler: LinkHandler) -> None:
        """Hand the channel, and what came after the hello, to a link."""
        assert self.transport is not None
        if self._lost:
            link.start(handler)
            link.connection_lost(ConnectionResetError())
            return
        self.transport.set_protocol(link)
        link.start(handler)
        if self._data:
            link.data_received(self._data)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class TlsTransport:
    """The contract of `Transport` over TCP and TLS 1.3."""

    def __init__(self, identity: Identity, *, limits: Limits | None = None) -> None:
        self._identity = identity
        self._limits = limits or Limits()
        self._gate = Gate(self._limits)
        self._client = client_context()
        self._server: ssl.SSLContext | None = None
        self._certificate = b""  # our own, as the client sees it
        self._listener: socket.socket | None = None
        self._local_host: str | None = None  # where dials come from, when we listen at one address
        self._accepting: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._links: set[QueuedLink] = set()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._closed = False

    @property
    def name(self) -> str:
        return TlsLink.name

    async def listen(self, host: str, port: int, acceptor: Acceptor) -> Address:
        """Accept links at `host:port`. EnvironmentFailure: port-taken, or listen when the address is not ours."""
        listener = _listening_socket(host, port)
        self._server, self._certificate = server_context()
        self._listener = listener
        self._local_host = None if ipaddress.ip_address(host).is_unspecified else host
        self._accepting = asyncio.create_task(self._accept_all(listener, acceptor), name="tls-accept")
        return Address(AddressKind.TLS, host, listener.getsockname()[1])

    async def dial(self, address: Address, expected: PublicKey, identity: Identity, handler: LinkHandler) -> Link:
        """A link to `expected` at `address`."""
        if self._closed:
            raise DialFailure("closed")
        channel = _Channel()
        try:
            async with asyncio.timeout(self._limits.handshake_s):
                await self._connect(address, channel)
                hello = self._hello(channel, identity)
                transport = cast(asyncio.Transport, channel.transport)
                transport.write(hello.client_opens())
                proof = hello.client_proves(await channel.take(NONCE_BYTES + PROOF_BYTES), expected)
                transport.write(proof)
                if await channel.take(1) != bytes((Verdict.OPEN,)):
                    raise DialFailure("no place left", code="busy")
            if self._closed:
                raise DialFailure("closed")
        except BaseException as error:
            if channel.transport is not None:
                channel.transport.abort()
            if (failure := dial_failure(error)) is None:
                raise
            raise failure from None
        ends = Ends(expected, hello.binding, False, address.host)
        link = TlsLink(transport, ends, self._limits, on_end=self._forget)
        self._keep(link)
        channel.become(link, handler)
        return link

    async def close(self) -> None:
        """Stop listening, end all handshakes, close all links in order. At most two seconds."""
        self._closed = True
        tasks = [*self._tasks, *([self._accepting] if self._accepting else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for link in list(self._links):
            link.close()
        async with asyncio.timeout(2 * CLOSE_S):
            await self._quiet.wait()
        await asyncio.sleep(0)  # aborted channels give their sockets back in the loop's next turn

    async def _connect(self, address: Address, channel: _Channel) -> None:
        loop = asyncio.get_running_loop()
        local = None if self._local_host is None else (self._local_host, 0)
        if local is not None and (":" in local[0]) != (":" in address.host):
            local = None
        await loop.create_connection(
            lambda: channel,
            address.host,
            address.port,
            ssl=self._client,
            local_addr=local,
            ssl_handshake_timeout=self._limits.handshake_s,
            ssl_shutdown_timeout=CLOSE_S,
        )
        _no_delay(cast(asyncio.Transport, channel.transport))

    async def _accept_all(self, listener: socket.socket, acceptor: Acceptor) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, peer = await loop.sock_accept(listener)
            except OSError:  # no file descriptor left, or the connection was gone already
                await asyncio.sleep(0.05)
                continue
            ticket = self._gate.enter(peer[0])
            if ticket is None:
                sock.close()
                continue
            task = asyncio.create_task(self._welcome(sock, peer[0], ticket, acceptor), name="tls-handshake")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _welcome(self, sock: socket.socket, host: str, ticket: Ticket, acceptor: Acceptor) -> None:
        """The server's side of one handshake; gives the ticket back unless a link comes of it."""
        channel = _Channel()
        try:
            async with asyncio.timeout(self._limits.handshake_s):
                await asyncio.get_running_loop().connect_accepted_socket(
                    lambda: channel,
                    sock,
                    ssl=self._server,
                    ssl_handshake_timeout=self._limits.handshake_s,
                    ssl_shutdown_timeout=CLOSE_S,
                )
                transport = cast(asyncio.Transport, channel.transport)
                _no_delay(transport)
                hello = self._hello(channel, self._identity)
                transport.write(hello.server_answers(await channel.take(NONCE_BYTES)))
                key = hello.server_checks(await channel.take(PROOF_BYTES))
            if key is None or not ticket.admit(key):
                transport.write(bytes((Verdict.BUSY,)))
                transport.close()
                ticket.give_back()
                return
        except (OSError, DialFailure):  # TimeoutError and ssl.SSLError are OSErrors
            self._turn_away(sock, channel, ticket)
            return
        except BaseException:
            self._turn_away(sock, channel, ticket)
            raise
        self._open(channel, Ends(key, hello.binding, True, host), ticket, acceptor)

    def _open(self, channel: _Channel, ends: Ends, ticket: Ticket, acceptor: Acceptor) -> None:
        def ended(link: QueuedLink) -> None:
            ticket.give_back()
            self._forget(link)

        transport = cast(asyncio.Transport, channel.transport)
        transport.write(bytes((Verdict.OPEN,)))
        link = TlsLink(transport, ends, self._limits, on_end=ended)
        self._keep(link)
        channel.become(link, acceptor.accepted(link))

    @staticmethod
    def _turn_away(sock: socket.socket, channel: _Channel, ticket: Ticket) -> None:
        ticket.give_back()
        if channel.transport is not None:
            channel.transport.abort()
        else:
            with contextlib.suppress(OSError):
                sock.close()

    def _hello(self, channel: _Channel, identity: Identity) -> TlsHello:
        """The hello over this channel. DialFailure when the channel shows no binding."""
        transport = cast(asyncio.Transport, channel.transport)
        tls: ssl.SSLObject = transport.get_extra_info("ssl_object")
        finished = tls.get_channel_binding("tls-unique")
        certificate = self._certificate if tls.server_side else tls.getpeercert(binary_form=True)
        if not finished or not certificate or tls.selected_alpn_protocol() != ALPN:
            raise DialFailure("no railgun peer")

        def bind(client_nonce: bytes, server_nonce: bytes) -> bytes:
            return tls_binding(certificate, finished, client_nonce, server_nonce)

        return TlsHello(identity, secrets.token_bytes(NONCE_BYTES), bind)

    def _keep(self, link: QueuedLink) -> None:
        self._links.add(link)
        self._quiet.clear()

    def _forget(self, link: QueuedLink) -> None:
        self._links.discard(link)
        if not self._links:
            self._quiet.set()


def _listening_socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows: nobody else may share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise listen_failure(error) from None
    return listener


def _no_delay(transport: asyncio.Transport) -> None:
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
