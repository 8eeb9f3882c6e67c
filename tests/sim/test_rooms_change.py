"""Members come, go, are removed and come back from backups while others talk: what each may read, and all of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from railgun_core.base.ids import RoomId
from railgun_core.changes import RESTORED_BACKUP, SettingPut
from railgun_core.events import Effect
from railgun_core.rooms.room import Room
from railgun_core.rooms.rooms import Rooms
from railgun_core.sim.world import SimPeer, World, at_once


@dataclass
class Club:
    """One room and its people, in a world with relays enough."""

    seed: int
    people: int
    peers: int = 10
    loss: float = 0.02
    world: World = field(init=False)
    members: list[SimPeer] = field(init=False)
    room_id: RoomId = field(init=False)
    root: bytes = field(init=False)
    said: int = 0

    def __post_init__(self) -> None:
        self.world = World(peers=self.peers, seed=self.seed, loss=self.loss, epoch_s=600)
        for peer in self.world.peers:
            self.world.start_peer(peer)
        self.world.run_until(2.0)
        self.root = self.world.rng.randbytes(32)
        self.members = self.world.peers[: self.people]
        for member in self.members[:1]:
            self.room_id = self.enter(member, joining=False)
        for member in self.members[1:]:
            self.enter(member, joining=True)
        self.after(20.0)

    def rooms(self, member: SimPeer) -> Rooms:
        assert member.node is not None
        return member.node.rooms

    def room(self, member: SimPeer) -> Room:
        return self.rooms(member).rooms[self.room_id]

    def after(self, seconds: float) -> None:
        self.world.run_until(self.world.now_s + seconds)

    def enter(self, member: SimPeer, *, joining: bool, root: bytes | None = None) -> RoomId:
        effects: list[Effect] = []
        room = self.rooms(member).create("club", root or self.root, self.world.now, effects, joining=joining)
        self.world.apply(member, effects)
        return room.id

    def say(self, member: SimPeer, *, opaque: bool = False) -> bytes:
        self.said += 1
        body, effects = b"words %d" % self.said, list[Effect]()
        rooms = self.rooms(member)
        rooms.submit(rooms.rooms[self.room_id], (body,), self.world.now, effects, opaque=opaque)
        self.world.apply(member, effects)
        return body

    def remove(self, by: SimPeer, whom: SimPeer) -> None:
        effects: list[Effect] = []
        self.rooms(by).remove(self.room(by), self.room(whom).me, self.world.now, effects)
        self.world.apply(by, effects)

    def read(self, member: SimPeer) -> list[bytes]:
        """What others said, as it was shown."""
        messages = at_once(member.store.messages(self.room_id, after=0, limit=100_000))
        return [message.body for message in messages if message.delivery is None]


def test_who_is_removed_reads_nothing_more_and_those_who_stay_read_everything() -> None:
    club = Club(seed=3, people=4)
    ann, bob, eve, dan = club.members
    before = [club.say(one) for one in club.members for _ in range(3)]
    club.after(10.0)
    assert all(len(club.read(one)) == 9 for one in club.members)
    club.remove(ann, eve)
    club.after(5.0)
    assert club.room(ann).put.root == club.room(bob).put.root == club.room(dan).put.root != club.root
    assert club.room(ann).members == club.room(bob).members == 3
    after = [club.say(one) for one in (ann, bob, dan) for _ in range(3)]
    club.after(15.0)
    assert not set(after) & set(club.read(eve))
    assert all(len(set((*before, *after)) & set(club.read(one))) == 9 + 6 for one in (ann, bob, dan))
    club.after(700.0)
    assert len({club.room(one).put.root for one in (ann, bob, dan)}) == 1
    assert all(not club.room(one).unreadable for one in (ann, bob, dan))


def test_who_was_away_during_a_removal_is_told_when_it_comes_back() -> None:
    club = Club(seed=4, people=4)
    ann, bob, eve, dan = club.members
    for one in club.members:
        club.say(one)
    club.after(10.0)
    club.world.crash_peer(dan)
    club.after(2.0)
    club.remove(ann, eve)
    club.after(3_600.0)
    said = [club.say(one) for one in (ann, bob) for _ in range(3)]
    club.after(30.0)
    club.world.start_peer(dan)
    club.after(60.0)
    assert club.room(dan).put.root == club.room(ann).put.root
    assert set(said) <= set(club.read(dan))
    assert not set(said) & set(club.read(eve))


def test_two_removals_at_once_end_in_one_room_without_both() -> None:
    for seed in (5, 6):
        club = Club(seed=seed, people=5)
        ann, bob, eve, dan, fay = club.members
        for one in club.members:
            club.say(one)
        club.after(10.0)
        club.remove(ann, dan)
        club.remove(bob, eve)
        club.after(60.0)
        assert len({club.room(one).put.root for one in (ann, bob, fay)}) == 1, seed
        assert {club.room(one).members for one in (ann, bob, fay)} == {3}
        said = [club.say(one) for one in (ann, bob, fay)]
        club.after(30.0)
        for one in (ann, bob, fay):
            assert len(set(said) & set(club.read(one))) == 2
        for one in (eve, dan):
            assert not set(said) & set(club.read(one))


def test_a_removed_member_does_not_come_back_by_the_old_invite() -> None:
    club = Club(seed=7, people=3)
    ann, bob, eve = club.members
    for one in club.members:
        club.say(one)
    club.after(10.0)
    club.remove(ann, eve)
    club.after(5.0)
    again = club.world.peers[5]
    club.enter(again, joining=True)
    said = [club.say(one) for one in (ann, bob)]
    club.after(60.0)
    assert not set(said) & set(club.read(again))
    assert club.room(ann).members == 2


def test_a_newcomer_gets_everything_after_its_welcome_and_nothing_of_before(long_run: bool) -> None:
    for seed in range(10, 13 if not long_run else 60):
        club = Club(seed=seed, people=3, loss=0.05)
        late = club.world.peers[6]
        welcomed: list[int] = []
        club.world.on_welcomed = lambda number, room, seen=welcomed: seen.append(number)  # type: ignore[misc]
        past = [club.say(one) for one in club.members for _ in range(4)]
        club.after(5.0)
        club.enter(late, joining=True)
        while not welcomed:
            club.say(club.members[club.said % 3])
            club.after(0.2)
        said = []
        for number in range(40):
            said.append(club.say(club.members[number % 3]))
            club.after(0.3)
        club.after(60.0)
        assert set(said) <= set(club.read(late)), f"seed {seed}"
        assert not set(past) & set(club.read(late))
        assert not club.room(late).unreadable
        assert all(not inbox.missing(1) for inbox in club.room(late).others)


@pytest.mark.parametrize("noticed", [True, False], ids=["by-the-store", "by-the-others"])
def test_a_store_put_back_from_a_backup_goes_on_as_a_new_member_and_nothing_is_lost(noticed: bool) -> None:
    club = Club(seed=8, people=3)
    ann, bob, eve = club.members
    early = {one.number: [club.say(one) for _ in range(3)] for one in club.members}
    club.after(20.0)
    backup, key = eve.store.snapshot(), club.room(eve).ring.me.public_key
    late = {one.number: [club.say(one) for _ in range(5)] for one in club.members}
    club.after(20.0)
    club.world.crash_peer(eve)
    club.after(5.0)
    meanwhile = [club.say(one) for one in (ann, bob)]
    club.after(30.0)
    eve.store.restore(backup)
    if not noticed:
        at_once(eve.store.commit((SettingPut(RESTORED_BACKUP, None),)))
    club.world.start_peer(eve)
    club.after(60.0)
    said = [club.say(one) for one in (ann, bob, eve)]
    club.after(60.0)
    assert club.room(eve).ring.me.public_key != key
    read = club.read(eve)
    for one in (ann, bob):
        assert read.count(late[one.number][0]) == read.count(early[one.number][0]) == 1
        assert set(late[one.number]) <= set(read)
        assert set(late[eve.number]) <= set(club.read(one))
        assert said[2] in club.read(one)
        assert {inbox.member for inbox in club.room(one).others} >= {club.room(eve).me}
        assert club.room(one).members == 3
    assert {*meanwhile, *said[:2]} <= set(read)
    assert not set(late[eve.number]) & set(read), "one's own words are not somebody else's"
    assert not club.room(eve).unreadable


def test_opaque_messages_arrive_as_they_were_handed_in() -> None:
    club = Club(seed=9, people=3)
    ann, bob, eve = club.members
    said = [club.say(ann, opaque=True), club.say(bob), club.say(ann)]
    club.after(20.0)
    for one in (bob, eve):
        messages = at_once(one.store.messages(club.room_id, after=0, limit=100))
        assert [m.opaque for m in messages if m.body == said[0]] == [True]
        assert [m.opaque for m in messages if m.body == said[2]] == [False]
