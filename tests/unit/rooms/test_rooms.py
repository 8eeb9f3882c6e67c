"""A member between scripted relays: what it sends where and when, what it shows, and what it says of itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.errors import MalformedFrame, UsageError
from railgun_core.base.ids import MemberId
from railgun_core.changes import Delivery, Membership
from railgun_core.events import Noticed, Welcomed
from railgun_core.rooms.content import Entry, Mood
from railgun_core.rooms.receive import MAX_AHEAD_BYTES
from railgun_core.rooms.room import AWAIT_S
from railgun_core.rooms.sync import MAX_MEMBERS
from railgun_core.sim.world import at_once
from railgun_core.wire.frames import Bye, Have, Nack, Pull, Refusal, Slice, Want
from tests.unit.rooms.table import HANDLE, KEYS, ROOM, ROOT, Other, Table, frame_of

ANN, BOB = MemberId(b"ann-----"), MemberId(b"bob-----")


def seated(*, joining: bool = False) -> Table:
    table = Table()
    table.enter(joining=joining)
    return table


def met(table: Table, name: MemberId = ANN) -> Other:
    """A member that has said hello."""
    other = Other(name)
    table.relay(Slice.PUSH).push(other.sync(Entry(table.room.me, Membership.ACTIVE, table.room.outbox.last_seq)))
    return other


def read(table: Table) -> list[bytes]:
    """The conversation, without one's own words."""
    messages = at_once(table.store.messages(ROOM, after=0, limit=10_000))
    return [message.body for message in messages if message.delivery is None]


def noticed(table: Table) -> list[str]:
    return [effect.code for effect in table.out if isinstance(effect, Noticed)]


# ---------------------------------------------------------------- sessions


def test_a_member_meets_three_relays_one_pushes_one_announces_one_waits() -> None:
    table = seated()
    assert sorted(relay.slice for relay in table.relays) == [Slice.QUIET, Slice.PUSH, Slice.ANNOUNCE]


def test_when_the_first_relay_dies_the_next_pushes_and_tells_what_it_holds() -> None:
    table = seated()
    second = table.relay(Slice.ANNOUNCE)
    second.asked.clear()
    table.relay(Slice.PUSH).die()
    assert table.relay(Slice.PUSH) is second
    assert Pull(HANDLE, 0) in second.asked
    assert len(table.relays) == 3


def test_what_a_relay_sent_before_its_goodbye_in_the_same_read_counts() -> None:
    table = seated()
    ann = met(table)
    table.relay(Slice.PUSH).say(frame_of(table, *ann.item(1)), Bye(HANDLE).encode())
    assert read(table) == [b"words"]


def test_garbage_in_a_frame_is_malformed_and_the_other_relays_go_on() -> None:
    table = seated()
    ann = met(table)
    with pytest.raises(MalformedFrame):
        table.relay(Slice.PUSH).say(b"\x00\x00\x00\x02\x63\x00")
    table.relay(Slice.PUSH).die()
    table.relay(Slice.PUSH).push(ann.item(1))
    assert read(table) == [b"words"]


def test_a_room_is_entered_once() -> None:
    table = seated()
    with pytest.raises(UsageError) as refused:
        table.rooms.create("again", ROOT, table.now, table.out, joining=True)
    assert refused.value.code == "already-joined"


# ---------------------------------------------------------------- sending


def test_nothing_leaves_before_it_is_durable() -> None:
    table = seated()
    table.saves = False
    table.submit(b"words")
    assert table.relay(Slice.PUSH).items() == []
    table.commit()
    assert table.relay(Slice.PUSH).items() == [1]


def test_stored_is_said_when_a_majority_holds_it_and_delivered_when_all_have_confirmed() -> None:
    table = seated()
    ann, bob = met(table), met(table, BOB)
    table.submit(b"words")
    relay = table.relay(Slice.PUSH)
    relay.ack(stored=0)
    assert table.moved == [(1, 1, Delivery.ACCEPTED)]
    relay.ack()
    assert table.moved[-1] == (1, 1, Delivery.STORED)
    relay.push(ann.has(table, 1))
    assert table.moved[-1] == (1, 1, Delivery.STORED)
    relay.push(bob.has(table, 1))
    assert table.moved[-1] == (1, 1, Delivery.DELIVERED)


