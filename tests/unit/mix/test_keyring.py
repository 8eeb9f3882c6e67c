"""Keys that open packets: two live, older ones gone, none used twice."""

from __future__ import annotations

import random

import pytest

from railgun_core.base.clock import Instant
from railgun_core.base.ids import RoomId
from railgun_core.changes import MixTagsDrop, SecretPut
from railgun_core.mix.keyring import DEVICE, MixKeyring
from railgun_core.mix.sphinx import public_key

PERIOD = 1_000_000


def at(period: float) -> Instant:
    return Instant(mono_s=50.0, unix_s=period * 1_800.0)


def test_a_key_lives_two_periods_and_is_removed_with_its_tags(rng: random.Random) -> None:
    ring = MixKeyring()
    (first, drop) = ring.turn(at(PERIOD), rng)
    assert isinstance(first, SecretPut)
    assert (first.room, first.name, len(first.value or b"")) == (DEVICE, f"mix/{PERIOD}", 32)
    assert drop == MixTagsDrop(PERIOD - 1)
    assert ring.turn(at(PERIOD + 0.9), rng) == ()
    (second, _) = ring.turn(at(PERIOD + 1.1), rng)
    assert isinstance(second, SecretPut)
    assert ring.private_keys(at(PERIOD + 1.1)) == (second.value, first.value)
    gone, third, drop = ring.turn(at(PERIOD + 2), rng)
    assert gone == SecretPut(DEVICE, f"mix/{PERIOD}", None)
    assert drop == MixTagsDrop(PERIOD + 1)
    assert isinstance(third, SecretPut)
    assert ring.private_keys(at(PERIOD + 2)) == (third.value, second.value)
    assert ring.public_key(at(PERIOD + 2)) == public_key(third.value or b"")


def test_keys_survive_a_restart_and_nothing_else_is_taken_for_one(rng: random.Random) -> None:
    ring = MixKeyring()
    saved = ring.turn(at(PERIOD), rng) + ring.turn(at(PERIOD + 1), rng)
    secrets = [change for change in saved if isinstance(change, SecretPut)]
    strange = [
        SecretPut(DEVICE, "guards", b"k" * 32),
        SecretPut(DEVICE, f"mix/{PERIOD + 1}x", b"k" * 32),
        SecretPut(DEVICE, f"mix/{PERIOD + 2}", b"short"),
        SecretPut(RoomId(b"r" * 16), f"mix/{PERIOD}", b"k" * 32),
    ]
    again = MixKeyring()
    again.restore([*secrets, *strange])
    assert again.turn(at(PERIOD + 1), rng) == ()
    assert again.private_keys(at(PERIOD + 1)) == ring.private_keys(at(PERIOD + 1))


def test_a_long_sleep_leaves_no_old_key(rng: random.Random) -> None:
    ring = MixKeyring()
    ring.turn(at(PERIOD), rng)
    assert ring.live(at(PERIOD + 48)) == ()
    ring.turn(at(PERIOD + 48), rng)
    assert ring.live(at(PERIOD + 48)) == (PERIOD + 48,)


def test_a_clock_that_was_an_hour_ahead_makes_new_keys_and_uses_none_twice(rng: random.Random) -> None:
    ring = MixKeyring()
    made = [
        change.value
        for period in (PERIOD, PERIOD + 2, PERIOD, PERIOD + 1, PERIOD + 2)
        for change in ring.turn(at(period), rng)
        if isinstance(change, SecretPut) and change.value
    ]
    assert len(made) == len(set(made)) == 5


def test_a_clock_that_goes_back_a_moment_over_the_turn_keeps_both_keys(rng: random.Random) -> None:
    ring = MixKeyring()
    ring.turn(at(PERIOD), rng)
    ring.turn(at(PERIOD + 1), rng)
    assert ring.turn(at(PERIOD + 0.999), rng) == ()
    assert ring.live(at(PERIOD + 0.999)) == (PERIOD + 1, PERIOD)


def test_the_next_turn_is_at_the_end_of_the_period() -> None:
    ring = MixKeyring()
    assert ring.next_turn_s(at(PERIOD)) == 1_800.0
    assert ring.next_turn_s(at(PERIOD + 0.75)) == pytest.approx(450.0)


def test_forgetting_removes_every_key_from_the_disk(rng: random.Random) -> None:
    ring = MixKeyring()
    ring.turn(at(PERIOD), rng)
    ring.turn(at(PERIOD + 1), rng)
    assert [(c.name, c.value) for c in ring.forget() if isinstance(c, SecretPut)] == [
        (f"mix/{PERIOD}", None),
        (f"mix/{PERIOD + 1}", None),
    ]
    assert ring.live(at(PERIOD + 1)) == ()


def test_a_keyring_shows_no_key(rng: random.Random) -> None:
    ring = MixKeyring()
    (put, _) = ring.turn(at(PERIOD), rng)
    assert isinstance(put, SecretPut)
    assert (put.value or b"").hex() not in repr(ring) + repr(put)
    assert repr(ring) == "MixKeyring(1)"
