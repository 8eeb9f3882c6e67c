"""What must be true of a network at all times, whatever goes wrong in it.

The checkers look from outside: at what is committed to disks, what is said to people, and what nodes hold in memory.
They are told of commits and of deliveries as they happen, and look at everybody now and then and in the end.

    exactly once       nobody reads a message of one sender twice, and each sender's come in the order they were sent
    nothing lost       what is durable at its sender, who is still there, is read by everybody to whom it is owed
    no false delivered an item is called delivered only when every member its sender awaits has committed it
    removed is removed nobody reads what was sent under a root that it was never given
    bounded            no container of a node grows past its cap (sizes.py), no link is kept that is gone
    an end             duties retire and lanes close when their epoch and overlap are over
    no escape          no event, frame or deadline makes a node raise
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field

from railgun_core.base.ids import MemberId, RoomId
from railgun_core.changes import Change, Delivery, ItemsAdd
from railgun_core.sim.crowd import Crowd, Stay, head_of, messages_of
from railgun_core.sim.peer import SimPeer
from railgun_core.sim.sizes import caps_exceeded
from railgun_core.sim.world import World

MOST_TOLD = 12  # violations of one seed that are told one by one
LATE_S = 20.0  # how late a duty may retire: a sleep of 15 s goes unnoticed. A lane may also be late by its jitter
AWAKE_S = 3.0  # what a machine that has just woken may take to see that it slept


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that was broken: which, when, by whom."""

    rule: str
    at_s: float
    peers: tuple[int, ...]
    text: str

    def __str__(self) -> str:
        return f"{self.at_s:.1f} s: {self.rule}: {self.text}"


