"""The root of everything that decides: routes events and frames to features, and knows no rule of its own.

    event or frames, now  ->  Node  ->  effects, in order

Pure: no socket, no clock, no chance but what is given. The engine feeds it from real sockets, the simulator from
virtual ones; the same seed gives the same effects. Features (relay, rooms, mixnet) never see each other; what one asks
of another (a dial through a guard, a post, its answer) is handed on here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import assert_never

from railgun_core.base.clock import Instant
from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import DialId, LinkId, PeerId, peer_id_of
from railgun_core.base.keys import Identity
from railgun_core.base.rng import Rng
from railgun_core.base.timers import Timers
from railgun_core.changes import StoredState
from railgun_core.committee.epoch import EpochClock
from railgun_core.committee.lookups import Lookups
from railgun_core.committee.trust import NoTrust, Trust
from railgun_core.committee.view import RelayView
from railgun_core.events import (
    CentralBrought,
    CentralKept,
    CentralState,
    Dial,
    DialFailed,
    Effect,
    Event,
    Hangup,
    ItemsFetched,
    LinkDown,
    LinkUp,
    Lookup,
    MailFetched,
    RelaysFound,
    Saved,
    Tick,
    Woke,
)
from railgun_core.mailbox.limits import MailboxLimits
from railgun_core.mailbox.mailbox import Mailbox
from railgun_core.mix.mixnet import AnswerBytes, Mixnet, MixnetConfig
from railgun_core.mix.parcel import POST_BYTES
from railgun_core.relay.duty import RelayLimits
from railgun_core.relay.relay import Relay
from railgun_core.rooms.room import Answered
from railgun_core.rooms.rooms import Rooms
from railgun_core.wire.frames import Cell, FrameBatch, Packet
from railgun_core.wire.mail import Collect, Deposit
from railgun_core.wire.posts import POST_BYTES as ROOM_POST_BYTES
from railgun_core.wire.posts import PostAnswer, decode_post
from railgun_core.wire.records import Record

EXPIRE_EVERY_S = 30.0
assert ROOM_POST_BYTES <= POST_BYTES  # what rooms post fits into a packet

Then = Callable[[Instant, list[Effect]], None]


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """What all nodes of a network agree on, and this node's own limits."""

    clock: EpochClock
    committee_size: int
    by_port: bool
    puzzle_bits: int
    limits: RelayLimits
    relays: bool  # whether this node serves others
    mailbox: MailboxLimits | None = None  # what it keeps for members who are away; None: nothing
    mixnet: MixnetConfig = field(default_factory=MixnetConfig)

    @property
    def serves(self) -> bool:
        """Whether others may open links to this node."""
        return self.relays or self.mailbox is not None


