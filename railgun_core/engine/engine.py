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

from railgun_core.base.clock import Instant
from railgun_core.base.errors import EnvironmentFailure, MalformedFrame
from railgun_core.base.ids import LinkId
from railgun_core.base.keys import Identity, generate_identity
from railgun_core.changes import TrafficAdd
from railgun_core.config import Config
from railgun_core.discovery.config import DhtConfig
from railgun_core.discovery.dht import Dht
from railgun_core.engine.board import Board
from railgun_core.engine.links import Handler, LinkTable
from railgun_core.engine.network import node_config
from railgun_core.engine.ports import Ports, bind_ports
from railgun_core.engine.presence import advertised_host, lifetime_s, own_record
from railgun_core.engine.saving import RelaysNoted, Saver
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
from railgun_core.wire.records import PeerRole, Record, decode_record

if TYPE_CHECKING:
    from railgun_core.discovery.lan import LanDiscovery

log = structlog.get_logger("engine")
SAMPLE_EVERY_S = 1.0
FLUSH_EVERY_S = 10.0
PRUNE_EVERY_S = 3_600.0
KEEP_ITEMS_S = 90 * 86_400
KEEP_COMMITTEES_S = 2 * 86_400
KEEP_TRAFFIC_H = 31 * 24
PEERS_KEPT = 200
DAY_S = 86_400
STOP_WITHIN_S = 3.0
FETCH_AGAIN_S = 5.0


def instant() -> Instant:
    """Both clocks, now."""
    return Instant(time.monotonic(), time.time())


