"""The engine: one node, real sockets, a real disk, one loop.

    event, deadline or frames -> node -> effects: save, send, publish

Exactly one task at a time touches the node, because everything here runs on one loop and the node never waits.
Started in order (disk, sockets, DHT), stopped in reverse; every wait has a deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import secrets
from collections import deque
from dataclasses import replace
from random import SystemRandom

import structlog

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.base.ids import LinkId
from railgun_core.base.keys import Identity, generate_identity
from railgun_core.base.skew import ClockState
from railgun_core.config import Config, HostPort, save_options
from railgun_core.discovery.dht import Dht
from railgun_core.engine.board import Board
from railgun_core.engine.books import PEERS_KEPT, Books
from railgun_core.engine.clock import Clock
from railgun_core.engine.disk import DiskWatch
from railgun_core.engine.entering import Entering, dht_config, records_of
from railgun_core.engine.keeping import Keeping
from railgun_core.engine.ledger import EngineLedger
from railgun_core.engine.links import Handler, LinkTable, group_of_link
from railgun_core.engine.modes import Modes
from railgun_core.engine.network import node_config
from railgun_core.engine.ports import Ports, bind_ports
from railgun_core.engine.presence import Presence
from railgun_core.engine.privacy import Privacy
from railgun_core.engine.reading import Reading
from railgun_core.engine.saving import Saver
from railgun_core.engine.tasks import Tasks
from railgun_core.engine.telemetry import RelayTelemetry
from railgun_core.engine.tunnels import Tunnels
from railgun_core.engine.waiting import Waiting
from railgun_core.engine.waking import Place, Waking, addresses_for
from railgun_core.events import (
    Announce,
    CentralFollow,
    CentralKeep,
    Dial,
    DialFailed,
    Effect,
    Event,
    FetchItems,
    FetchMail,
    Grew,
    Hangup,
    LinkDown,
    LinkUp,
    Lookup,
    Measured,
    Moved,
    Noticed,
    RelaysFound,
    Save,
    Saved,
    SaveSoon,
    Send,
    Tick,
    TunnelCell,
    Welcomed,
)
from railgun_core.node import Node
from railgun_core.status import NodeStatus
from railgun_core.store.datadir import open_data_dir
from railgun_core.store.keyfile import load_or_create
from railgun_core.store.sqlite import SqliteStore
from railgun_core.transport.dialer import Dialer
from railgun_core.transport.link import CloseReason, DialFailure, Link
from railgun_core.wire.frames import FrameBatch
from railgun_core.wire.records import Record

log = structlog.get_logger("engine")
SAMPLE_EVERY_S = 1.0
FLUSH_EVERY_S = 10.0
PRUNE_EVERY_S = 3_600.0


class Engine:
    """One peer of the network, from `start` to `stop`."""

    def __init__(self, config: Config, *, clock: Clock | None = None) -> None:
        """`clock`: the machine's, unless a test has its own."""
        self.config = config
        self.clock = clock or Clock()
        self.started = self.clock.instant()
        self.board = Board(config, self.started)
        self.waiting = Waiting()
        self.privacy = Privacy(self)
        self.keeping = Keeping(self)
        self.telemetry = RelayTelemetry(lambda: self.config, lambda text: self.modes.share(text))
        self.links = LinkTable(on_frames=self._frames, on_closed=self._link_closed)
        self.node: Node
        self.store: SqliteStore
        self.dht: Dht
        self.books: Books
        self.ledger: EngineLedger
        self.ports: Ports
        self.presence: Presence
        self.entering: Entering
        self.modes: Modes
        self._saver: Saver
        self._waking: Waking
        self._disk: DiskWatch
        self._reading: Reading
        self._dialer: Dialer
        self._tunnels: Tunnels | None = None
        self._exits = contextlib.AsyncExitStack()
        self.tasks = Tasks(self.notice)
        self._effects: deque[Effect] = deque()
        self._carrying = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = 0.0

    async def set_mode(
        self, mode: str | None, *, central: tuple[HostPort, ...] | None = None, central_first: bool | None = None
    ) -> None:
        """Change the mode now and for later starts (modes.py). UsageError in one sentence; nothing has changed then."""
        await self.modes.change(mode, central=central, central_first=central_first)

    async def keep_options(self, **changes: object) -> None:
        """Change options now and for later starts. UsageError or EnvironmentFailure: nothing has changed."""
        replace(self.config, **changes)  # type: ignore[arg-type]  # refuses what makes no sense
        await asyncio.to_thread(save_options, self.config.data_dir, changes)
        self.config = replace(self.config, **changes)  # type: ignore[arg-type]  # others may have changed meanwhile

    def status(self) -> NodeStatus:
        """Everything a screen needs, now."""
        return self.board.status(
            self.node,
            self.clock.instant(),
            contacts=self.dht.contacts,
            lookups_ms=self.dht.lookup_times_ms(),
            links=self.links.by_transport(),
        )

    # ------------------------------------------------------------ life

    async def start(self) -> None:
        """Open everything. EnvironmentFailure in one clear sentence when something does not allow it."""
        try:
            await self._open_disk()
            await self._open_sockets()
            await self._enter_network()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close everything, in reverse order. Idempotent, bounded."""
        if self._timer is not None:
            self._timer.cancel()
        await self._exits.aclose()

    async def _open_disk(self) -> None:
        data_dir = open_data_dir(self.config.data_dir)
        self._exits.callback(data_dir.close)
        make = lambda: self._fresh_identity().seed  # noqa: E731
        seed = await asyncio.to_thread(load_or_create, data_dir.identity_key, make)
        self.store = await SqliteStore.open(data_dir.database)
        self._exits.push_async_callback(self.store.close)
        if self.store.repaired is not None:
            self.notice("database-repaired", "warning", self.store.repaired)
        self.node = Node(Identity(seed), node_config(self.config), SystemRandom())
        self._saver = Saver(self.store, self._saved, self._save_failed)
        self._exits.push_async_callback(self._saver.drain)
        self._reading = Reading(self.store, tell=self.tell, failed=lambda code: self.notice(code, "error"))
        now = self.clock.instant()
        self.books = Books(self.board, self.store, self.node, self.traffic, clock=self.clock)
        await self.books.load(now)
        self.ledger = EngineLedger(self.store, salt=secrets.token_bytes(16), now=now)
        await self.ledger.load()

    async def _open_sockets(self) -> None:
        identity, config = self.node.identity, self.config
        # Whoever is asked by a quiet client learns an address and a key that nobody meets twice.
        asker = await asyncio.to_thread(self._fresh_identity) if config.quiet else identity
        self.dht = Dht(
            asker,
            config=dht_config(config),
            rng=SystemRandom(),
            clock=self.clock.public,
            own_unix_s=lambda: self.clock.own().unix_s,
            on_notice=self.notice,
        )
        self._exits.push_async_callback(self.dht.close)
        self.dht.on_time = self.clock.heard
        settings = await self.store.settings()
        self.telemetry.restore(settings)
        self.ports = await bind_ports(config, identity, acceptor=self, dht=self.dht, settings=settings)
        self._exits.push_async_callback(self.ports.close)
        self.store.commit_soon(self.ports.remembered())
        self._dialer = Dialer(identity, self.ports.dial_order, acceptor=self)
        self._exits.push_async_callback(self._dialer.close)
        self.presence = Presence(
            config,
            identity,
            offers=self.keeping.offers,
            clock=self.clock,
            dht=self.dht,
            ports=self.ports,
            mix=self.node.mixnet.mix,
        )
        self._tunnels = Tunnels(
            self.ports.tls_transport,
            link=self.links.get,
            record=self.node.view.get if self.node.config.relays else None,
            own_host=lambda: self.presence.host,
            unix_s=lambda: self.clock.instant().unix_s,
        )
        self._exits.push_async_callback(self._tunnels.close)
        self.entering = Entering(
            config, self.dht, self.ledger, tell=self.tell, notice=self.notice, spawn=self.tasks.spawn
        )
        self._exits.push_async_callback(self.entering.close)
        self.modes = Modes(self)
        self._exits.push_async_callback(self.modes.close)
        self._exits.push_async_callback(self.tasks.close)

    async def _enter_network(self) -> None:
        self.tasks.spawn(self._saver.run())
        known = records_of(await self.store.peers(limit=PEERS_KEPT))
        self._carry_out(self.node.start(await self.store.load(), self.clock.instant()))
        peer_id = self.node.identity.peer_id
        for record in known:
            if record.peer_id == peer_id:
                self.presence.said_before(record)
        self.dht.remember(record for record in known if record.peer_id != peer_id)
        self.renew_record()
        if known:
            self.tell(RelaysFound(tuple(known)))
        await self.modes.start()
        self.entering.start(self.presence.record, peer_id, self.presence.host, self.ports.dht)
        host = self.config.listen.host
        anywhere = ipaddress.ip_address(host).is_unspecified
        self._disk = DiskWatch(self, self.config.data_dir)
        self._waking = Waking(self, Place(lambda: addresses_for(host)) if anywhere else None)
        self.tasks.every(SAMPLE_EVERY_S, self._sample)
        self.tasks.every(FLUSH_EVERY_S, self._flush)
        self.tasks.every(PRUNE_EVERY_S, self.books.prune)
        log.info("started", peer=identity_text(self.node.identity), roles=list(self.config.roles))

    def _fresh_identity(self) -> Identity:
        return generate_identity(secrets.token_bytes, puzzle_bits=self.config.puzzle_bits)

    # ------------------------------------------------------------ the node

    def tell(self, event: Event) -> None:
        self._carry_out(self.node.handle(event, self.clock.instant()))

    def _frames(self, number: LinkId, batch: FrameBatch) -> None:
        now = self.clock.instant()
        self.ledger.received(number, batch)
        self.telemetry.received(number, batch, now)
        self._carry_out(self.node.frames(number, batch, now))

    def carry_out(self, effects: list[Effect]) -> None:
        """Effects of a command that went to the node directly."""
        self._carry_out(effects)

    def _carry_out(self, effects: list[Effect]) -> None:
        """Effects in order; what a callback adds meanwhile comes after them."""
        self._effects.extend(effects)
        if self._carrying:
            return
        self._carrying = True
        try:
            while self._effects:
                self._do(self._effects.popleft())
        finally:
            self._carrying = False
        self._plan_deadline()

    def _do(self, effect: Effect) -> None:
        match effect:
            case Send():
                link = self.links.get(effect.link)
                if link is not None:
                    link.send(effect.chunks)
                    self.ledger.sent(effect.link, effect.chunks)
                    self.telemetry.sent(effect.link, effect.chunks, self.clock.instant())
            case Save():
                self._saver.put(effect)
            case SaveSoon():
                self.store.commit_soon(effect.changes)
            case Dial():
                self.tasks.spawn(self._dial(effect))
            case TunnelCell():
                if self._tunnels is not None:
                    self._tunnels.cell(effect.link, effect.cell)
            case Hangup():
                self._hang_up(effect.link)
            case Lookup():
                self.entering.look_up(effect)
            case Announce():
                self.tasks.spawn(self._publish(effect.record))
            case FetchItems():
                self.tasks.spawn(self._reading.items(effect))
            case FetchMail():
                self.tasks.spawn(self._reading.mail(effect))
            case CentralKeep() | CentralFollow():
                self.modes.ask_central(effect)
            case Moved():
                self.waiting.moved(effect.room, effect.first, effect.last, effect.delivery)
            case Grew():
                self.waiting.grew(effect.room)
            case Welcomed():
                self.waiting.welcomed(effect.room)
            case Measured():
                self.board.measured(effect.what, effect.ms, effect.cause)
            case Noticed():
                self.notice(effect.code, detail=effect.detail)

    def _hang_up(self, link_id: LinkId) -> None:
        link = self.links.get(link_id)
        if link is not None:
            link.close()

    def _plan_deadline(self) -> None:
        deadline_s = self.node.next_deadline_s()
        if self._timer is not None:
            if deadline_s is not None and abs(self._timer_s - deadline_s) < 1e-4:
                return
            self._timer.cancel()
            self._timer = None
        if deadline_s is not None:
            self._timer_s = deadline_s
            delay_s = max(0.0, deadline_s - self.clock.own().mono_s)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.tell(Tick())

    # ------------------------------------------------------------ links

    def accepted(self, link: Link) -> Handler:
        """An inbound link is open (the Acceptor of the transports)."""
        handler = self.links.reserve()
        handler.opened(link)
        group = group_of_link(link, by_port=self.node.config.by_port)
        self.tell(LinkUp(handler.number, link.remote_key, link.binding, None, group))
        handler.released()
        return handler

    async def _dial(self, effect: Dial) -> None:
        handler = self.links.reserve()
        self.ledger.dialling(effect)
        identity = self.node.identity if effect.seed is None else Identity(effect.seed)
        body = effect.record.body
        addresses = body.addresses if hasattr(body, "addresses") else ()
        try:
            if effect.via is not None:
                assert self._tunnels is not None  # there is a guard's link
                link = await self._tunnels.dial(effect, identity=identity, handler=handler)
            else:
                link = await self._dialer.dial(effect.record.public_key, addresses, identity=identity, handler=handler)
        except DialFailure as failure:
            self.telemetry.dial_failed(effect, self.clock.instant())
            self.tell(DialFailed(effect.dial, failure.code))
            return
        handler.opened(link)
        self.ledger.dialled(effect, handler.number, link)
        self.telemetry.dialled(effect, handler.number)
        self.tell(LinkUp(handler.number, link.remote_key, link.binding, effect.dial))
        handler.released()

    def _link_closed(self, number: LinkId, reason: CloseReason) -> None:
        if self._tunnels is not None:  # a link may come and go while the ports are being bound
            self._tunnels.link_closed(number)
        self.ledger.link_closed(number)
        self.telemetry.link_closed(number, self.clock.instant())
        self.tell(LinkDown(number, reason.value))

    # ------------------------------------------------------------ disk

    def _saved(self, ticket: int) -> None:
        if self.board.error is not None:
            self.board.error = None
        self.tell(Saved(ticket))

    def _save_failed(self, failure: EnvironmentFailure) -> None:
        self.board.error = failure.detail
        self.notice(failure.code, "error")

    @property
    def save_failure(self) -> EnvironmentFailure | None:
        """Why nothing can be made durable right now."""
        return self._saver.failure

    async def settled(self) -> None:
        """Until everything the node wanted durable so far is."""
        await self._saver.settled()

    # ------------------------------------------------------------ discovery

    def renew_record(self) -> None:
        """Sign what this peer says of itself anew and publish it."""
        old, record = self.presence.record, self.presence.renew(self.clock.instant())
        self.tell(RelaysFound((record,)))
        if old is not None:
            self.dht.retire(old)
            self.tasks.spawn(self._publish(record))

    def say_what_is_so(self) -> None:
        """Renew the record if what it says is no longer so, or soon too old."""
        if self.presence.is_due(self.clock.instant()):
            self.renew_record()

    async def _publish(self, record: Record) -> None:
        await self.dht.publish(record)

    # ------------------------------------------------------------ every now and then

    async def _sample(self) -> None:
        self._waking.look()
        self.node.mailbox.clock_is_wrong = self.clock.judgement.state is ClockState.WRONG
        now = self.clock.instant()
        self.books.sample(now)
        self.board.clock, self.board.central = self.clock.status(), self.modes.status()
        self.say_what_is_so()

    async def _flush(self) -> None:
        self.ledger.contacts_met(contact.id for contact in self.dht.table.contacts())
        now = self.clock.instant()
        self.ledger.flush(now)
        self._disk.look(now)
        await self.books.flush()
        if changed := await self.telemetry.flush(now):
            self.store.commit_soon(changed)

    def traffic(self) -> tuple[int, int]:
        """Bytes up and down since start: links and DHT."""
        up, down = self.links.traffic()
        dht = self.dht.traffic()
        return up + dht["bytes_sent"], down + dht["bytes_received"]

    def notice(self, code: str, level: str = "info", detail: str = "") -> None:
        self.board.notice(code, level, self.clock.instant().unix_s, detail)
        log.info("notice", code=code)


def identity_text(identity: Identity) -> str:
    """A peer for logs: ten characters."""
    return identity.peer_id.hex()[:10]
