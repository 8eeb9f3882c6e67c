"""Rooms, messages and the checks: what every member must have got, once and in order.

A message's body names its room, sender and number, so every copy can be told apart. What is expected is fixed when
a message is submitted: every other member of its room, whatever happens after that.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from railgun_core.base.ids import RoomId
from railgun_core.changes import Delivery
from railgun_core.events import Effect
from railgun_core.rooms.rooms import Rooms
from railgun_core.sim.world import SimPeer, World, at_once
from railgun_core.wire.envelope import SizeClass

BODY_BYTES = {SizeClass.SMALL: 24, SizeClass.MEDIUM: 3_000, SizeClass.LARGE: 60_000}


@dataclass(slots=True)
class Tally:
    """What one member has read of one room, per sender."""

    position: int = 0
    last: dict[bytes, int] = field(default_factory=dict)


@dataclass(slots=True)
class SimRoom:
    """One room and who is in it."""

    room: RoomId
    members: list[SimPeer]
    sent: dict[int, int] = field(default_factory=dict)  # by member: how many messages


class Workload:
    """Sends at random moments, reads whatever grows, and counts."""

    def __init__(self, world: World, *, rooms: int, members: int, body_bytes: int) -> None:
        self._world = world
        self._body_bytes = body_bytes
        self._tallies: dict[tuple[int, RoomId], Tally] = {}
        self._sent_at: dict[bytes, float] = {}
        self.rooms = [self._make_room(number, members) for number in range(rooms)]
        self.sent = self.expected = self.delivered = self.duplicated = self.out_of_order = self.stored = 0
        self.latency_ms: list[float] = []
        world.on_grew = self._read
        world.on_moved = self._moved

    def _make_room(self, number: int, members: int) -> SimRoom:
        world = self._world
        root = world.rng.randbytes(32)
        people = world.rng.sample(world.peers, members)
        ids = [self._enter(person, f"room-{number}", root) for person in people]
        return SimRoom(ids[0], people, {person.number: 0 for person in people})

    def _enter(self, peer: SimPeer, name: str, root: bytes) -> RoomId:
        rooms = _rooms(peer)
        effects: list[Effect] = []
        room = rooms.create(name, root, self._world.now, effects, joining=False)
        self._world.apply(peer, effects)
        return room.id

    def send(self) -> None:
        """One message by a random member that is up."""
        rng = self._world.rng
        place = self.rooms[rng.randrange(0, len(self.rooms))]
        up = [person for person in place.members if person.node is not None]
        if not up:
            return
        person = up[rng.randrange(0, len(up))]
        place.sent[person.number] += 1
        head = b"%d %d %d|" % (self.rooms.index(place), person.number, place.sent[person.number])
        body = head + bytes(max(0, self._body_bytes - len(head)))
        effects: list[Effect] = []
        rooms = _rooms(person)
        rooms.submit(rooms.rooms[place.room], (body,), self._world.now, effects)
        self._sent_at[head] = self._world.now_s
        self._world.apply(person, effects)
        self.sent += 1
        self.expected += len(place.members) - 1

    def _read(self, number: int, room: RoomId) -> None:
        peer = self._world.peers[number]
        tally = self._tallies.setdefault((number, room), Tally())
        messages = at_once(peer.store.messages(room, after=tally.position, limit=1_000))
        for message in messages:
            tally.position = message.position
            if message.delivery is None:
                self._count(tally, bytes(message.sender), message.body.split(b"|", 1)[0] + b"|")

    def _count(self, tally: Tally, sender: bytes, head: bytes) -> None:
        number = int(head[:-1].split()[2])
        last = tally.last.get(sender, 0)
        if number <= last:
            self.duplicated += 1
        elif number != last + 1:
            self.out_of_order += 1
        tally.last[sender] = max(last, number)
        self.delivered += 1
        self.latency_ms.append((self._world.now_s - self._sent_at[head]) * 1000)

    def _moved(self, number: int, room: RoomId, first: int, last: int, delivery: Delivery) -> None:
        if delivery is Delivery.STORED:
            self.stored += last - first + 1

    @property
    def lost(self) -> int:
        """What should be there and is not."""
        return self.expected - self.delivered + self.duplicated


def _rooms(peer: SimPeer) -> Rooms:
    assert peer.node is not None
    return peer.node.rooms
