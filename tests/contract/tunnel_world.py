"""A guard on loopback, and a transport whose every dial goes through it: for the contract and for the guard's tests.

Client and guard talk over a real TLS link that carries nothing but cells, as an engine would have them do.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import time

from railgun_core.base.ids import DialId, LinkId, PeerId, PublicKey
from railgun_core.base.keys import Identity
from railgun_core.engine.tunnels import Tunnels
from railgun_core.events import Dial
from railgun_core.transport.link import Acceptor, CloseReason, Limits, Link, LinkHandler
from railgun_core.transport.tls import TlsTransport
from railgun_core.transport.tunnel import TunnelLimits
from railgun_core.wire.frames import Cell, FrameBatch, control_frames
from railgun_core.wire.records import Address, AddressKind, PeerBody, PeerRole, Record, sign_record

GUARD, CLIENT = Identity(b"\x08" * 32), Identity(b"\x09" * 32)
HOST = "127.0.0.1"


def relay_record(identity: Identity, *addresses: Address, roles: PeerRole = PeerRole.RELAY) -> Record:
    """What a relay says of itself; its DHT is said to be on its first address's host."""
    unix_s = time.time()
    home = Address(AddressKind.DHT, addresses[0].host if addresses else HOST, 9)
    body = PeerBody((*addresses, home), roles, "test", 1, 1)
    return sign_record(
        identity, body, sequence=int(unix_s * 1000), not_before_s=int(unix_s), expires_s=int(unix_s) + 600
    )


def claimed_record(key: PublicKey, *addresses: Address) -> Record:
    """A relay's record under a key whose owner has no part in the test."""
    return dataclasses.replace(relay_record(Identity(bytes(32)), *addresses), public_key=key)


class CellEnd:
    """One peer's side of links that carry cells: numbers them, and hands cells to its tunnels as the engine does."""

    def __init__(self) -> None:
        self.tunnels: Tunnels
        self.links: dict[LinkId, Link] = {}
        self.cells: list[Cell] = []
        self.reads: list[bytes] = []
        self.is_deaf = False
        self._numbers = itertools.count(1)

    def accepted(self, link: Link) -> CellEnd:
        self.links[LinkId(next(self._numbers))] = link
        return self

    def number(self, link: Link) -> LinkId:
        return next(number for number, each in self.links.items() if each is link)

    def frames(self, link: Link, batch: FrameBatch) -> None:
        self.reads.append(batch.data)
        for frame in control_frames(batch):
            assert isinstance(frame, Cell)
            self.cells.append(frame)
            if not self.is_deaf:
                self.tunnels.cell(self.number(link), frame)

    def credit(self, link: Link) -> None: ...

    def closed(self, link: Link, reason: CloseReason) -> None:
        number = self.number(link)
        del self.links[number]
        self.tunnels.link_closed(number)


class GuardPeer:
    """A guard that knows the relays in `relays`."""

    def __init__(self, limits: TunnelLimits | None = None) -> None:
        self.relays: dict[PeerId, Record] = {}
        self.end = CellEnd()
        self.transport = TlsTransport(GUARD, limits=Limits(per_key=64))
        self.tunnels = self.end.tunnels = Tunnels(
            self.transport,
            link=self.end.links.get,
            record=self.relays.get,
            own_host=lambda: HOST,
            limits=limits,
        )
        self.address: Address

    async def start(self) -> GuardPeer:
        self.address = await self.transport.listen(HOST, 0, self.end)
        return self

    async def close(self) -> None:
        await self.tunnels.close()
        await self.transport.close()


class TunnelledTransport:
    """The contract of `Transport` whose dials go through a guard of its own; it listens for itself."""

    name = "tunnel"

    def __init__(self, identity: Identity, *, limits: Limits | None = None) -> None:
        self._inner = TlsTransport(identity, limits=limits)
        self._outer = TlsTransport(CLIENT)
        self.end = CellEnd()
        self.tunnels = self.end.tunnels = Tunnels(
            self._inner, link=self.end.links.get, record=None, own_host=lambda: HOST
        )
        self.guard = GuardPeer()
        self.via: LinkId | None = None
        self._ready: asyncio.Task[LinkId] | None = None
        self._dials = itertools.count(1)

    async def listen(self, host: str, port: int, acceptor: Acceptor) -> Address:
        return await self._inner.listen(host, port, acceptor)

    async def join(self, guard: GuardPeer) -> LinkId:
        """A link to `guard`; the next dials go through it."""
        link = await self._outer.dial(guard.address, GUARD.public_key, CLIENT, self.end)
        self.end.accepted(link)
        self.via = self.end.number(link)
        return self.via

    async def dial(self, address: Address, expected: PublicKey, identity: Identity, handler: LinkHandler) -> Link:
        if self._ready is None:
            self._ready = asyncio.create_task(self._prepare())
        await asyncio.shield(self._ready)  # a dial that is cancelled leaves the guard to the next one
        record = claimed_record(expected, address)
        self.guard.relays[record.peer_id] = record
        return await self.through(record, identity=identity, handler=handler)

    async def _prepare(self) -> LinkId:
        return await self.join(await self.guard.start())

    async def through(self, record: Record, *, identity: Identity, handler: LinkHandler) -> Link:
        """A dial of this relay; the guard knows it or not."""
        dial = Dial(DialId(next(self._dials)), record, None, self.via)
        return await self.tunnels.dial(dial, identity=identity, handler=handler)

    async def close(self) -> None:
        if self._ready is not None:
            await self._ready
        await self._inner.close()
        await self.tunnels.close()
        await self._outer.close()
        await self.guard.close()
