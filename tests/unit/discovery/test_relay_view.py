"""Two who know different parts of a large network find the same relays for a tag."""

from __future__ import annotations

import random

from railgun_core.base.ids import Tag
from railgun_core.committee.epoch import make_clock
from railgun_core.committee.selection import seat_targets
from railgun_core.discovery.crawl import Verifier
from tests.unit.discovery.large_network import NOW, holders, large_network

CLOCK = make_clock(600)
EPOCH, TAGS = CLOCK.epoch_at(NOW.unix_s), 20


async def test_members_that_know_different_parts_draw_the_same_committee() -> None:
    found = large_network(random.Random(5), mailboxes=0)
    whole, verifier = found.whole_view(), Verifier(0)
    for _ in range(TAGS):
        tag = Tag(found.rng.randbytes(32))
        for part in (found.hosts[0::2], found.hosts[1::2]):
            member = found.member(found.rng.sample(part, 60), verifier)
            await member.find_relays(seat_targets(tag, EPOCH, 5))
            drawn = member.view.committee(tag, EPOCH, size=5, clock=CLOCK)
            assert holders(drawn) == holders(whole.committee(tag, EPOCH, size=5, clock=CLOCK))
            assert sum(member.wire.asked.values()) < 1_000
