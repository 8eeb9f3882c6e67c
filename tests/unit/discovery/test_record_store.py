"""Holding records for others: bounded, newest only, by key."""

from __future__ import annotations

import random

from railgun_core.base.ids import Tag, group_key
from railgun_core.base.keys import Identity
from railgun_core.discovery.placement import announcement_key, keys_of, may_store, own_key
from railgun_core.discovery.record_store import RecordStore
from railgun_core.wire.records import (
    Address,
    AddressKind,
    AnnouncementBody,
    PeerBody,
    PeerRole,
    Record,
    group_of,
    sign_record,
)

NOW_S = 1_700_000_000
RNG = random.Random(1)


def relay(host: str = "10.1.0.1", roles: PeerRole = PeerRole.RELAY, kind: AddressKind = AddressKind.DHT) -> Record:
    body = PeerBody((Address(kind, host, 4_000),), roles, "test", 1, 1)
    return sign_record(
        Identity(RNG.randbytes(32)), body, sequence=NOW_S * 1000, not_before_s=NOW_S, expires_s=NOW_S + 600
    )


def seat(tag: Tag) -> Record:
    return sign_record(
        Identity(RNG.randbytes(32)),
        AnnouncementBody(tag, 1, 0, 0, ()),
        sequence=NOW_S * 1000,
        not_before_s=NOW_S,
        expires_s=NOW_S + 600,
    )


def store(total: int = 1_000) -> RecordStore:
    return RecordStore(per_key=8, per_group=64, total=total)


def test_a_key_takes_eight_records_and_a_group_sixty_four() -> None:
    kept, key = store(), group_key(group_of("10.1.0.1", 4_000, by_port=False))
    tag = Tag(bytes(32))
    assert sum(kept.put(announcement_key(tag), seat(tag), is_group=False, now_s=NOW_S) for _ in range(12)) == 8
    assert sum(kept.put(key, relay(), is_group=True, now_s=NOW_S) for _ in range(70)) == 64


def test_a_full_key_has_room_again_when_its_records_expire() -> None:
    kept, tag = store(), Tag(bytes(32))
    for _ in range(8):
        kept.put(announcement_key(tag), seat(tag), is_group=False, now_s=NOW_S)
    later = sign_record(
        Identity(RNG.randbytes(32)),
        AnnouncementBody(tag, 2, 0, 0, ()),
        sequence=(NOW_S + 800) * 1000,
        not_before_s=NOW_S,
        expires_s=NOW_S + 1_400,
    )
    assert kept.put(announcement_key(tag), later, is_group=False, now_s=NOW_S + 800)
    assert kept.get(announcement_key(tag), now_s=NOW_S + 800) == (later,)


def test_the_whole_is_bounded_and_the_least_recent_goes_first() -> None:
    kept = store(total=10)
    records = [relay() for _ in range(12)]
    for record in records[:10]:
        kept.put(own_key(record), record, is_group=False, now_s=NOW_S)
    kept.put(own_key(records[0]), records[0], is_group=False, now_s=NOW_S)  # refreshed: recent again
    for record in records[10:]:
        kept.put(own_key(record), record, is_group=False, now_s=NOW_S)
    assert len(kept) == 10
    assert kept.get(own_key(records[0]), now_s=NOW_S) == (records[0],)
    assert kept.get(own_key(records[1]), now_s=NOW_S) == ()


def test_group_keys_come_nearest_first_and_only_while_a_record_lives() -> None:
    kept = store()
    for i in range(30):
        record = relay(f"10.{i}.0.1")
        kept.put(keys_of(record, by_port=False)[1], record, is_group=True, now_s=NOW_S)
    target = RNG.randbytes(20)
    keys = kept.group_keys_near(target, now_s=NOW_S)
    goal = int.from_bytes(target, "big")
    assert len(keys) == 30
    assert keys == sorted(keys, key=lambda key: int.from_bytes(key, "big") ^ goal)
    assert kept.group_keys_near(target, now_s=NOW_S + 721) == []


def test_a_relay_may_enter_the_directory_of_a_group_it_stores_from_and_names() -> None:
    record = relay("10.1.0.1")
    own, group = keys_of(record, by_port=False)
    assert may_store(own, record, ("10.9.9.9", 1), by_port=False)
    assert may_store(group, record, ("10.1.200.1", 9), by_port=False)
    assert not may_store(group, record, ("10.2.0.1", 4_000), by_port=False)
    elsewhere = group_key(group_of("10.2.0.1", 4_000, by_port=False))
    assert not may_store(elsewhere, record, ("10.2.0.1", 4_000), by_port=False)
    assert not may_store(RNG.randbytes(20), record, ("10.1.0.1", 4_000), by_port=False)


def test_who_is_no_relay_enters_no_group() -> None:
    record = relay(roles=PeerRole.TURN)
    group = group_key(group_of("10.1.0.1", 4_000, by_port=False))
    assert keys_of(record, by_port=False) == (own_key(record),)
    assert not may_store(group, record, ("10.1.0.1", 4_000), by_port=False)


def test_an_announcement_stands_under_its_own_tag_only() -> None:
    record = seat(Tag(b"\x01" * 32))
    assert may_store(announcement_key(b"\x01" * 32), record, ("10.1.0.1", 1), by_port=False)
    assert not may_store(announcement_key(b"\x02" * 32), record, ("10.1.0.1", 1), by_port=False)
