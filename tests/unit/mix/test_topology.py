"""Which relays mix, which paths they give, and how long a packet waits on them."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.ids import Group, PeerId
from railgun_core.base.keys import Identity
from railgun_core.mix.topology import (
    MAX_DELAYS_MS,
    MixNode,
    Strata,
    choose_path,
    day_of,
    draw_delays,
    hops_of,
    mixes_of,
    stratum_of,
)
from railgun_core.wire.records import Address, AddressKind, PeerBody, PeerRole, Record, sign_record
from tests.unit.mix.chance import ks_distance, ks_limit

PERIOD_S = 1_800
NOW_S = 1_800_000_000 + 900.0  # the middle of a period
DAY = day_of(NOW_S)
SERVES = PeerRole.RELAY | PeerRole.MIX


def record(
    seed: int, *, roles: PeerRole = SERVES, key: bytes = b"k" * 32, signed_s: float = NOW_S - 60, load: int = 12
) -> Record:
    body = PeerBody((Address(AddressKind.DHT, f"10.{seed}.0.1", 4_100),), roles, "0.1.0", 1, 1, mix_key=key)
    body = PeerBody(body.addresses, roles, "0.1.0", 1, 1, mix_key=key, mix_load=load)
    identity = Identity(seed.to_bytes(32, "big"))
    sequence, since_s = int(signed_s * 1000), int(signed_s) - 10
    return sign_record(identity, body, sequence=sequence, not_before_s=since_s, expires_s=int(signed_s) + 7_200)


def node(rng: random.Random, group: int) -> MixNode:
    return MixNode(PeerId(rng.randbytes(32)), Group(group.to_bytes(2, "big")), b"k" * 32, 1.0)


def nodes(rng: random.Random, count: int, groups: int) -> list[MixNode]:
    return [node(rng, n % groups) for n in range(count)]


def test_live_mixes_with_a_key_are_found_with_their_load() -> None:
    records = [record(1), record(2, roles=PeerRole.RELAY), record(3, key=b""), record(4, load=305)]
    found = mixes_of(records, unix_s=NOW_S, by_port=False)
    assert {mix.peer_id for mix in found} == {records[0].peer_id, records[3].peer_id}
    assert {mix.load_per_s for mix in found} == {1.2, 30.5}
    assert {hop.peer_id for hop in hops_of(records, unix_s=NOW_S, by_port=False)} == {
        records[n].peer_id for n in (0, 1, 3)
    }


@pytest.mark.parametrize(
    ("signed_s", "unix_s", "usable"),
    [
        (NOW_S, NOW_S, True),
        (NOW_S - PERIOD_S, NOW_S, True),  # the last period
        (NOW_S - PERIOD_S, NOW_S + 884, True),
        (NOW_S - PERIOD_S, NOW_S + 886, False),  # its key is gone before the packet is there
        (NOW_S - 2 * PERIOD_S, NOW_S, False),
    ],
)
def test_a_mix_whose_key_is_too_old_is_left_out(signed_s: float, unix_s: float, usable: bool) -> None:
    assert bool(mixes_of([record(1, signed_s=signed_s)], unix_s=unix_s, by_port=False)) is usable


def test_of_two_records_of_one_relay_the_newer_counts() -> None:
    records = [record(1, key=b"n" * 32, signed_s=NOW_S), record(1, key=b"o" * 32, signed_s=NOW_S - 100)]
    (found,) = mixes_of(records, unix_s=NOW_S, by_port=False)
    assert found.key == b"n" * 32


def test_strata_are_even_and_change_from_day_to_day(rng: random.Random) -> None:
    peers = [PeerId(rng.randbytes(32)) for _ in range(6_000)]
    today = [stratum_of(peer, DAY) for peer in peers]
    tomorrow = [stratum_of(peer, DAY + 1) for peer in peers]
    assert all(abs(count - 2_000) < 150 for count in Counter(today).values())
    assert abs(sum(a == b for a, b in zip(today, tomorrow, strict=True)) - 2_000) < 150


@given(st.integers(0, 2**32), st.integers(0, 40), st.integers(1, 12), st.integers(0, 4))
def test_a_path_crosses_the_strata_in_order_over_distinct_groups(
    seed: int, count: int, groups: int, avoided: int
) -> None:
    rng = random.Random(seed)
    mixes = nodes(rng, count, groups)
    avoid = {Group(n.to_bytes(2, "big")) for n in range(avoided)}
    path = choose_path(mixes, day=DAY, rng=rng, avoid=avoid)
    fits = _some_triple_fits(mixes, avoid)
    assert (path is not None) == fits
    if path is not None:
        assert [stratum_of(mix.peer_id, DAY) for mix in path] == [0, 1, 2]
        assert len({mix.group for mix in path}) == 3
        assert not {mix.group for mix in path} & avoid


def _some_triple_fits(mixes: list[MixNode], avoid: set[Group]) -> bool:
    ones, twos, threes = ({m.group for m in mixes if stratum_of(m.peer_id, DAY) == s} - avoid for s in range(3))
    return any(len({a, b, c}) == 3 for a in ones for b in twos for c in threes)


def test_many_relays_in_one_group_get_the_share_of_one_group(rng: random.Random) -> None:
    mixes = [*nodes(rng, 120, 40), *(node(rng, 99) for _ in range(300))]
    strata = Strata(mixes, day=DAY)
    hostile = Group((99).to_bytes(2, "big"))
    hits = sum(hostile in {mix.group for mix in strata.path(rng=rng) or ()} for _ in range(2_000))
    assert hits / 2_000 < 3 / 25  # about 3 of 41 groups would be one in fourteen


def test_a_mix_of_bad_standing_is_not_used_and_one_of_unknown_standing_is(rng: random.Random) -> None:
    mixes = nodes(rng, 90, 90)
    bad = {mix.peer_id for mix in mixes[:45]}
    good = mixes[45].peer_id

    def standing(peer_id: PeerId) -> float | None:
        return 79.9 if peer_id in bad else 80.0 if peer_id == good else None

    strata = Strata(mixes, day=DAY, standing=standing)
    used = {mix.peer_id for _ in range(500) for mix in strata.path(rng=rng) or ()}
    assert used == {mix.peer_id for mix in mixes[45:]}


def test_delays_are_exponential_and_bounded_in_sum(rng: random.Random) -> None:
    drawn = [draw_delays(rng) for _ in range(10_000)]
    assert all(sum(delays) <= MAX_DELAYS_MS for delays in drawn)
    # 1 % of the sums are cut off, which lowers the mean of one delay from 220 to 215 ms.
    singles = [delays[position] for position in range(3) for delays in drawn[:3_000]]
    assert 208 < sum(singles) / len(singles) < 220
    first = [delays[0] for delays in drawn]
    assert ks_distance(first, mean=220.0) < ks_limit(len(first), p=0.01)
