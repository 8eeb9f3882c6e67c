"""TLS 1.3 over TCP: the cheapest transport, and the one where UDP is blocked.

The gate is asked before any cryptography; a handshake is a task with a deadline; after it a link sits directly
on its channel, so a whole read goes to the frame splitter as it is. Works on asyncio and on uvloop.

Certificates prove nothing here; keys are proved by `hello.TlsHello` over the channel binding. Both sides of a
fresh TLS 1.3 handshake see the same `tls-unique` (checked by the contract suite).
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable
from functools import partial

from railgun_core.base.ids import PublicKey
from railgun_core.base.keys import Identity
from railgun_core.transport.accepting import stop_accepting
from railgun_core.transport.certificate import client_context, server_context
from railgun_core.transport.failures import dial_failure, listen_failure
from railgun_core.transport.gate import Gate, Ticket
from railgun_core.transport.hello import ALPN, NONCE_BYTES, PROOF_BYTES, TlsHello, Verdict, tls_binding
from railgun_core.transport.link import Acceptor, CloseReason, DialFailure, Limits, Link, LinkHandler
from railgun_core.transport.outqueue import CLOSE_S, Ends, OpenLinks, QueuedLink
from railgun_core.transport.tls_channel import READ_BYTES, TlsChannel
from railgun_core.wire.records import Address, AddressKind

Attach = Callable[[asyncio.Protocol], Awaitable[object]]  # connects a protocol to bytes; OSError or DialFailure
BACKLOG = 512
WRITE_BYTES = 64 * 1024  # small enough to be encrypted and copied within the processor's cache


class TlsLink(QueuedLink):
    """A link over an open channel."""

    __slots__ = ("_channel",)
    name = "tls"

    def __init__(
        self, channel: TlsChannel, ends: Ends, limits: Limits, *, on_end: Callable[[QueuedLink], None]
    ) -> None:
        super().__init__(ends, limits, on_end=on_end)
        self._channel = channel

    def start(self, handler: LinkHandler) -> None:
        super().start(handler)
        self._channel.give_to(self)

    def channel_read(self, data: bytes) -> None:
        self._received(data)

    def channel_full(self) -> None:
        self._busy = True

    def channel_drained(self) -> None:
        self._sent(self._flight_bytes)
        if self._closing:
            self._busy = False
            self._shut()
        else:
            self._ready()

    def channel_ended(self, *, in_order: bool) -> None:
        if self._closing:
            self._end(CloseReason.LOCAL)
        else:
            self._end(CloseReason.REMOTE if in_order else CloseReason.LOST)

    def _write_out(self) -> None:
        while self._queue and not self._busy:
            pieces, size = self._take_pieces(WRITE_BYTES)
            self._channel.write(*pieces)
            if not self._busy:
                self._sent(size)

    def _shut(self) -> None:
        if self._ended:
            return
        self._write_out()
        if not self._busy:
            self._channel.finish(CLOSE_S)

    def _abort(self, reason: CloseReason) -> None:
        self._channel.abort()


class TunnelledLink(TlsLink):
    """A link through a guard: the same from end to end, and this device has no connection with the other's host."""

    __slots__ = ()
    name = "tunnel"


