"""Mail in a network whose links lose and whose peers die without a word: every peer is a relay and a mailbox.

Who is in the room holds no seat of its committees here, so that a committee can be gone and the members are not.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from railgun_core.base.ids import RoomId
from railgun_core.changes import Delivery
from railgun_core.events import Effect
from railgun_core.rooms.epoch_keys import epoch_keys
from railgun_core.rooms.room import Room
from railgun_core.sim.peer import SimPeer, at_once
from railgun_core.sim.world import World

PEERS, MEMBERS, EPOCH_S = 24, 3, 600
STORED_WITHIN_S = 8.0  # protocol.md 9


@dataclass
class Scene:
    """A room that has settled, and who sits in its committee."""

    world: World
    room: RoomId
    members: list[SimPeer]
    holders: list[SimPeer]
    stored: dict[int, int]

    def say(self, member: SimPeer, *bodies: bytes) -> None:
        assert member.node is not None
        effects: list[Effect] = []
        rooms = member.node.rooms
        rooms.submit(rooms.rooms[self.room], bodies, self.world.now_of(member), effects)
        self.world.apply(member, effects)

    def read(self, member: SimPeer) -> list[bytes]:
        messages = at_once(member.store.messages(self.room, after=0, limit=10_000))
        return [message.body for message in messages if message.delivery is None]

    def of(self, member: SimPeer) -> Room:
        assert member.node is not None
        return member.node.rooms.rooms[self.room]

    def run(self, seconds: float) -> None:
        self.world.run_until(self.world.now_s + seconds)


def settled(seed: int) -> Scene:
    """Members that know each other, two minutes into an epoch."""
    world = World(peers=PEERS, seed=seed, loss=0.02, epoch_s=EPOCH_S, mailboxes=True)
    for peer in world.peers:
        world.start_peer(peer)
    world.run_until(10.0)
    stored: dict[int, int] = {}

    def moved(number: int, room: RoomId, first: int, last: int, how: Delivery) -> None:
        if how >= Delivery.STORED:
            stored[number] = max(stored.get(number, 0), last)

    world.on_moved = moved
    view = world.peers[0].node.view if world.peers[0].node is not None else None
    assert view is not None
    epoch = world.clock.epoch_at(world.now.unix_s)
    by_id = {peer.identity.peer_id: peer for peer in world.peers}
    while True:  # a room whose members have no seat in this epoch
        root = world.rng.randbytes(32)
        committee = view.committee(epoch_keys(root, epoch).tag, epoch, size=5, clock=world.clock)
        holders = [by_id[p] for p in (*committee.members, *(holder.peer_id for holder in committee.standbys))]
        others = [peer for peer in world.peers if peer not in holders]
        if len(others) >= MEMBERS:
            break
    members = world.rng.sample(others, MEMBERS)
    for number, member in enumerate(members):
        assert member.node is not None
        effects: list[Effect] = []
        room = member.node.rooms.create("room", root, world.now, effects, joining=number > 0).id
        world.apply(member, effects)
        world.run_until(world.now_s + 5.0)
    world.run_until(140.0)
    return Scene(world, room, members, holders, stored)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_when_a_whole_committee_dies_mail_keeps_what_is_said_in_time_and_brings_it_once_and_in_order(seed: int) -> None:
    scene = settled(seed)
    sender, listener, absent = scene.members
    said = [b"before"]
    scene.say(sender, *said)
    scene.run(5.0)
    scene.world.crash_peer(absent)
    for holder in scene.holders:
        scene.world.crash_peer(holder)
    for n in range(10):
        said.append(b"during %d" % n)
        scene.say(sender, said[-1])
    begun_s = scene.world.now_s
    while scene.stored.get(sender.number, 0) < len(said):
        scene.run(0.1)
        assert scene.world.now_s - begun_s < STORED_WITHIN_S
    scene.run(20.0)
    assert scene.read(listener) == said
    scene.world.crash_peer(sender)
    scene.run(1.0)
    scene.world.start_peer(sender)
    said += [b"after a restart"]
    scene.run(2.0)
    scene.say(sender, said[-1])
    scene.run(20.0)
    scene.world.crash_peer(sender)
    scene.world.crash_peer(listener)
    for _ in range(3):  # whoever comes back may lose power again
        scene.world.start_peer(absent)
        scene.run(scene.world.rng.uniform(0.3, 2.0))
        scene.world.crash_peer(absent)
    scene.world.start_peer(absent)
    scene.run(45.0)
    assert scene.read(absent) == said


def test_a_member_who_is_away_for_epochs_is_brought_everything_while_others_go_on() -> None:
    scene = settled(4)
    sender, listener, absent = scene.members
    scene.world.crash_peer(absent)
    said: list[bytes] = []
    for n in range(30):
        said.append(b"%d" % n)
        scene.say(sender, said[-1])
        scene.run(60.0)
    assert scene.of(sender).mail.kept == len(said)
    assert scene.read(listener) == said
    scene.world.crash_peer(sender)
    scene.world.crash_peer(listener)
    scene.world.start_peer(absent)
    scene.run(60.0)
    assert scene.read(absent) == said
    scene.world.start_peer(sender)
    scene.run(60.0)
    assert scene.of(sender).outbox.waiting == 0
