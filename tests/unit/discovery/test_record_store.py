"""Holding records for others: bounded, newest only, by key."""

from __future__ import annotations

import itertools
import random

from railgun_core.base.ids import Tag, group_key
from railgun_core.base.keys import Identity
from railgun_core.discovery.placement import (
    MAIL_LIST_BITS,
    announcement_key,
    has_room,
    keys_of,
    mail_list_key,
    mail_list_keys,
    may_store,
    own_key,
)
from railgun_core.discovery.record_store import Listing, RecordStore
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
    assert sum(kept.put(announcement_key(tag), seat(tag), listing=Listing.OWN, now_s=NOW_S) for _ in range(12)) == 8
    assert sum(kept.put(key, relay(), listing=Listing.GROUP, now_s=NOW_S) for _ in range(70)) == 64


def test_a_full_key_has_room_again_when_its_records_expire() -> None:
    kept, tag = store(), Tag(bytes(32))
    for _ in range(8):
        kept.put(announcement_key(tag), seat(tag), listing=Listing.OWN, now_s=NOW_S)
    later = sign_record(
        Identity(RNG.randbytes(32)),
        AnnouncementBody(tag, 2, 0, 0, ()),
        sequence=(NOW_S + 800) * 1000,
        not_before_s=NOW_S,
        expires_s=NOW_S + 1_400,
    )
    assert kept.put(announcement_key(tag), later, listing=Listing.OWN, now_s=NOW_S + 800)
    assert kept.get(announcement_key(tag), now_s=NOW_S + 800) == (later,)


def test_the_whole_is_bounded_and_the_least_recent_goes_first() -> None:
    kept = store(total=10)
    records = [relay() for _ in range(12)]
    for record in records[:10]:
        kept.put(own_key(record), record, listing=Listing.OWN, now_s=NOW_S)
    kept.put(own_key(records[0]), records[0], listing=Listing.OWN, now_s=NOW_S)  # refreshed: recent again
    for record in records[10:]:
        kept.put(own_key(record), record, listing=Listing.OWN, now_s=NOW_S)
    assert len(kept) == 10
    assert kept.get(own_key(records[0]), now_s=NOW_S) == (records[0],)
    assert kept.get(own_key(records[1]), now_s=NOW_S) == ()


def test_group_keys_come_nearest_first_and_only_while_a_record_lives() -> None:
    kept = store()
    for i in range(30):
        record = relay(f"10.{i}.0.1")
        kept.put(keys_of(record, by_port=False)[1], record, listing=Listing.GROUP, now_s=NOW_S)
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


def test_a_mailbox_stands_in_the_lists_of_its_group_and_only_from_there() -> None:
    record = relay("10.1.0.1", roles=PeerRole.MAILBOX)
    own, *lists = keys_of(record, by_port=False)
    assert own == own_key(record)
    assert len(set(lists)) == len(MAIL_LIST_BITS)
    assert lists[0] == mail_list_key(bytes(20), 0)
    for key in lists:
        assert may_store(key, record, ("10.1.200.1", 9), by_port=False)
        assert not may_store(key, record, ("10.2.0.1", 4_000), by_port=False)
        assert not may_store(key, relay("10.1.0.1"), ("10.1.0.1", 4_000), by_port=False)
    assert not may_store(group_key(group_of("10.1.0.1", 4_000, by_port=False)), record, ("10.1.0.1", 9), by_port=False)


def test_the_lists_a_mailbox_stands_in_follow_from_the_first_bits_of_its_place() -> None:
    places = [RNG.randbytes(20) for _ in range(200)]
    for bits in MAIL_LIST_BITS:
        for one, other in itertools.pairwise(places):
            same = int.from_bytes(one, "big") >> 160 - bits == int.from_bytes(other, "big") >> 160 - bits
            assert (mail_list_key(one, bits) == mail_list_key(other, bits)) == same


def test_a_group_has_four_places_in_a_list_of_several_and_sixty_four_in_its_own() -> None:
    kept, many = store(), [relay(roles=PeerRole.MAILBOX) for _ in range(70)]
    key = {bits: mail_list_keys(many[0], by_port=False)[n] for n, bits in enumerate(MAIL_LIST_BITS)}
    for bits, room in ((0, 4), (12, 4), (160, 64)):
        for record in many:
            if has_room(key[bits], record, kept.get(key[bits], now_s=NOW_S), by_port=False):
                kept.put(key[bits], record, listing=Listing.MAILBOXES, now_s=NOW_S)
        assert len(kept.get(key[bits], now_s=NOW_S)) == room
    assert has_room(key[0], many[0], kept.get(key[0], now_s=NOW_S), by_port=False)  # a renewal takes no new place
    assert has_room(key[0], relay("10.2.0.1", roles=PeerRole.MAILBOX), kept.get(key[0], now_s=NOW_S), by_port=False)
    assert kept.group_keys_near(bytes(20), now_s=NOW_S) == []  # lists of mailboxes are no groups of relays