class Engine:
    """One peer of the network, from `start` to `stop`."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.started = instant()
        self.board = Board(config, self.started)
        self.waiting = Waiting()
        self.links = LinkTable(on_frames=self._frames, on_closed=self._link_closed)
        self.node: Node
        self.store: SqliteStore
        self.dht: Dht
        self.ports: Ports
        self._saver: Saver
        self._dialer: Dialer
        self._lan: LanDiscovery | None = None
        self._exits = contextlib.AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        self._effects: deque[Effect] = deque()
        self._carrying = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = 0.0
        self._looking = False
        self._counted = (0, 0, 0, 0)
        self._day = self.started.unix_s // DAY_S
        self._relays_noted = RelaysNoted()
        self._record: Record | None = None
        self._record_due_s = 0.0
        self._record_host = ""
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
        bits = self.config.puzzle_bits
        make = lambda: generate_identity(secrets.token_bytes, puzzle_bits=bits).seed  # noqa: E731
        seed = await asyncio.to_thread(load_or_create, data_dir.identity_key, make)
        self.store = await SqliteStore.open(data_dir.database)
        self._exits.push_async_callback(self.store.close)
        if self.store.repaired is not None:
            self.board.notice("database-repaired", "warning", instant().unix_s, self.store.repaired)
        self.node = Node(Identity(seed), node_config(self.config), SystemRandom())
        self._saver = Saver(self.store, self._saved, self._save_failed)
        self._exits.push_async_callback(self._saver.drain)
        await self._load_totals()

    async def _open_sockets(self) -> None:
        identity = self.node.identity
        self.dht = Dht(identity, config=self._dht_config(), rng=SystemRandom(), clock=instant, on_notice=self._notice)
        self._exits.push_async_callback(self.dht.close)
        settings = await self.store.settings()
        self.ports = await bind_ports(self.config, identity, acceptor=self, dht=self.dht, settings=settings)
        self._exits.push_async_callback(self.ports.close)
        self.store.commit_soon(self.ports.remembered())
        self._dialer = Dialer(identity, self.ports.dial_order, acceptor=self)
        self._exits.push_async_callback(self._dialer.close)
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
        self._spawn(self._every(PRUNE_EVERY_S, self._prune))
        log.info("started", peer=identity_text(self.node.identity), roles=list(self.config.roles))

    async def _join(self, bootstrap: list[tuple[str, int]]) -> None:
        if bootstrap:
            self._numeric_entries = [entry for entry in bootstrap if _is_numeric(entry[0])]
            await self.dht.bootstrap(bootstrap)
        if self._record is not None:
            await self.dht.publish(self._record)
        if self.config.lan:
            from railgun_core.discovery.lan import LanDiscovery  # zeroconf: 4 MB that most peers need not have

            self._lan = LanDiscovery(self.node.identity.peer_id, found=self.dht.bootstrap)
            self._exits.push_async_callback(self._lan.close)
            try:
                await self._lan.start([self._host()], self.ports.dht)
            except EnvironmentFailure as failure:
                self._notice(failure.code)

    def _dht_config(self) -> DhtConfig:
        host = self.config.listen.host
        # On loopback nobody from outside can be met, and all peers share one address.
        alone = ipaddress.ip_address(host).is_loopback
        return DhtConfig(
            net_limits=self.config.address_limits and not alone,
            group_by_port=self.config.group_by == "port",
            puzzle_bits=self.config.puzzle_bits,
            state_path=self.config.data_dir / "contacts.json",
        )

    # ------------------------------------------------------------ the node

    def _tell(self, event: Event) -> None:
        self._carry_out(self.node.handle(event, instant()))

    def _frames(self, number: LinkId, batch: FrameBatch) -> None:
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
            case Save():
                self._saver.put(effect)
            case SaveSoon():
                self.store.commit_soon(effect.changes)
            case Dial():
                self._spawn(self._dial(effect))
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
        identity = self.node.identity if effect.seed is None else Identity(effect.seed)
        body = effect.record.body
        addresses = body.addresses if hasattr(body, "addresses") else ()
        try:
            link = await self._dialer.dial(effect.record.public_key, addresses, identity=identity, handler=handler)
        except DialFailure as failure:
            self._tell(DialFailed(effect.dial, failure.code))
            return
        handler.opened(link)
        self._tell(LinkUp(handler.number, link.remote_key, link.binding, effect.dial))
        handler.released()

    def _link_closed(self, number: LinkId, reason: CloseReason) -> None:
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
        roles = PeerRole.RELAY if "relay" in self.config.roles else PeerRole(0)
        if "bootstrap" in self.config.roles:
            roles |= PeerRole.BOOTSTRAP
        old, host = self._record, self._host()
        self._record = own_record(
            self.node.identity,
            self.ports.addresses(host),
            roles,
            since_s=self.started.unix_s,
            unix_s=now.unix_s,
            epoch_s=self.config.epoch_s,
        )
        self._record_due_s = now.mono_s + lifetime_s(self.config.epoch_s) / 3
        self._record_host = host
        self._tell(RelaysFound((self._record,)))
        if old is not None:
            self.dht.retire(old)
            self._spawn(self._publish(self._record))

    async def _publish(self, record: Record) -> None:
        await self.dht.publish(record)

    # ------------------------------------------------------------ every now and then

    async def _sample(self) -> None:
        now = instant()
        self.board.sample(self.node, now, *self.traffic())
        if now.mono_s >= self._record_due_s or (self._record is not None and self._host() != self._record_host):
            self._renew_record()

    def traffic(self) -> tuple[int, int]:
        """Bytes up and down since start: links and DHT."""
        up, down = self.links.traffic()
        dht = self.dht.traffic()
        return up + dht["bytes_sent"], down + dht["bytes_received"]

    def carried(self) -> tuple[int, int]:
        """Envelopes and bytes relayed for others since start."""
        return self.node.relay.carried()

    async def _flush(self) -> None:
        """Add what was counted since the last time to this hour, and remember the relays."""
        now = instant()
        counted = (*self.traffic(), *self.carried())
        up, down, envelopes, relayed = (new - old for new, old in zip(counted, self._counted, strict=True))
        self._counted = counted
        if now.unix_s // DAY_S != self._day:
            self._day = now.unix_s // DAY_S
            self.board.new_day()
        if up or down:
            self.store.commit_soon((TrafficAdd(int(now.unix_s // 3600), up, down, envelopes, relayed),))
        self.board.today_bytes += up + down
        self.board.month_bytes += up + down
        self.board.today_envelopes += envelopes
        if news := self._relays_noted.news(self.node.view.records[:PEERS_KEPT], now.unix_s):
            self.store.commit_soon(news)

    async def _prune(self) -> None:
        unix_s = instant().unix_s
        await self.store.prune(
            items_before_s=unix_s - KEEP_ITEMS_S,
            traffic_before_hour=int(unix_s // 3600) - KEEP_TRAFFIC_H,
            committees_before_s=unix_s - KEEP_COMMITTEES_S,
        )

    async def _load_totals(self) -> None:
        hour = int(instant().unix_s // 3600)
        for row in await self.store.traffic(since_hour=hour - KEEP_TRAFFIC_H):
            self.board.month_bytes += row.up_bytes + row.down_bytes
            if row.hour // 24 == hour // 24:
                self.board.today_bytes += row.up_bytes + row.down_bytes
                self.board.today_envelopes += row.envelopes

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