def test_an_item_that_all_members_have_is_delivered_also_when_no_majority_has_said_so() -> None:
    table = seated()
    ann = met(table)
    table.submit(b"one", b"two", b"three")
    relay = table.relay(Slice.PUSH)
    relay.ack(taken=len(relay.published) - 1, stored=0)
    relay.push(ann.has(table, 2))
    assert table.moved[-1] == (1, 2, Delivery.DELIVERED)
    relay.ack()
    assert table.moved[-1] == (3, 3, Delivery.STORED)
    assert table.room.outbox.waiting == 0


def test_a_silent_relay_is_hedged_with_the_next() -> None:
    table = seated()
    table.submit(b"words")
    assert [relay.items() for relay in table.relays].count([1]) == 1
    table.after(1.0)
    assert [relay.items() for relay in table.relays].count([1]) == 2


def test_what_only_a_dead_relay_had_goes_out_again() -> None:
    table = seated()
    table.submit(b"one", b"two")
    first = table.relay(Slice.PUSH)
    first.ack(stored=0)
    first.die()
    assert table.relay(Slice.PUSH).items() == [1, 2]


def test_taken_and_never_stored_goes_to_another_relay_too() -> None:
    table = seated()
    table.submit(b"words")
    first = table.relay(Slice.PUSH)
    first.ack(stored=0)
    table.after(3.0)
    assert sum(relay.items() == [1] for relay in table.relays) >= 2


def test_a_refused_item_goes_out_again_and_is_stored_although_its_first_try_counts_too() -> None:
    table = seated()
    table.submit(b"words")
    first = table.relay(Slice.PUSH)
    place = [number for number, (msg_id, _) in enumerate(first.published) if msg_id == KEYS.msg_id(table.room.me, 1)]
    assert len(place) == 1
    first.say(Nack(HANDLE, Refusal.RATE, 10, (KEYS.msg_id(table.room.me, 1),)).encode())
    table.answers = False
    for relay in list(table.relays):
        if relay is not first:
            relay.die()
    table.after(1.0)
    assert first.items() == [1, 1]
    first.ack()
    assert table.moved[-1] == (1, 1, Delivery.STORED)


def test_a_quota_is_kept_and_nothing_is_refused() -> None:
    table = Table(opens=False)
    table.enter()
    for relay in list(table.relays):
        relay.open(rate_per_s=10, burst=5)
    table.submit(*(b"%d" % n for n in range(40)))
    sent = [len(relay.published) for relay in table.relays]
    assert max(sent) <= 6
    table.after(1.0)
    assert max(len(relay.published) for relay in table.relays) <= 17


def test_a_window_full_of_untaken_bytes_stops_the_stream() -> None:
    table = seated()
    table.submit(b"x" * 4_000_000)
    assert all(sum(65_569 for _ in relay.items()) < 1_200_000 for relay in table.relays)


def test_an_item_that_goes_out_once_more_is_never_less_than_stored() -> None:
    table = seated()
    ann = met(table)
    table.submit(b"words")
    relay = table.relay(Slice.PUSH)
    relay.ack()
    table.after(9.0)
    relay.push(ann.has(table, 0))
    assert relay.items() == [1, 1]
    before = len(table.moved)
    relay.ack(stored=relay.stored)
    assert Delivery.ACCEPTED not in [delivery for _, _, delivery in table.moved[before:]]


def test_a_restart_between_save_and_sending_sends() -> None:
    table = seated()
    table.answers = False
    for relay in list(table.relays):
        relay.die()
    table.submit(b"one", b"two")
    table.answers = True
    again = table.restarted()
    assert sorted(seq for relay in again.relays for seq in relay.items()) == [1, 2]
    assert again.room.outbox.next_seq == 3


