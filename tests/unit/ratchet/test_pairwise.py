"""Sessions with one other: in any order, once, from both sides at the same moment, and again after a loss."""

from __future__ import annotations

import random

import pytest

from railgun_core.base.errors import MalformedFrame
from railgun_core.ratchet.pairwise import MAX_SESSIONS, Pairwise
from railgun_core.ratchet.sealed import Unopenable, Why
from railgun_core.wire.codec import Reader
from tests.property.mutants import mutants
from tests.unit.ratchet.people import KEY, Person


def pair() -> tuple[Person, Person]:
    """Two people who have written to each other."""
    ann, bob = Person(), Person()
    ann.begin(bob)
    assert bob.read(ann.write(b"hello"), ann) == b"hello"
    assert ann.read(bob.write(b"hello too"), bob) == b"hello too"
    return ann, bob


def test_messages_open_in_any_order_and_each_of_them_once(rng: random.Random) -> None:
    ann, bob = pair()
    messages = [ann.write(b"%d" % n) for n in range(30)]
    order = list(range(30))
    rng.shuffle(order)
    for n in order:
        assert bob.read(messages[n], ann) == b"%d" % n
    for message in messages:
        with pytest.raises(Unopenable) as refused:
            bob.read(message, ann)
        assert refused.value.why is Why.SPENT


def test_both_may_begin_at_the_same_moment() -> None:
    ann, bob = Person(), Person()
    ann.begin(bob)
    bob.begin(ann)
    from_ann, from_bob = ann.write(b"from ann"), bob.write(b"from bob")
    assert bob.read(from_ann, ann) == b"from ann"
    assert ann.read(from_bob, bob) == b"from bob"
    for n in range(6):
        assert bob.read(ann.write(b"%d" % n), ann) == b"%d" % n
        assert ann.read(bob.write(b"%d" % n), bob) == b"%d" % n
    assert ann.write(b"")[0] == bob.write(b"")[0] == 1, "they have agreed on sessions that both have heard"


def test_a_first_message_that_comes_twice_changes_nothing() -> None:
    ann, bob = Person(), Person()
    ann.begin(bob)
    first = ann.write(b"hello")
    bob.read(first, ann)
    with pytest.raises(Unopenable):
        bob.read(first, ann)
    assert len(bob.pairwise) == 1
    assert bob.read(ann.write(b"more"), ann) == b"more"


def test_two_thousand_messages_may_be_skipped_and_a_new_session_heals_more() -> None:
    ann, bob = pair()
    for _ in range(1_990):
        ann.write(b"lost")
    assert bob.read(ann.write(b"here"), ann) == b"here"
    for _ in range(2_100):
        ann.write(b"lost")
    with pytest.raises(Unopenable):
        bob.read(ann.write(b"too far"), ann)
    ann.begin(bob)
    assert bob.read(ann.write(b"anew"), ann) == b"anew"


def test_who_lost_its_state_is_written_to_in_a_new_session() -> None:
    ann, bob = pair()
    lost = Person(bob.account)
    with pytest.raises(Unopenable) as refused:
        lost.read(ann.write(b"hello?"), ann)
    assert refused.value.why is Why.UNKNOWN_KEYS
    ann.begin(lost)
    assert lost.read(ann.write(b"hello"), ann) == b"hello"
    assert ann.read(lost.write(b"yes"), lost) == b"yes"


def test_four_sessions_are_kept_and_the_one_last_heard_is_used() -> None:
    ann, bob = pair()
    for _ in range(2 * MAX_SESSIONS):
        ann.begin(bob)
        bob.read(ann.write(b"again"), ann)
        bob.account.renew(0.0)
    assert len(ann.pairwise) == len(bob.pairwise) == MAX_SESSIONS
    assert ann.read(bob.write(b"here"), bob) == b"here"


def test_saved_sessions_go_on_where_they_were() -> None:
    ann, bob = pair()
    for n in range(5):
        ann, bob = ann.restarted(), bob.restarted()
        assert bob.read(ann.write(b"%d" % n), ann) == b"%d" % n
        assert ann.read(bob.write(b"%d" % n), bob) == b"%d" % n


def test_saved_sessions_do_not_open_with_another_key() -> None:
    ann, _ = pair()
    with pytest.raises(MalformedFrame):
        Pairwise.restore(Reader(ann.pairwise.dump()), b"q" * 32)
    with pytest.raises(MalformedFrame):
        Pairwise.restore(Reader(ann.pairwise.dump()[:-5]), KEY)


def test_mutated_messages_are_refused_and_the_session_goes_on(rng: random.Random) -> None:
    ann, bob = pair()
    whole = ann.write(b"whole")
    for mutant in mutants((whole[1],), count=500, rng=rng):
        if mutant != whole[1]:
            for kind in (0, 1):
                with pytest.raises(Unopenable):
                    bob.read((kind, mutant), ann)
    assert bob.read(whole, ann) == b"whole"


def test_a_message_in_another_encoding_than_its_senders_is_refused() -> None:
    ann, bob = pair()
    kind, text = ann.write(b"whole")
    counter = slice(35, 37)  # after the version, and the tag, length and 32 bytes of the ratchet key
    assert text[counter][0] == 0x10
    with pytest.raises(Unopenable) as refused:
        bob.read((kind, text[: counter.stop] + text[counter] + text[counter.stop :]), ann)
    assert refused.value.why is Why.FORGED
    assert bob.read((kind, text), ann) == b"whole"
