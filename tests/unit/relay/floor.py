"""Several relays on one floor: real relays with links between them, one virtual clock and no chance.

A frame takes 10 ms. A relay that is switched off says nothing more, and its links stay up as those of a machine
without power do; a dial to it fails after half a second. A split stops frames and dials between two sides.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from railgun_core.base.clock import Instant
from railgun_core.base.ids import LinkId, PeerId, handle_of
from railgun_core.base.keys import Identity
from railgun_core.committee.view import RelayView
from railgun_core.events import Announce, Effect, Hangup, Noticed, Send
from railgun_core.relay.duty import Duty, RelayLimits
from railgun_core.relay.opening import open_message
from railgun_core.relay.relay import Relay
from railgun_core.wire.frames import ENVELOPE_HEADER, Ack, FrameSplitter, Open, Role, Slice, decode_control
from railgun_core.wire.kinds import FrameType
from tests.unit.relay.desk import CLOCK, KEYS, SIZE, START, Ledger, batch_of, view_of

FLIGHT_S = 0.01
DIAL_FAILS_AFTER_S = 0.5


@dataclass(eq=False)
class Station:
    """One relay and its ends of links. A member's link ends in `said`."""

    floor: Floor
    identity: Identity
    view: RelayView = field(default_factory=view_of)
    trust: Ledger = field(default_factory=Ledger)
    on: bool = True
    far: dict[LinkId, tuple[Station, LinkId]] = field(default_factory=dict)
    said: dict[LinkId, list[bytes]] = field(default_factory=dict)
    kept: list[Effect] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.relay = Relay(
            self.identity,
            view=self.view,
            clock=CLOCK,
            committee_size=SIZE,
            limits=RelayLimits(),
            dial=lambda peer_id, out: self.floor.dial(self, peer_id),
            other=lambda link, frame, now, out: None,
            trust=self.trust,
        )

    @property
    def duty(self) -> Duty:
        return self.relay.duties[handle_of(KEYS.tag)]

    @property
    def deaths(self) -> int:
        return sum(isinstance(effect, Noticed) and effect.code == "relay-died" for effect in self.kept)

    @property
    def announced(self) -> list[Announce]:
        return [effect for effect in self.kept if isinstance(effect, Announce)]

    def do(self, out: list[Effect]) -> None:
        """Carry out what the relay asked for."""
        for effect in out:
            match effect:
                case Send(link, chunks) if link in self.far:
                    self.floor.carry(self, link, b"".join(chunks))
                case Send(link, chunks) if link in self.said:
                    self.said[link].append(b"".join(chunks))
                case Hangup(link) if link in self.far:
                    self.floor.cut(self, link)
                case Noticed() | Announce():
                    self.kept.append(effect)
                case _:
                    pass


