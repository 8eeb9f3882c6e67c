"""The routing table: exact neighbours, few contacts per network, no dead weight."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from railgun_core.discovery.datagrams import ContactInfo
from railgun_core.discovery.routing import Table, net_of


def table(own_id: bytes = bytes(20), *, limits: bool = False) -> Table:
    return Table(own_id, k=16, per_net_in_bucket=2 if limits else None, per_net_in_table=10 if limits else None)


def somebody(rng: random.Random, host: str = "10.0.0.1") -> ContactInfo:
    return ContactInfo(rng.randbytes(20), host, rng.randrange(1, 65_536))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 200))
def test_the_nearest_are_the_nearest_of_the_whole_table(seed: int, size: int) -> None:
    rng = random.Random(seed)
    routes = table(rng.randbytes(20))
    for _ in range(size):
        routes.heard(somebody(rng), now_s=0.0)
    target = rng.randbytes(20)
    goal = int.from_bytes(target, "big")
    expected = sorted((c.info for c in routes.contacts()), key=lambda c: int.from_bytes(c.id, "big") ^ goal)
    assert routes.nearest(target, 16) == expected[:16]


def test_buckets_cover_the_ring_without_overlap_and_hold_their_own() -> None:
    rng = random.Random(1)
    routes = table(rng.randbytes(20))
    for _ in range(2_000):
        routes.heard(somebody(rng), now_s=0.0)
    assert routes.buckets[0].range[0] == 0
    assert routes.buckets[-1].range[1] == 2**160 - 1
    for left, right in zip(routes.buckets, routes.buckets[1:], strict=False):
        assert left.range[1] + 1 == right.range[0]
    for bucket in routes.buckets:
        assert len(bucket.nodes) <= 16
        assert all(bucket.range[0] <= c.long_id <= bucket.range[1] for c in bucket.everyone())
    for contact in routes.contacts():
        assert routes.get(contact.id) is contact


def test_own_id_never_enters() -> None:
    routes = table(b"\x07" * 20)
    assert not routes.heard(ContactInfo(b"\x07" * 20, "10.0.0.1", 1), now_s=0.0)
    assert len(routes) == 0


def test_a_contact_leaves_after_two_failures_and_one_who_waited_takes_its_place() -> None:
    rng = random.Random(2)
    routes = table(b"\x00" * 20)
    far = [ContactInfo(b"\xff" + rng.randbytes(19), "10.0.0.1", 1_000 + i) for i in range(18)]
    near = [ContactInfo(b"\x00" + rng.randbytes(19), "10.0.0.1", 2_000 + i) for i in range(4)]
    for contact in far + near:
        routes.heard(contact, now_s=0.0)
    assert sum(c.id[0] == 255 for c in routes.contacts()) == 16
    victim = far[0]
    routes.failed(victim.id, victim.endpoint, may_drop=True)
    assert routes.get(victim.id) is not None
    assert routes.nearest(victim.id, 16)[0] != victim  # not recommended meanwhile
    routes.failed(victim.id, victim.endpoint, may_drop=True)
    assert routes.get(victim.id) is None
    assert sum(c.id[0] == 255 for c in routes.contacts()) == 16


def test_nobody_is_dropped_while_the_fault_may_be_ours() -> None:
    routes = table()
    other = ContactInfo(b"\x01" * 20, "10.0.0.1", 1)
    routes.heard(other, now_s=0.0)
    for _ in range(5):
        routes.failed(other.id, other.endpoint, may_drop=False)
    assert routes.get(other.id) is not None
    routes.heard(other, now_s=9.0)
    assert next(routes.contacts()).failures == 0


def test_a_failure_at_an_old_address_does_not_hurt_the_new_one() -> None:
    routes = table()
    old, new = ContactInfo(b"\x01" * 20, "10.0.0.1", 1), ContactInfo(b"\x01" * 20, "10.0.0.2", 1)
    routes.heard(old, now_s=0.0)
    routes.heard(new, now_s=1.0)
    assert [c.info for c in routes.contacts()] == [new]
    routes.failed(old.id, old.endpoint, may_drop=True)
    assert next(routes.contacts()).failures == 0


def test_networks_are_counted_by_24_bits_of_v4_and_48_of_v6() -> None:
    assert net_of("10.1.2.3") == net_of("10.1.2.200") != net_of("10.1.3.3")
    assert net_of("fd00:1:2:3::1") == net_of("fd00:1:2:4::1") != net_of("fd00:1:3::1")


def test_a_v6_network_gets_two_places_in_a_bucket() -> None:
    rng = random.Random(5)
    routes = table(limits=True)
    for i in range(20):
        routes.heard(somebody(rng, f"fd00:1:2:{i + 1:x}::1"), now_s=0.0)
    assert all(len(list(bucket.everyone())) <= 2 for bucket in routes.buckets)
    assert not routes.has_room_for(ContactInfo(b"\xff" * 20, "fd00:1:2:99::1", 1))
    assert routes.has_room_for(ContactInfo(b"\xff" * 20, "fd00:1:3::1", 1))