class TlsTransport:
    """The contract of `Transport` over TCP and TLS 1.3."""

    def __init__(self, identity: Identity, *, limits: Limits | None = None) -> None:
        self._identity = identity
        self._limits = limits or Limits()
        self._gate = Gate(self._limits)
        self._client = client_context()
        self._certificate = b""  # our own, as clients see it
        self._server: asyncio.Server | None = None
        self._local_host: str | None = None  # where dials come from, when we listen at one address
        self._scratch = memoryview(bytearray(READ_BYTES))
        self._channels: set[TlsChannel] = set()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._links = OpenLinks()
        self._closed = False

    @property
    def name(self) -> str:
        return TlsLink.name

    async def listen(self, host: str, port: int, acceptor: Acceptor) -> Address:
        """Accept links at `host:port`. EnvironmentFailure: port-taken, port-forbidden or no-such-address."""
        listener = _listening_socket(host, port)
        context, self._certificate = server_context()

        def channel() -> TlsChannel:
            return TlsChannel(context, self._scratch, server_side=True, on_made=knock, on_lost=self._channels.discard)

        def knock(channel: TlsChannel) -> None:
            self._knock(channel, acceptor)

        self._server = await asyncio.get_running_loop().create_server(channel, sock=listener, backlog=BACKLOG)
        self._local_host = None if ipaddress.ip_address(host).is_unspecified else host
        return Address(AddressKind.TLS, host, listener.getsockname()[1])

    async def dial(self, address: Address, expected: PublicKey, identity: Identity, handler: LinkHandler) -> Link:
        """A link to `expected` at `address`."""
        channel, binding = await self._open(partial(self.connect, address), expected, identity)
        ends = Ends(expected, binding, False, address.host)
        return self._started(TlsLink(channel, ends, self._limits, on_end=self._links.forget), handler)

    async def dial_through(
        self, attach: Attach, expected: PublicKey, *, identity: Identity, handler: LinkHandler
    ) -> Link:
        """A link to `expected` over a tunnel: `attach` connects a protocol to it. Fails as `dial` and as `attach`."""
        channel, binding = await self._open(attach, expected, identity)
        ends = Ends(expected, binding, False, "")
        return self._started(TunnelledLink(channel, ends, self._limits, on_end=self._links.forget), handler)

    async def prove(self, address: Address, expected: PublicKey) -> None:
        """DialFailure unless `expected` listens at `address`. The other side sees a handshake that breaks off."""
        channel, _ = await self._open(partial(self.connect, address), expected, None)
        channel.abort()
        self._channels.discard(channel)

    async def connect(self, address: Address, protocol: asyncio.BaseProtocol) -> None:
        """A plain TCP connection from where this transport listens, handed to `protocol`. OSError."""
        local = None if self._local_host is None else (self._local_host, 0)
        if local is not None and (":" in local[0]) != (":" in address.host):
            local = None
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: protocol, address.host, address.port, local_addr=local)

    async def _open(self, attach: Attach, expected: PublicKey, identity: Identity | None) -> tuple[TlsChannel, bytes]:
        """The client's side of one handshake: the channel, its peer proved, and the binding. DialFailure.

        With `identity` None it ends when the other side has proved its key.
        """
        if self._closed:
            raise DialFailure("closed")
        channel = TlsChannel(self._client, self._scratch, server_side=False, on_lost=self._channels.discard)
        self._channels.add(channel)
        try:
            async with asyncio.timeout(self._limits.handshake_s):
                await attach(channel)
                await channel.opened()
                hello = self._hello(channel, identity or self._identity)
                channel.write(hello.client_opens())
                proof = hello.client_proves(await channel.take(NONCE_BYTES + PROOF_BYTES), expected)
                if identity is not None:
                    channel.write(proof)
                    if await channel.take(1) != bytes((Verdict.OPEN,)):
                        raise DialFailure("no place left", code="busy")
            if self._closed:
                raise DialFailure("closed")
        except BaseException as error:
            channel.abort()
            self._channels.discard(channel)
            if (failure := dial_failure(error)) is None:
                raise
            raise failure from None
        return channel, hello.binding

    def _started(self, link: TlsLink, handler: LinkHandler) -> Link:
        self._links.keep(link)
        link.start(handler)
        return link

    async def close(self) -> None:
        """Stop listening, end all handshakes, close all links in order. At most two seconds."""
        self._closed = True
        server, self._server = self._server, None
        if server is not None:
            await stop_accepting(server)
            server.close()
        for task in self._handshakes:
            task.cancel()
        await asyncio.gather(*self._handshakes, return_exceptions=True)
        await self._links.close_all()
        for channel in list(self._channels):
            channel.abort()
        for _ in range(3):  # the loop gives the sockets back in its next turns
            await asyncio.sleep(0)

    def _knock(self, channel: TlsChannel, acceptor: Acceptor) -> None:
        """Somebody connected: a task for the handshake, if the gate has a place. No cryptography before that."""
        host = channel.remote_host
        ticket = None if self._closed else self._gate.enter(host)
        if ticket is None:
            channel.abort()
            return
        self._channels.add(channel)
        task = asyncio.create_task(self._welcome(channel, host, ticket, acceptor), name="tls-handshake")
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    async def _welcome(self, channel: TlsChannel, host: str, ticket: Ticket, acceptor: Acceptor) -> None:
        """The server's side of one handshake; its place is given back unless a link comes of it."""
        try:
            async with asyncio.timeout(self._limits.handshake_s):
                await channel.opened()
                hello = self._hello(channel, self._identity)
                channel.write(hello.server_answers(await channel.take(NONCE_BYTES)))
                key = hello.server_checks(await channel.take(PROOF_BYTES))
        except BaseException as error:
            ticket.give_back()
            channel.abort()
            if isinstance(error, (OSError, DialFailure)):  # TimeoutError and ssl.SSLError are OSErrors
                return
            raise
        if key is None or not ticket.admit(key):
            ticket.give_back()
            channel.write(bytes((Verdict.BUSY,)))
            channel.finish(CLOSE_S)
            return

        def ended(link: QueuedLink) -> None:
            ticket.give_back()
            self._links.forget(link)

        channel.write(bytes((Verdict.OPEN,)))
        link = TlsLink(channel, Ends(key, hello.binding, True, host), self._limits, on_end=ended)
        self._links.keep(link)
        link.start(acceptor.accepted(link))

    def _hello(self, channel: TlsChannel, identity: Identity) -> TlsHello:
        """The hello over this channel. DialFailure when the channel shows no binding."""
        finished = channel.tls.get_channel_binding("tls-unique")
        certificate = self._certificate if channel.tls.server_side else channel.tls.getpeercert(binary_form=True)
        if not finished or not certificate or channel.tls.selected_alpn_protocol() != ALPN:
            raise DialFailure("no railgun peer", code="wrong-peer")

        def bind(client_nonce: bytes, server_nonce: bytes) -> bytes:
            return tls_binding(certificate, finished, client_nonce, server_nonce)

        return TlsHello(identity, secrets.token_bytes(NONCE_BYTES), bind)


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
