"""One relay on a desk: the test plays everybody it talks to, without a socket, a clock or chance."""

from __future__ import annotations

from dataclasses import dataclass, field

from railgun_core.base.clock import Instant
from railgun_core.base.ids import LinkId, MsgId, PeerId, PublicKey, Tag, handle_of
from railgun_core.base.keys import Identity
from railgun_core.changes import ReplayAdd
from railgun_core.committee.epoch import make_clock
from railgun_core.committee.selection import Committee
from railgun_core.committee.trust import NoTrust
from railgun_core.committee.view import RelayView
from railgun_core.events import Effect, Hangup, SaveSoon, Send
from railgun_core.relay.duty import Duty, RelayLimits
from railgun_core.relay.opening import open_message
from railgun_core.relay.relay import Relay
from railgun_core.rooms.epoch_keys import EpochKeys, epoch_keys
from railgun_core.wire.frames import (
    ENVELOPE_HEADER,
    ControlFrame,
    FrameBatch,
    FrameSplitter,
    Open,
    Role,
    Slice,
    decode_control,
    envelope_frame,
)
from railgun_core.wire.kinds import FrameType
from railgun_core.wire.records import Address, AddressKind, PeerBody, PeerRole, Record, sign_record

CLOCK = make_clock(600)
EPOCH = 3_000_000
START = Instant(1_000.0, CLOCK.start_s(EPOCH) + 60)
SIZE = 5
RELAYS = [Identity(bytes((n + 1,)) * 32) for n in range(14)]
KEYS = epoch_keys(b"r" * 32, EPOCH)


def record_of(number: int) -> Record:
    host = f"{20 + number}.1.1.1"
    addresses = (Address(AddressKind.TLS, host, 4_000), Address(AddressKind.DHT, host, 4_000))
    start_s = int(START.unix_s)
    body = PeerBody(addresses, PeerRole.RELAY, "t", 1, 1)
    return sign_record(
        RELAYS[number], body, sequence=start_s * 1000, not_before_s=start_s - 5_000, expires_s=start_s + 2_000
    )


RECORDS = [record_of(number) for number in range(len(RELAYS))]


def view_of(*numbers: int) -> RelayView:
    """What a relay knows that has heard of these relays; of all of them without numbers."""
    view = RelayView(by_port=False, puzzle_bits=0)
    view.merge([RECORDS[n] for n in numbers or range(len(RECORDS))], START.unix_s)
    return view


COMMITTEE: Committee = view_of().committee(KEYS.tag, EPOCH, size=SIZE, clock=CLOCK)


def identity_of(peer_id: PeerId) -> Identity:
    return next(relay for relay in RELAYS if relay.peer_id == peer_id)


OWN = identity_of(COMMITTEE.members[0])
FELLOWS = [identity_of(peer_id) for peer_id in COMMITTEE.members[1:]]
STANDBYS = [identity_of(holder.peer_id) for holder in COMMITTEE.standbys]
OUTSIDER = next(r for r in RELAYS if COMMITTEE.seat_of(r.peer_id) is None)


def batch_of(*frames: bytes) -> FrameBatch:
    batch = FrameSplitter().feed(b"".join(frames))
    assert batch is not None
    return batch


def envelope(number: int, *, keys: EpochKeys = KEYS, size: int = 256, expiry_s: float | None = None) -> bytes:
    """The frame of an envelope with an id of its own."""
    expiry = int(CLOCK.retire_s(keys.epoch) if expiry_s is None else expiry_s)
    return envelope_frame(handle_of(keys.tag), expiry_s=expiry, msg_id=id_of(number), envelope=bytes(size))


def id_of(number: int) -> MsgId:
    return MsgId(number.to_bytes(16, "big"))


class Ledger(NoTrust):
    """Trust that remembers who was reported dead."""

    def __init__(self) -> None:
        self.dead: list[tuple[PeerId, int]] = []

    def died(self, relay: PeerId, observers: int) -> None:
        self.dead.append((relay, observers))


