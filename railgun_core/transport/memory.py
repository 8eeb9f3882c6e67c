"""Links inside one process: for tests, and for a peer that dials itself.

A `MemoryNetwork` is the wire: it knows who listens where. Bytes are handed over by `call_soon`, joined as everywhere
else, so order, flushing, credit and closing are those of the real transports.
Keys are not proved by signatures: both ends hold their `Identity` in this process.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.base.hashing import tagged_hash
from railgun_core.base.ids import PublicKey
from railgun_core.base.keys import Identity
from railgun_core.transport.gate import Gate
from railgun_core.transport.link import Acceptor, CloseReason, DialFailure, Limits, Link, LinkHandler
from railgun_core.transport.outqueue import Ends, OpenLinks, QueuedLink
from railgun_core.wire.records import Address, AddressKind


class MemoryNetwork:
    """Who listens at which address. One per test, or one inside a dialer."""

    def __init__(self) -> None:
        self._listeners: dict[tuple[str, int], MemoryTransport] = {}
        self._next_port = 1024

    def _claim(self, host: str, port: int, transport: MemoryTransport) -> int:
        if port == 0:
            while (host, self._next_port) in self._listeners:
                self._next_port += 1
            port = self._next_port
        if (host, port) in self._listeners:
            raise EnvironmentFailure("the port is taken", code="port-taken")
        self._listeners[host, port] = transport
        return port

    def _release(self, transport: MemoryTransport) -> None:
        for place in [place for place, owner in self._listeners.items() if owner is transport]:
            del self._listeners[place]

    def _listener(self, host: str, port: int) -> MemoryTransport | None:
        return self._listeners.get((host, port))


class MemoryLink(QueuedLink):
    """One end of a pair."""

    __slots__ = ("_cut", "_twin")
    name = "memory"

    def __init__(self, ends: Ends, limits: Limits, *, on_end: Callable[[QueuedLink], None]) -> None:
        super().__init__(ends, limits, on_end=on_end)
        self._twin: MemoryLink | None = None
        self._cut = False

    def join(self, twin: MemoryLink) -> None:
        """Make the two ends one link."""
        self._twin, twin._twin = twin, self

    def cut(self) -> None:
        """Stop carrying bytes both ways without telling anybody, as a pulled cable does."""
        for end in (self, self._twin):
            if end is not None:
                end._cut = True

    def _write_out(self) -> None:
        while self._queue:
            data = self._take()
            if self._twin is not None and not self._cut:
                self._loop.call_soon(self._twin._received, data)
                self._sent(len(data))
            else:
                self._busy = True
                return

    def _shut(self) -> None:
        if not self._busy:
            self._write_out()
        if self._cut:
            return  # nobody takes it: the deadline of close() ends this link
        self._hang_up(CloseReason.REMOTE)
        self._end(CloseReason.LOCAL)

    def _abort(self, reason: CloseReason) -> None:
        self._hang_up(CloseReason.REMOTE)

    def _hang_up(self, reason: CloseReason) -> None:
        twin, self._twin = self._twin, None
        if twin is not None and not self._cut:
            twin._twin = None
            self._loop.call_soon(twin._hung_up, reason)

    def _hung_up(self, reason: CloseReason) -> None:
        if not self._ended:
            self._end(CloseReason.LOCAL if self._closing else reason)


class MemoryTransport:
    """The contract of `Transport` inside one process."""

    def __init__(
        self,
        identity: Identity,
        network: MemoryNetwork,
        *,
        limits: Limits | None = None,
        kind: AddressKind = AddressKind.QUIC,
    ) -> None:
        self._identity = identity
        self._network = network
        self._limits = limits or Limits()
        self._kind = kind  # under which kind its addresses are written
        self._gate = Gate(self._limits)
        self._acceptor: Acceptor | None = None
        self._links = OpenLinks()

    @property
    def name(self) -> str:
        return MemoryLink.name

    def open(self, host: str, port: int, acceptor: Acceptor) -> Address:
        """Listen, without waiting. EnvironmentFailure(port-taken)."""
        port = self._network._claim(host, port, self)
        self._acceptor = acceptor
        return Address(self._kind, host, port)

    async def listen(self, host: str, port: int, acceptor: Acceptor) -> Address:
        return self.open(host, port, acceptor)

    async def dial(self, address: Address, expected: PublicKey, identity: Identity, handler: LinkHandler) -> Link:
        """A link to the transport that listens at `address`."""
        listener = self._network._listener(address.host, address.port)
        if listener is None:
            raise DialFailure("nobody listens there")
        if listener._identity.public_key != expected:
            raise DialFailure("somebody else listens there", code="wrong-peer")
        nonces = secrets.token_bytes(64)
        binding = tagged_hash("binding", identity.public_key, expected, nonces)
        near = MemoryLink(Ends(expected, binding, False, ""), self._limits, on_end=self._links.forget)
        listener._accept(near, identity.public_key, binding)
        self._links.keep(near)
        near.start(handler)
        return near

    async def close(self) -> None:
        """Close all links in order and give up the address."""
        self._network._release(self)
        self._acceptor = None
        await self._links.close_all()

    def _accept(self, near: MemoryLink, key: PublicKey, binding: bytes) -> None:
        ticket = self._gate.enter(key.hex())  # there are no hosts: each key is one
        if ticket is None or self._acceptor is None or not ticket.admit(key):
            if ticket is not None:
                ticket.give_back()
            raise DialFailure("no place left", code="busy")

        def ended(link: QueuedLink) -> None:
            ticket.give_back()
            self._links.forget(link)

        far = MemoryLink(Ends(key, binding, True, ""), self._limits, on_end=ended)
        near.join(far)
        self._links.keep(far)
        far.start(self._acceptor.accepted(far))
