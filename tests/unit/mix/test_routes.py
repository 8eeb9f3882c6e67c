"""Legs between two ends, and destinations for cover."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest

from railgun_core.base.ids import PeerId
from railgun_core.mix.routes import LOOK_EVERY_S, Routes, end_hop
from railgun_core.wire.records import PeerRole, Record
from tests.unit.mix.client_desk import SERVES, START, Desk


def routes(rng: random.Random, records: Sequence[Record], *, own: PeerId | None = None) -> Routes:
    made = Routes(rng=rng, records=lambda: records, by_port=False, period_s=1_800, own=own)
    made.look(START)
    return made


@pytest.fixture
def desk(rng: random.Random) -> Desk:
    return Desk(rng)


def test_a_leg_keeps_clear_of_its_ends_and_of_this_node(desk: Desk, rng: random.Random) -> None:
    own = desk.directory[0].peer_id
    made = routes(rng, desk.directory, own=own)
    guard, relay = made.end(desk.directory[1].peer_id), made.end(desk.directory[40].peer_id)
    assert guard is not None
    assert relay is not None
    for _ in range(300):
        leg = made.leg(guard, relay)
        assert leg is not None
        groups = {mix.group for mix in leg.mixes}
        assert len(groups | {guard.group, relay.group}) == 5
        assert own not in {mix.peer_id for mix in leg.mixes}
        assert [hop.delay_ms for hop in leg.hops] == list(leg.delays_ms)
        assert leg.delay_s == pytest.approx(sum(leg.delays_ms) / 1000)
    assert end_hop(guard).delay_ms == 0


def test_where_groups_are_few_a_leg_may_share_one_with_an_end_but_never_be_one(rng: random.Random) -> None:
    desk = Desk(rng, mixes=9, relays=0)
    for node in list(desk.nodes.values()):
        node.group %= 3
    desk.directory = [node.record(desk.at.unix_s) for node in desk.nodes.values()]
    made = routes(rng, desk.directory)
    ends = [made.end(record.peer_id) for record in desk.directory]
    found = 0
    for guard in ends:
        assert guard is not None
        leg = made.leg(guard)
        if leg is not None:
            found += 1
            assert guard.peer_id not in {mix.peer_id for mix in leg.mixes}
    assert found > 0


def test_a_drop_goes_anywhere_but_to_the_guard_group_by_group(desk: Desk, rng: random.Random) -> None:
    own, guard = desk.directory[3].peer_id, desk.directory[5].peer_id
    made = routes(rng, desk.directory, own=own)
    ends = [made.any_end(without=guard) for _ in range(2_000)]
    counted = Counter(end.peer_id for end in ends if end is not None)
    assert len(counted) == len(desk.directory) - 2
    assert not {own, guard} & counted.keys()
    assert max(counted.values()) < 90  # 50 each on average


def test_what_is_known_is_looked_up_again_in_time_or_when_told(desk: Desk, rng: random.Random) -> None:
    records = list(desk.directory)
    made = routes(rng, records)
    assert len(made.mixes) == 36
    records[:] = [r for r in records if desk.nodes[r.peer_id].roles == SERVES][:10]
    made.look(START.after(LOOK_EVERY_S - 1))
    assert len(made.mixes) == 36
    made.look(START.after(LOOK_EVERY_S))
    assert len(made.mixes) == 10
    records[:] = [r for r in desk.directory if desk.nodes[r.peer_id].roles == PeerRole.RELAY]
    made.invalidate()
    made.look(START.after(LOOK_EVERY_S))
    assert made.mixes == ()
    assert made.leg() is None
    assert made.any_end(without=PeerId(b"x" * 32)) is not None


def test_without_records_there_is_nowhere_to_go(rng: random.Random) -> None:
    made = routes(rng, [])
    assert made.any_end(without=PeerId(b"x" * 32)) is None
    assert made.leg() is None
