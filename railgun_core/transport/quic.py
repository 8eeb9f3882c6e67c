"""QUIC by iroh: the usual transport. Relays and discovery services are off, so it talks to given addresses only.

The library authenticates both Ed25519 keys. The listening endpoint is the peer itself; a pseudonym dials from an
endpoint of its own, which lives while it has links. An Endpoint that is collected kills its connections silently,
so every endpoint is held until it is closed.

Measured on iroh 1.2.0: a peer that vanishes is noticed by the library after 30-35 s (not adjustable), a dead
address never answers, so `Limits` are kept here. It refuses to dial itself (the dialer uses a memory link for that),
and opens a second socket on `[::]` that cannot be switched off.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import iroh
from iroh import Connection, Endpoint, Incoming, IrohError

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.base.ids import PublicKey
from railgun_core.base.keys import Identity
from railgun_core.transport import iroh_glue
from railgun_core.transport.gate import Gate, Ticket
from railgun_core.transport.hello import ALPN, NONCE_BYTES, keyed_binding
from railgun_core.transport.link import Acceptor, DialFailure, Limits, Link, LinkHandler
from railgun_core.transport.outqueue import Ends, OpenLinks, QueuedLink
from railgun_core.transport.quic_link import BUSY_REASON, CODE_BUSY, CODE_DONE, QuicLink, Streams
from railgun_core.wire.records import Address, AddressKind

ENDPOINT_CLOSE_S = 0.5
RETRY_ABOVE = 0.5  # above this share of half-open places an address has to prove itself before it costs one


@dataclass(slots=True)
class _Source:
    """An endpoint that dials, and how many dials and links need it."""

    ready: asyncio.Task[Endpoint]
    users: int = 0


class QuicTransport:
    """The contract of `Transport` over iroh."""

    def __init__(self, identity: Identity, *, limits: Limits | None = None) -> None:
        self._identity = identity
        self._limits = limits or Limits()
        self._gate = Gate(self._limits)
        self._listening: Endpoint | None = None
        self._host: str | None = None  # where the listener is bound
        self._accepting: asyncio.Task[None] | None = None
        self._sources: dict[tuple[bytes, str], _Source] = {}
        self._handshakes: set[asyncio.Task[None]] = set()
        self._endings: set[asyncio.Task[None]] = set()  # links and endpoints on their way out
        self._links = OpenLinks()
        self._closed = False

    @property
    def name(self) -> str:
        return QuicLink.name

    @property
    def is_fast(self) -> bool:
        """Whether the repaired glue is in use; without it sending costs 27 times more."""
        return iroh_glue.IS_FAST

    async def listen(self, host: str, port: int, acceptor: Acceptor) -> Address:
        """Accept links at `host:port`. EnvironmentFailure: port-taken, port-forbidden or no-such-address."""
        try:
            endpoint = await _bind(self._identity, host, port, alpns=[ALPN.encode()])
        except IrohError as error:
            raise _listen_failure(error.debug_message()) from None
        self._listening, self._host = endpoint, host
        self._accepting = asyncio.create_task(self._accept_all(endpoint, acceptor), name="quic-accept")
        return Address(AddressKind.QUIC, host, _bound_port(endpoint, host))

    async def dial(self, address: Address, expected: PublicKey, identity: Identity, handler: LinkHandler) -> Link:
        """A link to `expected` at `address`. The first dial of a pseudonym opens its endpoint, about 8 ms."""
        if self._closed:
            raise DialFailure("closed")
        place = (identity.seed, self._source_host(address.host))
        own = self._listening is not None and identity.seed == self._identity.seed and place[1] == self._host
        source = None if own else self._source(identity, place)
        try:
            connection, streams, nonces = await self._reach(source, address, expected)
        except BaseException:
            self._done_with(place, source)
            raise

        def ended(link: QueuedLink) -> None:
            self._forget(link)
            self._done_with(place, source)

        binding = keyed_binding(identity.public_key, expected, *nonces)
        ends = Ends(expected, binding, False, address.host)
        link = QuicLink(connection, streams, ends, self._limits, on_end=ended)
        self._links.keep(link)
        link.start(handler)
        return link

    async def close(self) -> None:
        """Stop listening, end all handshakes, close all links in order, close all endpoints. At most two seconds."""
        self._closed = True
        handshakes = [*self._handshakes, *([self._accepting] if self._accepting else [])]
        for task in handshakes:
            task.cancel()
        await asyncio.gather(*handshakes, return_exceptions=True)
        await self._links.close_all()
        while self._endings:
            await asyncio.gather(*self._endings, return_exceptions=True)
        if self._listening is not None:
            await _close_endpoint(self._listening)
            self._listening = None

    async def _reach(
        self, source: _Source | None, address: Address, expected: PublicKey
    ) -> tuple[Connection, Streams, tuple[bytes, bytes]]:
        """A connection, its one stream and both nonces, within `handshake_s`."""
        connection: Connection | None = None
        try:
            async with asyncio.timeout(self._limits.handshake_s):
                endpoint = self._listening if source is None else await asyncio.shield(source.ready)
                assert endpoint is not None
                connection = await endpoint.connect(_target(address, expected), ALPN.encode())
                stream = await connection.open_bi()
                streams = stream.send(), stream.recv()
                nonce = secrets.token_bytes(NONCE_BYTES)
                await streams[0].write_all(nonce)
                answer = await streams[1].read_exact(NONCE_BYTES)
            if self._closed:
                raise DialFailure("closed")
        except BaseException as error:
            failure = _dial_failure(error, connection)
            if connection is not None:
                connection.close(CODE_DONE, b"")
            if failure is None:
                raise
            raise failure from None
        return connection, streams, (nonce, answer)

    async def _accept_all(self, endpoint: Endpoint, acceptor: Acceptor) -> None:
        while (incoming := await endpoint.accept_next()) is not None:
            if len(self._handshakes) > 4 * self._limits.half_open:
                await incoming.ignore()
                continue
            _hold(self._welcome(incoming, acceptor), self._handshakes)

    async def _welcome(self, incoming: Incoming, acceptor: Acceptor) -> None:
        """One inbound handshake within `handshake_s`; its place is given back unless a link comes of it."""
        with contextlib.suppress(IrohError, TimeoutError):
            async with asyncio.timeout(self._limits.handshake_s):
                host = _host_of(await incoming.remote_addr())
                crowded = self._gate.half_open > RETRY_ABOVE * self._limits.half_open
                if crowded and not await incoming.remote_addr_validated():
                    await incoming.retry()  # costs no place: a forged address never comes back
                    return
                ticket = self._gate.enter(host)
                if ticket is None:
                    await incoming.refuse()
                    return
                await self._greet(incoming, host, ticket, acceptor)

    async def _greet(self, incoming: Incoming, host: str, ticket: Ticket, acceptor: Acceptor) -> None:
        connection: Connection | None = None
        try:
            connection = await (await incoming.accept()).connect()
            key = PublicKey(connection.remote_id().to_bytes())
            stream = await connection.accept_bi()
            streams = stream.send(), stream.recv()
            nonce = await streams[1].read_exact(NONCE_BYTES)
            if not ticket.admit(key):
                ticket.give_back()
                connection.close(CODE_BUSY, BUSY_REASON)
                return
            answer = secrets.token_bytes(NONCE_BYTES)
            await streams[0].write_all(answer)
        except BaseException:
            ticket.give_back()
            if connection is not None:
                connection.close(CODE_DONE, b"")
            raise

        def ended(link: QueuedLink) -> None:
            ticket.give_back()
            self._forget(link)

        binding = keyed_binding(key, self._identity.public_key, nonce, answer)
        link = QuicLink(connection, streams, Ends(key, binding, True, host), self._limits, on_end=ended)
        self._links.keep(link)
        link.start(acceptor.accepted(link))

    def _source_host(self, target: str) -> str:
        """Where to dial from: the listener's address, else loopback for loopback and any address for the rest."""
        version, loopback = ipaddress.ip_address(target).version, ipaddress.ip_address(target).is_loopback
        if self._host is not None and ipaddress.ip_address(self._host).version == version:
            return self._host
        if version == 4:
            return "127.0.0.1" if loopback else "0.0.0.0"
        return "::1" if loopback else "::"

    def _source(self, identity: Identity, place: tuple[bytes, str]) -> _Source:
        source = self._sources.get(place)
        if source is None:
            source = self._sources[place] = _Source(asyncio.create_task(_bind(identity, place[1], 0, alpns=[])))
        source.users += 1
        return source

    def _done_with(self, place: tuple[bytes, str], source: _Source | None) -> None:
        """One user less of an endpoint; the last one closes it."""
        if source is None:
            return
        source.users -= 1
        if source.users == 0 and self._sources.get(place) is source:
            del self._sources[place]
            _hold(_close_source(source), self._endings)

    def _forget(self, link: QueuedLink) -> None:
        self._links.forget(link)
        if isinstance(link, QuicLink):
            _hold(link.finished(), self._endings)


