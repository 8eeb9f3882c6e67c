"""The root of everything that decides: routes events and frames to features, and knows no rule of its own.

    event or frames, now  ->  Node  ->  effects, in order

Pure: no socket, no clock, no chance but what is given. The engine feeds it from real sockets, the simulator from
virtual ones; the same seed gives the same effects. Features (relay, rooms) never see each other; both stand on the
committee and the relay view.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import assert_never

from railgun_core.base.clock import Instant
from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import DialId, LinkId, PeerId, Tag
from railgun_core.base.keys import Identity
from railgun_core.base.rng import Rng
from railgun_core.base.timers import Timers
from railgun_core.changes import StoredState
from railgun_core.committee.epoch import EpochClock
from railgun_core.committee.selection import seat_targets
from railgun_core.committee.view import RelayView
from railgun_core.events import (
    Dial,
    DialFailed,
    Effect,
    Event,
    Hangup,
    ItemsFetched,
    LinkDown,
    LinkUp,
    Lookup,
    RelaysFound,
    Saved,
    Tick,
)
from railgun_core.relay.duty import RelayLimits
from railgun_core.relay.relay import Relay
from railgun_core.rooms.rooms import Rooms
from railgun_core.wire.frames import FrameBatch
from railgun_core.wire.records import Record

LOOKUP_MAX_TARGETS = 64
LOOKUP_EVERY_S = (5.0, 60.0)  # a quarter of an epoch, within these bounds: often enough before each handover
LOOKUP_AFTER_CHANGE_S = 1.0  # then ever more rarely while nothing new turns up
EXPIRE_EVERY_S = 30.0

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


class Node:
    """One peer: a relay for others, and a member of its own rooms."""

    def __init__(self, identity: Identity, config: NodeConfig, rng: Rng) -> None:
        self.identity = identity
        self.config = config
        self._rng = rng
        self._numbers = itertools.count(1)
        self._then: dict[int, Then] = {}
        self._relay_dials: dict[DialId, PeerId] = {}
        self._relay_links: set[LinkId] = set()
        self._room_links: set[LinkId] = set()
        self._timers: Timers[str] = Timers()
        self._quiet_lookups = 0
        self.view = RelayView(by_port=config.by_port, puzzle_bits=config.puzzle_bits)
        self.relay = Relay(
            identity.peer_id,
            view=self.view,
            clock=config.clock,
            committee_size=config.committee_size,
            limits=config.limits,
            dial=self._dial_fellow,
        )
        self.rooms = Rooms(
            view=self.view,
            clock=config.clock,
            committee_size=config.committee_size,
            rng=rng,
            dial=self._dial_as_pseudonym,
            when_saved=self._when_saved,
        )

    def start(self, stored: StoredState, now: Instant) -> list[Effect]:
        """Take up what was before a restart."""
        out: list[Effect] = []
        self.relay.restore(stored.replay)
        self.rooms.restore(stored.rooms, now, out)
        self._timers.set("lookup", now.mono_s)
        self._timers.set("expire", now.mono_s + EXPIRE_EVERY_S)
        return out

    def next_deadline_s(self) -> float | None:
        """The monotonic time at which Tick is due."""
        first_s: float | None = None
        for timers in (self._timers, self.relay.timers, self.rooms.timers):  # after each read: plain for speed
            at_s = timers.next_s()
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
                peer_id = self._relay_dials.pop(event.dial, None)
                if peer_id is not None:
                    self.relay.dial_failed(peer_id, now)
                else:
                    self.rooms.dial_failed(event.dial, now, out)
            case LinkDown():
                self._relay_links.discard(event.link)
                self._room_links.discard(event.link)
                self.relay.link_down(event.link, now)
                self.rooms.link_down(event.link, now, out)
            case Saved():
                self._then.pop(event.ticket)(now, out)
            case ItemsFetched():
                self.rooms.fetched(event.room, event.items, now, out)
            case RelaysFound():
                self._merge(event.records, now, out)
            case Tick():
                self._tick(now, out)
            case _:
                assert_never(event)
        return out

    def frames(self, link: LinkId, batch: FrameBatch, now: Instant) -> list[Effect]:
        """What to do about everything one read completed. Garbage closes the link, and only that."""
        out: list[Effect] = []
        try:
            if link in self._relay_links:
                self.relay.frames(link, batch, now, out)
            elif link in self._room_links:
                records = self.rooms.frames(link, batch, now, out)
                if records:
                    self._merge(records, now, out)
        except MalformedFrame:
            out.append(Hangup(link))
        return out

    # ------------------------------------------------------------ inside

    def _link_up(self, event: LinkUp, now: Instant, out: list[Effect]) -> None:
        if event.dial is None and not self.config.relays:
            out.append(Hangup(event.link))
        elif event.dial is None or self._relay_dials.pop(event.dial, None) is not None:
            self._relay_links.add(event.link)
            self.relay.link_up(event.link, event.remote_key, event.binding, now, out, inbound=event.dial is None)
        else:
            self._room_links.add(event.link)
            if not self.rooms.link_up(event.link, event.dial, event.binding, now, out):
                out.append(Hangup(event.link))

    def _merge(self, records: Iterable[Record], now: Instant, out: list[Effect]) -> None:
        if self.view.merge(records, now.unix_s):
            self._view_changed(now, out)

    def _view_changed(self, now: Instant, out: list[Effect]) -> None:
        self._quiet_lookups = 0
        self.relay.view_changed(now, out)
        self.rooms.view_changed(now, out)

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

    def _look_up(self, now: Instant, out: list[Effect]) -> None:
        """Refresh the view around every tag in use; around this node when there is none."""
        size = self.config.committee_size
        wanted = [*self.rooms.targets(), *self.relay.targets()]
        targets = [t for tag, epoch in wanted for t in seat_targets(Tag(tag), epoch, size)]
        unique = list(dict.fromkeys(targets))[:LOOKUP_MAX_TARGETS] or [self.identity.peer_id[:20]]
        out.append(Lookup(tuple(unique)))
        settled_s = min(max(self.config.clock.epoch_s / 4, LOOKUP_EVERY_S[0]), LOOKUP_EVERY_S[1])
        every_s = min(settled_s, LOOKUP_AFTER_CHANGE_S * 1.5**self._quiet_lookups)
        self._quiet_lookups += 1
        self._timers.set("lookup", now.mono_s + every_s * self._rng.uniform(0.8, 1.2))

    def _when_saved(self, then: Then) -> int:
        ticket = next(self._numbers)
        self._then[ticket] = then
        return ticket

    def _dial_fellow(self, peer_id: PeerId, out: list[Effect]) -> None:
        record = self.view.get(peer_id)
        if record is not None:
            dial = DialId(next(self._numbers))
            self._relay_dials[dial] = peer_id
            out.append(Dial(dial, record, None))

    def _dial_as_pseudonym(self, peer_id: PeerId, seed: bytes, out: list[Effect]) -> DialId:
        dial = DialId(next(self._numbers))
        record = self.view.get(peer_id)
        assert record is not None  # a committee is drawn from the view
        out.append(Dial(dial, record, seed))
        return dial
