"""The engine: one node, real sockets, a real disk, one loop.

    event, deadline or frames -> node -> effects: save, send, publish

Exactly one task at a time touches the node, because everything here runs on one loop and the node never waits.
Started in order (disk, sockets, DHT), stopped in reverse; every wait has a deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import itertools
import secrets
import time
from collections import deque
from collections.abc import Coroutine
from random import SystemRandom
from typing import TYPE_CHECKING, Any

import structlog

from railgun_core.base.errors import EnvironmentFailure, MalformedFrame
from railgun_core.base.ids import LinkId
from railgun_core.base.keys import Identity, generate_identity
from railgun_core.config import Config
from railgun_core.discovery.config import DhtConfig
from railgun_core.discovery.dht import Dht
from railgun_core.engine.board import Board
from railgun_core.engine.books import PEERS_KEPT, Books
from railgun_core.engine.clock import instant
from railgun_core.engine.ledger import EngineLedger
from railgun_core.engine.links import Handler, LinkTable
from railgun_core.engine.network import node_config
from railgun_core.engine.ports import Ports, bind_ports
from railgun_core.engine.presence import advertised_host, lifetime_s, own_record, roles_of
from railgun_core.engine.privacy import Privacy
from railgun_core.engine.saving import Saver
from railgun_core.engine.tunnels import Tunnels
from railgun_core.engine.waiting import Waiting
from railgun_core.events import (
    Dial,
    DialFailed,
    Effect,
    Event,
    FetchItems,
    Grew,
    Hangup,
    ItemsFetched,
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
from railgun_core.rooms.invite import MAX_HINTS
from railgun_core.store.datadir import open_data_dir
from railgun_core.store.keyfile import load_or_create
from railgun_core.store.sqlite import SqliteStore
from railgun_core.transport.dialer import Dialer
from railgun_core.transport.link import CloseReason, DialFailure, Link
from railgun_core.wire.frames import FrameBatch
from railgun_core.wire.records import Record, decode_record

if TYPE_CHECKING:
    from railgun_core.discovery.lan import LanDiscovery

log = structlog.get_logger("engine")
SAMPLE_EVERY_S = 1.0
FLUSH_EVERY_S = 10.0
PRUNE_EVERY_S = 3_600.0
STOP_WITHIN_S = 3.0
FETCH_AGAIN_S = 5.0


class Engine:
    """One peer of the network, from `start` to `stop`."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.started = instant()
        self.board = Board(config, self.started)
        self.waiting = Waiting()
        self.privacy = Privacy(self)
        self.links = LinkTable(on_frames=self._frames, on_closed=self._link_closed)
        self.node: Node
        self.store: SqliteStore
        self.dht: Dht
        self.books: Books
        self.ledger: EngineLedger
        self.ports: Ports
        self._saver: Saver
        self._dialer: Dialer
        self._tunnels: Tunnels | None = None
        self._lan: LanDiscovery | None = None
        self._exits = contextlib.AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        self._effects: deque[Effect] = deque()
        self._carrying = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = 0.0
        self._looking = False
        self._record: Record | None = None
        self._record_due_s = 0.0
        self._record_host, self._record_key = "", b""
        self._numeric_entries: list[tuple[str, int]] = []

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
            self.board.notice("database-repaired", "warning", instant().unix_s, self.store.repaired)
        self.node = Node(Identity(seed), node_config(self.config), SystemRandom())
        self._saver = Saver(self.store, self._saved, self._save_failed)
        self._exits.push_async_callback(self._saver.drain)
        self.books = Books(self.board, self.store, self.node, self.traffic)
        await self.books.load(instant())
        self.ledger = EngineLedger(self.store, salt=secrets.token_bytes(16), now=instant())
        await self.ledger.load()

    async def _open_sockets(self) -> None:
        identity = self.node.identity
        # Whoever is asked by a quiet client learns an address and a key that nobody meets twice.
        asker = await asyncio.to_thread(self._fresh_identity) if self.config.quiet else identity
        self.dht = Dht(asker, config=self._dht_config(), rng=SystemRandom(), clock=instant, on_notice=self._notice)
        self._exits.push_async_callback(self.dht.close)
        settings = await self.store.settings()
        self.ports = await bind_ports(self.config, identity, acceptor=self, dht=self.dht, settings=settings)
        self._exits.push_async_callback(self.ports.close)
        self.store.commit_soon(self.ports.remembered())
        self._dialer = Dialer(identity, self.ports.dial_order, acceptor=self)
        self._exits.push_async_callback(self._dialer.close)
        self._tunnels = Tunnels(
            self.ports.tls_transport,
            link=self.links.get,
            record=self.node.view.get if self.node.config.relays else None,
            own_host=self._host,
        )
        self._exits.push_async_callback(self._tunnels.close)
        self._exits.push_async_callback(self._end_tasks)

    async def _enter_network(self) -> None:
        self._spawn(self._saver.run())
        peers = await self.store.peers(limit=PEERS_KEPT)
        known = [record for put in peers if (record := _decoded(put.raw)) is not None]
        self._carry_out(self.node.start(await self.store.load(), instant()))
        self._renew_record()
        if known:
            self._tell(RelaysFound(tuple(known)))
        self._spawn(self._join([(host.host, host.port) for host in self.config.bootstrap]))
        self._spawn(self._every(SAMPLE_EVERY_S, self._sample))
        self._spawn(self._every(FLUSH_EVERY_S, self._flush))
        self._spawn(self._every(PRUNE_EVERY_S, self.books.prune))
        log.info("started", peer=identity_text(self.node.identity), roles=list(self.config.roles))

    async def _join(self, bootstrap: list[tuple[str, int]]) -> None:
        if bootstrap:
            self._numeric_entries = [entry for entry in bootstrap if _is_numeric(entry[0])]
            self.ledger.bootstrap_asked(bootstrap)
            await self.dht.bootstrap(bootstrap)
        if self._record is not None:
            await self.dht.publish(self._record)
        if self.config.lan and not self.config.quiet:
            from railgun_core.discovery.lan import LanDiscovery  # zeroconf: 4 MB that most peers need not have

            self._lan = LanDiscovery(self.node.identity.peer_id, found=self.dht.bootstrap)
            self._exits.push_async_callback(self._lan.close)
            try:
                await self._lan.start([self._host()], self.ports.dht)
            except EnvironmentFailure as failure:
                self._notice(failure.code)

    def _fresh_identity(self) -> Identity:
        return generate_identity(secrets.token_bytes, puzzle_bits=self.config.puzzle_bits)

    def _dht_config(self) -> DhtConfig:
        host = self.config.listen.host
        # On loopback nobody from outside can be met, and all peers share one address.
        alone = ipaddress.ip_address(host).is_loopback
        return DhtConfig(
            net_limits=self.config.address_limits and not alone,
            group_by_port=self.config.group_by == "port",
            puzzle_bits=self.config.puzzle_bits,
            quiet=self.config.quiet,
            state_path=self.config.data_dir / "contacts.json",
        )

    # ------------------------------------------------------------ the node

    def _tell(self, event: Event) -> None:
        self._carry_out(self.node.handle(event, instant()))

    def _frames(self, number: LinkId, batch: FrameBatch) -> None:
        self.ledger.received(number, batch)
        self._carry_out(self.node.frames(number, batch, instant()))

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
            case Save():
                self._saver.put(effect)
            case SaveSoon():
                self.store.commit_soon(effect.changes)
            case Dial():
                self._spawn(self._dial(effect))
            case TunnelCell():
                if self._tunnels is not None:
                    self._tunnels.cell(effect.link, effect.cell)
            case Hangup():
                link = self.links.get(effect.link)
                if link is not None:
                    link.close()
            case Lookup():
                if not self._looking:
                    self._looking = True
                    self._spawn(self._look_up(effect))
            case FetchItems():
                self._spawn(self._fetch(effect))
            case Moved():
                self.waiting.moved(effect.room, effect.first, effect.last, effect.delivery)
            case Grew():
                self.waiting.grew(effect.room)
            case Welcomed():
                self.waiting.welcomed(effect.room)
            case Measured():
                self.board.measured(effect.what, effect.ms)
            case Noticed():
                self._notice(effect.code)

    def _plan_deadline(self) -> None:
        deadline_s = self.node.next_deadline_s()
        if self._timer is not None:
            if deadline_s is not None and abs(self._timer_s - deadline_s) < 1e-4:
                return
            self._timer.cancel()
            self._timer = None
        if deadline_s is not None:
            self._timer_s = deadline_s
            delay_s = max(0.0, deadline_s - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._tell(Tick())

    # ------------------------------------------------------------ links

    def accepted(self, link: Link) -> Handler:
        """An inbound link is open (the Acceptor of the transports)."""
        handler = self.links.reserve()
        handler.opened(link)
        self._tell(LinkUp(handler.number, link.remote_key, link.binding, None))
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
            self._tell(DialFailed(effect.dial, failure.code))
            return
        handler.opened(link)
        self.ledger.dialled(effect, handler.number, link)
        self._tell(LinkUp(handler.number, link.remote_key, link.binding, effect.dial))
        handler.released()

    def _link_closed(self, number: LinkId, reason: CloseReason) -> None:
        if self._tunnels is not None:  # a link may come and go while the ports are being bound
            self._tunnels.link_closed(number)
        self.ledger.link_closed(number)
        self._tell(LinkDown(number, reason.value))

    # ------------------------------------------------------------ disk

    def _saved(self, ticket: int) -> None:
        if self.board.error is not None:
            self.board.error = None
        self._tell(Saved(ticket))

    def _save_failed(self, failure: EnvironmentFailure) -> None:
        self.board.error = failure.detail
        self._notice(failure.code, level="error")

    @property
    def save_failure(self) -> EnvironmentFailure | None:
        """Why nothing can be made durable right now."""
        return self._saver.failure

    async def settled(self) -> None:
        """Until everything the node wanted durable so far is."""
        await self._saver.settled()

    async def _fetch(self, effect: FetchItems) -> None:
        """Own items from the disk. The room waits for them before it reads more, so a failure is tried again."""
        while True:
            try:
                items = await self.store.own_items(effect.room, effect.first, effect.last)
            except EnvironmentFailure as failure:
                self._notice(failure.code, level="error")
                await asyncio.sleep(FETCH_AGAIN_S)
                continue
            self._tell(ItemsFetched(effect.room, items))
            return

    # ------------------------------------------------------------ discovery

    async def _look_up(self, effect: Lookup) -> None:
        if self.config.quiet:
            self.ledger.bootstrap_asked(self._numeric_entries, targets=effect.targets)
        else:
            self.ledger.looked_up(effect.targets, (contact.id for contact in self.dht.table.contacts()))
        try:
            records = await self.dht.relays_near(effect.targets)
        finally:
            self._looking = False
        self._tell(RelaysFound(records))

    def contact_hints(self) -> tuple[tuple[str, int], ...]:
        """Where a newcomer may enter: other peers and the configured entries; never this peer.

        An invite passes through many hands, and its maker's address would tell all of them where a member lives.
        """
        others = [(str(contact.ip), int(contact.port)) for contact in itertools.islice(self.dht.table.contacts(), 3)]
        return tuple(dict.fromkeys([*others, *self._numeric_entries]))[:MAX_HINTS]

    def _host(self) -> str:
        seen = self.dht.seen_at
        return advertised_host(self.config.listen.host, seen[0] if seen is not None else None)

    def _renew_record(self) -> None:
        """Sign what this peer says of itself anew and publish it."""
        now = instant()
        mix = self.node.mixnet.mix
        old, host = self._record, self._host()
        self._record = own_record(
            self.node.identity,
            self.ports.addresses(host),
            roles_of(self.config.roles),
            mix_key=mix.published_key,
            mix_load=mix.load_for_record(now),
            since_s=self.started.unix_s,
            unix_s=now.unix_s,
            epoch_s=self.config.epoch_s,
        )
        self._record_due_s = now.mono_s + lifetime_s(self.config.epoch_s) / 3
        self._record_host, self._record_key = host, mix.published_key
        self._tell(RelaysFound((self._record,)))
        if old is not None:
            self.dht.retire(old)
            self._spawn(self._publish(self._record))

    async def _publish(self, record: Record) -> None:
        await self.dht.publish(record)

    # ------------------------------------------------------------ every now and then

    async def _sample(self) -> None:
        now = instant()
        self.books.sample(now)
        said = (self._record_host, self._record_key)
        changed = self._record is not None and said != (self._host(), self.node.mixnet.mix.published_key)
        if changed or now.mono_s >= self._record_due_s:
            self._renew_record()

    async def _flush(self) -> None:
        self.ledger.contacts_met(contact.id for contact in self.dht.table.contacts())
        self.ledger.flush(instant())
        await self.books.flush()

    def traffic(self) -> tuple[int, int]:
        """Bytes up and down since start: links and DHT."""
        up, down = self.links.traffic()
        dht = self.dht.traffic()
        return up + dht["bytes_sent"], down + dht["bytes_received"]

    # ------------------------------------------------------------ tasks

    def _notice(self, code: str, level: str = "info") -> None:
        self.board.notice(code, level, instant().unix_s)
        log.info("notice", code=code)

    async def _every(self, period_s: float, work: Any) -> None:
        while True:
            await asyncio.sleep(period_s)
            try:
                await work()
            except EnvironmentFailure as failure:
                self._notice(failure.code, level="warning")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("task-failed", exc_info=task.exception())
            self.board.notice("internal", "error", instant().unix_s, type(task.exception()).__name__)

    async def _end_tasks(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=STOP_WITHIN_S)


def identity_text(identity: Identity) -> str:
    """A peer for logs: ten characters."""
    return identity.peer_id.hex()[:10]


def _is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _decoded(raw: bytes) -> Record | None:
    try:
        return decode_record(raw)
    except MalformedFrame:
        return None
