"""B06: old records played again."""

from __future__ import annotations

import random

from railgun_core.base.keys import Identity
from railgun_core.discovery.placement import own_key
from railgun_core.discovery.record_store import Listing, RecordStore
from railgun_core.wire.records import Address, AddressKind, PeerBody, PeerRole, Record, sign_record

START_S = 1_700_000_000
OWNER = Identity(b"\x06" * 32)


def record(signed_s: int, lifetime_s: int) -> Record:
    body = PeerBody((Address(AddressKind.DHT, "10.1.0.1", 4_000),), PeerRole(0), "test", 1, 1)
    return sign_record(
        OWNER, body, sequence=signed_s * 1000, not_before_s=START_S - 10, expires_s=signed_s + lifetime_s
    )


VERSIONS = [record(START_S + 10 * i, 300 + 900 * (i % 3)) for i in range(12)]


def test_an_older_record_never_replaces_a_newer_in_a_thousand_interleavings() -> None:
    rng = random.Random(6)
    key = own_key(VERSIONS[0])
    for _ in range(1_000):
        store = RecordStore(per_key=8, per_group=64, total=rng.choice((1, 2, 100)))
        highest, now_s = 0, START_S + 110.0
        for _ in range(20):
            now_s += rng.choice((0, 1, 60, 400))
            version = rng.choice(VERSIONS)
            accepted = store.put(key, version, listing=Listing.OWN, now_s=now_s)
            if accepted:
                assert version.sequence >= highest
                assert version.is_live(now_s)
                highest = version.sequence
            if rng.random() < 0.3:
                store.sweep(now_s=now_s)
            held = store.get(key, now_s=now_s)
            assert all(kept.sequence == highest for kept in held)


def test_a_withdrawn_record_does_not_come_back_when_the_newer_one_has_expired() -> None:
    store = RecordStore(per_key=8, per_group=64, total=100)
    long_lived, withdrawal = record(START_S, 7_200), record(START_S + 10, 0)
    key = own_key(long_lived)
    assert store.put(key, long_lived, listing=Listing.OWN, now_s=START_S + 1)
    assert store.put(key, withdrawal, listing=Listing.OWN, now_s=START_S + 11)
    later_s = START_S + 10 + 120 + 1
    store.sweep(now_s=later_s)
    assert store.get(key, now_s=later_s) == ()
    assert long_lived.is_live(later_s)
    assert not store.put(key, long_lived, listing=Listing.OWN, now_s=later_s)


def test_a_record_is_refused_121_seconds_after_its_end() -> None:
    store = RecordStore(per_key=8, per_group=64, total=100)
    old = record(START_S, 600)
    key = own_key(old)
    assert not store.put(key, old, listing=Listing.OWN, now_s=START_S + 600 + 121)
    assert store.put(key, old, listing=Listing.OWN, now_s=START_S + 600 + 119)
    assert store.get(key, now_s=START_S + 600 + 121) == ()
