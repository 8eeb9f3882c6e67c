"""The people of a chaos run: rooms, who is in them from when to when, what they say, and what they may expect.

Every message names its room, sender and number. What is owed follows from what the senders' stores hold in the end, and
from each member's stay: one that was there from the beginning gets everything, one that joined gets what was said after
its welcome, one that left, was removed or lost its store is owed nothing more. That is what the app promises; how many
are left out is counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from railgun_core.base.errors import UsageError
from railgun_core.base.ids import MemberId, RoomId
from railgun_core.changes import Delivery, Message
from railgun_core.events import Effect
from railgun_core.rooms.room import Room
from railgun_core.rooms.rooms import Rooms
from railgun_core.sim.peer import SimPeer, at_once
from railgun_core.sim.world import World

PAGE = 1_000
BODY_BYTES = {24: 0.9, 3_000: 0.07, 100_000: 0.03}  # and how often


@dataclass(slots=True, eq=False)
class Stay:
    """One person in one room. `since_s`: from when on everything said is owed to it; None while it was not let in."""

    peer: int
    room: int
    since_s: float | None
    ended: str = ""  # left, removed, lost
    restored: bool = False  # its store was put back from a backup
    roots: set[bytes] = field(default_factory=set)
    said: int = 0

    @property
    def counts(self) -> bool:
        """Whether anything is owed to it."""
        return not self.ended and self.since_s is not None


@dataclass(frozen=True, slots=True)
class Said:
    """When a message was handed in, and under which root of its room."""

    at_s: float
    root: bytes


class Crowd:
    """All rooms of a run. `stays` also holds those that are over."""

    def __init__(self, world: World, rooms: tuple[tuple[int, ...], ...], rng: Random) -> None:
        self.world = world
        self._rng = rng
        self.stays: dict[tuple[int, int], Stay] = {}  # by room and peer: the present one, or the last
        self.over: list[Stay] = []  # of people who came again
        self.said: dict[bytes, Said] = {}
        self.who: dict[MemberId, tuple[int, int]] = {}  # room and peer of every member id there was
        self.sent = self.refused = 0
        self._roots: list[bytes] = []
        self.ids: list[RoomId] = []
        for number, members in enumerate(rooms):
            self._roots.append(rng.randbytes(32))
            for member in members:
                self.enter(number, world.peers[member], joining=False)
        world.on_welcomed = self._welcomed

    def enter(self, room: int, peer: SimPeer, *, joining: bool) -> bool:
        """Into a room by its first root, as by an invite; whether that was possible."""
        if peer.node is None or peer.stopped:
            return False
        effects: list[Effect] = []
        root, now = self._roots[room], self.world.now_of(peer)
        try:
            made = peer.node.rooms.create(f"room-{room}", root, now, effects, joining=joining)
        except UsageError:
            return False
        if room == len(self.ids):
            self.ids.append(made.id)
        before = self.stays.get((room, peer.number))
        if before is not None:
            self.over.append(before)
        said = 0 if before is None else before.said
        since_s = None if joining else float("-inf")
        self.stays[room, peer.number] = Stay(peer.number, room, since_s, roots={root}, said=said)
        self.world.apply(peer, effects)
        self.note(peer)
        return True

    def leave(self, room: int, peer: SimPeer) -> bool:
        """Leave a room; whether that was possible."""
        found = self.room_of(room, peer)
        if found is None or self.staying(room) < 3:
            return False
        effects: list[Effect] = []
        rooms_of(peer).leave(found, self.world.now_of(peer), effects)
        self.stays[room, peer.number].ended = "left"
        self.world.apply(peer, effects)
        return True

    def remove(self, room: int, whom: SimPeer, by: SimPeer) -> bool:
        """Have somebody removed; whether that was possible."""
        found, theirs = self.room_of(room, by), self.room_of(room, whom)
        if found is None or theirs is None or self.staying(room) < 3:
            return False
        effects: list[Effect] = []
        try:
            rooms_of(by).remove(found, theirs.me, self.world.now_of(by), effects)
        except UsageError:
            return False
        self.stays[room, whom.number].ended = "removed"
        self.world.apply(by, effects)
        return True

    def speak(self, room: int) -> None:
        """One message by a random member that can say something now."""
        able = [stay for stay in self.stays.values() if stay.room == room and self._able(stay)]
        if able:
            self.say(able[self._rng.randrange(len(able))])

    def say(self, stay: Stay) -> bytes:
        """One message of one person; what it is known by."""
        peer = self.world.peers[stay.peer]
        found = self.room_of(stay.room, peer)
        assert found is not None
        stay.said += 1
        head = b"%d %d %d|" % (stay.room, stay.peer, stay.said)
        (size,) = self._rng.choices(tuple(BODY_BYTES), tuple(BODY_BYTES.values()))
        body = head + bytes(size - len(head))
        self.said[head] = Said(self.world.now_s, found.put.root)
        self.sent += 1
        effects: list[Effect] = []
        rooms_of(peer).submit(found, (body,), self.world.now_of(peer), effects)
        self.world.apply(peer, effects)
        return head

    def _able(self, stay: Stay) -> bool:
        peer = self.world.peers[stay.peer]
        if stay.ended == "left" or peer.node is None or peer.stopped:
            return False
        if peer.disk.failing:
            self.refused += 1
            return False
        found = self.room_of(stay.room, peer)
        return found is not None and not found.joining

    def staying(self, room: int) -> int:
        """How many people are in a room."""
        return sum(stay.room == room and not stay.ended for stay in self.stays.values())

    def room_of(self, room: int, peer: SimPeer) -> Room | None:
        """A room as a peer has it."""
        if peer.node is None or peer.stopped:
            return None
        return peer.node.rooms.rooms.get(self.ids[room])

    # ------------------------------------------------------------ what is noted

    def note(self, peer: SimPeer) -> None:
        """Remember who a peer is in its rooms, and by which roots it knows them."""
        if peer.node is None:
            return
        for number, room_id in enumerate(self.ids):
            room = peer.node.rooms.rooms.get(room_id)
            stay = self.stays.get((number, peer.number))
            if room is not None and stay is not None:
                self.who[room.me] = (number, peer.number)
                if not stay.ended:
                    stay.roots.add(room.put.root)

    def lost_store(self, peer: SimPeer) -> list[int]:
        """A peer starts from nothing: it is in none of its rooms any more. These rooms."""
        stays = [stay for stay in self.stays.values() if stay.peer == peer.number and not stay.ended]
        for stay in stays:
            stay.ended = "lost"
        return [stay.room for stay in stays]

    def restored_store(self, peer: SimPeer) -> None:
        """A peer's store is an older one now."""
        for stay in self.stays.values():
            if stay.peer == peer.number:
                stay.restored = True

    def _welcomed(self, peer: int, room: RoomId) -> None:
        stay = self.stays.get((self.ids.index(room), peer))
        if stay is not None:
            stay.since_s = self.world.now_s

    # ------------------------------------------------------------ what is owed

    def owed(self, room: int) -> Iterator[tuple[Stay, Message]]:
        """Messages that are durable at those who sent them and are still there."""
        for stay in self.stays.values():
            if stay.room == room and stay.counts:
                for message in messages_of(self.world.peers[stay.peer], self.ids[room]):
                    if message.delivery is not None:
                        yield stay, message

    def missing(self) -> Iterator[tuple[Stay, bytes, Stay]]:
        """Who lacks which message of whom."""
        for room in range(len(self.ids)):
            have = {stay.peer: self.heads(stay) for stay in self.stays.values() if stay.room == room and stay.counts}
            for sender, message in self.owed(room):
                head = head_of(message)
                for peer, heads in have.items():
                    if peer != sender.peer and head not in heads and self.is_owed(self.stays[room, peer], head):
                        yield self.stays[room, peer], head, sender

    def is_owed(self, stay: Stay, head: bytes) -> bool:
        """Whether a message is one that this member has to get."""
        return stay.since_s is not None and self.said[head].at_s > stay.since_s

    def heads(self, stay: Stay) -> set[bytes]:
        """What a member has read."""
        found = messages_of(self.world.peers[stay.peer], self.ids[stay.room])
        return {head_of(message) for message in found if message.delivery is None}

    def unconfirmed(self) -> Iterator[tuple[Stay, Message]]:
        """Messages not said to be delivered, in rooms where everybody awaited can confirm."""
        for room in range(len(self.ids)):
            ghosts = [stay for stay in (*self.stays.values(), *self.over) if stay.room == room and not stay.counts]
            if not ghosts:
                yield from ((s, m) for s, m in self.owed(room) if m.delivery is not Delivery.DELIVERED)


def rooms_of(peer: SimPeer) -> Rooms:
    """The rooms of a peer that is up."""
    assert peer.node is not None
    return peer.node.rooms


def messages_of(peer: SimPeer, room: RoomId) -> Iterator[Message]:
    """Everything a peer's store holds of a room, in order."""
    after = 0
    while page := at_once(peer.store.messages(room, after=after, limit=PAGE)):
        yield from page
        after = page[-1].position


def head_of(message: Message) -> bytes:
    """What a message is known by."""
    return message.body.split(b"|", 1)[0] + b"|"
