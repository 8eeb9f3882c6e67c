"""Which transport, which address: the first link that opens to a peer.

The preferred transport starts; the next starts when that failed or after a stagger, because a blocked UDP path never
says no (RFC 8305 does the same for IPv6 and IPv4). What worked for a peer is tried first the next time.
A peer that dials itself gets a link in memory. When to try again is not decided here.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from railgun_core.base.ids import PublicKey
from railgun_core.base.keys import Identity
from railgun_core.transport.failures import NobodyListens
from railgun_core.transport.link import Acceptor, CloseReason, DialFailure, Limits, Link, LinkHandler, Transport
from railgun_core.transport.memory import MemoryNetwork, MemoryTransport
from railgun_core.transport.outqueue import QueuedLink
from railgun_core.wire.frames import FrameBatch
from railgun_core.wire.records import Address, AddressKind

STAGGER_S = 1.0  # guess: a dialable relay answers well before; a race that is not needed costs a QUIC handshake
REMEMBERED_PEERS = 1_024
# Once the machine says that nothing listens at one port, its process is most likely gone. A firewall may say so too, so
# the other ways are still tried; but a handshake over UDP would go on asking until the peer is back, and whoever could
# turn to another relay meanwhile would wait for it.
AFTER_NOBODY_S = 1.0
_USEFUL = ("wrong-peer", "busy", "timeout", "unreachable")  # of several failures the first of these is told


class Dialer:
    """Dials peers over several transports. `transports` is in order of preference."""

    def __init__(
        self,
        identity: Identity,
        transports: Sequence[tuple[AddressKind, Transport]],
        *,
        acceptor: Acceptor,
        limits: Limits | None = None,
        stagger_s: float = STAGGER_S,
        after_nobody_s: float = AFTER_NOBODY_S,
    ) -> None:
        self._identity = identity
        self._transports = dict(transports)
        self._stagger_s = stagger_s
        self._after_nobody_s = after_nobody_s
        self._worked: OrderedDict[PublicKey, AddressKind] = OrderedDict()
        self._inner = MemoryTransport(identity, MemoryNetwork(), limits=limits)
        self._inner_address = self._inner.open("", 0, acceptor)

    def remembered(self, peer: PublicKey) -> AddressKind | None:
        """Over what `peer` was reached last."""
        return self._worked.get(peer)

    async def dial(
        self, peer: PublicKey, addresses: Sequence[Address], *, identity: Identity, handler: LinkHandler
    ) -> Link:
        """The first link to `peer` that opens, as `identity`. DialFailure with the most useful code when none does.

        `handler` hears of that link only, possibly before this returns.
        """
        if peer == self._identity.public_key:
            return await self._inner.dial(self._inner_address, peer, identity, handler)
        order = self._order(peer, addresses)
        if not order:
            raise DialFailure("no address for any transport")
        race = _Race(handler)
        link = await self._run(race, [(self._transports[a.kind], a) for a in order], peer, identity)
        if not race.nobody_listens:  # the other way is the better one again as soon as the peer listens there
            self._remember(peer, race.winner_kind)
        return link

    async def close(self) -> None:
        """Close the links to oneself. The transports belong to whoever made them."""
        await self._inner.close()

    def _order(self, peer: PublicKey, addresses: Sequence[Address]) -> list[Address]:
        preference = list(self._transports)
        worked = self._worked.get(peer)
        usable = [address for address in addresses if address.kind in self._transports]
        return sorted(usable, key=lambda a: (a.kind is not worked, preference.index(a.kind)))

    def _remember(self, peer: PublicKey, kind: AddressKind | None) -> None:
        if kind is None:
            return
        self._worked[peer] = kind
        self._worked.move_to_end(peer)
        if len(self._worked) > REMEMBERED_PEERS:
            self._worked.popitem(last=False)

    async def _run(
        self, race: _Race, attempts: list[tuple[Transport, Address]], peer: PublicKey, identity: Identity
    ) -> Link:
        running: set[asyncio.Task[None]] = set()
        waiting = list(attempts)
        try:
            while (waiting or running) and race.link is None:
                if waiting:
                    transport, address = waiting.pop(0)
                    attempt = race.attempt(transport, address, peer, identity)
                    running.add(asyncio.create_task(attempt, name="dial"))
                last_s = self._after_nobody_s if race.nobody_listens else None  # else it has its own deadline
                wait_s = self._stagger_s if waiting else last_s
                done, running = await asyncio.wait(running, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
                if not done and not waiting:
                    break
                for task in done:
                    task.result()
        except BaseException:
            if race.link is not None:
                race.link.close()
            raise
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            race.is_over = True
        if race.link is None:
            raise race.failure()
        return race.link


class _Race:
    """Several attempts of which one may win; only the winner's events reach the handler."""

    def __init__(self, handler: LinkHandler) -> None:
        self.handler = handler
        self.link: Link | None = None
        self.winner_kind: AddressKind | None = None
        self.is_over = False
        self._failures: list[DialFailure] = []

    async def attempt(self, transport: Transport, address: Address, peer: PublicKey, identity: Identity) -> None:
        """One dial. A failure is kept, a second link is closed."""
        runner = _Runner(self, address.kind)
        try:
            link = await transport.dial(address, peer, identity, runner)
        except DialFailure as failure:
            self._failures.append(failure)
            return
        if not self.claim(link, address.kind):
            link.close()
        elif isinstance(link, QueuedLink):
            link.adopt(self.handler)  # spares one call per read

    def claim(self, link: Link, kind: AddressKind) -> bool:
        """Whether `link` is the winner. The first to ask is."""
        if self.link is None and not self.is_over:
            self.link, self.winner_kind = link, kind
        return self.link is link

    @property
    def nobody_listens(self) -> bool:
        """Whether the peer's machine said so at one of its ports."""
        return any(isinstance(failure, NobodyListens) for failure in self._failures)

    def failure(self) -> DialFailure:
        codes = [failure.code for failure in self._failures]
        for code in _USEFUL:
            if code in codes:
                return self._failures[codes.index(code)]
        return self._failures[0] if self._failures else DialFailure("nobody answers")


class _Runner:
    """The handler of an attempt: passes on what the winner says, closes the others."""

    def __init__(self, race: _Race, kind: AddressKind) -> None:
        self._race = race
        self._kind = kind

    def frames(self, link: Link, batch: FrameBatch) -> None:
        if self._race.claim(link, self._kind):
            self._race.handler.frames(link, batch)

    def credit(self, link: Link) -> None:
        if self._race.claim(link, self._kind):
            self._race.handler.credit(link)

    def closed(self, link: Link, reason: CloseReason) -> None:
        if self._race.link is link:
            self._race.handler.closed(link, reason)
