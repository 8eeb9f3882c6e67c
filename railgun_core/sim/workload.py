"""Rooms, messages and the checks: what every member must have got, once and in order.

A message's body names its room, sender and number, so every copy can be told apart. What is expected is what the
senders' stores hold in the end: a message is promised once it is durable, and a power cut may come before that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from railgun_core.base.ids import RoomId
from railgun_core.changes import Delivery, Message
from railgun_core.events import Effect
from railgun_core.rooms.rooms import Rooms
from railgun_core.sim.peer import SimPeer, at_once
from railgun_core.sim.world import World
from railgun_core.wire.envelope import SizeClass

BODY_BYTES = {SizeClass.SMALL: 24, SizeClass.MEDIUM: 3_000, SizeClass.LARGE: 60_000}
PAGE = 1_000


@dataclass(slots=True)
class Tally:
    """What one member has read of one room."""

    position: int = 0
    heads: set[bytes] = field(default_factory=set)
    last: dict[bytes, int] = field(default_factory=dict)  # the highest number of each sender


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
        self.sent = self.delivered = self.duplicated = self.out_of_order = self.stored = 0
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
        effects: list[Effect] = []
        room = _rooms(peer).create(name, root, self._world.now_of(peer), effects, joining=False)
        self._world.apply(peer, effects)
        return room.id

    def secure(self) -> None:
        """Every member makes its rooms high-security ones."""
        for place in self.rooms:
            for person in place.members:
                if person.node is not None:
                    effects: list[Effect] = []
                    rooms = _rooms(person)
                    rooms.secure(rooms.rooms[place.room], self._world.now_of(person), effects, on=True)
                    person.node.review_cover(self._world.now_of(person), effects)
                    self._world.apply(person, effects)

    def send(self) -> None:
        """One message by a random member that is up."""
        rng = self._world.rng
        number = rng.randrange(0, len(self.rooms))
        place = self.rooms[number]
        up = [person for person in place.members if person.node is not None and place.room in _rooms(person).rooms]
        if not up:
            return
        person = up[rng.randrange(0, len(up))]
        place.sent[person.number] += 1
        head = b"%d %d %d|" % (number, person.number, place.sent[person.number])
        body = head + bytes(max(0, self._body_bytes - len(head)))
        effects: list[Effect] = []
        rooms = _rooms(person)
        rooms.submit(rooms.rooms[place.room], (body,), self._world.now_of(person), effects)
        self._sent_at[head] = self._world.now_s
        self._world.apply(person, effects)
        self.sent += 1

    def _read(self, number: int, room: RoomId) -> None:
        peer = self._world.peers[number]
        tally = self._tallies.setdefault((number, room), Tally())
        for message in _messages(peer, room, tally.position):
            tally.position = message.position
            if message.delivery is None:
                self._count(tally, bytes(message.sender), _head(message))

    def _count(self, tally: Tally, sender: bytes, head: bytes) -> None:
        number = int(head[:-1].split()[2])
        if head in tally.heads:
            self.duplicated += 1
            return
        if number < tally.last.get(sender, 0):
            self.out_of_order += 1
        tally.heads.add(head)
        tally.last[sender] = max(tally.last.get(sender, 0), number)
        self.delivered += 1
        self.latency_ms.append((self._world.now_s - self._sent_at[head]) * 1000)

    def _moved(self, number: int, room: RoomId, first: int, last: int, delivery: Delivery) -> None:
        if delivery is Delivery.STORED:
            self.stored += last - first + 1

    @property
    def expected(self) -> int:
        """Copies that must exist: each durable message, at every other member of its room."""
        return sum(len(place.members) - 1 for place, _, _ in self._promised())

    @property
    def lost(self) -> int:
        """What should be there and is not."""
        return sum(1 for _ in self.missing())

    @property
    def unconfirmed(self) -> int:
        """Durable messages that their senders still wait to see confirmed."""
        return sum(1 for _, _, message in self._promised() if message.delivery is not Delivery.DELIVERED)

    def missing(self) -> Iterator[tuple[int, bytes]]:
        """Who lacks which message."""
        for place, person, message in self._promised():
            head = _head(message)
            for other in place.members:
                tally = self._tallies.get((other.number, place.room))
                if other is not person and (tally is None or head not in tally.heads):
                    yield other.number, head

    def _promised(self) -> Iterator[tuple[SimRoom, SimPeer, Message]]:
        for place in self.rooms:
            for person in place.members:
                for message in _messages(person, place.room, 0):
                    if message.delivery is not None:
                        yield place, person, message


def _messages(peer: SimPeer, room: RoomId, after: int) -> Iterator[Message]:
    while page := at_once(peer.store.messages(room, after=after, limit=PAGE)):
        yield from page
        after = page[-1].position


def _head(message: Message) -> bytes:
    return message.body.split(b"|", 1)[0] + b"|"


def _rooms(peer: SimPeer) -> Rooms:
    assert peer.node is not None
    return peer.node.rooms
