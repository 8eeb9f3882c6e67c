"""Round trips, write tokens, the owner's timetable, the contacts file, the group map."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from pathlib import Path

from railgun_core.base.clock import Instant
from railgun_core.base.ids import PeerId, Tag
from railgun_core.base.keys import Identity
from railgun_core.discovery.contacts_file import load_contacts, save_contacts
from railgun_core.discovery.datagrams import ContactInfo
from railgun_core.discovery.group_map import GroupMap, shared_bits
from railgun_core.discovery.ownership import Ownership
from railgun_core.discovery.round_trips import FLOOR_S, START_S, RoundTrips
from railgun_core.discovery.write_tokens import WriteTokens
from railgun_core.wire.records import AnnouncementBody, PeerBody, PeerRole, Record, sign_record

ME = Identity(b"\x01" * 32)
HERE = ("10.0.0.1", 4_000)
START = Instant(1_000.0, 1_700_000_000.0)


def test_timeouts_start_at_400_ms_and_follow_the_network_down_and_up() -> None:
    trips = RoundTrips()
    assert trips.timeout_s(HERE) == START_S
    for _ in range(20):
        trips.sample(HERE, 0.04)
    assert FLOOR_S <= trips.timeout_s(HERE) < 0.15
    assert trips.timeout_s(("10.0.0.2", 1)) < START_S
    for _ in range(10):
        trips.sample(HERE, 1.5)
    assert trips.timeout_s(HERE) == START_S


def test_a_token_belongs_to_one_address_and_one_key_for_ten_to_twenty_minutes() -> None:
    tokens = WriteTokens(random.Random(1), now_s=0.0)
    other = Identity(b"\x02" * 32).public_key
    token = tokens.issue(HERE, ME.public_key, now_s=1.0)
    assert tokens.valid(token, HERE, ME.public_key, now_s=2.0)
    assert not tokens.valid(token, ("10.0.0.1", 4_001), ME.public_key, now_s=2.0)
    assert not tokens.valid(token, HERE, other, now_s=2.0)
    assert not tokens.valid(b"", HERE, ME.public_key, now_s=2.0)
    assert tokens.valid(token, HERE, ME.public_key, now_s=700.0)
    assert not tokens.valid(token, HERE, ME.public_key, now_s=1_301.0)


def test_a_token_is_dead_after_a_long_sleep() -> None:
    tokens = WriteTokens(random.Random(1), now_s=0.0)
    token = tokens.issue(HERE, ME.public_key, now_s=1.0)
    assert not tokens.valid(token, HERE, ME.public_key, now_s=5_000.0)


def _peer(lifetime_s: int = 7_200) -> Record:
    at_s = int(START.unix_s)
    body = PeerBody((), PeerRole.RELAY, "test", 1, 1)
    return sign_record(ME, body, sequence=at_s * 1000, not_before_s=at_s, expires_s=at_s + lifetime_s)


def test_an_owner_stores_again_soon_and_then_at_a_third_of_the_lifetime() -> None:
    owned = Ownership(ME, rng=random.Random(3))
    owned.add(_peer(), now=START)
    times = [t for t in range(1, 7_200) if owned.due(now=START.after(t))]
    assert times[:3] == [2, 5, 15]
    assert all(1_900 <= later - earlier <= 2_900 for earlier, later in pairwise(times[3:]))
    assert 1_900 <= times[3] <= 2_900


def test_a_peer_record_is_signed_anew_and_stays_live() -> None:
    owned = Ownership(ME, rng=random.Random(3))
    first = _peer()
    owned.add(first, now=START)
    for t in range(1, 20_000):
        owned.due(now=START.after(t))
    (last,) = owned.records
    assert last.sequence > first.sequence
    assert last.not_before_s == first.not_before_s
    assert last.is_live(START.unix_s + 20_000)


def test_an_announcement_ends_with_its_epoch() -> None:
    owned = Ownership(ME, rng=random.Random(3))
    at_s = int(START.unix_s)
    body = AnnouncementBody(Tag(bytes(32)), 1, 0, 0, (PeerId(bytes(32)),))
    record = sign_record(ME, body, sequence=at_s * 1000, not_before_s=at_s, expires_s=at_s + 600)
    owned.add(record, now=START)
    stored = [r for t in range(1, 600) for r, _ in owned.due(now=START.after(t))]
    assert stored
    assert all(r == record for r in stored)
    assert owned.due(now=START.after(601)) == []
    assert len(owned) == 0


def test_a_strangers_record_is_not_kept_alive() -> None:
    owned = Ownership(Identity(b"\x09" * 32), rng=random.Random(3))
    owned.add(_peer(), now=START)
    assert len(owned) == 0


def test_contacts_survive_a_restart_and_damage_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "contacts.json"
    contacts = (ContactInfo(b"a" * 20, "10.0.0.1", 1), ContactInfo(b"b" * 20, "fd00::1", 65_535))
    assert save_contacts(path, contacts)
    assert load_contacts(path) == contacts
    wrong: list[object] = [
        [], {}, {"version": 2}, {"version": 1, "contacts": 3},
        {"version": 1, "contacts": [3, {}, {"id": "zz", "host": "10.0.0.1", "port": 1},
                                    {"id": "61" * 20, "host": "example", "port": 1},
                                    {"id": "61" * 20, "host": "10.0.0.1", "port": 0}]},
    ]  # fmt: skip
    for content in wrong:
        path.write_text(json.dumps(content), encoding="ascii")
        assert load_contacts(path) == ()
    path.write_bytes(b"\xff\x00")
    assert load_contacts(path) == ()
    assert load_contacts(tmp_path / "none") == ()
    assert not save_contacts(tmp_path / "deep" / "contacts.json" / "below", contacts)


def node_at(value: int) -> ContactInfo:
    return ContactInfo(value.to_bytes(20, "big"), "10.0.0.1", 1)


def test_one_search_in_a_small_network_closes_every_gap() -> None:
    groups = GroupMap()
    assert groups.gap(bytes(20), count=16, since_s=0.0) == bytes(20)
    groups.searched(bytes(20), [node_at(i << 150) for i in range(1, 9)], k=16, now_s=5.0)
    for target in (bytes(20), b"\xff" * 20, b"\x55" * 20):
        assert groups.gap(target, count=16, since_s=0.0) is None
        assert groups.gap(target, count=16, since_s=6.0) == target


def test_searches_widen_until_enough_groups_are_certain() -> None:
    rng = random.Random(8)
    nodes = [ContactInfo(rng.randbytes(20), "10.0.0.1", 1) for _ in range(400)]
    keys = [rng.randbytes(20) for _ in range(60)]
    target = rng.randbytes(20)

    def near(pool: list[bytes], goal: bytes, count: int) -> list[bytes]:
        at = int.from_bytes(goal, "big")
        return sorted(pool, key=lambda each: int.from_bytes(each, "big") ^ at)[:count]

    by_id = {node.id: node for node in nodes}
    holders = {key: set(near(list(by_id), key, 16)) for key in keys}
    groups, searches = GroupMap(), 0
    while (gap := groups.gap(target, count=16, since_s=0.0)) is not None:
        closest = [by_id[each] for each in near(list(by_id), gap, 16)]
        for node in closest:
            groups.report(node, tuple(key for key in keys if node.id in holders[key]))
        groups.searched(gap, closest, k=16, now_s=1.0)
        searches += 1
        assert searches < 40
    assert groups.nearest(target, 16) == near(keys, target, 16)
    assert searches > 1


def test_shared_bits_counts_the_common_prefix() -> None:
    assert shared_bits(bytes(20), bytes(20)) == 160
    assert shared_bits(bytes(20), b"\x80" + bytes(19)) == 0
    assert shared_bits(bytes(20), b"\x01" + bytes(19)) == 7
