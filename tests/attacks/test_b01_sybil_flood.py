"""B01: an adversary brings many ids. Its share of seats is its share of address groups, not of ids.

400 honest relays of a group each and 100 Sybils; drawn by plain hashing over ids they would hold a majority of one
committee of five in 17. `--long` draws the full 20,000 committees.
"""

from __future__ import annotations

import hashlib
import random

import pytest

from railgun_core.base.ids import Group, PeerId, Tag
from railgun_core.committee.selection import Candidate, select_committee

HONEST, SYBILS, SEATS = 400, 100, 5


@pytest.fixture
def draws(long_run: bool) -> int:
    return 20_000 if long_run else 600


def flooded(sybil_groups: int, rng: random.Random) -> tuple[list[Candidate], set[PeerId]]:
    """The network, and who of it is hostile."""
    honest = [Candidate(PeerId(rng.randbytes(32)), Group(b"h" + n.to_bytes(2, "big")), 0) for n in range(HONEST)]
    sybils = [
        Candidate(PeerId(rng.randbytes(32)), Group(b"s" + (n % sybil_groups).to_bytes(2, "big")), 0)
        for n in range(SYBILS)
    ]
    return honest + sybils, {sybil.peer_id for sybil in sybils}


def captured(candidates: list[Candidate], hostile: set[PeerId], draws: int, rng: random.Random) -> tuple[float, float]:
    """The hostile share of seats, and of committees where they hold a majority."""
    held = [
        len(hostile & set(select_committee(Tag(rng.randbytes(32)), n, candidates, SEATS).members)) for n in range(draws)
    ]
    return sum(held) / (SEATS * draws), sum(count >= 3 for count in held) / draws


def test_a_hundred_sybils_of_ten_groups_get_the_share_of_ten_groups(rng: random.Random, draws: int) -> None:
    candidates, hostile = flooded(10, rng)
    seats, majorities = captured(candidates, hostile, draws, rng)
    assert seats <= 0.035
    assert majorities <= (0.001 if draws >= 20_000 else 0.0034)  # two of 600


def test_even_a_hundred_groups_get_no_more_than_their_share(rng: random.Random, draws: int) -> None:
    """What the mechanism cannot do: an adversary with a fifth of all groups holds a fifth of all seats."""
    candidates, hostile = flooded(100, rng)
    seats, majorities = captured(candidates, hostile, draws, rng)
    spread = 0 if draws >= 20_000 else 0.015
    assert 0.17 <= seats <= 0.23
    assert majorities <= 0.064 + spread


def test_more_ids_in_the_same_groups_win_nothing(rng: random.Random, draws: int) -> None:
    few, hostile_few = flooded(10, rng)
    ten = {candidate.group: candidate for candidate in few if candidate.peer_id in hostile_few}
    thinned = few[:HONEST] + list(ten.values())
    same_tags = rng.random()
    many_seats, _ = captured(few, hostile_few, draws // 4, random.Random(same_tags))
    few_seats, _ = captured(
        thinned, {candidate.peer_id for candidate in ten.values()}, draws // 4, random.Random(same_tags)
    )
    assert many_seats == few_seats


def test_plain_hashing_over_ids_would_have_given_majorities(rng: random.Random) -> None:
    """The yardstick: the same flood without groups, so that the numbers above mean something."""
    candidates, hostile = flooded(10, rng)
    lost, draws = 0, 500
    for _ in range(draws):
        key = rng.randbytes(16)
        lowest = sorted(
            (hashlib.blake2b(c.peer_id, key=key, digest_size=8).digest(), c.peer_id in hostile) for c in candidates
        )[:SEATS]
        lost += sum(bad for _, bad in lowest) >= 3
    assert 0.04 <= lost / draws <= 0.075