@dataclass(slots=True)
class Checkers:
    """All of them, over one world and its crowd. `calm_s`: when a peer's clock was last touched, by number."""

    world: World
    crowd: Crowd
    violations: list[Violation] = field(default_factory=list)
    calm_s: dict[int, float] = field(default_factory=dict)
    woke_s: dict[int, float] = field(default_factory=dict)  # when a peer last woke
    excused: int = 0  # second copies that a sender's new key accounts for
    delivered: int = 0  # items said to be delivered
    _had: dict[tuple[int, RoomId], set[tuple[MemberId, int]]] = field(default_factory=dict)

    def watch(self) -> None:
        """Begin to watch the world."""
        self.world.on_commit = self.committed
        self.world.on_moved = self.moved
        self.world.on_error = self.raised

    def blame(self, rule: str, text: str, *peers: int) -> None:
        """Note a broken rule."""
        self.violations.append(Violation(rule, self.world.now_s, peers, text))

    # ------------------------------------------------------------ as it happens

    def committed(self, peer: int, changes: Sequence[Change]) -> None:
        """Changes are on a peer's disk."""
        for change in changes:
            if isinstance(change, ItemsAdd) and not change.own:
                had = self._had.setdefault((peer, change.room), set())
                had.update((change.sender, item.seq) for item in change.items)

    def moved(self, peer: int, room_id: RoomId, first: int, last: int, delivery: Delivery) -> None:
        """A sender tells its person how far items have come."""
        if delivery is not Delivery.DELIVERED:
            return
        self.delivered += last - first + 1
        sender = self.world.peers[peer]
        for one in self.world.peers:
            self.crowd.note(one)
        room = None if sender.node is None else sender.node.rooms.rooms.get(room_id)
        if room is None:
            return
        mine = {member for member, place in self.crowd.who.items() if place == (self.crowd.ids.index(room_id), peer)}
        for inbox in room.others:
            self._check_claim(sender, room_id, mine, inbox.member, first, last)

    def _check_claim(
        self, sender: SimPeer, room_id: RoomId, mine: set[MemberId], member: MemberId, first: int, last: int
    ) -> None:
        place = self.crowd.who.get(member)
        if place is None:
            return
        stay, other = self.crowd.stays[place], self.world.peers[place[1]]
        present = None if other.node is None else other.node.rooms.rooms.get(room_id)
        if stay.ended or stay.since_s is None or (present is not None and present.me != member):
            return  # it is not here any more, or is another member by now
        had = self._had.get((other.number, room_id), set())
        if stay.since_s > float("-inf"):
            first = self._owed_from(sender, room_id, stay, first, last)
        lacking = [seq for seq in range(first, last + 1) if not any((one, seq) in had for one in mine)]
        if lacking:
            text = f"peer {sender.number} says {lacking} are delivered, peer {other.number} lacks them"
            self.blame("no false delivered", text, sender.number, other.number)

    def _owed_from(self, sender: SimPeer, room_id: RoomId, stay: Stay, first: int, last: int) -> int:
        """The first of a sender's items that was said after somebody's welcome."""
        for message in messages_of(sender, room_id):
            if message.delivery is not None and message.seq >= first and self.crowd.is_owed(stay, head_of(message)):
                return max(first, message.seq)
        return last + 1

    def raised(self, peer: int, error: Exception) -> None:
        """A node raised: that ends a real one."""
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"peer {peer}: {type(error).__name__}: {error} ({where.filename.rsplit('/', 1)[-1]}:{where.lineno})"
        self.blame("no escape", text, peer)

    # ------------------------------------------------------------ now and then

    def sample(self, *, sizes: bool = True) -> None:
        """Look at every node that is up: whether it has let go of what is over, and how much it holds."""
        for peer in self.world.peers:
            self.crowd.note(peer)
            if peer.node is None or peer.stopped:
                continue
            for text in caps_exceeded(peer) if sizes else ():
                self.blame("bounded", f"peer {peer.number}: {text}", peer.number)
            self._check_ends(peer)

    def _check_ends(self, peer: SimPeer) -> None:
        """Only of peers whose clock has been right since the epochs in question began."""
        clock, now = self.world.clock, self.world.now
        node = peer.node
        touched_s = self.calm_s.get(peer.number, float("-inf"))
        if node is None or self.world.now_s - touched_s < 2 * clock.epoch_s:
            return
        if self.world.now_s - self.woke_s.get(peer.number, float("-inf")) < AWAKE_S:
            return
        for duty in node.relay.duties.values():
            if now.unix_s > clock.retire_s(duty.epoch) + LATE_S:
                self.blame("an end", f"peer {peer.number}: the duty of epoch {duty.epoch} goes on", peer.number)
        for room in node.rooms.rooms.values():
            for lane in room.every_lane():
                if now.unix_s > clock.retire_s(lane.epoch) + LATE_S + 0.4 * clock.overlap_s:
                    self.blame("an end", f"peer {peer.number}: the lane of epoch {lane.epoch} is open", peer.number)

    # ------------------------------------------------------------ conversations

    def read(self, peer: SimPeer) -> None:
        """What one person has read, in all its rooms: once, in order, and meant for it."""
        for stay in self.crowd.stays.values():
            if stay.peer == peer.number:
                self._read_room(peer, stay)

    def _read_room(self, peer: SimPeer, stay: Stay) -> None:
        last: dict[bytes, int] = {}
        first_by: dict[bytes, bytes] = {}
        for message in messages_of(peer, self.crowd.ids[stay.room]):
            if message.delivery is not None:
                continue
            head, sender = head_of(message), bytes(message.sender)
            if head not in self.crowd.said:
                self.blame("exactly once", f"peer {peer.number} has what nobody said", peer.number)
                continue
            name, number = head.decode(), int(head[:-1].split()[2])
            if first_by.setdefault(head, sender) != sender:
                self.excused += 1
                if not self._renewed(head):
                    self.blame("exactly once", f"peer {peer.number} has {name} of two senders", peer.number)
            elif number == last.get(sender):
                self.blame("exactly once", f"peer {peer.number} has {name} twice", peer.number)
            elif number < last.get(sender, 0):
                self.blame("exactly once", f"peer {peer.number} has {name} after {last[sender]}", peer.number)
            last[sender] = max(number, last.get(sender, 0))
            if self.crowd.said[head].root not in stay.roots and stay.ended == "removed":
                self.blame("removed is removed", f"peer {peer.number} reads {name}", peer.number)

    def _renewed(self, head: bytes) -> bool:
        """Whether the sender of a message had to take a new key: then it may send again what was not confirmed."""
        room, peer = (int(part) for part in head.split(b" ")[:2])
        return self.crowd.stays[room, peer].restored

    # ------------------------------------------------------------ in the end

    def finish(self) -> None:
        """When everything has been well for a while."""
        for peer in self.world.peers:
            self.read(peer)
        for stay, head, sender in self.crowd.missing():
            text = f"peer {stay.peer} lacks {head.decode()} of peer {sender.peer}"
            self.blame("nothing lost", text, stay.peer, sender.peer)
        for stay, message in self.crowd.unconfirmed():
            assert message.delivery is not None
            text = f"peer {stay.peer} still has {head_of(message).decode()} as {message.delivery.name.lower()}"
            self.blame("said in the end", text, stay.peer)
        self.sample()