class Node:
    """One peer: a relay and a mix for others, and a member of its own rooms."""

    def __init__(self, identity: Identity, config: NodeConfig, rng: Rng, *, trust: Trust | None = None) -> None:
        self.identity = identity
        self.config = config
        self._rng = rng
        self._numbers = itertools.count(1)
        self._then: dict[int, Then] = {}
        self._relay_dials: dict[DialId, PeerId] = {}
        self._relay_links: set[LinkId] = set()
        self._guard_links: set[LinkId] = set()
        self._room_links: set[LinkId] = set()
        self._timers: Timers[str] = Timers()
        self._lookups = Lookups(rng, config.clock, config.committee_size, roams=config.mixnet.mixes)
        self.trust: Trust = trust or NoTrust()
        self.view = RelayView(by_port=config.by_port, puzzle_bits=config.puzzle_bits)
        self.mixnet = self._wired_mixnet()
        self.mailbox = Mailbox(
            identity, view=self.view, limits=config.mailbox or MailboxLimits(), when_saved=self._when_saved
        )
        self.relay = self._wired_relay()
        self.rooms = self._wired_rooms()
        self._all_timers = (
            self._timers,
            self.relay.timers,
            self.rooms.timers,
            self.mixnet.mix.timers,
            self.mixnet.client.timers,
            self.mailbox.timers,
        )

    def _wired_mixnet(self) -> Mixnet:
        return Mixnet(
            self.identity.peer_id,
            rng=self._rng,
            by_port=self.config.by_port,
            loops=self.config.mixnet.mixes,
            records=lambda: self.view.records,
            dial_relay=self._dial_relay,
            dial_guard=lambda peer_id, seed, out: self._dial_as_pseudonym(peer_id, seed, None, out),
            when_saved=self._when_saved,
            posted=self._posted,
            standing=self.trust.standing,
            dummy=lambda now: self.rooms.dummy(now),
        )

    def _wired_relay(self) -> Relay:
        return Relay(
            self.identity,
            view=self.view,
            clock=self.config.clock,
            committee_size=self.config.committee_size,
            limits=replace(self.config.limits, keep_links=self.config.mixnet.mixes),
            dial=self._dial_relay,
            other=self._other,
            trust=self.trust,
        )

    def _wired_rooms(self) -> Rooms:
        return Rooms(
            view=self.view,
            clock=self.config.clock,
            committee_size=self.config.committee_size,
            rng=self._rng,
            dial=self._dial_as_pseudonym,
            when_saved=self._when_saved,
            carrier=_Carrier(self),
            trust=self.trust,
        )

    def start(self, stored: StoredState, now: Instant) -> list[Effect]:
        """Take up what was before a restart."""
        out: list[Effect] = []
        self.relay.restore(stored.replay)
        self.mixnet.start(stored, now, out, serves=self.config.serves)
        self.mailbox.start(
            stored.mail, now, out, serves=self.config.mailbox is not None, restored_backup=stored.restored_backup
        )
        self.rooms.restore(stored.rooms, now, out, restored_backup=stored.restored_backup)
        self.review_cover(now, out)
        self._timers.set("lookup", now.mono_s)
        self._timers.set("expire", now.mono_s + EXPIRE_EVERY_S)
        return out

    def review_cover(self, now: Instant, out: list[Effect]) -> None:
        """Set the rate of the one queue: call it after a room's security or a budget has changed."""
        mixnet = self.config.mixnet
        secure = any(room.secure for room in self.rooms.rooms.values())
        rate = mixnet.secure_per_s if secure else mixnet.cover_per_s
        self.mixnet.client.set_rate(rate, now)
        self.mixnet.client.wanted(now, out, on=secure or mixnet.guard_all_rooms or rate > 0)

    def set_budgets(self, now: Instant, out: list[Effect], *, cover_per_s: float, secure_per_s: float) -> None:
        """Packets a second while no room is high-security, and while one is."""
        mixnet = replace(self.config.mixnet, cover_per_s=cover_per_s, secure_per_s=secure_per_s)
        self.config = replace(self.config, mixnet=mixnet)
        self.review_cover(now, out)

    def set_mailbox(self, limits: MailboxLimits | None, now: Instant, out: list[Effect]) -> None:
        """Keep mail of others within these limits from now on. None: take nothing new, hand out what is here."""
        self.config = replace(self.config, mailbox=limits)
        if limits is None:
            self.mailbox.close()
        else:
            self.mailbox.set_limits(limits, now, out)

    @property
    def serves(self) -> bool:
        """Whether others may open links to this node: also who keeps mail no more hands out what is left of it."""
        return self.config.serves or self.mailbox.is_emptying

    def next_deadline_s(self) -> float | None:
        """The monotonic time at which Tick is due."""
        first_s: float | None = None
        for timers in self._all_timers:
            at_s = timers.next_s()  # asked after each read: plain for speed
            if at_s is not None and (first_s is None or at_s < first_s):
                first_s = at_s
        return first_s

    def handle(self, event: Event, now: Instant) -> list[Effect]:
        """What to do about an event."""
        out: list[Effect] = []
        match event:
            case LinkUp():
                self._link_up(event, now, out)
            case DialFailed():
                self._dial_failed(event.dial, now, out)
            case LinkDown():
                self._link_down(event.link, now, out)
            case Saved():
                self._then.pop(event.ticket)(now, out)
            case ItemsFetched():
                self.rooms.fetched(event.room, event.items, now, out)
            case RelaysFound():
                self._merge(event.records, now, out)
            case Tick():
                self._tick(now, out)
            case Woke():
                self._woke(now, out)
            case MailFetched():
                self.mailbox.fetched(event, now, out)
            case CentralState():
                self.rooms.mail.central_state(event.up, now, out)
            case CentralKept():
                self.rooms.mail.central_kept(event, now, out)
            case CentralBrought():
                self.rooms.mail.central_brought(event, now, out)
            case _:
                assert_never(event)
        return out

    def frames(self, link: LinkId, batch: FrameBatch, now: Instant) -> list[Effect]:
        """What to do about everything one read completed. Garbage closes the link, and only that."""
        out: list[Effect] = []
        records: tuple[Record, ...] = ()
        try:
            if link in self._relay_links:
                self.relay.frames(link, batch, now, out)
                self.mixnet.mix.flush(now, out)
            elif link in self._room_links:
                records = self.rooms.frames(link, batch, now, out)
            elif link in self._guard_links:
                records = self.mixnet.client.frames(link, batch, now, out)
        except MalformedFrame:
            out.append(Hangup(link))
        if records:
            self._merge(records, now, out)
        return out

    # ------------------------------------------------------------ links

    def _link_up(self, event: LinkUp, now: Instant, out: list[Effect]) -> None:
        if event.dial is None and not self.serves:
            out.append(Hangup(event.link))
        elif event.dial is None or self._relay_dials.pop(event.dial, None) is not None:
            self._relay_links.add(event.link)
            self.relay.link_up(event.link, event.remote_key, event.binding, now, out, inbound=event.dial is None)
            self.mixnet.link_up(event.link, peer_id_of(event.remote_key), now, out)
            if event.dial is None:
                self.mailbox.link_up(event.link, event.binding, now, group=event.group)
        elif self.mixnet.client.link_up(event.link, event.dial, now, out):
            self._guard_links.add(event.link)
            self.rooms.view_changed(now, out)  # there is a way now, and guards are no relays of own rooms
        else:
            self._room_links.add(event.link)
            if not self.rooms.link_up(event.link, event.dial, event.binding, now, out):
                out.append(Hangup(event.link))

    def _link_down(self, link: LinkId, now: Instant, out: list[Effect]) -> None:
        if link in self._relay_links:
            self._relay_links.discard(link)
            self.mixnet.link_down(link)
            self.mailbox.link_down(link)
            self.relay.link_down(link, now)
        elif link in self._guard_links:
            self._guard_links.discard(link)
            self.mixnet.client.link_down(link, now, out)
        else:
            self._room_links.discard(link)
            self.rooms.link_down(link, now, out)

    def _dial_failed(self, dial: DialId, now: Instant, out: list[Effect]) -> None:
        peer_id = self._relay_dials.pop(dial, None)
        if peer_id is not None:
            self.relay.dial_failed(peer_id, now, out)
            self.mixnet.dial_failed(peer_id, now)
        elif not self.mixnet.client.dial_failed(dial, now, out):
            self.rooms.dial_failed(dial, now, out)

    def _dial_relay(self, peer_id: PeerId, out: list[Effect]) -> DialId | None:
        """Dial as this relay; None when no record says where."""
        record = self.view.get(peer_id)
        if record is None:
            return None
        dial = DialId(next(self._numbers))
        self._relay_dials[dial] = peer_id
        out.append(Dial(dial, record, None))
        return dial

    def _dial_as_pseudonym(self, peer_id: PeerId, seed: bytes, via: LinkId | None, out: list[Effect]) -> DialId:
        dial = DialId(next(self._numbers))
        record = self.view.get(peer_id)
        assert record is not None  # committees and guards are drawn from the view
        out.append(Dial(dial, record, seed, via))
        return dial

    # ------------------------------------------------------------ the view

    def _merge(self, records: Iterable[Record], now: Instant, out: list[Effect]) -> None:
        if self.view.merge(records, now.unix_s):
            self._view_changed(now, out)

    def _view_changed(self, now: Instant, out: list[Effect]) -> None:
        self._lookups.news()
        self.relay.view_changed(now, out)
        self.rooms.view_changed(now, out)
        self.mixnet.client.view_changed(now)

    def _tick(self, now: Instant, out: list[Effect]) -> None:
        for what in self._timers.pop_due(now.mono_s):
            if what == "lookup":
                self._look_up(now, out)
            else:
                self._timers.set("expire", now.mono_s + EXPIRE_EVERY_S)
                if self.view.expire(now.unix_s):
                    self._view_changed(now, out)
        self.relay.tick(now, out)
        self.rooms.tick(now, out)
        self.mixnet.mix.tick(now, out)
        self.mixnet.client.tick(now, out)
        self.mailbox.tick(now, out)

    def _woke(self, now: Instant, out: list[Effect]) -> None:
        """Every link is in doubt: let all go and begin anew; what was missed is pulled through the fresh ones."""
        for link in sorted((*self._relay_links, *self._guard_links, *self._room_links)):
            out.append(Hangup(link))
            self._link_down(link, now, out)
        self._lookups.news()
        self._timers.set("lookup", now.mono_s)
        self.relay.woke(now, out)
        self.rooms.woke(now, out)

    def _look_up(self, now: Instant, out: list[Effect]) -> None:
        """Refresh the view around every tag in use, and come back when it is time."""
        own = self.identity.peer_id if self.serves else None
        targets = self._lookups.targets([*self.rooms.targets(), *self.relay.targets()], own)
        keeps_mail = self.config.mailbox is not None
        out.append(Lookup(targets, self._lookups.mailboxes(self.rooms.mail.targets(now), keeps_mail=keeps_mail)))
        self._timers.set("lookup", now.mono_s + self._lookups.next_in_s())

    # ------------------------------------------------------------ between features

    def _when_saved(self, then: Then) -> int:
        ticket = next(self._numbers)
        self._then[ticket] = then
        return ticket

    def _posted(self, body: bytes, answer: AnswerBytes, now: Instant, out: list[Effect]) -> None:
        """A post came out of the mixnet here."""

        def told(said: PostAnswer, then: Instant, effects: list[Effect]) -> None:
            answer(said.encode(), then, effects)

        try:
            deposit = Deposit.from_body(body)
            if self.mailbox.wants(deposit.day, now) and deposit.is_signed():
                self.mailbox.posted(deposit, told, now, out)
            else:
                self.relay.posted(decode_post(body), told, now, out)
        except MalformedFrame:
            return

    def _other(self, link: LinkId, frame: Packet | Cell | Deposit | Collect, now: Instant, out: list[Effect]) -> None:
        """A frame on a link of the relay identity that is no business of the relay's."""
        if isinstance(frame, Deposit | Collect):
            self.mailbox.frame(link, frame, now, out)
        else:
            self.mixnet.frame(link, frame, now, out)


class _Carrier:
    """What rooms may ask of the mixnet (rooms.room.Carrier)."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def all_rooms(self) -> bool:
        return self._node.config.mixnet.guard_all_rooms

    def guard(self, now: Instant) -> LinkId | None:
        return self._node.mixnet.client.guard_link(now)

    @property
    def guards(self) -> frozenset[PeerId]:
        return self._node.mixnet.client.guards

    def reaches(self, relay: PeerId, now: Instant) -> bool:
        return self._node.mixnet.client.reaches(relay, now)

    def post(self, body: bytes, to: PeerId, then: Answered, now: Instant, out: list[Effect]) -> bool:
        return self._node.mixnet.client.post(body, to, then, now, out) is not None
