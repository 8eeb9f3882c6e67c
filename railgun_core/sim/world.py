"""N nodes, one virtual clock, one queue of what happens next.

Everything random comes from one seed, every pair of simultaneous happenings has a fixed order, so a run is a value:
its trace hash covers every effect of every node with its time. Machines may be wrong about the time, stand still, sleep
and crash; the world's own clock is the true one.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import struct
from collections import deque
from collections.abc import Callable, Sequence
from random import Random

from railgun_core.base.clock import Instant
from railgun_core.base.ids import RoomId
from railgun_core.base.keys import Identity
from railgun_core.changes import Change, Delivery
from railgun_core.committee.epoch import EpochClock, make_clock
from railgun_core.events import (
    CentralFollow,
    CentralKeep,
    Dial,
    Effect,
    Event,
    FetchItems,
    FetchMail,
    Grew,
    Hangup,
    ItemsFetched,
    Lookup,
    MailFetched,
    Measured,
    Moved,
    RelaysFound,
    Save,
    SaveSoon,
    Send,
    Tick,
    Welcomed,
    Woke,
)
from railgun_core.mailbox.limits import MailboxLimits
from railgun_core.mix.mixnet import MixnetConfig
from railgun_core.node import Node, NodeConfig
from railgun_core.relay.duty import RelayLimits
from railgun_core.sim import disk
from railgun_core.sim.hybrid import Hybrid
from railgun_core.sim.links import VANISHED_AFTER_S, Links, addresses_of
from railgun_core.sim.network import End, Network
from railgun_core.sim.peer import SimPeer, at_once
from railgun_core.wire.frames import ENVELOPE_HEADER_BYTES, FrameBatch
from railgun_core.wire.kinds import FrameType
from railgun_core.wire.records import PeerBody, PeerRole, Record, sign_record

__all__ = ["START_UNIX_S", "SimPeer", "World", "at_once"]

START_UNIX_S = 1_800_000_000.0  # a multiple of 600, so that runs begin with an epoch
RECORD_LIFETIME_S = 3_600
MIX_RENEW_S = 60.0  # a mix says again how much it carries
SECURE_PER_S = 2.0
LOOKUP_S = (0.08, 0.4)
SLEPT_S = 15.0  # protocol.md 9: a shorter gap is no sleep
NOTICED_WITHIN_S = 1.0
ROUNDING_S = 1e-6  # a deadline that went through two clocks is not before its time
_LINE = struct.Struct(">dHB")
TRACED_BYTES = 13  # of a frame: length, type and tag; ids of mail name ciphertexts, which have chance of their own
LOG_LINES = 60  # of each peer, while events are logged


def _node_config(clock: EpochClock, *, secure: bool, mailboxes: bool) -> NodeConfig:
    return NodeConfig(
        clock=clock,
        committee_size=5,
        by_port=False,
        puzzle_bits=0,
        limits=RelayLimits(),
        relays=True,
        mailbox=MailboxLimits() if mailboxes else None,
        mixnet=MixnetConfig(mixes=secure, secure_per_s=SECURE_PER_S),
    )


class World:
    """The simulation. `mailboxes`: every peer is one too; `hybrid`: there is a central server.

    `on_moved`, `on_grew`, `on_welcomed` and `on_commit` let others watch.
    `on_error` gets what a node raised, which counts as its crash; while it is None such an error ends the run.
    """

    def __init__(
        self,
        *,
        peers: int,
        seed: int,
        loss: float,
        epoch_s: int,
        miss: float = 0.0,
        secure: bool = False,
        mailboxes: bool = False,
        hybrid: bool = False,
        start_unix_s: float = START_UNIX_S,
    ) -> None:
        self.rng = Random(seed)
        self.now_s = 0.0
        self.events = 0
        self.network = Network(self.rng, loss)
        self.sizes: set[int] = set()
        self.relayed_bytes = 0
        self.rotations = 0
        self.ack_ms: list[float] = []
        self.forgets = 1.0  # the share of crashes after which the directory no longer names the peer
        self.on_moved: Callable[[int, RoomId, int, int, Delivery], None] = lambda *_: None
        self.on_grew: Callable[[int, RoomId], None] = lambda *_: None
        self.on_welcomed: Callable[[int, RoomId], None] = lambda *_: None
        self.on_commit: Callable[[int, Sequence[Change]], None] = lambda *_: None
        self.on_error: Callable[[int, Exception], None] | None = None
        self.log: dict[int, deque[str]] | None = None
        self._miss, self._start_unix_s = miss, start_unix_s
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = itertools.count()
        self._trace = hashlib.sha256()
        self._kinds: dict[type, int] = {}
        self.clock = make_clock(epoch_s)
        self._secure, self._mailboxes = secure, mailboxes
        self._config = _node_config(self.clock, secure=secure, mailboxes=mailboxes)
        self._records: dict[int, Record] = {}
        self.peers = [SimPeer(n, Identity(self.rng.randbytes(32)), int(START_UNIX_S)) for n in range(peers)]
        self.links = Links(self)
        self.hybrid = Hybrid(self) if hybrid else None

    @property
    def now(self) -> Instant:
        """The true time."""
        return Instant(self.now_s, self._start_unix_s + self.now_s)

    def now_of(self, peer: SimPeer) -> Instant:
        """The time as a peer's clocks tell it."""
        return Instant(self.now_s - peer.lag_s, self._start_unix_s + self.now_s + peer.ahead_s)

    @property
    def trace_hash(self) -> str:
        """SHA-256 over every effect so far."""
        return self._trace.hexdigest()

    def at(self, when_s: float, what: Callable[[], None]) -> None:
        """Let something happen at a virtual time."""
        heapq.heappush(self._queue, (max(when_s, self.now_s), next(self._serial), what))

    def run_until(self, end_s: float) -> None:
        """Let everything happen that is due up to `end_s`."""
        queue = self._queue
        while queue and queue[0][0] <= end_s:
            self.now_s, _, what = heapq.heappop(queue)
            self.events += 1
            what()
        self.now_s = end_s

    # ------------------------------------------------------------ peers

    def start_peer(self, peer: SimPeer) -> None:
        """Boot a peer on whatever its store holds."""
        node = Node(peer.identity, self._config, Random(self.rng.getrandbits(64)))
        peer.node = node
        peer.since_s = int(self.now_of(peer).unix_s)
        if peer.since_s >= peer.valid_until_s:
            peer.served_since_s = peer.since_s
        self._publish(peer)
        self._handle(peer, lambda: node.start(at_once(peer.store.load()), self.now_of(peer)))
        if self.hybrid is not None:
            self.hybrid.start(peer)

    def crash_peer(self, peer: SimPeer) -> None:
        """Power off: memory is lost, the committed store stays, the other side of each link notices late."""
        if peer.node is not None:
            self.rotations += peer.node.relay.rotations
        peer.node = peer.wake_s = None
        peer.stopped, peer.waiting = False, []
        disk.crash(self, peer)
        if self.hybrid is not None:
            self.hybrid.stop(peer)
        if self.forgets >= 1.0 or self.rng.random() < self.forgets:
            self._records.pop(peer.number, None)
        for end in list(peer.ends.values()):
            self.links.cut(end, after_s=VANISHED_AFTER_S * self.rng.uniform(0.1, 1.0))

    def stop_peer(self, peer: SimPeer) -> None:
        """As SIGSTOP: the process stands still, its links stay, and what comes waits."""
        if peer.node is not None:
            peer.stopped = True

    def resume_peer(self, peer: SimPeer) -> None:
        """As SIGCONT: everything that has come meanwhile comes now, at once."""
        if not peer.stopped:
            return
        peer.stopped = False
        came, peer.waiting = peer.waiting, []
        node = peer.node
        for what in came:
            if peer.node is node:
                what()
        peer.wake_s = None  # deadlines may have moved: its clock stood still, or others have come
        self.apply(peer, [])

    def wake_peer(self, peer: SimPeer, gap_s: float) -> None:
        """The lid is open again after `gap_s`: what waited comes, and a moment later the machine sees that it slept."""
        self.resume_peer(peer)
        if gap_s > SLEPT_S:
            self._tell_later(peer, Woke("sleep", gap_s))

    def address_changed(self, peer: SimPeer) -> None:
        """A peer is somewhere else now: its record says so from now on, and a moment later it has noticed."""
        self._publish(peer)
        self._tell_later(peer, Woke("address", 0.0))

    def _tell_later(self, peer: SimPeer, event: Event) -> None:
        node = peer.node
        after_s = self.rng.uniform(0.0, NOTICED_WITHIN_S)
        self.at(self.now_s + after_s, lambda: self.tell(peer, event) if peer.node is node else None)

    def apply(self, peer: SimPeer, effects: list[Effect]) -> None:
        """Carry out what a node asked for, and plan its next deadline."""
        for effect in effects:
            self._carry_out(peer, effect)
        node = peer.node
        if node is None:
            return
        due_s = node.next_deadline_s()
        if due_s is None:
            return
        deadline_s = due_s + peer.lag_s + (ROUNDING_S if peer.lag_s else 0.0)
        if peer.wake_s is None or deadline_s < peer.wake_s:
            peer.wake_s = deadline_s
            self.at(deadline_s, lambda: self._wake(peer, node, deadline_s))

    def _wake(self, peer: SimPeer, node: Node, planned_s: float) -> None:
        if peer.node is node and peer.wake_s == planned_s and not peer.stopped:
            peer.wake_s = None
            self._handle(peer, lambda: node.handle(Tick(), self.now_of(peer)))

    def let(self, peer: SimPeer, what: Callable[[], None]) -> None:
        """Run something of a peer's process: now, or once it goes on."""
        if peer.stopped:
            peer.waiting.append(what)
        else:
            what()

    def tell(self, peer: SimPeer, event: Event) -> None:
        """An event for a node that may be down by now."""
        node = peer.node
        if node is not None:
            if self.log is not None:
                self._write(peer, f"< {type(event).__name__}")
            self.let(peer, lambda: self._handle(peer, lambda: node.handle(event, self.now_of(peer))))

    def _handle(self, peer: SimPeer, decide: Callable[[], list[Effect]]) -> None:
        try:
            effects = decide()
        except Exception as error:
            if self.on_error is None:
                raise
            self.on_error(peer.number, error)
            self.crash_peer(peer)
        else:
            self.apply(peer, effects)

    def _publish(self, peer: SimPeer) -> None:
        """Sign the relay record anew, now and at every half of its life; that of a mix every minute."""
        node = peer.node
        if node is None:
            return
        roles = PeerRole.RELAY
        roles |= PeerRole.MIX if self._secure else PeerRole(0)
        roles |= PeerRole.MAILBOX if self._mailboxes else PeerRole(0)
        mix = node.mixnet.mix
        now = self.now_of(peer)
        load = mix.load_for_record(now) if self._secure else 0
        since_s = peer.served_since_s if peer.served_since_s < peer.since_s else 0
        body = PeerBody(
            addresses_of(peer), roles, "sim", 1, 1, mix_key=mix.published_key, mix_load=load, since_s=since_s
        )
        record = sign_record(
            peer.identity,
            body,
            sequence=int(now.unix_s * 1000),
            not_before_s=peer.since_s,
            expires_s=int(now.unix_s) + RECORD_LIFETIME_S,
        )
        peer.valid_until_s = record.expires_s
        self._records[peer.number] = record
        node.view.merge((record,), now.unix_s)
        lacks_key = self._secure and not mix.published_key  # its key is being saved
        again_s = self.now_s + (1.0 if lacks_key else MIX_RENEW_S if self._secure else RECORD_LIFETIME_S / 2)
        self.at(again_s, lambda: self._publish(peer) if peer.node is node else None)

    # ------------------------------------------------------------ effects

    def _carry_out(self, peer: SimPeer, effect: Effect) -> None:
        self._note(peer, effect)
        match effect:
            case Send():
                self.links.send(peer, effect)
            case Dial():
                self.links.dial(peer, effect)
            case Hangup():
                self.links.hang_up(peer, effect.link)
            case Save():
                disk.save(self, peer, effect)
            case SaveSoon():
                peer.store.commit_soon(effect.changes)
            case FetchItems() | FetchMail():
                self._fetch(peer, effect)
            case CentralKeep() | CentralFollow() if self.hybrid is not None:
                self.hybrid.apply(peer, effect)
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
            detail = b"%d:%d" % (effect.link, sum(map(len, effect.chunks))) + bytes(effect.chunks[0][:TRACED_BYTES])
        elif isinstance(effect, Moved):
            detail = b"%d-%d-%d" % (effect.first, effect.last, effect.delivery)
        kind = type(effect)
        number = self._kinds.get(kind)
        if number is None:
            number = self._kinds[kind] = len(self._kinds)
            self._trace.update(kind.__name__.encode())
        self._trace.update(_LINE.pack(self.now_s, peer.number, number) + detail)
        if self.log is not None:
            self._write(peer, f"> {type(effect).__name__} {_told(effect)}")

    def _write(self, peer: SimPeer, text: str) -> None:
        assert self.log is not None
        lines = self.log.setdefault(peer.number, deque(maxlen=LOG_LINES))
        lines.append(f"{self.now_s:10.3f} peer {peer.number:2} {text}")

    def _fetch(self, peer: SimPeer, effect: FetchItems | FetchMail) -> None:
        node = peer.node

        def fetched() -> None:
            if peer.node is not node:
                return
            if isinstance(effect, FetchItems):
                items = at_once(peer.store.own_items(effect.room, effect.first, effect.last))
                self.tell(peer, ItemsFetched(effect.room, items))
            else:
                mail = at_once(peer.store.mail(effect.tag, effect.position, effect.limit))
                self.tell(peer, MailFetched(effect.ticket, tuple(mail)))

        self.at(self.now_s + disk.READ_S * peer.disk.slowness, fetched)

    def _look_up(self, peer: SimPeer) -> None:
        found = tuple(
            record
            for number, record in self._records.items()
            if peer.learns and self.network.reachable(peer.number, number) and self.rng.random() >= self._miss
        )
        node = peer.node
        after_s = self.rng.uniform(*LOOKUP_S)
        self.at(self.now_s + after_s, lambda: self.tell(peer, RelaysFound(found)) if peer.node is node else None)

    # ------------------------------------------------------------ links

    def arrived(self, end: End, data: bytes) -> None:
        """Bytes have come to one side of a link."""
        self._receive(end, data)

    def _receive(self, end: End, data: bytes) -> None:
        peer = self.peers[end.peer]
        if peer.node is None or not end.open or end.link not in peer.ends:
            return
        if peer.stopped:
            peer.waiting.append(lambda: self._receive(end, data))
            return
        node = peer.node
        batch = end.splitter.feed(data)
        if batch is not None:
            self._measure_sizes(batch)
            self._handle(peer, lambda: node.frames(end.link, batch, self.now_of(peer)))

    def _measure_sizes(self, batch: FrameBatch) -> None:
        for start, stop in itertools.pairwise(batch.bounds):
            if batch.data[start + 4] == FrameType.ENVELOPE:
                self.sizes.add(stop - start - ENVELOPE_HEADER_BYTES)


def _told(effect: Effect) -> str:
    """What of an effect helps a person who looks for the reason of a failure."""
    match effect:
        case Send():
            kinds = [FrameType(chunk[4]).name for chunk in effect.chunks if len(chunk) > 4 and chunk[4] < 23]
            return f"link {effect.link} {' '.join(kinds)}"
        case Hangup():
            return f"link {effect.link}"
        case Moved():
            return f"{effect.room.hex()[:6]} {effect.first}..{effect.last} {effect.delivery.name}"
        case Grew() | Welcomed():
            return effect.room.hex()[:6]
        case Save() | SaveSoon():
            return " ".join(type(change).__name__ for change in effect.changes)
        case _:
            return ""