def test_a_restart_before_the_save_gives_the_sequence_to_the_next_message() -> None:
    table = seated()
    table.saves = False
    table.submit(b"lost")
    again = table.restarted()
    again.submit(b"kept")
    (item,) = at_once(again.store.own_items(ROOM, 1, 9))
    assert (item.seq, item.body) == (1, b"kept")


def test_after_a_restart_what_was_not_stored_goes_out_and_what_is_new_beside_it() -> None:
    table = seated()
    table.answers = False
    for relay in list(table.relays):
        relay.die()
    table.submit(*(b"%d" % n for n in range(1_200)))
    again = table.restarted()
    again.submit(b"new")
    again.answers = True
    again.after(1.0)
    for _ in range(40):
        for relay in again.relays:
            relay.ack()
        again.after(0.1)
    assert {seq for relay in again.relays for seq in relay.items()} == set(range(1, 1_202))


# ---------------------------------------------------------------- what members say they have


def test_a_member_that_says_for_a_while_that_it_lacks_a_confirmed_item_gets_it_from_the_store() -> None:
    table = seated()
    ann = met(table)
    table.submit(b"one", b"two")
    relay = table.relay(Slice.PUSH)
    relay.ack()
    relay.push(ann.has(table, 2))
    assert table.moved[-1][2] is Delivery.DELIVERED
    relay.push(ann.has(table, 1))
    assert relay.items() == [1, 2], "one old word is no reason"
    table.after(9.0)
    relay.push(ann.has(table, 1))
    assert relay.items() == [1, 2, 2]


def test_who_is_silent_for_seven_days_is_not_waited_for() -> None:
    table = seated()
    met(table)
    bob = met(table, BOB)
    for inbox in table.room.inboxes.values():
        if inbox.member == ANN:
            inbox.heard_s = inbox.since_s = table.now.unix_s - AWAIT_S - 1
    table.submit(b"words")
    relay = table.relay(Slice.PUSH)
    relay.ack()
    relay.push(bob.has(table, 1))
    assert table.moved[-1] == (1, 1, Delivery.DELIVERED)


def test_unconfirmed_items_are_asked_about_ever_more_rarely() -> None:
    table = seated()
    met(table)
    table.submit(b"words")
    relay = table.relay(Slice.PUSH)
    relay.ack()
    mark = len(relay.syncs())
    table.after(30.0)
    asked = [sync for sync in relay.syncs()[mark:] if sync.mood is Mood.ASKING]
    assert 3 <= len(asked) <= 5


def test_whoever_asks_is_answered_also_without_news() -> None:
    table = seated()
    ann = met(table)
    table.after(5.0)
    relay = table.relay(Slice.PUSH)
    mark = len(relay.syncs())
    relay.push(ann.sync(mood=Mood.ASKING))
    table.after(5.0)
    assert len(relay.syncs()) == mark + 1


def test_a_farewell_ends_the_waiting_and_an_old_word_of_before_does_not_take_it_back() -> None:
    table = seated()
    ann, bob = met(table), met(table, BOB)
    old = ann.sync()
    relay = table.relay(Slice.PUSH)
    relay.push(ann.sync(mood=Mood.LEAVING))
    assert noticed(table)[-1] == "member-left"
    relay.push(old)
    assert [inbox.member for inbox in table.room.others] == [BOB]
    table.submit(b"words")
    relay.ack()
    relay.push(bob.has(table, 1))
    assert table.moved[-1] == (1, 1, Delivery.DELIVERED)


# ---------------------------------------------------------------- receiving


def test_items_are_shown_in_order_once_and_only_when_durable() -> None:
    table = seated()
    ann = met(table)
    relay = table.relay(Slice.PUSH)
    table.saves = False
    relay.push(ann.item(2, b"two"), ann.item(1, b"one"))
    assert read(table) == []
    assert table.room.inboxes[ANN].committed == 0
    table.commit()
    assert read(table) == [b"one", b"two"]
    relay.push(ann.item(1, b"one"), ann.item(3, b"three"), ann.item(2, b"two"))
    table.commit()
    assert read(table) == [b"one", b"two", b"three"]


