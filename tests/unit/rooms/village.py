"""A few whole nodes with links between them, on a virtual clock that may jump by days: relays, mailboxes and members.

No sockets and no chance beyond one seed. Power can fail anywhere at any moment; what was committed stays.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from railgun_core.base.clock import Instant
from railgun_core.base.ids import LinkId, RoomId
from railgun_core.base.keys import Identity
from railgun_core.changes import Delivery
from railgun_core.committee.epoch import make_clock
from railgun_core.events import (
    CentralBrought,
    CentralFollow,
    CentralKeep,
    CentralKept,
    CentralState,
    Dial,
    DialFailed,
    Effect,
    Event,
    FetchItems,
    FetchMail,
    Hangup,
    ItemsFetched,
    LinkDown,
    LinkUp,
    Lookup,
    MailFetched,
    Moved,
    Noticed,
    RelaysFound,
    Save,
    Saved,
    SaveSoon,
    Send,
    Tick,
)
from railgun_core.mailbox.limits import MailboxLimits
from railgun_core.node import Node, NodeConfig
from railgun_core.relay.duty import RelayLimits
from railgun_core.rooms.mail import RoomMail
from railgun_core.sim.world import at_once
from railgun_core.store.memory import MemoryStore
from railgun_core.wire.frames import FrameSplitter
from railgun_core.wire.records import Address, AddressKind, PeerBody, PeerRole, Record, sign_record

START_S = 1_800_000_000.0 + 3_600  # some hours into a day, at the start of an epoch
LATENCY_S, SAVE_S, DIAL_TIMEOUT_S = 0.02, 0.003, 5.0
ROOT = b"the root of a room in a village."


@dataclass(eq=False)
class End:
    """One side of a link."""

    house: House
    link: LinkId
    other: End | None = None
    splitter: FrameSplitter = field(default_factory=FrameSplitter)
    open: bool = True


@dataclass(eq=False)
class House:
    """One machine. `node` is None while its power is off."""

    name: str
    identity: Identity
    roles: PeerRole
    number: int
    config: NodeConfig
    store: MemoryStore = field(default_factory=MemoryStore)
    node: Node | None = None
    ends: dict[LinkId, End] = field(default_factory=dict)
    wake_s: float | None = None
    moved: list[tuple[int, int, Delivery]] = field(default_factory=list)
    noticed: list[str] = field(default_factory=list)
    followed: dict[bytes, int] = field(default_factory=dict)

    @property
    def up(self) -> Node:
        assert self.node is not None
        return self.node


class Village:
    """The houses and what happens between them."""

    def __init__(
        self,
        *,
        relays: int = 8,
        mailboxes: int = 3,
        members: int = 2,
        seed: int = 1,
        limits: MailboxLimits | None = None,
    ) -> None:
        self.rng = Random(seed)
        self.now = Instant(0.0, START_S)
        self.houses: dict[str, House] = {}
        self.kept: list[tuple[bytes, bytes]] = []  # what the central server holds: tag and frame, from position 1
        self.central = False
        self.saves = True
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count(1)
        clock = make_clock(600)
        plain = NodeConfig(
            clock=clock, committee_size=5, by_port=False, puzzle_bits=0, limits=RelayLimits(), relays=False
        )
        for n in range(relays):
            self._build(f"relay{n}", PeerRole.RELAY, replace(plain, relays=True))
        for n in range(mailboxes):
            self._build(f"box{n}", PeerRole.MAILBOX, replace(plain, mailbox=limits or MailboxLimits()))
        for n in range(members):
            self._build(f"member{n}", PeerRole(0), plain)

    def _build(self, name: str, roles: PeerRole, config: NodeConfig) -> None:
        self.houses[name] = House(name, Identity(self.rng.randbytes(32)), roles, len(self.houses), config)

    def named(self, kind: str) -> list[House]:
        return [house for name, house in self.houses.items() if name.startswith(kind)]

    # ------------------------------------------------------------ power

    def start(self, *names: str) -> None:
        """Power on; everybody hears of everybody who is up."""
        for name in names:
            house = self.houses[name]
            house.node = Node(house.identity, house.config, Random(self.rng.getrandbits(64)))
            self.apply(house, house.up.start(at_once(house.store.load()), self.now))
        self.introduce()

    def introduce(self) -> None:
        """Everybody learns the records of those who are up."""
        records = tuple(self._record(house) for house in self.houses.values() if house.node and house.roles)
        for house in self.houses.values():
            self.tell(house, RelaysFound(records))
            if self.central and house.node is not None and house.name.startswith("member"):
                self.tell(house, CentralState(True))

    def stop(self, *names: str, silently: bool = False) -> None:
        """Power off. The other side of each link notices at once, or `silently` never."""
        for name in names:
            house = self.houses[name]
            house.node = house.wake_s = None
            house.followed.clear()
            house.store.crash()
            for end in list(house.ends.values()):
                if not silently:
                    self._cut(end)
            if silently:
                house.ends.clear()

    def _record(self, house: House) -> Record:
        host = f"{20 + house.number}.1.1.1"
        addresses = (Address(AddressKind.TLS, host, 4_000), Address(AddressKind.DHT, host, 4_000))
        unix_s = int(self.now.unix_s)
        return sign_record(
            house.identity,
            PeerBody(addresses, house.roles, "t", 1, 1),
            sequence=unix_s * 1000,
            not_before_s=int(START_S) - 8 * 86_400,
            expires_s=unix_s + 7_000,
        )

    # ------------------------------------------------------------ time

    def run(self, seconds: float) -> None:
        """Let everything happen that is due in this time."""
        end_s = self.now.mono_s + seconds
        while self._queue and self._queue[0][0] <= end_s:
            at_s, _, what = heapq.heappop(self._queue)
            self._pass(at_s)
            what()
        self._pass(end_s)

    def run_until(self, done: Callable[[], bool], *, within_s: float) -> float:
        """Run until something holds; how long that took."""
        begun_s = self.now.mono_s
        while not done():
            assert self.now.mono_s - begun_s < within_s, "it did not happen in time"
            self.run(0.05)
        return self.now.mono_s - begun_s

    def skip(self, seconds: float) -> None:
        """Nobody is up: time passes."""
        assert all(house.node is None for house in self.houses.values())
        self._queue.clear()
        self._pass(self.now.mono_s + seconds)

    def _pass(self, mono_s: float) -> None:
        """Both clocks from one number: small steps would be lost in a Unix time."""
        mono_s = max(mono_s, self.now.mono_s)
        self.now = Instant(mono_s, START_S + mono_s)

    def _after(self, seconds: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self.now.mono_s + seconds, next(self._numbers), what))

    def tell(self, house: House, event: Event) -> None:
        if house.node is not None:
            self.apply(house, house.node.handle(event, self.now))

    def later(self, house: House, event: Event, after_s: float) -> None:
        node = house.node
        self._after(after_s, lambda: self.tell(house, event) if house.node is node else None)

    def apply(self, house: House, effects: list[Effect]) -> None:
        for effect in effects:
            self._carry_out(house, effect)
        deadline_s = None if house.node is None else house.node.next_deadline_s()
        if deadline_s is not None and (house.wake_s is None or deadline_s < house.wake_s):
            house.wake_s = deadline_s
            node = house.node

            def wake() -> None:
                if house.node is node and house.wake_s == deadline_s:
                    house.wake_s = None
                    self.tell(house, Tick())

            self._after(max(0.0, deadline_s - self.now.mono_s), wake)

    def _carry_out(self, house: House, effect: Effect) -> None:
        match effect:
            case Send():
                self._send(house, effect)
            case Dial():
                self._dial(house, effect)
            case Hangup():
                end = house.ends.get(effect.link)
                if end is not None:
                    self._cut(end)
            case Save():
                self._save(house, effect)
            case SaveSoon():
                house.store.commit_soon(effect.changes)
            case FetchItems():
                items = at_once(house.store.own_items(effect.room, effect.first, effect.last))
                self.later(house, ItemsFetched(effect.room, items), 0.001)
            case FetchMail():
                mail = at_once(house.store.mail(effect.tag, effect.position, effect.limit))
                self.later(house, MailFetched(effect.ticket, mail), 0.001)
            case Lookup():
                pass
            case Moved():
                house.moved.append((effect.first, effect.last, effect.delivery))
            case Noticed():
                house.noticed.append(effect.code)
            case CentralKeep() | CentralFollow():
                self._central(house, effect)
            case _:
                pass

    def _save(self, house: House, effect: Save) -> None:
        node = house.node

        def done() -> None:
            if house.node is node and self.saves:
                at_once(house.store.commit(effect.changes))
                self.tell(house, Saved(effect.ticket))

        self._after(SAVE_S, done)

    def _central(self, house: House, effect: CentralKeep | CentralFollow) -> None:
        if isinstance(effect, CentralFollow):
            house.followed = {tag: house.followed.get(tag, at) for tag, at in effect.tags}
        elif not self.central:
            self.later(house, CentralKept(effect.ticket, "unreachable"), LATENCY_S)
            return
        else:
            self.kept.append((effect.tag, effect.frame))
            self.later(house, CentralKept(effect.ticket), LATENCY_S)
        for other in self.houses.values():
            for tag, at in list(other.followed.items()):
                found = [(n, frame) for n, (t, frame) in enumerate(self.kept, 1) if t == tag and n > at]
                if found and self.central:
                    other.followed[tag] = found[-1][0]
                    self.later(other, CentralBrought(tag, found[-1][0], tuple(f for _, f in found)), LATENCY_S)

    # ------------------------------------------------------------ links

    def _dial(self, house: House, effect: Dial) -> None:
        target = next(h for h in self.houses.values() if h.identity.public_key == effect.record.public_key)
        if target.node is None:
            self.later(house, DialFailed(effect.dial, "timeout"), DIAL_TIMEOUT_S)
            return
        node, identity = house.node, house.identity if effect.seed is None else Identity(effect.seed)

        def connect() -> None:
            if house.node is not node:
                return
            if target.node is None:
                self.tell(house, DialFailed(effect.dial, "unreachable"))
                return
            here, there = End(house, LinkId(next(self._numbers))), End(target, LinkId(next(self._numbers)))
            here.other, there.other = there, here
            house.ends[here.link], target.ends[there.link] = here, there
            binding = hashlib.sha256(b"%d" % here.link).digest()
            self.tell(target, LinkUp(there.link, identity.public_key, binding, None))
            self.tell(house, LinkUp(here.link, target.identity.public_key, binding, effect.dial))

        self._after(3 * LATENCY_S, connect)

    def _send(self, house: House, effect: Send) -> None:
        end = house.ends.get(effect.link)
        if end is None or end.other is None or not effect.chunks:
            return
        far, data = end.other, b"".join(effect.chunks)

        def arrive() -> None:
            node = far.house.node
            if node is not None and far.open and far.link in far.house.ends:
                batch = far.splitter.feed(data)
                if batch is not None:
                    self.apply(far.house, node.frames(far.link, batch, self.now))

        self._after(LATENCY_S, arrive)

    def _cut(self, end: End) -> None:
        for one, after_s in ((end, 0.0), (end.other, LATENCY_S)):
            if one is not None and one.open:
                self._after(after_s, lambda one=one: self._down(one))  # type: ignore[misc]

    def _down(self, end: End) -> None:
        end.open = False
        if end.house.ends.pop(end.link, None) is not None:
            self.tell(end.house, LinkDown(end.link, "lost"))

    # ------------------------------------------------------------ people

    def enter(self, *names: str) -> RoomId:
        """Members come into the room, one after the other, and meet."""
        room: RoomId | None = None
        for name in names:
            house = self.houses[name]
            out: list[Effect] = []
            room = house.up.rooms.create("room", ROOT, self.now, out, joining=name != names[0]).id
            self.apply(house, out)
            self.run(6.0)
        assert room is not None
        self.room = room
        return room

    def say(self, name: str, *bodies: bytes) -> None:
        house = self.houses[name]
        out: list[Effect] = []
        house.up.rooms.submit(house.up.rooms.rooms[self.room], bodies, self.now, out)
        self.apply(house, out)

    def hybrid(self, *names: str, first: bool = False, on: bool = True) -> None:
        """These members use the central server, which is there."""
        self.central = True
        for name in names:
            out: list[Effect] = []
            self.houses[name].up.rooms.mail.central_mode(on, first, self.now, out)
            self.apply(self.houses[name], out)
            self.tell(self.houses[name], CentralState(on))

    def central_goes(self, *, up: bool) -> None:
        """The server dies, or is there again with all that it had."""
        self.central = up
        for house in self.named("member"):
            self.tell(house, CentralState(up, "" if up else "unreachable"))

    def read(self, name: str) -> list[bytes]:
        """What a member has of the others, in order of arrival, as its store says."""
        messages = at_once(self.houses[name].store.messages(self.room, after=0, limit=10_000))
        return [message.body for message in messages if message.delivery is None]

    def mail(self, name: str) -> RoomMail:
        """A member's account of its room's mail."""
        return self.houses[name].up.rooms.rooms[self.room].mail

    def reached(self, name: str, delivery: Delivery) -> int:
        """The newest own item that has come so far."""
        return max((last for _, last, how in self.houses[name].moved if how >= delivery), default=0)
