"""Sending: durable first, to the best relay, to the next when it is slow, until a majority and then all have it."""

from __future__ import annotations

from railgun_core.changes import Delivery
from railgun_core.sim.world import at_once
from railgun_core.wire.frames import Nack, Slice
from railgun_core.wire.kinds import Refusal
from tests.unit.rooms.table import (
    BOB,
    HANDLE,
    ROOM,
    Table,
    met,
    seated,
)


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
    place = [number for number, (msg_id, _) in enumerate(first.published) if msg_id == table.name_of(1)]
    assert len(place) == 1
    first.say(Nack(HANDLE, Refusal.RATE, 10, (table.name_of(1),)).encode())
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
    relay.ack()  # syncs
    relay.push(ann.has(table, 0))
    assert [each.items() for each in table.relays] == [[1], [1], [1]]  # nobody has heard it by the first
    before, stored = len(table.moved), dict(table.room.outbox.stored)
    for each in table.relays:
        each.ack(stored=each.stored)
    for each in table.relays:
        each.ack()
    assert table.room.outbox.stored == stored, "mailboxes get it some time after it was first stored"
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