def test_a_members_row_never_says_more_than_the_items_beside_it() -> None:
    """Items and a farewell in one read: power goes before the items are durable."""
    table = seated()
    ann = met(table)
    table.saves = False
    table.relay(Slice.PUSH).push(ann.item(2), ann.item(1), ann.sync(mood=Mood.LEAVING))
    while table.unsaved:
        again = table.restarted()
        have = {m.member: m.have for m in at_once(again.store.load()).rooms[0].members}[ANN]
        assert len(read(again)) == have
        at_once(table.store.commit(table.unsaved.pop(0).changes))
    assert len(read(table)) == 2


def test_a_gap_is_asked_for_by_name_and_then_by_a_sync() -> None:
    table = seated()
    ann = met(table)
    relay = table.relay(Slice.PUSH)
    relay.push(ann.item(1), ann.item(3))
    mark = len(relay.syncs())
    table.after(1.5)
    wanted = [frame.ids for one in table.relays for frame in one.asked if isinstance(frame, Want)]
    assert wanted[0] == (KEYS.msg_id(ANN, 2),)
    table.after(12.0)
    assert len(relay.syncs()) > mark
    relay.push(ann.item(2))
    assert len(read(table)) == 3


def test_what_a_relay_holds_and_this_member_lacks_is_asked_for_a_few_at_a_time() -> None:
    table = seated()
    ann = met(table)
    second = table.relay(Slice.ANNOUNCE)
    ids = tuple(KEYS.msg_id(ANN, seq) for seq in range(1, 101))
    second.asked.clear()
    second.say(Have(HANDLE, 100, ids).encode())
    (want,) = [frame for frame in second.asked if isinstance(frame, Want)]
    assert want.ids == ids[:32]
    second.push(*(ann.item(seq) for seq in range(1, 33)))
    assert [frame.ids for frame in second.asked if isinstance(frame, Want)] == [ids[:32], ids[32:64]]


def test_a_dropped_early_item_is_taken_when_it_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("railgun_core.rooms.receive.MAX_AHEAD_BYTES", 10)
    table = seated()
    ann = met(table)
    relay = table.relay(Slice.PUSH)
    relay.push(ann.item(2, b"x" * 20), ann.item(3, b"three"))
    assert table.room.ahead_bytes == 20
    relay.push(ann.item(1, b"one"))
    assert len(read(table)) == 2
    relay.push(ann.item(3, b"three"))
    assert read(table)[-1] == b"three"
    assert MAX_AHEAD_BYTES > 10


@given(st.permutations(list(range(1, 9))), st.lists(st.integers(0, 8), max_size=4))
def test_any_order_of_arrival_with_restarts_between_shows_each_item_once(order: list[int], restarts: list[int]) -> None:
    table = seated()
    ann = met(table)
    for index, seq in enumerate(order):
        if index in restarts:
            table = table.restarted()
        table.relay(Slice.PUSH).push(ann.item(seq, b"%d" % seq))
    table = table.restarted()
    table.relay(Slice.PUSH).push(*(ann.item(seq, b"%d" % seq) for seq in range(1, 9)))
    assert read(table) == [b"%d" % seq for seq in range(1, 9)]


# ---------------------------------------------------------------- joining


def test_a_joiner_says_so_until_somebody_answers_and_starts_where_everybody_stands() -> None:
    table = seated(joining=True)
    table.after(2.0)
    said = [sync.mood for relay in table.relays for sync in relay.syncs()]
    assert set(said) == {Mood.JOINING}
    assert not any(isinstance(frame, Pull) for relay in table.relays for frame in relay.asked)
    ann = Other(ANN, last=100)
    relay = table.relay(Slice.PUSH)
    relay.push(ann.sync(Entry(BOB, Membership.ACTIVE, 7)))
    assert any(isinstance(effect, Welcomed) for effect in table.out)
    bob = Other(BOB)
    relay.push(ann.item(101, b"a"), bob.item(8, b"b"), ann.item(100, b"old"), bob.item(7, b"old"))
    assert read(table) == [b"a", b"b"]


