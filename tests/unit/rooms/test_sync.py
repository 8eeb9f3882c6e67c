"""What members say to each other of what they have: confirming, joining, leaving, asking."""

from __future__ import annotations

from railgun_core.changes import Delivery, Membership
from railgun_core.events import Welcomed
from railgun_core.rooms.content import Entry, Mood
from railgun_core.rooms.room import AWAIT_S
from railgun_core.wire.frames import Pull, Slice
from tests.unit.rooms.table import (
    ANN,
    BOB,
    Other,
    met,
    noticed,
    read,
    seated,
)


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
    relay.ack()  # syncs: what a relay does not take goes elsewhere
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
    before = [len(each.syncs()) for each in table.relays]
    table.after(30.0)
    news = [each.syncs()[mark:] for each, mark in zip(table.relays, before, strict=True)]
    asked = [sum(sync.mood is Mood.ASKING for sync in said) for said in news]
    assert 3 <= sum(asked) <= 5
    assert sum(map(bool, asked)) > 1, "nobody answers: another relay may bring it further"


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


def test_a_joiner_says_so_until_somebody_answers_and_starts_where_everybody_stands() -> None:
    table = seated(joining=True)
    table.after(2.0)
    said = [sync.mood for relay in table.relays for sync in relay.syncs()]
    assert set(said) == {Mood.JOINING}
    assert not any(isinstance(frame, Pull) for relay in table.relays for frame in relay.asked)
    ann = Other(ANN, last=100)
    relay = table.relay(Slice.PUSH)
    relay.push(ann.sync(Entry(BOB, Membership.ACTIVE, 7), Entry(table.room.me, Membership.ACTIVE, 0)))
    assert any(isinstance(effect, Welcomed) for effect in table.out)
    bob = Other(BOB)
    relay.push(ann.keys(table), bob.keys(table, one_time=1))
    relay.push(ann.item(101, b"a"), bob.item(8, b"b"), ann.item(100, b"old"), bob.item(7, b"old"))
    assert read(table) == [b"a", b"b"]


def test_an_old_item_sent_again_to_somebody_else_does_not_hold_a_joiner_up() -> None:
    table = seated(joining=True)
    ann = Other(ANN, last=100)
    relay = table.relay(Slice.PUSH)
    relay.push(ann.item(3, b"old"))
    ann.last = 100
    relay.push(ann.sync(Entry(table.room.me, Membership.ACTIVE, 0)), ann.keys(table))
    relay.push(ann.item(101, b"new"))
    assert read(table) == [b"new"]


def test_two_joiners_at_once_hear_each_other_from_the_start() -> None:
    table = seated(joining=True)
    bob = Other(BOB)
    relay = table.relay(Slice.PUSH)
    relay.push(bob.sync(mood=Mood.JOINING), bob.keys(table))
    assert table.room.joining
    relay.push(bob.item(1, b"hello"))
    assert read(table) == [b"hello"]
    relay.push(Other(ANN).sync(Entry(BOB, Membership.ACTIVE, 0), Entry(table.room.me, Membership.ACTIVE, 0)))
    assert not table.room.joining
    assert read(table) == [b"hello"]


def test_what_was_said_before_a_joiner_came_is_no_answer_to_it() -> None:
    """A relay that has just taken its seat pushes what the others hold: syncs from before the joining."""
    table = seated(joining=True)
    ann = Other(ANN, last=100)
    relay = table.relay(Slice.PUSH)
    relay.push(ann.sync(Entry(BOB, Membership.ACTIVE, 0), last=0))
    assert table.room.joining
    relay.push(ann.sync(Entry(table.room.me, Membership.ACTIVE, 0)), ann.keys(table))
    assert not table.room.joining
    relay.push(ann.item(100, b"old"), ann.item(101, b"new"))
    assert read(table) == [b"new"]


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


def test_what_another_member_may_not_have_told_a_newcomer_of_is_delivered_only_when_the_newcomer_has_it() -> None:
    """Ann may have told Bob that this stream ends before the two: then he waits for them."""
    table = seated()
    ann = met(table)
    table.submit(b"one", b"two")
    relay = table.relay(Slice.PUSH)
    relay.ack()
    bob = Other(BOB)
    relay.push(bob.sync(mood=Mood.JOINING))
    relay.push(ann.has(table, 2))
    assert all(moved[2] is not Delivery.DELIVERED for moved in table.moved)
    relay.push(bob.has(table, 2))
    assert table.moved[-1] == (1, 2, Delivery.DELIVERED)


def test_a_newcomer_to_a_room_of_one_is_not_waited_for_with_what_was_before() -> None:
    table = seated()
    table.submit(b"alone")
    relay = table.relay(Slice.PUSH)
    relay.ack()
    bob = Other(BOB)
    relay.push(bob.sync(mood=Mood.JOINING))
    assert table.room.inboxes[BOB].confirmed == 1
