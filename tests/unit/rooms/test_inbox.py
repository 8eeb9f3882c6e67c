"""One sender's stream: in order, once, without gaps, whatever the network does to it."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.ids import MemberId
from railgun_core.changes import Item
from railgun_core.rooms.inbox import MAX_AHEAD, Inbox

SENDER = MemberId(b"a sender")


def item(seq: int) -> Item:
    return Item(seq, 0, 1, b"%d" % seq)


def handed(inbox: Inbox, *seqs: int) -> list[int]:
    return [ready.seq for seq in seqs for ready in inbox.receive(item(seq))]


@given(st.integers(0, 30), st.lists(st.integers(1, 60), max_size=200))
def test_each_item_comes_once_and_in_order_from_any_arrival(baseline: int, arrivals: list[int]) -> None:
    inbox = Inbox(SENDER, baseline=baseline)
    given_on = handed(inbox, *arrivals)
    unbroken = baseline
    while unbroken + 1 in arrivals:
        unbroken += 1
    assert given_on == list(range(baseline + 1, unbroken + 1))


@given(st.lists(st.integers(1, 40), unique=True, max_size=40), st.integers(1, 50))
def test_what_is_missing_are_the_gaps_oldest_first(arrivals: list[int], limit: int) -> None:
    inbox = Inbox(SENDER, baseline=0)
    handed(inbox, *arrivals)
    gaps = [seq for seq in range(1, max(arrivals, default=0) + 1) if seq not in arrivals]
    assert inbox.missing(limit) == gaps[:limit]


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(0, 45))
def test_filling_the_gaps_hands_everything_on(arrivals: list[int], spoken_of: int) -> None:
    inbox = Inbox(SENDER, baseline=0)
    inbox.last = spoken_of
    given_on = handed(inbox, *arrivals)
    while wanted := inbox.missing(7):
        given_on += handed(inbox, *wanted)
    assert given_on == list(range(1, max([spoken_of, *arrivals]) + 1))
    assert inbox.ahead == {}


def test_nothing_is_handed_on_before_the_baseline_is_known() -> None:
    inbox = Inbox(SENDER, baseline=None)
    assert handed(inbox, 8, 7, 9) == []
    assert inbox.missing(10) == []
    assert [ready.seq for ready in inbox.begin(6)] == [7, 8, 9]
    assert inbox.begin(3) == []


def test_a_newcomer_gets_nothing_from_before_its_baseline() -> None:
    inbox = Inbox(SENDER, baseline=None)
    handed(inbox, 8, 9, 10, 12)
    assert [ready.seq for ready in inbox.begin(9)] == [10]
    assert inbox.baseline == 9
    assert inbox.missing(5) == [11]


def test_an_old_item_that_stands_alone_before_the_baseline_holds_nothing_up() -> None:
    inbox = Inbox(SENDER, baseline=None)
    handed(inbox, 3, 100, 101)
    assert [ready.seq for ready in inbox.begin(99)] == [100, 101]
    assert inbox.missing(5) == []
    assert inbox.ahead_bytes == 0
    assert handed(inbox, 4, 3, 102) == [102]


def test_what_its_sender_no_longer_has_is_given_up() -> None:
    inbox = Inbox(SENDER, baseline=0)
    handed(inbox, 1, 2, 6, 7)
    assert [ready.seq for ready in inbox.skip_to(6)] == [6, 7]
    assert (inbox.committed, inbox.expected) == (5, 8)
    assert inbox.skip_to(3) == []
    assert handed(inbox, 4, 5) == []


@given(st.lists(st.one_of(st.integers(1, 40), st.integers(-40, -1)), max_size=80))
def test_skipping_and_receiving_in_any_order_never_hands_an_item_on_twice(steps: list[int]) -> None:
    inbox, seen = Inbox(SENDER, baseline=0), list[int]()
    for step in steps:
        ready = inbox.receive(item(step)) if step > 0 else inbox.skip_to(-step)
        seen += [one.seq for one in ready]
    assert seen == sorted(set(seen))
    assert all(seq >= inbox.expected for seq in inbox.ahead)


def test_a_restart_goes_on_after_what_was_committed() -> None:
    inbox = Inbox(SENDER, baseline=2, have=5)
    assert handed(inbox, 3, 5, 6) == [6]
    assert inbox.known


def test_what_comes_early_waits_within_a_bound_and_is_asked_for_again() -> None:
    inbox = Inbox(SENDER, baseline=0)
    handed(inbox, *range(2, MAX_AHEAD + 100))
    assert len(inbox.ahead) == MAX_AHEAD
    assert len(handed(inbox, 1)) == MAX_AHEAD + 1
    while wanted := inbox.missing(500):
        assert handed(inbox, *wanted)
    assert inbox.expected == MAX_AHEAD + 100


def test_a_sender_that_speaks_of_countless_items_costs_only_what_is_asked_for(rng: random.Random) -> None:
    inbox = Inbox(SENDER, baseline=0)
    handed(inbox, (1 << 62) - 1)
    assert inbox.missing(16) == list(range(1, 17))
