"""B03: who has watched a room for a hundred epochs guesses a seat of the next no better than chance.

The yardstick beside it: the seed document's draw by public room id, which anybody can compute for any epoch.
"""

from __future__ import annotations

import math
import random
from collections import Counter, deque

from railgun_core.base.ids import Group, PeerId
from railgun_core.committee.selection import Candidate, select_committee, select_committee_for_room
from railgun_core.rooms.epoch_keys import epoch_keys

RELAYS, SEATS, WATCHED = 60, 5, 100


def network(rng: random.Random) -> list[Candidate]:
    return [Candidate(PeerId(rng.randbytes(32)), Group(n.to_bytes(2, "big")), 0) for n in range(RELAYS)]


def test_a_hundred_watched_epochs_foretell_nothing(rng: random.Random, long_run: bool) -> None:
    pool, root, guesses = network(rng), rng.randbytes(32), 10_000 if long_run else 800
    watched: deque[tuple[PeerId, ...]] = deque(maxlen=WATCHED)
    hits: Counter[str] = Counter()
    past_tag = epoch_keys(root, 0).tag
    for epoch in range(WATCHED + guesses):
        drawn = select_committee(epoch_keys(root, epoch).tag, epoch, pool, SEATS).members
        if len(watched) == WATCHED:
            often = Counter(peer for members in watched for peer in members)
            hits["the most frequent so far"] += often.most_common(1)[0][0] in drawn
            hits["the rarest so far"] += min(pool, key=lambda relay: often[relay.peer_id]).peer_id in drawn
            hits["the first of the last epoch"] += watched[-1][0] in drawn
            hits["the draw of an old tag"] += select_committee(past_tag, epoch, pool, SEATS).members[0] in drawn
        watched.append(drawn)
    # The groups' places on the ring are public and not quite even (protocol.md 4): frequency knows that, no more.
    chance = SEATS / RELAYS
    bound = chance + 3 * math.sqrt(chance * (1 - chance) / guesses)
    for way, count in hits.items():
        slack = 0.04 if way == "the most frequent so far" else 0.0
        assert count / guesses <= bound + slack, way


def test_a_draw_by_public_room_id_is_foretold_by_anybody(rng: random.Random) -> None:
    pool = network(rng)
    seen = [select_committee_for_room("garden", epoch, pool, SEATS) for epoch in range(20)]
    assert seen == [select_committee_for_room("garden", epoch, list(reversed(pool)), SEATS) for epoch in range(20)]
