"""N nodes, one virtual clock, one queue of what happens next.

Everything random comes from one seed, every pair of simultaneous happenings has a fixed order, so a run is a value:
its trace hash covers every effect of every node with its time.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

from railgun_core.base.clock import Instant
from railgun_core.base.ids import LinkId, RoomId
from railgun_core.base.keys import Identity
from railgun_core.changes import Delivery
from railgun_core.committee.epoch import make_clock
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
    RelaysFound,
    Save,
    Saved,
    SaveSoon,
    Send,
    Tick,
    Welcomed,
)
from railgun_core.mix.mixnet import MixnetConfig
from railgun_core.node import Node, NodeConfig
from railgun_core.relay.duty import RelayLimits
from railgun_core.sim.network import CONNECT_TIMEOUT_S, VANISHED_AFTER_S, End, Network
from railgun_core.store.memory import MemoryStore
from railgun_core.wire.frames import ENVELOPE_HEADER_BYTES, FrameBatch
from railgun_core.wire.kinds import FrameType
from railgun_core.wire.records import Address, AddressKind, PeerBody, PeerRole, Record, sign_record

T = TypeVar("T")
START_UNIX_S = 1_800_000_000.0  # a multiple of 600, so that runs begin with an epoch
RECORD_LIFETIME_S = 3_600
MIX_RENEW_S = 60.0  # a mix says again how much it carries
SECURE_PER_S = 2.0
SAVE_S = 0.003  # a commit with fsync
LOOKUP_S = (0.08, 0.4)


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits, as those of the memory store."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    raise AssertionError("a memory store waited")


@dataclass(slots=True, eq=False)
class SimPeer:
    """One virtual machine: a node, its store and its links. `node` is None while it is down."""

    number: int
    identity: Identity
    since_s: int
    store: MemoryStore = field(default_factory=MemoryStore)
    node: Node | None = None
    ends: dict[LinkId, End] = field(default_factory=dict)
    wake_s: float | None = None


class World:
    """The simulation. `on_moved` and `on_grew` let a workload watch."""

    def __init__(
        self, *, peers: int, seed: int, loss: float, epoch_s: int, miss: float = 0.0, secure: bool = False
    ) -> None:
        self.rng = Random(seed)
        self.now_s = 0.0
        self.events = 0
        self.network = Network(self.rng, loss)
        self.sizes: set[int] = set()
        self.relayed_bytes = 0
        self.rotations = 0
        self.ack_ms: list[float] = []
        self.on_moved: Callable[[int, RoomId, int, int, Delivery], None] = lambda *_: None
        self.on_grew: Callable[[int, RoomId], None] = lambda *_: None
        self.on_welcomed: Callable[[int, RoomId], None] = lambda *_: None
        self._miss = miss
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = itertools.count()
        self._links = itertools.count(1)
        self._trace = hashlib.sha256()
        self.clock = make_clock(epoch_s)
        self._secure = secure
        self._config = NodeConfig(
            clock=self.clock,
            committee_size=5,
            by_port=False,
            puzzle_bits=0,
            limits=RelayLimits(),
            relays=True,
            mixnet=MixnetConfig(mixes=secure, secure_per_s=SECURE_PER_S),
        )
        self._records: dict[int, Record] = {}
        self.peers = [SimPeer(n, Identity(self.rng.randbytes(32)), int(START_UNIX_S)) for n in range(peers)]
        self._by_key = {peer.identity.public_key: peer for peer in self.peers}

    @property
    def now(self) -> Instant:
        return Instant(self.now_s, START_UNIX_S + self.now_s)

    @property
    def trace_hash(self) -> str:
        """SHA-256 over every effect so far."""
        return self._trace.hexdigest()

    def at(self, when_s: float, what: Callable[[], None]) -> None:
        """Let something happen at a virtual time."""
        heapq.heappush(self._queue, (max(when_s, self.now_s), next(self._serial), what))

    def run_until(self, end_s: float) -> None:
        """Let everything happen that is due up to `end_s`."""
        while self._queue and self._queue[0][0] <= end_s:
            self.now_s, _, what = heapq.heappop(self._queue)
            self.events += 1
            what()
        self.now_s = end_s

    # ------------------------------------------------------------ peers

    def start_peer(self, peer: SimPeer) -> None:
        """Boot a peer on whatever its store holds."""
        node = Node(peer.identity, self._config, Random(self.rng.getrandbits(64)))
        peer.node = node
        peer.since_s = int(self.now.unix_s)
        self._publish(peer)
        self.apply(peer, node.start(at_once(peer.store.load()), self.now))

    def crash_peer(self, peer: SimPeer) -> None:
        """Power off: memory is lost, the committed store stays, the other side of each link notices late."""
        if peer.node is not None:
            self.rotations += peer.node.relay.rotations
        peer.node = peer.wake_s = None
        peer.store.crash()
        self._records.pop(peer.number, None)
        for end in list(peer.ends.values()):
            self._cut(end, after_s=VANISHED_AFTER_S * self.rng.uniform(0.1, 1.0))

    def apply(self, peer: SimPeer, effects: list[Effect]) -> None:
        """Carry out what a node asked for, and plan its next deadline."""
        for effect in effects:
            self._carry_out(peer, effect)
        node = peer.node
        if node is None:
            return
        deadline_s = node.next_deadline_s()
        if deadline_s is not None and (peer.wake_s is None or deadline_s < peer.wake_s):
            peer.wake_s = deadline_s
            self.at(deadline_s, lambda: self._wake(peer, node, deadline_s))

    def _wake(self, peer: SimPeer, node: Node, planned_s: float) -> None:
        if peer.node is node and peer.wake_s == planned_s:
            peer.wake_s = None
            self.apply(peer, node.handle(Tick(), self.now))

    def tell(self, peer: SimPeer, event: Event) -> None:
        """An event for a node that may be down by now."""
        if peer.node is not None:
            self.apply(peer, peer.node.handle(event, self.now))

    def _publish(self, peer: SimPeer) -> None:
        """Sign the relay record anew, now and at every half of its life; that of a mix every minute."""
        if peer.node is None:
            return
        n = peer.number
        host = f"{20 + n // 250}.{n % 250}.1.1"
        addresses = (Address(AddressKind.TLS, host, 4_000), Address(AddressKind.DHT, host, 4_000))
        roles = PeerRole.RELAY | PeerRole.MIX if self._secure else PeerRole.RELAY
        mix = peer.node.mixnet.mix
        load = mix.load_for_record(self.now) if self._secure else 0
        body = PeerBody(addresses, roles, "sim", 1, 1, mix_key=mix.published_key, mix_load=load)
        unix_s = self.now.unix_s
        record = sign_record(
            peer.identity,
            body,
            sequence=int(unix_s * 1000),
            not_before_s=peer.since_s,
            expires_s=int(unix_s) + RECORD_LIFETIME_S,
        )
        self._records[n] = record
        peer.node.view.merge((record,), unix_s)
        node = peer.node
        lacks_key = self._secure and not mix.published_key  # its key is being saved
        again_s = self.now_s + (1.0 if lacks_key else MIX_RENEW_S if self._secure else RECORD_LIFETIME_S / 2)
        self.at(again_s, lambda: self._publish(peer) if peer.node is node else None)

    # ------------------------------------------------------------ effects

    def _carry_out(self, peer: SimPeer, effect: Effect) -> None:
        self._note(peer, effect)
        match effect:
            case Send():
                self._send(peer, effect)
            case Dial():
                self._dial(peer, effect)
            case Hangup():
                self._hang_up(peer, effect.link)
            case Save():
                self._save(peer, effect)
            case SaveSoon():
                peer.store.commit_soon(effect.changes)
            case FetchItems():
                items = at_once(peer.store.own_items(effect.room, effect.first, effect.last))
                self.at(self.now_s + 0.001, lambda: self.tell(peer, ItemsFetched(effect.room, items)))
            case Lookup():
                self._look_up(peer)
            case Moved():
                self.on_moved(peer.number, effect.room, effect.first, effect.last, effect.delivery)
            case Grew():
                self.on_grew(peer.number, effect.room)
            case Welcomed():
                self.on_welcomed(peer.number, effect.room)
            case Measured() if effect.what == "ack":
                self.ack_ms.append(effect.ms)
            case _:
                pass

    def _note(self, peer: SimPeer, effect: Effect) -> None:
        detail = b""
        if isinstance(effect, Send):
            detail = b"%d:%d" % (effect.link, sum(map(len, effect.chunks))) + bytes(effect.chunks[0][:40])
        elif isinstance(effect, Moved):
            detail = b"%d-%d-%d" % (effect.first, effect.last, effect.delivery)
        line = b"%.9f %d %s " % (self.now_s, peer.number, type(effect).__name__.encode())
        self._trace.update(line + detail)

    def _save(self, peer: SimPeer, effect: Save) -> None:
        node = peer.node

        def done() -> None:
            if peer.node is node:
                at_once(peer.store.commit(effect.changes))
                self.tell(peer, Saved(effect.ticket))

        self.at(self.now_s + SAVE_S, done)

    def _look_up(self, peer: SimPeer) -> None:
        found = tuple(
            record
            for number, record in self._records.items()
            if self.network.reachable(peer.number, number) and self.rng.random() >= self._miss
        )
        node = peer.node
        after_s = self.rng.uniform(*LOOKUP_S)
        self.at(self.now_s + after_s, lambda: self.tell(peer, RelaysFound(found)) if peer.node is node else None)

    # ------------------------------------------------------------ links

    def _dial(self, peer: SimPeer, effect: Dial) -> None:
        target = self._by_key[effect.record.public_key]
        node = peer.node
        guard = None if effect.via is None else peer.ends.get(effect.via)
        if effect.via is not None and guard is None:
            self.at(self.now_s, lambda: self.tell(peer, DialFailed(effect.dial, "no-guard")))
            return
        if target.node is None or not self.network.reachable(peer.number, target.number):

            def failed() -> None:
                if peer.node is node:
                    self.tell(peer, DialFailed(effect.dial, "timeout"))

            self.at(self.now_s + CONNECT_TIMEOUT_S, failed)
            return
        identity = peer.identity if effect.seed is None else Identity(effect.seed)
        hops = [peer.number, target.number]
        if guard is not None and guard.other is not None:
            hops.insert(1, guard.other.peer)
        after_s = 3 * sum(self.network.latency_s(a, b) for a, b in itertools.pairwise(hops))
        self.at(self.now_s + after_s, lambda: self._connect(peer, node, target, identity, effect))

    def _connect(self, peer: SimPeer, node: Node | None, target: SimPeer, identity: Identity, effect: Dial) -> None:
        if peer.node is not node:
            return
        if target.node is None:
            self.tell(peer, DialFailed(effect.dial, "unreachable"))
            return
        guard = None if effect.via is None else peer.ends.get(effect.via)
        if effect.via is not None and (guard is None or guard.other is None):
            self.tell(peer, DialFailed(effect.dial, "no-guard"))
            return
        through = guard.other.peer if guard is not None and guard.other is not None else None
        here = End(peer.number, LinkId(next(self._links)), guard=through)
        there = End(target.number, LinkId(next(self._links)), other=here, guard=through)
        here.other = there
        if guard is not None:
            guard.carried.append(here)
        peer.ends[here.link], target.ends[there.link] = here, there
        binding = hashlib.sha256(b"%d" % here.link).digest()
        self.tell(target, LinkUp(there.link, identity.public_key, binding, None))
        self.tell(peer, LinkUp(here.link, target.identity.public_key, binding, effect.dial))

    def _send(self, peer: SimPeer, effect: Send) -> None:
        end = peer.ends.get(effect.link)
        if end is None or not end.open or end.other is None or not effect.chunks:
            return
        far = end.other
        data = b"".join(effect.chunks)
        self.relayed_bytes += len(data)
        if not self.network.reachable(peer.number, far.peer):
            self._cut(end, after_s=VANISHED_AFTER_S)
            return
        self.at(self.network.arrival_s(far, peer.number, self.now_s), lambda: self._receive(far, data))

    def _receive(self, end: End, data: bytes) -> None:
        peer = self.peers[end.peer]
        node = peer.node
        if node is None or not end.open or end.link not in peer.ends:
            return
        batch = end.splitter.feed(data)
        if batch is not None:
            self._measure_sizes(batch)
            self.apply(peer, node.frames(end.link, batch, self.now))

    def _measure_sizes(self, batch: FrameBatch) -> None:
        for start, stop in itertools.pairwise(batch.bounds):
            if batch.data[start + 4] == FrameType.ENVELOPE:
                self.sizes.add(stop - start - ENVELOPE_HEADER_BYTES)

    def _hang_up(self, peer: SimPeer, link: LinkId) -> None:
        end = peer.ends.get(link)
        if end is not None and end.other is not None:
            arrival_s = self.network.arrival_s(end.other, peer.number, self.now_s)
            self._cut(end, after_s=arrival_s - self.now_s)

    def _cut(self, end: End, *, after_s: float) -> None:
        """This side is closed now, the other one notices `after_s` later."""
        if not end.open:
            return
        end.open = False
        self._down(end, "local")
        far = end.other
        if far is not None:
            self.at(self.now_s + after_s, lambda: self._down(far, "lost"))

    def _down(self, end: End, code: str) -> None:
        end.open = False
        peer = self.peers[end.peer]
        for tunnelled in end.carried:
            self._cut(tunnelled, after_s=0.0)
        if peer.ends.pop(end.link, None) is not None:
            self.at(self.now_s, lambda: self.tell(peer, LinkDown(end.link, code)))