def _hold(work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> None:
    """Run `work` as a task that `tasks` refers to until it is done."""
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def _bind(identity: Identity, host: str, port: int, *, alpns: list[bytes]) -> Endpoint:
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return await Endpoint.bind(
        iroh.EndpointOptions(
            preset=iroh.preset_minimal(),
            relay_mode=iroh.RelayMode.disabled(),
            bind_addr=place,
            secret_key=identity.seed,
            alpns=alpns,
        )
    )


async def _close_endpoint(endpoint: Endpoint) -> None:
    with contextlib.suppress(IrohError, TimeoutError):
        async with asyncio.timeout(ENDPOINT_CLOSE_S):
            await endpoint.close()


async def _close_source(source: _Source) -> None:
    with contextlib.suppress(IrohError):
        await _close_endpoint(await source.ready)


def _target(address: Address, expected: PublicKey) -> iroh.EndpointAddr:
    place = f"[{address.host}]:{address.port}" if ":" in address.host else f"{address.host}:{address.port}"
    return iroh.EndpointAddr(iroh.EndpointId.from_bytes(expected), None, [place])


def _bound_port(endpoint: Endpoint, host: str) -> int:
    wanted = ipaddress.ip_address(host)
    for place in endpoint.bound_sockets():
        bound, _, port = place.rpartition(":")
        if ipaddress.ip_address(bound.strip("[]")) == wanted:
            return int(port)
    raise EnvironmentFailure("the socket is not where it was asked to be", code="no-such-address")


def _host_of(source: iroh.IncomingAddr) -> str:
    """The numeric address of an incoming connection; relays are off, so it always has one."""
    text = source.addr if isinstance(source, iroh.IncomingAddr.IP) else ""
    return text.rpartition(":")[0].strip("[]").split("%")[0]


def _listen_failure(message: str) -> EnvironmentFailure:
    """The library gives the system's error as text only."""
    lower = message.lower()
    if "in use" in lower or "os error 98" in lower or "os error 48)" in lower or "10048" in lower:
        return EnvironmentFailure("the port is taken", code="port-taken")
    if "permission" in lower or "os error 13)" in lower or "10013" in lower:
        return EnvironmentFailure("the system does not allow this port", code="port-forbidden")
    return EnvironmentFailure("this machine has no such address", code="no-such-address")


def _dial_failure(error: BaseException, connection: Connection | None) -> DialFailure | None:
    if isinstance(error, DialFailure):
        return error
    if isinstance(error, TimeoutError):
        return DialFailure("no answer in time", code="timeout")
    if not isinstance(error, IrohError):
        return None
    reason = (connection.close_reason() or "") if connection is not None else ""
    message = error.debug_message()
    if "refused to accept" in message or reason.endswith(f"{BUSY_REASON.decode()} (code {CODE_BUSY})"):
        return DialFailure("no place left", code="busy")
    if "invalid peer certificate" in message or "known protocol" in message:
        return DialFailure("another peer answered", code="wrong-peer")
    if "TimedOut" in message or "timed out" in message:
        return DialFailure("no answer in time", code="timeout")
    return DialFailure("nobody answers there")