@dataclass
class Floor:
    """The relays, what flies between them, and the time."""

    stations: dict[PeerId, Station] = field(default_factory=dict)
    now: Instant = START
    links: int = 0
    flying: list[tuple[float, int, Callable[[], object]]] = field(default_factory=list)
    sides: dict[PeerId, int] = field(default_factory=dict)

    def add(self, *identities: Identity) -> list[Station]:
        added = [Station(self, identity) for identity in identities]
        self.stations.update({station.identity.peer_id: station for station in added})
        return added

    def split(self, one: Iterable[Station]) -> None:
        """Nothing passes between these relays and the others."""
        inside = list(one)
        self.sides = {peer_id: int(station in inside) for peer_id, station in self.stations.items()}

    def heal(self) -> None:
        self.sides = {}

    def run(self, seconds: float) -> None:
        """Let this much time pass."""
        end_s = self.now.mono_s + seconds
        while (due_s := self._next_s()) <= end_s:
            self.now = self.now.after(max(0.0, due_s - self.now.mono_s))
            self._step()
        self.now = self.now.after(max(0.0, end_s - self.now.mono_s))

    def _next_s(self) -> float:
        timers = (station.relay.timers.next_s() for station in self.stations.values() if station.on)
        return min((at_s for at_s in (*timers, *(at_s for at_s, _, _ in self.flying)) if at_s is not None), default=1e9)

    def _step(self) -> None:
        due = sorted((i for i in self.flying if i[0] <= self.now.mono_s), key=lambda item: item[:2])
        self.flying = [item for item in self.flying if item[0] > self.now.mono_s]
        for _, _, what in due:
            what()
        for station in self.stations.values():
            if station.on:
                out: list[Effect] = []
                station.relay.tick(self.now, out)
                station.do(out)

    def later(self, after_s: float, what: Callable[[], object]) -> None:
        self.links += 1
        self.flying.append((self.now.mono_s + after_s, self.links, what))

    def passes(self, here: Station, there: Station) -> bool:
        if not (here.on and there.on):
            return False
        return self.sides.get(here.identity.peer_id) == self.sides.get(there.identity.peer_id)

    def dial(self, here: Station, peer_id: PeerId) -> None:
        there = self.stations.get(peer_id)
        if there is None or not self.passes(here, there):
            self.later(DIAL_FAILS_AFTER_S, lambda: self.fail(here, peer_id))
        else:
            self.later(3 * FLIGHT_S, lambda: self.connect(here, there))

    def fail(self, here: Station, peer_id: PeerId) -> None:
        if here.on:
            out: list[Effect] = []
            here.relay.dial_failed(peer_id, self.now, out)
            here.do(out)

    def connect(self, here: Station, there: Station) -> None:
        if not self.passes(here, there):
            self.fail(here, there.identity.peer_id)
            return
        self.links += 2
        near, far = LinkId(self.links), LinkId(self.links + 1_000_000)
        here.far[near], there.far[far] = (there, far), (here, near)
        for station, link, other, inbound in ((there, far, here, True), (here, near, there, False)):
            out: list[Effect] = []
            key = other.identity.public_key
            station.relay.link_up(link, key, b"b%d" % self.links, self.now, out, inbound=inbound)
            station.do(out)

    def carry(self, here: Station, link: LinkId, data: bytes) -> None:
        there, far = here.far[link]

        def arrive() -> None:
            if far in there.far and self.passes(here, there):
                self.frames(there, far, data)

        self.later(FLIGHT_S, arrive)

    def frames(self, station: Station, link: LinkId, data: bytes) -> None:
        out: list[Effect] = []
        station.relay.frames(link, batch_of(data), self.now, out)
        station.do(out)

    def cut(self, here: Station, link: LinkId) -> None:
        """One side closes a link; the other one hears of it if it can."""
        there, far = here.far.pop(link)
        self.later(0.0, lambda: here.on and here.relay.link_down(link, self.now))

        def hear() -> None:
            if there.far.pop(far, None) is not None and there.on:
                there.relay.link_down(far, self.now)

        self.later(FLIGHT_S if self.passes(here, there) else 60.0, hear)

    def crash(self, station: Station) -> None:
        """A process ends: its machine closes the links."""
        station.on = False
        for link in list(station.far):
            there, far = station.far.pop(link)
            if there.far.pop(far, None) is not None and there.on:
                there.relay.link_down(far, self.now)

    def drop_links(self, station: Station) -> None:
        """A relay closes all its links, as a node does that woke or moved."""
        for link in list(station.far):
            there, far = station.far.pop(link)
            station.relay.link_down(link, self.now)
            if there.far.pop(far, None) is not None and there.on:
                there.relay.link_down(far, self.now)


@dataclass(eq=False)
class Guest:
    """A member with a session at one relay."""

    station: Station
    slice: Slice = Slice.PUSH
    acks: list[Ack] = field(default_factory=list)

    def __post_init__(self) -> None:
        floor = self.station.floor
        floor.links += 1
        self.link, binding = LinkId(floor.links), b"m%d" % floor.links
        self.station.said[self.link] = []
        key, out = Identity(b"m" * 28 + floor.links.to_bytes(4, "big")).public_key, list[Effect]()
        self.station.relay.link_up(self.link, key, binding, floor.now, out, inbound=True)
        self.station.do(out)
        draft = Open(KEYS.tag, KEYS.epoch, Role.MEMBER, self.slice, b"")
        signature = KEYS.sign.sign("open", open_message(binding, draft))
        self.say(replace(draft, signature=signature).encode())
        assert self.station.duty.members[self.link].slice is self.slice

    def say(self, *frames: bytes) -> None:
        self.station.floor.frames(self.station, self.link, b"".join(frames))

    def heard(self) -> list[int]:
        """The numbers of the envelopes that came since the last time; acks are kept apart."""
        data = b"".join(self.station.said[self.link])
        self.station.said[self.link].clear()
        batch = FrameSplitter().feed(data) if data else None
        numbers: list[int] = []
        for start, stop in itertools.pairwise(batch.bounds) if batch is not None else ():
            if batch.data[start + 4] == FrameType.ENVELOPE:
                numbers.append(int.from_bytes(ENVELOPE_HEADER.unpack_from(batch.data, start)[4], "big"))
            elif isinstance(frame := decode_control(batch.data, start, stop), Ack):
                self.acks.append(frame)
        return numbers

    @property
    def stored(self) -> int:
        """How many of its envelopes a majority holds, as its relay says."""
        self.heard()
        return self.acks[-1].stored if self.acks else 0
