"""What a member thinks of its relays: who serves and who keeps things back; neither chance nor liars decide it."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.ids import MsgId, PeerId
from railgun_core.rooms.esteem import (
    FAIR,
    HALVED_IN_S,
    LEVELS,
    MAX_OPEN,
    MAX_OWN,
    MAX_RELAYS,
    POOR,
    SERVED_WITHIN_S,
    WEIGHT,
    Esteem,
    Hearsay,
)

PUSHING, ANNOUNCING, STANDING_BY = (PeerId(bytes((n,)) * 32) for n in (1, 2, 3))
IN_USE = {PUSHING: 0.0, ANNOUNCING: 0.0}
DUE_S = 10.0 + SERVED_WITHIN_S


def name(number: int) -> MsgId:
    return MsgId(number.to_bytes(16, "big"))


def test_three_failures_in_a_row_put_a_relay_behind_the_others_and_time_alone_forgives_them() -> None:
    esteem = Esteem()
    assert not esteem.mark((), (PUSHING,))
    assert esteem.level(PUSHING) == 2
    assert not esteem.mark((ANNOUNCING,), (PUSHING,))
    assert esteem.mark((ANNOUNCING,), (PUSHING,))
    assert esteem.poor == {PUSHING}
    assert esteem.level(ANNOUNCING) == 0
    esteem.fade(0.0)
    assert not esteem.fade(HALVED_IN_S)
    assert esteem.fade(HALVED_IN_S * 1.3)
    assert esteem.poor == set()


def test_a_lossy_link_makes_nobody_poor() -> None:
    rng, esteem = random.Random(7), Esteem()
    for second in range(3_600):
        esteem.fade(float(second))
        late = rng.random() < 0.02
        esteem.mark(() if late else (PUSHING,), (PUSHING,) if late else ())
        assert esteem.poor == set()


@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=200))
def test_shares_stay_shares_and_the_book_stays_small(marks: list[tuple[int, bool]]) -> None:
    esteem = Esteem()
    for at_s, (number, failed) in enumerate(marks):
        relay = PeerId(bytes((number,)) * 32)
        esteem.mark(() if failed else (relay,), (relay,) if failed else ())
        esteem.fade(float(at_s))
        assert 0 <= esteem.level(relay) <= LEVELS
        assert len(esteem.poor) <= MAX_RELAYS
        assert len(esteem._shares) <= MAX_RELAYS
    assert 0 < FAIR < POOR <= 1 - (1 - WEIGHT) ** 3


def test_an_envelope_that_one_relay_in_use_brought_counts_against_the_other_that_said_nothing() -> None:
    hearsay = Hearsay()
    hearsay.named((name(1),), ANNOUNCING, lacking={name(1)})
    hearsay.came(name(1), ANNOUNCING, 10.0, is_new=True)
    assert hearsay.judge(DUE_S - 0.01, in_use=IN_USE, proved=set()) == (set(), set())
    assert hearsay.judge(DUE_S, in_use=IN_USE, proved=set()) == ({ANNOUNCING}, {PUSHING})
    assert hearsay.judge(DUE_S, in_use=IN_USE, proved=set()) == (set(), set())


def test_who_brings_it_a_little_later_or_was_not_asked_to_yet_has_not_failed() -> None:
    hearsay = Hearsay()
    hearsay.came(name(1), ANNOUNCING, 10.0, is_new=True)
    hearsay.came(name(1), PUSHING, 11.0, is_new=False)
    assert hearsay.judge(DUE_S, in_use={**IN_USE, STANDING_BY: 10.5}, proved=set()) == ({PUSHING, ANNOUNCING}, set())


def test_names_that_never_come_and_copies_under_other_names_count_against_nobody() -> None:
    hearsay = Hearsay()
    hearsay.named(map(name, range(9)), ANNOUNCING, lacking=set(map(name, range(9))))
    hearsay.came(name(99), ANNOUNCING, 10.0, is_new=False)
    assert hearsay.judge(DUE_S + 100, in_use=IN_USE, proved=set()) == (set(), set())


def given_to(*relays: PeerId) -> Hearsay:
    """An own envelope that these took one after the other."""
    hearsay = Hearsay()
    for relay in relays:
        hearsay.gave(name(1), relay, b"frame", seq=1)
        hearsay.taken((name(1),), 10.0)
    return hearsay


def test_an_own_envelope_that_another_relay_speaks_of_speaks_for_both() -> None:
    hearsay = given_to(PUSHING)
    hearsay.named((name(1),), ANNOUNCING, lacking=set())
    assert hearsay.unheard(DUE_S, witnesses=set(IN_USE)) == []
    assert hearsay.judge(DUE_S, in_use=IN_USE, proved=set()) == ({PUSHING, ANNOUNCING}, set())


def test_an_own_envelope_that_nobody_speaks_of_is_to_be_given_to_another_whatever_its_relay_said() -> None:
    hearsay = given_to(PUSHING)
    hearsay.named((name(1),), PUSHING, lacking=set())  # its own word says nothing
    assert hearsay.due_s(10.0) == DUE_S
    assert hearsay.unheard(DUE_S - 0.01, witnesses=set(IN_USE)) == []
    ((msg_id, spoken),) = hearsay.unheard(DUE_S, witnesses=set(IN_USE))
    assert (msg_id, spoken.frame, spoken.seq) == (name(1), b"frame", 1)
    assert hearsay.due_s(DUE_S) is None
    assert hearsay.unheard(DUE_S, witnesses={PUSHING}) == []


def test_heard_only_after_a_second_relay_had_it_the_first_kept_it_back() -> None:
    hearsay = given_to(PUSHING, STANDING_BY)
    hearsay.named((name(1),), ANNOUNCING, lacking=set())
    assert hearsay.judge(DUE_S, in_use=IN_USE, proved=set()) == ({ANNOUNCING, STANDING_BY}, {PUSHING})


def test_never_heard_it_is_the_witness_that_is_deaf_unless_it_has_heard_before() -> None:
    late_s = DUE_S + SERVED_WITHIN_S
    assert given_to(PUSHING, STANDING_BY).judge(late_s, in_use=IN_USE, proved=set()) == (set(), {ANNOUNCING})
    blamed = given_to(PUSHING, STANDING_BY).judge(late_s, in_use=IN_USE, proved={ANNOUNCING})
    assert blamed == (set(), {PUSHING, STANDING_BY})


def test_relays_that_never_take_what_they_are_given_do_not_fill_the_book() -> None:
    hearsay = Hearsay()
    for number in range(2 * MAX_OWN):
        hearsay.gave(name(number), STANDING_BY, b"frame")
    hearsay.gave(name(999), PUSHING, b"frame")
    hearsay.taken((name(999),), 10.0)
    assert len(hearsay._open) == MAX_OWN
    assert [msg_id for msg_id, _ in hearsay.unheard(DUE_S, witnesses=set(IN_USE))] == [name(999)]


def test_what_is_watched_is_bounded_and_made_up_names_make_room_first() -> None:
    hearsay = Hearsay()
    for number in range(2 * MAX_OPEN):
        hearsay.named((name(number),), ANNOUNCING, lacking={name(number)})
    hearsay.came(name(9_999), ANNOUNCING, 10.0, is_new=True)
    for number in range(20_000, 20_000 + 2 * MAX_OWN):
        hearsay.gave(name(number), PUSHING, b"frame")
        hearsay.taken((name(number),), 10.0)
    assert len(hearsay._open) == MAX_OPEN
    assert len(hearsay.unheard(DUE_S, witnesses=set(IN_USE))) == MAX_OWN
    assert hearsay.judge(DUE_S, in_use=IN_USE, proved=set())[1] == {PUSHING}
