"""The map of groups."""

from __future__ import annotations

import random

from railgun_core.base.clock import Instant
from railgun_core.base.keys import Identity
from railgun_core.discovery.datagrams import ContactInfo
from railgun_core.discovery.group_map import GroupMap, shared_bits

ME = Identity(b"\x01" * 32)
HERE = ("10.0.0.1", 4_000)
START = Instant(1_000.0, 1_700_000_000.0)


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
