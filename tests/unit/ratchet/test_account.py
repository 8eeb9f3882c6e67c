"""One-time keys open one session each; the last-resort key opens many, for a while; dumps come back whole or not."""

from __future__ import annotations

import pytest

from railgun_core.base.errors import MalformedFrame
from railgun_core.ratchet.account import (
    ONE_TIME_KEYS,
    RENEW_AFTER_S,
    RENEW_USED_AFTER_S,
    RETIRE_AFTER_S,
    Account,
    Bundle,
    named_one_time_key,
)
from railgun_core.ratchet.sealed import Unopenable, Why
from railgun_core.wire.codec import Reader
from tests.property.mutants import every_prefix
from tests.unit.ratchet.people import KEY, NOW_S, Person


def test_a_bundle_comes_back_as_it_was_and_broken_ones_are_refused() -> None:
    bundle = Person().account.bundle
    assert len(set(bundle.one_time)) == ONE_TIME_KEYS
    assert Bundle.decode(Reader(bundle.encode())) == bundle
    for broken in every_prefix(bundle.encode()):
        with pytest.raises(MalformedFrame):
            Bundle.decode(Reader(broken))


def test_a_one_time_key_opens_one_session_and_is_gone() -> None:
    ann, bob, eve = Person(), Person(), Person()
    key = bob.account.bundle.one_time[3]
    ann.begin(bob, key)
    eve.begin(bob, key)
    assert bob.read(ann.write(b"first"), ann) == b"first"
    assert key not in bob.account.bundle.one_time
    assert len(bob.account.bundle.one_time) == ONE_TIME_KEYS - 1
    with pytest.raises(Unopenable) as refused:
        bob.read(eve.write(b"second"), eve)
    assert refused.value.why is Why.SPENT


def test_when_all_one_time_keys_are_used_up_the_last_resort_key_still_opens_sessions() -> None:
    bob = Person()
    bundle = bob.account.bundle
    for number, key in enumerate(bundle.one_time):
        ann = Person()
        ann.begin(bob, key)
        assert bob.read(ann.write(b"%d" % number), ann) == b"%d" % number
    assert bob.account.bundle.one_time == ()
    for _ in range(3):
        ann = Person()
        ann.begin(bob, bundle.last_resort)
        assert bob.read(ann.write(b"late"), ann) == b"late"
    assert bob.account.renew(NOW_S)
    assert len(bob.account.bundle.one_time) == ONE_TIME_KEYS


def test_a_used_last_resort_key_is_renewed_after_an_hour_and_destroyed_an_hour_later() -> None:
    bob, ann, eve, dan = Person(), Person(), Person(), Person()
    key = bob.account.bundle.last_resort
    for one in (ann, eve, dan):
        one.begin(bob, key)
    bob.read(ann.write(b"hello"), ann)
    assert not bob.account.renew(NOW_S + RENEW_USED_AFTER_S - 1)
    assert bob.account.renew(NOW_S + RENEW_USED_AFTER_S)
    assert bob.account.bundle.last_resort != key
    bob = bob.restarted()
    assert bob.read(eve.write(b"late"), eve) == b"late"
    bob.account.renew(NOW_S + RENEW_USED_AFTER_S + RETIRE_AFTER_S + 1)
    with pytest.raises(Unopenable):
        bob.read(dan.write(b"too late"), dan)


def test_an_unused_last_resort_key_lives_a_day_and_a_clock_an_hour_off_harms_nothing() -> None:
    bob = Person()
    key = bob.account.bundle.last_resort
    assert not bob.account.renew(NOW_S + RENEW_AFTER_S - 1)
    assert bob.account.renew(NOW_S + RENEW_AFTER_S)
    assert bob.account.bundle.last_resort != key
    assert bob.account.renew(NOW_S - 3_600), "time went back: what was made in the future is made anew"
    assert not bob.account.renew(NOW_S - 3_599)


def test_a_key_that_retired_before_an_absence_opens_what_was_left_meanwhile() -> None:
    ann, bob = Person(), Person()
    old = bob.account.bundle.last_resort
    ann.begin(bob, old)
    letter = ann.write(b"left for you")
    assert bob.account.renew(NOW_S + RENEW_AFTER_S)
    back_s = NOW_S + RENEW_AFTER_S + 3 * 86_400
    bob.account = Account.restore(bob.account.dump(), KEY)
    bob.account.came_back(back_s)
    bob.account.renew(back_s)
    assert bob.read(letter, ann) == b"left for you"
    bob.account.renew(back_s + RETIRE_AFTER_S + 1)
    eve = Person()
    eve.begin(bob, old)
    with pytest.raises(Unopenable):
        bob.read(eve.write(b"too late"), eve)


def test_a_message_that_claims_another_author_is_refused() -> None:
    ann, bob, eve = Person(), Person(), Person()
    ann.begin(bob)
    with pytest.raises(Unopenable):
        bob.read(ann.write(b"hello"), eve)
    assert len(bob.account.bundle.one_time) == ONE_TIME_KEYS
    ann.begin(bob)
    assert bob.read(ann.write(b"hello"), ann) == b"hello"


def test_keys_that_are_no_keys_are_refused() -> None:
    bundle = Person().account.bundle
    for identity, key in ((bytes(32), bundle.last_resort), (bundle.identity, bytes(32)), (b"x", b"y")):
        with pytest.raises(Unopenable):
            Person().account.begin(Bundle(identity, key), key)


def test_a_first_message_without_a_key_is_refused() -> None:
    ann, bob = Person(), Person()
    ann.begin(bob)
    kind, whole = ann.write(b"hello")
    assert (kind, named_one_time_key(whole)) == (0, bob.account.bundle.one_time[0])
    for broken in (b"", b"\x03", b"\x03\x0a", b"\x03\x0a\x20short", b"\x03\x0a\x21" + bytes(40), whole[:1]):
        with pytest.raises(Unopenable):
            named_one_time_key(broken)
    for broken in every_prefix(whole):
        with pytest.raises(Unopenable):
            bob.read((0, broken), ann)
    assert bob.read((kind, whole), ann) == b"hello"


def test_a_dump_comes_back_and_a_damaged_one_or_a_wrong_key_is_refused() -> None:
    account = Person().account
    assert Account.restore(account.dump(), KEY).bundle == account.bundle
    for value, key in (
        (account.dump()[:-1], KEY),
        (account.dump() + b"x", KEY),
        (account.dump(), b"q" * 32),
        (b"", KEY),
    ):
        with pytest.raises(MalformedFrame):
            Account.restore(value, key)
