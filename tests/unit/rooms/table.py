"""A member at a table with scripted relays: the test answers every dial and every frame by itself.

No socket, no clock, no disk: saves wait until the test commits them, time passes when the test says so.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from railgun_core.base.clock import Instant
from railgun_core.base.hashing import tagged_hash
from railgun_core.base.ids import DialId, LinkId, MemberId, MsgId, PeerId, handle_of
from railgun_core.base.keys import Identity
from railgun_core.changes import Delivery, Item, Membership
from railgun_core.committee.trust import NoTrust
from railgun_core.events import Effect, FetchItems, Hangup, Measured, Moved, Noticed, Save, SaveSoon, Send
from railgun_core.ratchet.group import OutboundGroup
from railgun_core.rooms.content import (
    Content,
    Entry,
    Form,
    Kind,
    Letter,
    Letters,
    Mood,
    SentItem,
    Sync,
    decode_content,
    encode_item,
    encode_letters,
    encode_plain,
    encode_sync,
    opaque_item,
    signed_letters,
    signed_sync,
    size_for,
)
from railgun_core.rooms.epoch_keys import epoch_keys, member_id_of, room_id_of
from railgun_core.rooms.keyring import Keyring, keys_plaintext
from railgun_core.rooms.room import Answered, Room
from railgun_core.rooms.rooms import Rooms
from railgun_core.rooms.session import RelaySession
from railgun_core.sim.world import at_once
from railgun_core.store.memory import MemoryStore
from railgun_core.wire.envelope import open_envelope, seal
from railgun_core.wire.frames import (
    ENVELOPE_HEADER,
    ENVELOPE_HEADER_BYTES,
    Ack,
    ControlFrame,
    FrameSplitter,
    Have,
    Open,
    Opened,
    Ping,
    Pong,
    Pull,
    Slice,
    decode_control,
    envelope_frame,
)
from railgun_core.wire.kinds import FrameType
from tests.unit.relay.desk import CLOCK, EPOCH, SIZE, START, batch_of, view_of

LATER = START.after(120)  # the epoch before has retired, the next one is not in preparation
ROOT = b"the root of a room to be tested."
KEYS = epoch_keys(ROOT, EPOCH)
ROOM = room_id_of(ROOT)
SEEDS = {member_id_of(Identity(seed).public_key): seed for seed in (tagged_hash("ann"), tagged_hash("bob"))}
ANN, BOB = SEEDS
HANDLE = handle_of(KEYS.tag)
Then = Callable[[Instant, list[Effect]], None]


@dataclass
class ScriptedRelay:
    """The test's end of one session."""

    table: Table
    peer_id: PeerId
    link: LinkId
    slice: Slice = Slice.QUIET
    taken: int = 0
    stored: int = 0
    published: list[tuple[MsgId, Content]] = field(default_factory=list)
    asked: list[ControlFrame] = field(default_factory=list)
    silent: bool = False  # a stopped process: links stay, nothing is answered
    opened: bool = False

    def say(self, *frames: bytes) -> None:
        """Send frames to the member in one read."""
        self.table.rooms.frames(self.link, batch_of(*frames), self.table.now, self.table.out)
        self.table.carry()

    def open(self, *, rate_per_s: int = 1_000, burst: int = 1_000) -> None:
        self.opened = True
        self.say(Opened(HANDLE, 0, SIZE, rate_per_s, burst).encode())

    def ack(self, *, taken: int | None = None, stored: int | None = None) -> None:
        """Count on: everything by default."""
        self.taken = len(self.published) if taken is None else taken
        self.stored = self.taken if stored is None else stored
        self.say(Ack(HANDLE, self.taken, self.stored, 3, SIZE).encode())

    def push(self, *contents: tuple[MsgId, bytes]) -> None:
        """Deliver sealed contents of other members."""
        frames = [frame_of(self.table, msg_id, content) for msg_id, content in contents]
        self.say(*frames)

    def die(self) -> None:
        self.table.relays.remove(self)
        self.table.rooms.link_down(self.link, self.table.now, self.table.out)
        self.table.carry()

    def items(self) -> list[int]:
        """The sequences of the items that were published here."""
        return [content.seq for _, content in self.published if isinstance(content, SentItem)]

    def letters(self) -> list[Letters]:
        return [content for _, content in self.published if isinstance(content, Letters)]

    def syncs(self) -> list[Sync]:
        return [content for _, content in self.published if isinstance(content, Sync)]


