"""B02: an outsider makes many ids and keeps the one that would have won most seats of a room.

It knows every public tag of the past. The tags to come are made from a secret it lacks, so its best id wins in the
future what any id wins. In the same group of addresses it has honest rivals; the group is not its choice.
"""

from __future__ import annotations

import hashlib
import math
import random

from railgun_core.base.ids import Group, PeerId, Tag
from railgun_core.committee.selection import Candidate, committee_seed, select_committee
from railgun_core.rooms.epoch_keys import epoch_keys

GROUPS, RIVALS = 16, 4
PAST, FUTURE = 12, 1_200


def ticket(seed: bytes, peer_id: bytes) -> bytes:
    return hashlib.blake2b(b"p" + peer_id, key=seed, digest_size=16).digest()


def ground(seeds: list[bytes], rivals: list[bytes], tries: int, rng: random.Random) -> tuple[PeerId, int]:
    """The id of `tries` that beats all rivals in the most of the known draws, and in how many."""
    bars = [min(ticket(seed, rival) for rival in rivals) for seed in seeds]
    ids = [PeerId(rng.randbytes(32)) for _ in range(tries)]
    best = max(ids, key=lambda one: sum(ticket(seed, one) < bar for seed, bar in zip(seeds, bars, strict=True)))
    return best, sum(ticket(seed, best) < bar for seed, bar in zip(seeds, bars, strict=True))


def test_the_best_of_many_ids_wins_no_more_than_any_other(rng: random.Random, long_run: bool) -> None:
    root, groups = rng.randbytes(32), [Group(bytes((n,)) * 2) for n in range(GROUPS)]
    honest = [Candidate(PeerId(rng.randbytes(32)), group, 0) for group in groups for _ in range(RIVALS)]
    rivals = [candidate.peer_id for candidate in honest if candidate.group == groups[0]]
    past = [committee_seed(epoch_keys(root, epoch).tag, epoch) for epoch in range(PAST)]
    best, won = ground(past, rivals, 1_000_000 if long_run else 10_000, rng)
    assert won >= PAST * 2 // 3  # grinding does win the draws that are known: by chance it would be one in five
    pool = [*honest, Candidate(best, groups[0], 0)]
    seats = wins = 0
    for epoch in range(PAST, PAST + FUTURE):
        drawn = select_committee(epoch_keys(root, epoch).tag, epoch, pool, 5)
        seats += sum(holder.group == groups[0] for holder in drawn.seats)
        wins += best in drawn.members
    share = 1 / (RIVALS + 1)
    assert seats > FUTURE // 5
    assert abs(wins - seats * share) <= 3 * math.sqrt(seats * share * (1 - share))


def test_ids_do_not_move_an_address_group_on_the_ring(rng: random.Random) -> None:
    """Whichever id it takes, the group wins the same seats: only addresses could change that."""
    groups = [Group(bytes((n,)) * 2) for n in range(GROUPS)]
    others = [Candidate(PeerId(rng.randbytes(32)), group, 0) for group in groups[1:]]
    for epoch in range(30):
        tag = Tag(rng.randbytes(32))
        drawn = {
            tuple(
                holder.group
                for holder in select_committee(
                    tag, epoch, [*others, Candidate(PeerId(rng.randbytes(32)), groups[0], 0)], 5
                ).seats
            )
            for _ in range(20)
        }
        assert len(drawn) == 1
