"""Tunnels of one engine: the links it opens through guards, and what it carries as a guard for others.

Which side a cell is for follows from who dialled its link: a client dials its guard. So a guard cannot ask its clients
to connect anywhere. Nothing here knows rooms; the node says which relay, and through which open link.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Callable

from railgun_core.base.ids import LinkId
from railgun_core.base.keys import Identity
from railgun_core.events import Dial
from railgun_core.transport.link import DialFailure, Link, LinkHandler
from railgun_core.transport.outqueue import CLOSE_S
from railgun_core.transport.tls import TlsTransport
from railgun_core.transport.tunnel import TunnelLimits
from railgun_core.transport.tunnel_guard import Target, TunnelCounts, TunnelGuard
from railgun_core.transport.tunnel_pipe import TunnelClient, TunnelPipe
from railgun_core.wire.frames import Cell
from railgun_core.wire.records import Address, AddressKind, PeerBody, PeerRole, Record

FIRST_TUNNEL_KIND = 16


def tls_address(record: Record) -> Address | None:
    """Where a peer takes TLS links, as it says itself; None when it takes none."""
    body = record.body
    addresses = body.addresses if isinstance(body, PeerBody) else ()
    return next((address for address in addresses if address.kind is AddressKind.TLS), None)


def guarded_address(record: Record | None, *, own_host: str, unix_s: float) -> Address | None:
    """Where a guard at `own_host` connects to for its clients: a live relay's TLS address, or None.

    A record is its peer's own word, so its address is not followed everywhere: it has to be on the host of its DHT
    address, whose group the record's keepers saw, and not nearer to this machine than the guard's own address is.
    """
    if record is None or not isinstance(record.body, PeerBody) or not record.is_live(unix_s):
        return None
    address = tls_address(record)
    home = next((each for each in record.body.addresses if each.kind is AddressKind.DHT), None)
    if address is None or home is None or home.host != address.host or PeerRole.RELAY not in record.body.roles:
        return None
    return address if (reach := _reach(address.host)) and reach >= _reach(own_host) else None


def _reach(host: str) -> int:
    """From where an address can be reached: 1 this machine, 2 a private network, 3 everywhere; 0 is no peer's."""
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped if mapped is not None else address
    if address.is_loopback:
        return 1
    if address.is_unspecified or address.is_multicast or address.is_link_local or address.is_reserved:
        return 0
    return 3 if address.is_global else 2


class Tunnels:
    """Both ends of tunnels, for one engine."""

    def __init__(
        self,
        transport: TlsTransport | None,
        *,
        link: Callable[[LinkId], Link | None],
        target: Target | None,
        local_host: str | None = None,
        limits: TunnelLimits | None = None,
    ) -> None:
        """`transport`: what TLS links are opened with; `link`: an open link by its number.

        `target`: where a relay may be reached for a client (see `guarded_address`); None: this engine is no guard.
        `local_host`: the address that a guard's connections leave from, when it listens at one.
        """
        self._transport = transport
        self._link = link
        self._guard = TunnelGuard(target or (lambda peer: None), local_host=local_host, limits=limits)
        self._clients: dict[LinkId, TunnelClient] = {}
        self._open: dict[TunnelPipe, Link] = {}
        self._quiet = asyncio.Event()
        self._is_closed = False

    @property
    def counts(self) -> TunnelCounts:
        """What this engine did as a guard."""
        return self._guard.counts

    @property
    def carried(self) -> int:
        """Streams of clients, now."""
        return len(self._guard)

    def cell(self, number: LinkId, cell: Cell) -> None:
        """A cell of a tunnel came on a link (effect TunnelCell). Never raises; what is wrong ends its stream."""
        link = self._link(number)
        if link is None or cell.kind < FIRST_TUNNEL_KIND:
            return
        if link.inbound:
            self._guard.cell(number, cell, send=link.send)
        elif (client := self._clients.get(number)) is not None:
            client.cell(cell)

    async def dial(self, effect: Dial, *, identity: Identity, handler: LinkHandler) -> Link:
        """A link to `effect.record` through the guard link `effect.via`, as `identity`.

        DialFailure as a transport's, and: no-tls (that relay, or this engine, has none), no-guard (the link to the
        guard is gone), refused (the guard does not know this relay).
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
        await self._guard.close()

    def _ended(self, pipe: TunnelPipe) -> None:
        self._open.pop(pipe, None)
        if not self._open:
            self._quiet.set()