class NoCarrier:
    """A network without mixes."""

    all_rooms = False

    def guard(self, now: Instant) -> LinkId | None:
        return None

    guards = frozenset[PeerId]()

    def reaches(self, relay: PeerId, now: Instant) -> bool:
        return False

    def post(self, body: bytes, to: PeerId, then: Answered, now: Instant, out: list[Effect]) -> None:
        raise AssertionError("nothing can be posted")


@dataclass
class Table:
    """One member, its store, and the relays it has dialled."""

    now: Instant = LATER
    store: MemoryStore = field(default_factory=MemoryStore)
    answers: bool = True  # whether dials bring links
    opens: bool = True  # whether relays open sessions at once
    saves: bool = True  # whether saves are committed at once
    out: list[Effect] = field(default_factory=list)
    relays: list[ScriptedRelay] = field(default_factory=list)
    moved: list[tuple[int, int, Delivery]] = field(default_factory=list)
    unsaved: list[Save] = field(default_factory=list)
    dials: list[tuple[DialId, PeerId]] = field(default_factory=list)
    pings: list[tuple[ScriptedRelay, int]] = field(default_factory=list)
    pulls: list[tuple[ScriptedRelay, int]] = field(default_factory=list)
    resliced: list[tuple[ScriptedRelay, int]] = field(default_factory=list)
    dead: set[PeerId] = field(default_factory=set)  # who does not answer dials
    rng: random.Random = field(default_factory=lambda: random.Random(5))
    numbers: int = 0
    carried: int = 0

    def __post_init__(self) -> None:
        self.thens: dict[int, Then] = {}
        self.rooms = Rooms(
            view=view_of(),
            clock=CLOCK,
            committee_size=SIZE,
            rng=self.rng,
            dial=self._dial,
            when_saved=self._when_saved,
            carrier=NoCarrier(),
            trust=NoTrust(),
        )

    @property
    def room(self) -> Room:
        return self.rooms.rooms[ROOM]

    def enter(self, *, joining: bool = False) -> None:
        """Create the room, or join it."""
        self.rooms.create("test", ROOT, self.now, self.out, joining=joining)
        self.carry()

    def submit(self, *bodies: bytes) -> None:
        self.rooms.submit(self.room, bodies, self.now, self.out)
        self.carry()

    def name_of(self, seq: int) -> MsgId:
        """What an own item is called now."""
        own = self.room.ring.own
        assert own is not None
        return KEYS.msg_id(self.room.me, seq, own.number)

    def restarted(self) -> Table:
        """The same device after a power cut: what was committed is there, nothing else."""
        again = Table(now=self.now, store=self.store, answers=self.answers)
        self.store.crash()
        again.rooms.restore(at_once(self.store.load()).rooms, self.now, again.out)
        again.carry()
        return again

    def after(self, seconds: float) -> None:
        """Let time pass; what is due is done at its own time."""
        end = self.now.after(seconds)
        self.carry()
        while (due_s := self.rooms.timers.next_s()) is not None and due_s <= end.mono_s:
            self.now = self.now.after(max(0.0, due_s - self.now.mono_s))
            self.rooms.tick(self.now, self.out)
            self.carry()
        self.now = end

    def session(self, relay: ScriptedRelay) -> RelaySession:
        """The member's end."""
        (lane,) = self.room.lanes.values()
        return lane.sessions[relay.peer_id]

    def measured(self, what: str) -> list[Measured]:
        return [effect for effect in self.out if isinstance(effect, Measured) and effect.what == what]

    def relay(self, slice_: Slice) -> ScriptedRelay:
        """The one relay that has this slice."""
        (found,) = [relay for relay in self.relays if relay.slice is slice_]
        return found

    def commit(self) -> None:
        """Make durable what waits for it."""
        while self.unsaved:
            save = self.unsaved.pop(0)
            at_once(self.store.commit(save.changes))
            self.thens.pop(save.ticket)(self.now, self.out)
            self.carry()

    def carry(self) -> None:
        """Do what the rooms asked for, in order."""
        while self.carried < len(self.out):
            effect = self.out[self.carried]
            self.carried += 1
            match effect:
                case Save():
                    self.unsaved.append(effect)
                    if self.saves:
                        self.commit()
                case Send():
                    self._sent(effect)
                case Moved():
                    self.moved.append((effect.first, effect.last, effect.delivery))
                case FetchItems():
                    items = at_once(self.store.own_items(effect.room, effect.first, effect.last))
                    self.rooms.fetched(effect.room, items, self.now, self.out)
                case Hangup():
                    self.relays = [relay for relay in self.relays if relay.link != effect.link]
                case SaveSoon():
                    self.store.commit_soon(effect.changes)
                case _:
                    pass
        self._answer()

    def _dial(self, peer_id: PeerId, seed: bytes, via: LinkId | None, out: list[Effect]) -> DialId:
        self.numbers += 1
        self.dials.append((DialId(self.numbers), peer_id))
        return DialId(self.numbers)

    def _answer(self) -> None:
        for relay, nonce in self._answering(self.pings):
            self.rooms.frames(relay.link, batch_of(Pong(nonce).encode()), self.now, self.out)
        for relay, position in self._answering(self.pulls):  # it holds nothing but what the test says
            self.rooms.frames(relay.link, batch_of(Have(HANDLE, position, ()).encode()), self.now, self.out)
        for relay, _ in self._answering(self.resliced):
            relay.open()
        while self.dials and self.answers:
            dial, peer_id = self.dials.pop(0)
            if peer_id in self.dead:
                continue
            relay = ScriptedRelay(self, peer_id, LinkId(int(dial)))
            self.relays.append(relay)
            self.rooms.link_up(relay.link, dial, b"binding", self.now, self.out)
            self.carry()
            if self.opens:
                relay.open()

    def _answering(self, asked: list[tuple[ScriptedRelay, int]]) -> list[tuple[ScriptedRelay, int]]:
        """Take out what is answered now: a stopped relay answers when it goes on, one that is gone never."""
        now = [one for one in asked if one[0] in self.relays and not one[0].silent]
        asked[:] = [one for one in asked if one[0] in self.relays and one[0].silent]
        return now

    def _when_saved(self, then: Then) -> int:
        self.numbers += 1
        self.thens[self.numbers] = then
        return self.numbers

    def _sent(self, effect: Send) -> None:
        relay = next((relay for relay in self.relays if relay.link == effect.link), None)
        batch = FrameSplitter().feed(b"".join(effect.chunks))
        if relay is None or batch is None:
            return
        for start, stop in zip(batch.bounds, batch.bounds[1:], strict=False):
            if batch.data[start + 4] == FrameType.ENVELOPE:
                if batch.data[start + 5 : start + 13] != HANDLE:
                    continue  # of another room
                msg_id = MsgId(ENVELOPE_HEADER.unpack_from(batch.data, start)[4])
                content = open_envelope(batch.data[start + ENVELOPE_HEADER_BYTES : stop], KEYS.seal)
                relay.published.append((msg_id, decode_content(content)))
                continue
            frame = decode_control(batch.data, start, stop)
            if isinstance(frame, Ping):
                self.pings.append((relay, frame.nonce))
                continue
            relay.asked.append(frame)
            if isinstance(frame, Pull):
                self.pulls.append((relay, frame.position))
            if isinstance(frame, Open):
                relay.slice = frame.slice
                if relay.opened:
                    self.resliced.append((relay, frame.slice))


