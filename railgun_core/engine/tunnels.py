"""Tunnels of one engine: the links it opens through guards, and what it carries as a guard for others.

Which side a cell is for follows from who dialled its link: a client dials its guard. So a guard cannot ask its clients
to connect anywhere. Nothing here knows rooms; the node says which relay, and through which open link.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import ipaddress
import time
from collections.abc import Callable

from railgun_core.base.ids import LinkId, PeerId
from railgun_core.base.keys import Identity
from railgun_core.events import Dial
from railgun_core.transport.link import DialFailure, Link, LinkHandler
from railgun_core.transport.outqueue import CLOSE_S
from railgun_core.transport.tls import TlsTransport
from railgun_core.transport.tunnel import TunnelLimits
from railgun_core.transport.tunnel_guard import TunnelCounts, TunnelGuard
from railgun_core.transport.tunnel_pipe import TunnelClient, TunnelPipe
from railgun_core.transport.tunnel_proofs import Place
from railgun_core.wire.frames import Cell, CellKind
from railgun_core.wire.records import Address, AddressKind, PeerBody, PeerRole, Record

FIRST_TUNNEL_KIND = CellKind.CONNECT


class Reach(enum.IntEnum):
    """From where an address can be reached."""

    NOWHERE = 0  # no peer's address
    MACHINE = 1
    NETWORK = 2
    WORLD = 3


def tls_address(record: Record) -> Address | None:
    """Where a peer takes TLS links, as it says itself; None when it takes none."""
    body = record.body
    addresses = body.addresses if isinstance(body, PeerBody) else ()
    return next((address for address in addresses if address.kind is AddressKind.TLS), None)


def guarded_address(record: Record | None, *, own_host: str, unix_s: float) -> Address | None:
    """Where a guard at `own_host` may connect to for its clients: a live relay's TLS address, or None.

    A record is its signer's own word, so it may not lead a guard nearer to itself than it is to others: into its own
    machine or its private network. That the relay really is there is asked of the relay (tunnel_proofs.py).
    """
    if record is None or not isinstance(record.body, PeerBody) or not record.is_live(unix_s):
        return None
    address = tls_address(record)
    if address is None or not record.body.roles & (PeerRole.RELAY | PeerRole.MAILBOX):
        return None
    reach = _reach(address.host)
    return address if reach is not Reach.NOWHERE and reach >= _reach(own_host) else None


def _reach(host: str) -> Reach:
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback:
        return Reach.MACHINE
    if address.is_unspecified or address.is_multicast or address.is_link_local or address.is_reserved:
        return Reach.NOWHERE
    return Reach.WORLD if address.is_global else Reach.NETWORK


class Tunnels:
    """Both ends of tunnels, for one engine."""

    def __init__(
        self,
        transport: TlsTransport | None,
        *,
        link: Callable[[LinkId], Link | None],
        record: Callable[[PeerId], Record | None] | None,
        own_host: Callable[[], str],
        limits: TunnelLimits | None = None,
        unix_s: Callable[[], float] = time.time,
    ) -> None:
        """`transport`: what TLS links are opened with, None when this engine uses no TLS: then it has no tunnels.

        `link`: an open link by its number. `record`: a relay in the node's view, for clients; None: this engine is
        no guard. `own_host`: the address that this engine is reached at.
        """
        self._transport = transport
        self._link = link
        self._record = record
        self._own_host = own_host
        self._unix_s = unix_s
        self._guard = None if transport is None else TunnelGuard(transport, self._place, limits=limits)
        self._clients: dict[LinkId, TunnelClient] = {}
        self._open: dict[TunnelPipe, Link] = {}
        self._quiet = asyncio.Event()
        self._is_closed = False

    @property
    def counts(self) -> TunnelCounts:
        """What this engine did as a guard."""
        return TunnelCounts() if self._guard is None else self._guard.counts

    @property
    def carried(self) -> int:
        """Streams of clients, now."""
        return 0 if self._guard is None else len(self._guard)

    def cell(self, number: LinkId, cell: Cell) -> None:
        """A cell of a tunnel came on a link (effect TunnelCell). Never raises; what is wrong ends its stream."""
        link = self._link(number)
        if link is None or cell.kind < FIRST_TUNNEL_KIND:
            return
        if link.inbound and self._guard is not None:
            self._guard.cell(number, cell, send=link.send)
        elif not link.inbound and (client := self._clients.get(number)) is not None:
            client.cell(cell)

    async def dial(self, effect: Dial, *, identity: Identity, handler: LinkHandler) -> Link:
        """A link to `effect.record` through the guard link `effect.via`, as `identity`.

        DialFailure as a transport's, and: no-tls (that relay, or this engine, has none), no-guard (the link to the
        guard is gone), refused (the guard does not know this relay, or serves nobody).
        """
        address, transport = tls_address(effect.record), self._transport
        if address is None or transport is None:
            raise DialFailure("no TLS address", code="no-tls")
        guard = self._link(effect.via) if effect.via is not None else None
        if effect.via is None or guard is None or guard.inbound or self._is_closed:
            raise DialFailure("no link to the guard", code="no-guard")
        client = self._clients.get(effect.via)
        if client is None:
            client = self._clients[effect.via] = TunnelClient(guard.send, on_end=self._ended)
        pipes: list[TunnelPipe] = []

        async def attach(protocol: asyncio.Protocol) -> None:
            pipes.append(await client.open(effect.record.peer_id, protocol))

        link = await transport.dial_through(attach, effect.record.public_key, identity=identity, handler=handler)
        if self._is_closed:
            link.close()
            raise DialFailure("closed")
        if not pipes[0].is_closing():
            self._open[pipes[0]] = link
        return link

    def link_closed(self, number: LinkId) -> None:
        """A link has ended: whatever it carried ends, in both roles."""
        client = self._clients.pop(number, None)
        if client is not None:
            client.down()
        if self._guard is not None:
            self._guard.link_closed(number)

    async def close(self) -> None:
        """End all links through guards in order, and all streams of clients. Call it before the links close."""
        self._is_closed = True
        for link in list(self._open.values()):
            link.close()
        if self._open:
            self._quiet.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.5 * CLOSE_S):
                    await self._quiet.wait()
        for client in self._clients.values():
            client.abort()
        self._clients.clear()
        if self._guard is not None:
            await self._guard.close()

    def _place(self, peer: PeerId) -> Place | None:
        """Where a client's relay is, if this engine serves clients and knows it."""
        record = None if self._record is None else self._record(peer)
        address = guarded_address(record, own_host=self._own_host(), unix_s=self._unix_s())
        return None if record is None or address is None else Place(record.public_key, address)

    def _ended(self, pipe: TunnelPipe) -> None:
        self._open.pop(pipe, None)
        if not self._open:
            self._quiet.set()