@dataclass
class Desk:
    """A relay and what it has asked for."""

    own: Identity = OWN
    view: RelayView = field(default_factory=view_of)
    limits: RelayLimits = field(default_factory=RelayLimits)
    now: Instant = START
    out: list[Effect] = field(default_factory=list)
    dialled: list[PeerId] = field(default_factory=list)
    others: list[object] = field(default_factory=list)
    trust: Ledger = field(default_factory=lambda: Ledger())
    links: int = 0

    def __post_init__(self) -> None:
        self.relay = Relay(
            self.own,
            view=self.view,
            clock=CLOCK,
            committee_size=SIZE,
            limits=self.limits,
            dial=lambda peer_id, out: self.dialled.append(peer_id),
            other=lambda link, frame, now, out: self.others.append(frame),
            trust=self.trust,
        )

    def after(self, seconds: float) -> None:
        """Let time pass; what is due is done at its own time."""
        end = self.now.after(seconds)
        while (due_s := self.relay.timers.next_s()) is not None and due_s <= end.mono_s:
            self.now = self.now.after(max(0.0, due_s - self.now.mono_s))
            self.relay.tick(self.now, self.out)
        self.now = end

    def wire(self, key: PublicKey, *, inbound: bool = True) -> Wire:
        """A link that is open."""
        self.links += 1
        wire = Wire(self, LinkId(self.links), key, b"binding %d" % self.links)
        self.relay.link_up(wire.link, key, wire.binding, self.now, self.out, inbound=inbound)
        return wire

    def member(self, slice_: Slice = Slice.PUSH, keys: EpochKeys = KEYS) -> Wire:
        """A member with an open session; what was said meanwhile is forgotten."""
        wire = self.wire(Identity(b"m" * 28 + (self.links + 1).to_bytes(4, "big")).public_key)
        wire.say(wire.opening(keys, slice_=slice_))
        wire.heard()
        return wire

    def relay_of(self, peer_id: PeerId, keys: EpochKeys = KEYS) -> Wire:
        """Any relay of the roster that asked for a session."""
        wire = self.wire(identity_of(peer_id).public_key)
        wire.say(Open(keys.tag, keys.epoch, Role.RELAY, Slice.QUIET, b"").encode())
        return wire

    def fellow(self, number: int, keys: EpochKeys = KEYS) -> Wire:
        """Another relay of the committee that asked for a session; what it was sent is still to be heard."""
        wire = self.wire(FELLOWS[number].public_key)
        wire.say(Open(keys.tag, keys.epoch, Role.RELAY, Slice.QUIET, b"").encode())
        return wire

    @property
    def duty(self) -> Duty:
        return self.relay.duties[handle_of(KEYS.tag)]

    def saved_ids(self) -> tuple[ReplayAdd, ...]:
        changes = [c for effect in self.out if isinstance(effect, SaveSoon) for c in effect.changes]
        return tuple(c for c in changes if isinstance(c, ReplayAdd))


@dataclass
class Wire:
    """The test's end of one link."""

    desk: Desk
    link: LinkId
    key: PublicKey
    binding: bytes
    position: int = 0

    def say(self, *frames: bytes) -> None:
        """Send frames in one read."""
        self.desk.relay.frames(self.link, batch_of(*frames), self.desk.now, self.desk.out)

    def opening(self, keys: EpochKeys = KEYS, *, slice_: Slice = Slice.PUSH, tag: Tag | None = None) -> bytes:
        draft = Open(tag or keys.tag, keys.epoch, Role.MEMBER, slice_, b"")
        return Open(*_head(draft), keys.sign.sign("open", open_message(self.binding, draft))).encode()

    def raw(self) -> bytes:
        """All bytes since the last time somebody listened."""
        effects, self.position = self.desk.out[self.position :], len(self.desk.out)
        return b"".join(b"".join(e.chunks) for e in effects if isinstance(e, Send) and e.link == self.link)

    def heard(self) -> tuple[list[ControlFrame], list[int]]:
        """Control frames, and the numbers of envelopes, since the last time somebody listened."""
        data = self.raw()
        batch = FrameSplitter().feed(data) if data else None
        control: list[ControlFrame] = []
        numbers: list[int] = []
        for index in range(len(batch) if batch else 0):
            assert batch is not None
            start, stop = batch.bounds[index], batch.bounds[index + 1]
            if batch.data[start + 4] == FrameType.ENVELOPE:
                numbers.append(int.from_bytes(ENVELOPE_HEADER.unpack_from(batch.data, start)[4], "big"))
            else:
                control.append(decode_control(batch.data, start, stop))
        return control, numbers

    def control(self) -> list[ControlFrame]:
        return self.heard()[0]

    def envelopes(self) -> list[int]:
        return self.heard()[1]

    @property
    def hung_up(self) -> bool:
        return any(isinstance(e, Hangup) and e.link == self.link for e in self.desk.out)

    def drop(self) -> None:
        self.desk.relay.link_down(self.link, self.desk.now)


def _head(draft: Open) -> tuple[Tag, int, Role, Slice]:
    return draft.tag, draft.epoch, draft.role, draft.slice