def frame_of(table: Table, msg_id: MsgId, content: bytes) -> bytes:
    """An envelope of the room, sealed."""
    sealed = seal(content, KEYS.seal, size=size_for(content), nonce=table.rng.randbytes(12))
    return envelope_frame(HANDLE, expiry_s=int(CLOCK.retire_s(EPOCH)), msg_id=msg_id, envelope=sealed)


@dataclass
class Other:
    """Another member, whose words the test puts into relays' mouths."""

    name: MemberId
    last: int = 0
    said: int = 0
    top: int = 0
    generation: int = 7
    opaque: bool = False

    def __post_init__(self) -> None:
        self.ring = Keyring.create(SEEDS[self.name], START.unix_s)
        self.group = OutboundGroup()

    def renew(self) -> None:
        """Begin a new generation."""
        self.generation += 1
        self.group = OutboundGroup()

    def item(self, seq: int, body: bytes = b"words") -> tuple[MsgId, bytes]:
        """An item, encrypted anew."""
        self.last = max(self.last, seq)
        item, top = Item(seq, 0, 1, body, START.unix_s), seq > self.top
        self.top = max(self.top, seq)
        if self.opaque:
            sent = opaque_item(self.ring.me, item, self.generation, top=top)
        else:
            payload = self.group.encrypt(encode_plain(item, top=top))
            sent = SentItem(self.name, seq, self.generation, Form.GROUP, payload)
        return KEYS.msg_id(self.name, seq, self.generation), encode_item(sent)

    def keys(self, table: Table, *, one_time: int | None = 0) -> tuple[MsgId, bytes]:
        """The present sender key, for the member at the table."""
        bundle, start = table.room.ring.account.bundle, self.group.start_key
        assert start is not None
        fellow = self.ring.fellow(table.room.me)
        if not len(fellow.pairwise):
            key = bundle.last_resort if one_time is None else bundle.one_time[one_time]
            fellow.pairwise.begin(self.ring.account, bundle, key)
        plaintext = keys_plaintext(self.name, table.room.me, self.generation, start)
        return self.letters((Letter(table.room.me, *fellow.pairwise.encrypt(plaintext)),))

    def letters(self, entries: tuple[Letter, ...], kind: Kind = Kind.KEYS) -> tuple[MsgId, bytes]:
        """Signed letters."""
        self.said += 1
        me = self.ring.me
        letters = Letters(kind, me.public_key, self.ring.account.identity, self.generation, entries)
        return MsgId(self.name + self.said.to_bytes(8, "big")), encode_letters(signed_letters(letters, me))

    def sync(
        self, *entries: Entry, mood: Mood = Mood.HERE, first: int = 1, last: int | None = None, bundle: bool = False
    ) -> tuple[MsgId, bytes]:
        self.said += 1
        msg_id, me = MsgId(self.name + self.said.to_bytes(8, "big")), self.ring.me
        shown = self.ring.account.bundle if bundle else None
        last = self.last if last is None else last
        sync = Sync(me.public_key, mood, first, last, entries, bundle=shown)
        return msg_id, encode_sync(signed_sync(sync, me, KEYS.tag))

    def has(self, table: Table, have: int) -> tuple[MsgId, bytes]:
        """A sync that confirms the own stream up to `have`, and the keys."""
        own = table.room.ring.own
        return self.sync(Entry(table.room.me, Membership.ACTIVE, have, 0 if own is None else own.number))


def seated(*, joining: bool = False) -> Table:
    table = Table()
    table.enter(joining=joining)
    return table


def met(table: Table, name: MemberId = ANN) -> Other:
    """A member that has said hello."""
    other = Other(name)
    have = Entry(table.room.me, Membership.ACTIVE, table.room.outbox.last_seq)
    table.relay(Slice.PUSH).push(other.sync(have, bundle=True), other.keys(table, one_time=list(SEEDS).index(name)))
    return other


def read(table: Table) -> list[bytes]:
    """The conversation, without one's own words."""
    messages = at_once(table.store.messages(ROOM, after=0, limit=10_000))
    return [message.body for message in messages if message.delivery is None]


def noticed(table: Table) -> list[str]:
    return [effect.code for effect in table.out if isinstance(effect, Noticed)]