def test_an_old_item_sent_again_to_somebody_else_does_not_hold_a_joiner_up() -> None:
    table = seated(joining=True)
    ann = Other(ANN, last=100)
    relay = table.relay(Slice.PUSH)
    relay.push(ann.item(3, b"old"))
    ann.last = 100
    relay.push(ann.sync())
    relay.push(ann.item(101, b"new"))
    assert read(table) == [b"new"]


def test_two_joiners_at_once_hear_each_other_from_the_start() -> None:
    table = seated(joining=True)
    bob = Other(BOB)
    relay = table.relay(Slice.PUSH)
    relay.push(bob.sync(mood=Mood.JOINING))
    assert table.room.joining
    relay.push(bob.item(1, b"hello"))
    assert read(table) == [b"hello"]
    relay.push(Other(ANN).sync(Entry(BOB, Membership.ACTIVE, 0)))
    assert not table.room.joining
    assert read(table) == [b"hello"]


def test_a_joiner_is_answered_and_owes_nothing_of_before() -> None:
    table = seated()
    table.submit(b"before")
    relay = table.relay(Slice.PUSH)
    relay.ack()
    mark = len(relay.syncs())
    relay.push(Other(ANN).sync(mood=Mood.JOINING))
    table.after(0.5)
    assert [sync.last for sync in relay.syncs()[mark:]] == [1]
    assert table.room.inboxes[ANN].confirmed == 1


def test_leaving_says_so_and_closes_every_link() -> None:
    table = seated()
    relays = list(table.relays)
    table.rooms.leave(table.room, table.now, table.out)
    table.carry()
    assert [sync.mood for relay in relays for sync in relay.syncs()][-1] is Mood.LEAVING
    assert table.relays == []
    assert not table.rooms.rooms
    again = table.restarted()
    assert not again.rooms.rooms


# ---------------------------------------------------------------- insiders


def test_a_member_that_speaks_of_countless_items_costs_a_question_now_and_then() -> None:
    table = seated()
    ann = met(table)
    mark = len(table.out)
    table.relay(Slice.PUSH).push(ann.sync(last=(1 << 62) - 1))
    table.after(120.0)
    wants = sum(isinstance(frame, Want) for relay in table.relays for frame in relay.asked)
    assert wants < 40
    assert len(table.out) - mark < 400
    table.relay(Slice.PUSH).push(ann.item(1))
    assert read(table) == [b"words"]


def test_a_sync_whose_stream_begins_after_its_end_is_ignored() -> None:
    table = seated()
    ann = met(table)
    relay = table.relay(Slice.PUSH)
    relay.push(ann.sync(first=1 << 61, last=3))
    relay.push(ann.item(1))
    assert read(table) == [b"words"]


def test_invented_members_fill_neither_memory_nor_syncs() -> None:
    table = seated()
    ann = met(table)
    relay = table.relay(Slice.PUSH)
    for block in range(4):
        ghosts = (MemberId((1_000 * block + n).to_bytes(8, "big")) for n in range(1_000))
        relay.push(ann.sync(*(Entry(ghost, Membership.ACTIVE, 5) for ghost in ghosts)))
    assert len(table.room.inboxes) == MAX_MEMBERS
    relay.push(ann.item(1))
    table.after(200.0)
    assert read(table) == [b"words"]
    assert len(relay.syncs()[-1].entries) <= MAX_MEMBERS


def test_bytes_that_no_member_sealed_are_passed_over() -> None:
    table = seated()
    ann = met(table)
    relay = table.relay(Slice.PUSH)
    good = frame_of(table, *ann.item(1))
    relay.say(good[:-1] + bytes((good[-1] ^ 1,)), good)
    assert read(table) == [b"words"]
