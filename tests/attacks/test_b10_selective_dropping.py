"""B10: relays that take envelopes and keep them to themselves.

The droppers here acknowledge everything at once as stored by all seats, answer pings, open sessions and count replicas
as received, and never send on an envelope or the name of one: nothing is pushed, announced, replicated, given when it
is asked for, or named when they are asked what they hold. Members find out by themselves: what another relay brings and
theirs does not, what nobody hears of after theirs has taken it, and what a relay that stands by holds after a silence,
all count against a relay, which then comes behind the others (rooms/esteem.py). Residual: a relay that drops less than
a third of what it should bring keeps its place, and what it drops is announced by the other one or asked for by name; a
member whose three relays all drop and also lie when they are asked what they hold hears nothing until its next epoch.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import LinkId, MemberId, MsgId, TagHandle
from railgun_core.events import Effect, Send
from railgun_core.rooms.content import SentItem, decode_content
from railgun_core.rooms.lane import Lane
from railgun_core.sim.network import End
from railgun_core.sim.options import SimOptions
from railgun_core.sim.report import prepare
from railgun_core.sim.workload import Workload
from railgun_core.sim.world import SimPeer, World
from railgun_core.wire.envelope import open_envelope
from railgun_core.wire.frames import (
    ENVELOPE_HEADER,
    ENVELOPE_HEADER_BYTES,
    Ack,
    FrameSplitter,
    Have,
    Slice,
    Want,
    decode_control,
)
from railgun_core.wire.kinds import FrameType

OPTIONS = SimOptions(peers=25, minutes=3, rooms=3, members=4, loss=0.0, rate_per_s=1.5)
SETTLE_S = 60.0
PULLED_WITHIN_MS = 5_000.0
NOTICED_WITHIN_S = 1.5  # a gap is asked for 0.3 s after it shows, a second after the last asking

Item = tuple[MemberId, int]
Copy = tuple[int, MemberId, int]  # whose, and of which item


def droppers(world: World, peers: frozenset[int], *, since_s: float, lies: bool) -> Counter[FrameType]:
    """From `since_s` on these peers send on no envelope and name none; `lies`: and say that all seats hold it.

    None of them is a member of a room, so every envelope that they would send is somebody else's. The count is of what
    they did.
    """
    carry_out = world._carry_out
    did: Counter[FrameType] = Counter()

    def sifted(peer: SimPeer, effect: Effect) -> None:
        if isinstance(effect, Send) and peer.number in peers and world.now_s >= since_s:
            kept = []
            for frame in _frames(effect.chunks):
                kind = FrameType(frame[4])
                if kind in (FrameType.ENVELOPE, FrameType.HAVE):
                    did[kind] += 1
                elif kind is FrameType.ACK and lies:
                    did[kind] += 1
                    kept.append(_all_stored(frame))
                else:
                    kept.append(frame)
            if not kept:
                return
            effect = dataclasses.replace(effect, chunks=kept)
        carry_out(peer, effect)

    world._carry_out = sifted  # type: ignore[method-assign]
    return did


def _all_stored(frame: bytes) -> bytes:
    ack = decode_control(frame, 0, len(frame))
    assert isinstance(ack, Ack)
    return Ack(ack.handle, ack.taken, ack.taken, ack.size, ack.size).encode()


def _frames(chunks: Iterable[bytes | memoryview]) -> list[bytes]:
    batch = FrameSplitter().feed(b"".join(chunks))
    return [] if batch is None else [batch.data[start:stop] for start, stop in itertools.pairwise(batch.bounds)]


@dataclass
class Ways:
    """How each item came first to each member: unasked from a relay in use, as it named it, or asked for by name."""

    world: World
    people: set[int]
    came: dict[Copy, str] = field(default_factory=dict)
    came_s: dict[Copy, float] = field(default_factory=dict)
    asked_s: dict[Copy, float] = field(default_factory=dict)  # since when it was asked for without being named before
    _items: dict[MsgId, Item | None] = field(default_factory=dict)
    _named: set[tuple[int, LinkId, MsgId]] = field(default_factory=set)
    _wanted: set[tuple[int, LinkId, MsgId]] = field(default_factory=set)

    def watch(self) -> None:
        """Look at everything that members send and get."""
        carry_out, receive = self.world._carry_out, self.world._receive

        def sent(peer: SimPeer, effect: Effect) -> None:
            if isinstance(effect, Send) and peer.number in self.people:
                for frame in _frames(effect.chunks):
                    self._sent(peer, effect.link, frame)
            carry_out(peer, effect)

        def got(end: End, data: bytes) -> None:
            peer = self.world.peers[end.peer]
            if peer.number in self.people and end.link in peer.ends:
                for frame in _frames((data,)):
                    self._got(peer, end.link, frame)
            receive(end, data)

        self.world._carry_out = sent  # type: ignore[method-assign]
        self.world._receive = got  # type: ignore[method-assign]

    def _sent(self, peer: SimPeer, link: LinkId, frame: bytes) -> None:
        if frame[4] == FrameType.WANT:
            want = decode_control(frame, 0, len(frame))
            assert isinstance(want, Want)
            if self._lane(peer, want.handle) is None:
                return
            for msg_id in want.ids:
                self._wanted.add((peer.number, link, msg_id))
                item = self._items.get(msg_id)
                if item is not None and (peer.number, link, msg_id) not in self._named:
                    self.asked_s.setdefault((peer.number, *item), self.world.now_s)
        elif frame[4] == FrameType.ENVELOPE:
            self._item(peer, frame)

    def _got(self, peer: SimPeer, link: LinkId, frame: bytes) -> None:
        if frame[4] == FrameType.HAVE:
            have = decode_control(frame, 0, len(frame))
            assert isinstance(have, Have)
            lane = self._lane(peer, have.handle)
            session = None if lane is None else next((s for s in lane.sessions.values() if s.link == link), None)
            if session is not None and session.slice is not Slice.QUIET:
                self._named.update((peer.number, link, msg_id) for msg_id in have.ids)
        elif frame[4] == FrameType.ENVELOPE:
            msg_id, item = self._item(peer, frame)
            if item is not None and not self._is_own(peer, item) and (copy := (peer.number, *item)) not in self.came:
                place = (peer.number, link, msg_id)
                way = "pushed" if place not in self._wanted else "announced" if place in self._named else "asked"
                self.came[copy], self.came_s[copy] = way, self.world.now_s

    def _item(self, peer: SimPeer, frame: bytes) -> tuple[MsgId, Item | None]:
        """The name of an envelope, and the item in it that a member sees there; relays see none."""
        _, _, handle, _, name = ENVELOPE_HEADER.unpack_from(frame)
        msg_id = MsgId(name)
        if msg_id not in self._items and (lane := self._lane(peer, handle)) is not None:
            try:
                content = decode_content(open_envelope(frame[ENVELOPE_HEADER_BYTES:], lane.keys.seal))
            except MalformedFrame:
                content = None
            self._items[msg_id] = (content.sender, content.seq) if isinstance(content, SentItem) else None
        lane = self._lane(peer, handle)
        return msg_id, None if lane is None else self._items[msg_id]

    @staticmethod
    def _is_own(peer: SimPeer, item: Item) -> bool:
        assert peer.node is not None
        return any(room.me == item[0] for room in peer.node.rooms.rooms.values())

    def _lane(self, peer: SimPeer, handle: TagHandle) -> Lane | None:
        rooms = () if peer.node is None else peer.node.rooms.rooms.values()
        return next((lane for room in rooms for lane in room.every_lane() if lane.handle == handle), None)

    def unnoticed(self) -> list[Copy]:
        """What came by neither push nor announcement without being asked for; and gaps that nobody asked about."""
        found = [copy for copy, way in self.came.items() if way == "asked" and copy not in self.asked_s]
        streams: dict[tuple[int, MemberId], list[tuple[int, float]]] = {}
        for (person, sender, seq), at_s in self.came_s.items():
            streams.setdefault((person, sender), []).append((seq, at_s))
        for (person, sender), came in streams.items():
            shown_s = float("inf")  # when the first later item came
            for seq, at_s in sorted(came, reverse=True):
                asked_s = self.asked_s.get((person, sender, seq), float("inf"))
                if at_s > shown_s + NOTICED_WITHIN_S and asked_s > at_s:
                    found.append((person, sender, seq))
                shown_s = min(shown_s, at_s)
        return found


def hostile(options: SimOptions, seed: int, count: int, *, since_s: float, lies: bool) -> tuple[Workload, Ways]:
    """A run in which so many of the peers drop."""
    world, workload = prepare(options, seed)
    people = {person.number for place in workload.rooms for person in place.members}
    bad = [number for number in range(options.peers) if number not in people][:count]
    did, ways = droppers(world, frozenset(bad), since_s=since_s, lies=lies), Ways(world, people)
    ways.watch()
    world.run_until(options.minutes * 60 + SETTLE_S)
    assert did[FrameType.ENVELOPE] > 0 or count < options.peers // 2  # a fifth of all may sit in none of the committees
    assert (workload.duplicated, workload.out_of_order) == (0, 0)
    return workload, ways


@pytest.mark.deadline(400)
def test_of_what_a_fifth_of_the_relays_keep_back_hardly_anything_is_late_and_every_gap_is_noticed(
    long_run: bool,
) -> None:
    """They carry everything until the epoch before has retired, so that they are trusted, and then nothing."""
    ways: Counter[str] = Counter()
    expected = in_time = 0
    for seed in range(2, 42 if long_run else 7):
        workload, seen = hostile(OPTIONS, seed, OPTIONS.peers // 5, since_s=125.0, lies=True)
        assert workload.lost == 0, f"seed {seed}: {workload.lost} are lost"
        assert seen.unnoticed() == [], f"seed {seed}"
        assert len(seen.came) == workload.expected
        expected += workload.expected
        ways += Counter(seen.came.values())
        in_time += sum(ms <= PULLED_WITHIN_MS for ms in workload.latency_ms)
    assert ways["asked"] > 0  # or nothing was shown about it
    assert ways["pushed"] + ways["announced"] >= 0.955 * expected, ways
    assert in_time >= 0.999 * expected


@pytest.mark.deadline(200)
def test_when_half_of_the_relays_keep_everything_back_from_the_start_nothing_is_lost() -> None:
    options = dataclasses.replace(OPTIONS, minutes=1.5)
    workload, seen = hostile(options, 2, options.peers // 2, since_s=0.0, lies=True)
    assert workload.lost == 0
    assert workload.expected > 0
    assert seen.unnoticed() == []
