"""What every store must do, run on the one with a disk and on the one without.

The state machine at the end drives both side by side with the same steps: they must give the same answers.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.base.ids import MemberId, RoomId, Tag
from railgun_core.changes import (
    Change,
    CommitteePut,
    Delivery,
    DutyPut,
    Item,
    ItemsAdd,
    MemberPut,
    Membership,
    OutboxMark,
    OutboxRange,
    PeerPut,
    ReplayAdd,
    ReplayDrop,
    SecretPut,
    SettingPut,
    TrafficAdd,
)
from railgun_core.store.memory import MemoryStore
from railgun_core.store.port import Store
from railgun_core.store.sqlite import SqliteStore
from tests.contract.store_world import (
    ANN,
    BOB,
    DEVICE,
    ME,
    OTHER_ROOM,
    OTHER_TAG,
    ROOM,
    TAG,
    items,
    room_put,
)

T = TypeVar("T")


def parts(first: int, bodies: tuple[bytes, ...]) -> tuple[Item, ...]:
    return tuple(Item(first + part, part, len(bodies), body, 10.0) for part, body in enumerate(bodies))


def committee(epoch: int, *, room: RoomId | None, tag: Tag = TAG, computed_s: float = 5.0) -> CommitteePut:
    return CommitteePut(room, tag, epoch, 300, computed_s, 3, (b"a", b"", b"ccc"))


def duty(tag: Tag, *, since_s: float, until_s: float = 99.0) -> DutyPut:
    return DutyPut(tag, 4, 1, 5, "serving", since_s, until_s, 3, 10, 40_960)


async def test_an_empty_store_gives_nothing(store: Store) -> None:
    state = await store.load()
    assert (state.rooms, state.replay, state.secrets, state.mix_tags) == ((), (), (), ())
    assert not state.restored_backup
    assert await store.exposure(day=0) == ()
    assert await store.own_items(ROOM, 1, 9) == ()
    assert await store.messages(ROOM, after=0, limit=9) == ()
    assert await store.latest_messages(ROOM, limit=9) == ()
    assert await store.committees() == ()
    assert await store.duties(limit=9) == ()
    assert await store.traffic(since_hour=0) == ()
    assert await store.peers(limit=9) == ()
    assert await store.settings() == {}


async def test_a_room_and_its_members_are_loaded_as_they_were_put(store: Store) -> None:
    ann = MemberPut(ROOM, ANN, "Ann", 7, 3, Membership.ACTIVE, 5.5)
    bob = MemberPut(ROOM, BOB, "Bob", 0, 0, Membership.LEFT, 0.0)
    await store.commit([room_put(), bob, ann])
    (stored,) = (await store.load()).rooms
    assert stored.room == room_put()
    assert stored.members == (ann, bob)
    assert (stored.next_seq, stored.outbox, stored.first_kept) == (1, (), 1)


async def test_a_second_put_replaces_the_first(store: Store) -> None:
    await store.commit([room_put(), MemberPut(ROOM, ANN, "Ann", 1, 0, Membership.ACTIVE, 1.0)])
    await store.commit([room_put(name="family"), MemberPut(ROOM, ANN, "Ann B.", 2, 0, Membership.LEFT, 2.0)])
    (stored,) = (await store.load()).rooms
    assert stored.room.name == "family"
    assert stored.members == (MemberPut(ROOM, ANN, "Ann B.", 2, 0, Membership.LEFT, 2.0),)


async def test_own_items_enter_the_outbox_as_queued(store: Store) -> None:
    await store.commit([room_put(), ItemsAdd(ROOM, ME, items(1, 5), True)])
    (stored,) = (await store.load()).rooms
    assert stored.next_seq == 6
    assert stored.first_kept == 1
    assert stored.outbox == (OutboxRange(1, 5, Delivery.QUEUED, 0),)
    assert await store.own_items(ROOM, 2, 4) == items(2, 4)


async def test_the_outbox_is_loaded_as_ranges_of_one_state_and_epoch(store: Store) -> None:
    await store.commit([room_put(), ItemsAdd(ROOM, ME, items(1, 9), True)])
    await store.commit([OutboxMark(ROOM, 1, 4, Delivery.ACCEPTED, 7), OutboxMark(ROOM, 3, 4, Delivery.STORED, 7)])
    await store.commit([OutboxMark(ROOM, 2, 2, Delivery.ACCEPTED, 8), OutboxMark(ROOM, 6, 7, Delivery.DELIVERED, 7)])
    (stored,) = (await store.load()).rooms
    assert stored.outbox == (
        OutboxRange(1, 1, Delivery.ACCEPTED, 7),
        OutboxRange(2, 2, Delivery.ACCEPTED, 8),
        OutboxRange(3, 4, Delivery.STORED, 7),
        OutboxRange(5, 5, Delivery.QUEUED, 0),
        OutboxRange(8, 9, Delivery.QUEUED, 0),
    )


async def test_a_message_says_how_far_it_has_come(store: Store) -> None:
    await store.commit([room_put(), ItemsAdd(ROOM, ME, items(1, 3), True), ItemsAdd(ROOM, ANN, items(1, 1), False)])
    await store.commit([OutboxMark(ROOM, 1, 1, Delivery.DELIVERED, 1), OutboxMark(ROOM, 2, 2, Delivery.STORED, 1)])
    shown = await store.latest_messages(ROOM, limit=9)
    assert [m.delivery for m in shown] == [Delivery.DELIVERED, Delivery.STORED, Delivery.QUEUED, None]


async def test_an_item_that_is_there_is_left_alone(store: Store) -> None:
    await store.commit([room_put(), ItemsAdd(ROOM, ME, items(1, 2), True), ItemsAdd(ROOM, ANN, items(1, 1), False)])
    await store.commit([OutboxMark(ROOM, 1, 1, Delivery.DELIVERED, 1), OutboxMark(ROOM, 2, 2, Delivery.STORED, 1)])
    again = (Item(1, 0, 1, b"another", 99.0), Item(2, 0, 1, b"another", 99.0), Item(3, 0, 1, b"new", 99.0))
    await store.commit([ItemsAdd(ROOM, ME, again, True), ItemsAdd(ROOM, ANN, again[:1], False)])
    shown = await store.messages(ROOM, after=0, limit=9)
    assert [m.body for m in shown] == [b"body 1", b"body 2", b"body 1", b"new"]
    assert [m.delivery for m in shown] == [Delivery.DELIVERED, Delivery.STORED, None, Delivery.QUEUED]


async def test_the_same_item_twice_in_one_commit_is_kept_once(store: Store) -> None:
    await store.commit([room_put(), ItemsAdd(ROOM, ME, items(1, 2) + items(1, 2), True)])
    await store.commit([ItemsAdd(ROOM, ANN, items(5, 5), False), ItemsAdd(ROOM, ANN, items(5, 5), False)])
    assert len(await store.messages(ROOM, after=0, limit=9)) == 3
    assert (await store.load()).rooms[0].outbox == (OutboxRange(1, 2, Delivery.QUEUED, 0),)


async def test_the_parts_of_a_message_are_joined(store: Store) -> None:
    await store.commit([room_put(), ItemsAdd(ROOM, ANN, parts(1, (b"one ", b"two ", b"three")), False)])
    (shown,) = await store.messages(ROOM, after=0, limit=9)
    assert (shown.body, shown.seq, shown.sender) == (b"one two three", 3, ANN)


async def test_a_message_with_a_missing_part_is_not_shown_until_it_comes(store: Store) -> None:
    first, second, third = parts(1, (b"one ", b"two ", b"three"))
    await store.commit([room_put(), ItemsAdd(ROOM, ANN, (third, first), False)])
    await store.commit([ItemsAdd(ROOM, BOB, items(1, 1), False)])
    (bob,) = await store.messages(ROOM, after=0, limit=9)
    await store.commit([ItemsAdd(ROOM, ANN, (second,), False)])
    (ann,) = await store.messages(ROOM, after=bob.position, limit=9)
    assert (ann.body, ann.seq) == (b"one two three", 3)
    assert [m.sender for m in await store.latest_messages(ROOM, limit=9)] == [BOB, ANN]


async def test_a_message_is_delivered_as_far_as_its_slowest_part(store: Store) -> None:
    await store.commit([room_put(), ItemsAdd(ROOM, ME, parts(1, (b"a", b"b")), True)])
    await store.commit([OutboxMark(ROOM, 1, 1, Delivery.DELIVERED, 1), OutboxMark(ROOM, 2, 2, Delivery.ACCEPTED, 1)])
    (shown,) = await store.messages(ROOM, after=0, limit=1)
    assert shown.delivery is Delivery.ACCEPTED
    await store.commit([OutboxMark(ROOM, 2, 2, Delivery.DELIVERED, 1)])
    (shown,) = await store.messages(ROOM, after=0, limit=1)
    assert shown.delivery is Delivery.DELIVERED


@pytest.mark.parametrize(
    "strange",
    [
        (Item(1, 0, 2, b"a"), Item(2, 1, 3, b"b")),  # the parts disagree about their number
        (Item(1, 0, 2, b"a"), Item(2, 0, 2, b"b")),  # two first parts
        (Item(1, 2, 2, b"a"),),  # a part beyond the last
        (Item(1, 0, 0, b"a"),),  # a message of nothing
        (Item(1, 1, 3, b"a"),),  # would have begun before the first sequence, and is alone
        (Item(1, 0, 2**62, b"a"),),  # a claim nobody can keep
    ],
)
async def test_parts_that_do_not_fit_together_are_not_shown(store: Store, strange: tuple[Item, ...]) -> None:
    await store.commit([room_put(), ItemsAdd(ROOM, ANN, strange, False)])
    assert await store.messages(ROOM, after=0, limit=9) == ()


async def test_pages_of_a_conversation_follow_each_other(store: Store) -> None:
    await store.commit([room_put(), ItemsAdd(ROOM, ANN, items(1, 10), False)])
    await store.commit([ItemsAdd(OTHER_ROOM, BOB, items(1, 3), False)])
    seqs: list[int] = []
    after = 0
    while page := await store.messages(ROOM, after=after, limit=3):
        seqs += [m.seq for m in page]
        after = page[-1].position
    assert seqs == list(range(1, 11))
    assert [m.seq for m in await store.latest_messages(ROOM, limit=4)] == [7, 8, 9, 10]


async def test_a_page_ends_before_its_bodies_are_too_many_bytes_but_never_empty(store: Store) -> None:
    big, small = bytes(1_000), b"small"
    bodies = [small, big, big, small, small]
    found = tuple(Item(seq, 0, 1, body, 1.0) for seq, body in enumerate(bodies, 1))
    halves = parts(6, (bytes(600), bytes(600)))
    await store.commit([room_put(), ItemsAdd(ROOM, ANN, found + halves, False)])
    pages: list[list[int]] = []
    after = 0
    while page := await store.messages(ROOM, after=after, limit=9, max_bytes=1_005):
        pages.append([m.seq for m in page])
        after = page[-1].position
    assert pages == [[1, 2], [3, 4], [5], [7]]
    assert [m.seq for m in await store.latest_messages(ROOM, limit=9, max_bytes=1_205)] == [5, 7]
    assert [m.seq for m in await store.latest_messages(ROOM, limit=9, max_bytes=1)] == [7]


async def test_a_membership_that_ended_leaves_the_words_and_takes_the_stream(store: Store) -> None:
    await store.commit([room_put(), ItemsAdd(ROOM, ME, items(1, 5), True), ItemsAdd(ROOM, ANN, items(1, 2), False)])
    await store.commit(
        [MemberPut(ROOM, ANN, "Ann", 2, 0, Membership.ACTIVE, 9.0), ItemsAdd(OTHER_ROOM, ME, items(1, 1), True)]
    )
    await store.end_membership(ROOM)
    assert len(await store.messages(ROOM, after=0, limit=9)) == 7
    assert all(m.delivery is None for m in await store.messages(ROOM, after=0, limit=9))
    assert await store.own_items(ROOM, 1, 9) == ()
    stored = next(s for s in (await store.load()).rooms if s.room.room == ROOM)
    assert (stored.next_seq, stored.first_kept, stored.outbox, stored.members) == (1, 1, (), ())
    await store.commit([ItemsAdd(ROOM, BOB, items(1, 2), True)])  # the same person under a new name
    assert [item.seq for item in await store.own_items(ROOM, 1, 9)] == [1, 2]
    assert len(await store.own_items(OTHER_ROOM, 1, 9)) == 1
    await store.end_membership(RoomId(bytes(16)))


async def test_committees_are_found_by_room_and_by_tag(store: Store) -> None:
    puts = (
        committee(9, room=ROOM),
        committee(8, room=ROOM, tag=OTHER_TAG),
        committee(9, room=None),
        committee(7, room=OTHER_ROOM),
    )
    await store.commit(puts)
    assert await store.committees(room=ROOM) == (puts[1], puts[0])
    assert [p.epoch for p in await store.committees(tag=TAG)] == [7, 9, 9]
    assert len(await store.committees()) == 4
    newer = committee(9, room=None, computed_s=6.0)
    await store.commit([newer])
    assert newer in await store.committees(tag=TAG)
    assert len(await store.committees()) == 4


async def test_duties_are_given_newest_first(store: Store) -> None:
    await store.commit([duty(TAG, since_s=1.0), duty(OTHER_TAG, since_s=2.0)])
    await store.commit([duty(TAG, since_s=3.0)])
    assert [d.since_s for d in await store.duties(limit=9)] == [3.0, 2.0]
    assert len(await store.duties(limit=1)) == 1


async def test_the_counters_of_an_hour_add_up(store: Store) -> None:
    await store.commit([TrafficAdd(5, 1, 2, 3, 4), TrafficAdd(4, 1, 1, 1, 1), TrafficAdd(5, 10, 20, 30, 40)])
    await store.commit([TrafficAdd(5, 100, 200, 300, 400)])
    assert await store.traffic(since_hour=5) == (TrafficAdd(5, 111, 222, 333, 444),)
    assert [t.hour for t in await store.traffic(since_hour=0)] == [4, 5]


async def test_what_is_put_soon_comes_with_the_next_commit_and_in_order(store: Store) -> None:
    store.commit_soon([SettingPut("colour", "red"), TrafficAdd(5, 1, 1, 1, 1)])
    await store.commit([SettingPut("colour", "blue")])
    assert await store.settings() == {"colour": "blue"}
    assert await store.traffic(since_hour=0) == (TrafficAdd(5, 1, 1, 1, 1),)


async def test_the_ids_of_a_tag_are_joined_and_forgotten_by_epoch(store: Store) -> None:
    await store.commit([ReplayAdd(TAG, 3, b"a" * 16), ReplayAdd(OTHER_TAG, 4, b"b" * 16), ReplayAdd(TAG, 3, b"c" * 16)])
    assert (await store.load()).replay == (
        ReplayAdd(TAG, 3, b"a" * 16 + b"c" * 16),
        ReplayAdd(OTHER_TAG, 4, b"b" * 16),
    )
    await store.commit([ReplayDrop(4)])
    assert (await store.load()).replay == (ReplayAdd(OTHER_TAG, 4, b"b" * 16),)


async def test_the_peers_seen_last_come_first(store: Store) -> None:
    await store.commit([PeerPut(b"a" * 32, b"old", 1.0), PeerPut(b"b" * 32, b"raw", 2.0)])
    await store.commit([PeerPut(b"a" * 32, b"new", 3.0)])
    assert await store.peers(limit=2) == (PeerPut(b"a" * 32, b"new", 3.0), PeerPut(b"b" * 32, b"raw", 2.0))
    assert len(await store.peers(limit=1)) == 1


async def test_a_setting_without_a_value_is_removed(store: Store) -> None:
    await store.commit([SettingPut("a", "1"), SettingPut("b", "ü"), SettingPut("a", None)])
    assert await store.settings() == {"b": "ü"}


async def test_a_forgotten_room_leaves_nothing_and_takes_nothing_else(store: Store) -> None:
    for room in (ROOM, OTHER_ROOM):
        await store.commit([room_put(room), ItemsAdd(room, ME, items(1, 3), True), committee(1, room=room)])
        await store.commit([MemberPut(room, ANN, "Ann", 1, 0, Membership.ACTIVE, 1.0)])
    await store.forget_room(ROOM)
    assert [r.room.room for r in (await store.load()).rooms] == [OTHER_ROOM]
    assert await store.messages(ROOM, after=0, limit=9) == ()
    assert await store.committees(room=ROOM) == ()
    assert len(await store.messages(OTHER_ROOM, after=0, limit=9)) == 3
    await store.commit([room_put()])
    assert [r.next_seq for r in (await store.load()).rooms if r.room.room == ROOM] == [1]


async def test_what_is_past_its_time_goes_and_the_rest_stays(store: Store) -> None:
    await store.commit([room_put(), ItemsAdd(ROOM, ME, items(1, 3, at_s=1.0) + items(4, 5, at_s=9.0), True)])
    await store.commit([TrafficAdd(1, 1, 1, 1, 1), TrafficAdd(2, 1, 1, 1, 1)])
    await store.commit([committee(1, room=ROOM, computed_s=1.0), committee(2, room=ROOM, computed_s=9.0)])
    await store.commit([duty(TAG, since_s=0.0, until_s=1.0), duty(OTHER_TAG, since_s=0.0, until_s=9.0)])
    await store.prune(items_before_s=5.0, traffic_before_hour=2, committees_before_s=5.0)
    (stored,) = (await store.load()).rooms
    assert (stored.next_seq, stored.first_kept, stored.outbox) == (6, 4, (OutboxRange(4, 5, Delivery.QUEUED, 0),))
    assert [t.hour for t in await store.traffic(since_hour=0)] == [2]
    assert [p.epoch for p in await store.committees()] == [2]
    assert [d.tag for d in await store.duties(limit=9)] == [OTHER_TAG]


async def test_a_sequence_is_never_given_twice_even_when_all_items_are_gone(store: Store) -> None:
    await store.commit([room_put(), ItemsAdd(ROOM, ME, items(1, 3), True)])
    (before,) = await store.latest_messages(ROOM, limit=1)
    await store.prune(items_before_s=1e9, traffic_before_hour=0, committees_before_s=0.0)
    (stored,) = (await store.load()).rooms
    assert (stored.next_seq, stored.first_kept) == (4, 4)
    await store.commit([ItemsAdd(ROOM, ME, items(4, 4), True)])
    (after,) = await store.latest_messages(ROOM, limit=1)
    assert after.position > before.position


async def test_commits_that_overlap_are_applied_in_the_order_of_the_calls(store: Store) -> None:
    await asyncio.gather(*(store.commit([SettingPut("last", str(n))]) for n in range(50)))
    assert await store.settings() == {"last": "49"}


async def test_a_closed_store_says_so(store: Store) -> None:
    await store.close()
    await store.close()
    store.commit_soon([SettingPut("a", "1")])
    with pytest.raises(EnvironmentFailure):
        await store.commit([SettingPut("a", "1")])
    with pytest.raises(EnvironmentFailure):
        await store.settings()


senders = st.sampled_from([ANN, BOB])
rooms = st.sampled_from([ROOM, OTHER_ROOM])
seqs = st.integers(1, 12)
moments = st.integers(0, 9).map(float)


@st.composite
def runs(draw: st.DrawFn) -> tuple[Item, ...]:
    """Parts of messages, some missing, some out of order, some wrong."""
    count = draw(st.integers(1, 3))
    first = draw(seqs)
    opaque = draw(st.booleans())
    run = [Item(first + n, n, count, draw(st.binary(max_size=3)), draw(moments), opaque) for n in range(count)]
    return tuple(draw(st.permutations(run))[: draw(st.integers(1, count))])


class BothStores(RuleBasedStateMachine):
    """The same steps on both stores; after each one both say the same."""

    @initialize()
    def start(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "railgun.db"
        self.memory = MemoryStore()
        self.sqlite = self.wait(SqliteStore.open(self.path))
        self.both([room_put(), room_put(OTHER_ROOM, created_s=2.0)])

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def both(self, changes: list[Change]) -> None:
        self.wait(self.memory.commit(changes))
        self.wait(self.sqlite.commit(changes))

    @rule(room=rooms, sender=senders, run=runs())
    def receive(self, room: RoomId, sender: MemberId, run: tuple[Item, ...]) -> None:
        self.both([ItemsAdd(room, sender, run, False)])

    @rule(room=rooms, run=runs())
    def write(self, room: RoomId, run: tuple[Item, ...]) -> None:
        self.both([ItemsAdd(room, ME, run, True)])

    @rule(room=rooms, first=seqs, count=st.integers(0, 5), delivery=st.sampled_from(Delivery), epoch=st.integers(0, 3))
    def mark(self, room: RoomId, first: int, count: int, delivery: Delivery, epoch: int) -> None:
        self.both([OutboxMark(room, first, first + count, delivery, epoch)])

    @rule(room=st.sampled_from([ROOM, DEVICE]), name=st.sampled_from("ab"), value=st.none() | st.binary(max_size=3))
    def keep_secret(self, room: RoomId, name: str, value: bytes | None) -> None:
        self.both([SecretPut(room, name, value)])

    @rule(before_s=moments)
    def prune(self, before_s: float) -> None:
        for store in (self.memory, self.sqlite):
            self.wait(store.prune(items_before_s=before_s, traffic_before_hour=0, committees_before_s=0.0))

    @rule(room=rooms)
    def forget(self, room: RoomId) -> None:
        for store in (self.memory, self.sqlite):
            self.wait(store.forget_room(room))
        self.both([room_put(room, created_s=3.0)])

    @rule()
    def start_again(self) -> None:
        self.wait(self.sqlite.close())
        self.sqlite = self.wait(SqliteStore.open(self.path))
        assert self.sqlite.repaired is None
        self.memory.crash()

    @invariant()
    def both_say_the_same(self) -> None:
        if not hasattr(self, "sqlite"):
            return
        assert self.wait(self.memory.load()) == self.wait(self.sqlite.load())
        for room in (ROOM, OTHER_ROOM):
            mine = self.wait(self.memory.messages(room, after=0, limit=99))
            theirs = self.wait(self.sqlite.messages(room, after=0, limit=99))
            assert [(m.sender, m.seq, m.body, m.at_s, m.delivery, m.opaque) for m in mine] == [
                (m.sender, m.seq, m.body, m.at_s, m.delivery, m.opaque) for m in theirs
            ]
            assert self.wait(self.sqlite.latest_messages(room, limit=3)) == theirs[-3:]
            assert self.wait(self.memory.latest_messages(room, limit=3)) == mine[-3:]
            assert self.wait(self.memory.own_items(room, 1, 20)) == self.wait(self.sqlite.own_items(room, 1, 20))

    def teardown(self) -> None:
        if hasattr(self, "sqlite"):
            self.wait(self.sqlite.close())
            self.wait(self.loop.shutdown_default_executor())
            self.loop.close()
            self.folder.cleanup()


TestBothStores = BothStores.TestCase
TestBothStores.settings = settings(max_examples=10, stateful_step_count=20, deadline=None)
