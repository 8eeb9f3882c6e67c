"""What waits in a mix leaves in its time and in its order, or not at all."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from railgun_core.base.ids import LinkId, PeerId
from railgun_core.mix.pool import Arrivals, Held, Pool

HOP, OTHER = PeerId(b"h" * 32), PeerId(b"o" * 32)
LINK, FLOOD = LinkId(1), LinkId(2)


def held(due_s: float, *, late_s: float = 0.02, hop: PeerId | None = HOP, source: LinkId = LINK) -> Held:
    return Held(due_s, due_s + late_s, hop, b"", source=source)


def entered(pool: Pool, *batch: Held, now_s: float = 0.0) -> list[Held]:
    for _ in batch:
        assert pool.enter(LINK)
    return pool.saved(list(batch), now_s)


@given(st.lists(st.integers(1, 1_840), max_size=50))
def test_each_leaves_at_its_own_moment(delays_ms: list[int]) -> None:
    pool = Pool(bound=300, share=300)
    assert entered(pool, *(held(ms / 1000) for ms in delays_ms)) == []
    left: list[tuple[float, float]] = []
    while (at_s := pool.next_s()) is not None:
        left += [(at_s, leaving.due_s) for leaving in pool.pop_due(at_s)]
    assert [at_s for at_s, _ in left] == sorted(ms / 1000 for ms in delays_ms)
    assert all(at_s == due_s for at_s, due_s in left)
    assert (len(pool), pool.late) == (0, 0)


def test_the_bound_counts_what_is_unsaved_and_delayed_and_without_a_link() -> None:
    pool = Pool(bound=3, share=3)
    entered(pool, held(1.0))
    assert pool.park(held(0.0, late_s=1.0))
    assert pool.enter(LINK)
    assert len(pool) == 3
    assert not pool.enter(LINK)
    assert not pool.park(held(0.0))
    assert pool.full == 2
    pool.leave(LINK)
    assert pool.enter(LINK)


def test_one_link_takes_no_more_than_its_share_and_gets_it_back() -> None:
    pool = Pool(bound=10, share=4)
    assert [pool.enter(FLOOD) for _ in range(6)] == [True] * 4 + [False] * 2
    assert pool.enter(LINK)
    assert pool.saved([held(1.0, source=FLOOD), held(0.0, source=FLOOD)], 0.0)
    assert [pool.enter(FLOOD) for _ in range(2)] == [True, False]
    assert len(pool.pop_due(1.0)) == 1
    assert [pool.enter(FLOOD) for _ in range(2)] == [True, False]
    assert (len(pool), pool.full) == (5, 4)


def test_a_save_that_took_too_long_costs_the_packet() -> None:
    pool = Pool(bound=300, share=300)
    in_time, late, later = held(0.015), held(0.005), held(0.9)
    assert entered(pool, in_time, late, later, now_s=0.03) == [in_time]
    assert pool.late == 1
    assert pool.next_s() == 0.9


def test_a_tick_that_comes_late_drops_what_it_missed() -> None:
    pool = Pool(bound=300, share=300)
    entered(pool, held(0.100), held(0.110), held(0.500))
    assert [leaving.due_s for leaving in pool.pop_due(0.125)] == [0.110]
    assert (pool.late, len(pool)) == (1, 1)


def test_what_has_no_link_waits_for_it_and_not_longer_than_it_may() -> None:
    pool = Pool(bound=300, share=300)
    short, long = held(0.0, late_s=0.02), held(0.0, late_s=1.0)
    for leaving in (short, long, held(0.0, late_s=1.0, hop=OTHER)):
        assert pool.park(leaving)
    assert pool.next_s() == 0.02
    assert pool.pop_due(0.02) == []
    assert (pool.late, len(pool), pool.next_s()) == (1, 2, 1.0)
    assert pool.unpark(HOP, 0.5) == [long]
    assert pool.unpark(HOP, 0.5) == []
    assert len(pool) == 1


def test_the_rate_is_that_of_the_last_minute() -> None:
    arrivals, rng = Arrivals(), random.Random(5)
    assert arrivals.per_s(0.0) == 0.0
    at_s = 0.0
    while at_s < 300.0:
        at_s += rng.expovariate(40.0)
        arrivals.note(at_s)
    assert arrivals.per_s(300.0) == pytest.approx(40.0, rel=0.1)
    assert arrivals.per_s(330.0) == pytest.approx(20.0, rel=0.15)
    assert arrivals.per_s(361.0) == 0.0


class PoolMachine(RuleBasedStateMachine):
    """Any order of arrivals, saves, links and late ticks: every packet leaves once, in time, or is counted."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pool(bound=12, share=6)
        self.now_s = 0.0
        self.unsaved: list[Held] = []
        self.entered = self.left = 0

    def gone(self, leaving: list[Held], *, linked: bool) -> None:
        for one in leaving:
            assert one.due_s <= self.now_s <= one.last_s
            if linked:
                self.left += 1
            else:
                assert self.pool.park(one)  # its place has just become free

    @rule(delay_ms=st.integers(0, 300), source=st.sampled_from([LINK, FLOOD]), hop=st.sampled_from([HOP, OTHER]))
    def arrive(self, delay_ms: int, source: LinkId, hop: PeerId) -> None:
        if self.pool.enter(source):
            self.entered += 1
            due_s = self.now_s + delay_ms / 1000
            self.unsaved.append(held(due_s, hop=hop, source=source))

    @rule(linked=st.booleans())
    def save(self, linked: bool) -> None:
        batch, self.unsaved = self.unsaved, []
        self.gone(self.pool.saved(batch, self.now_s), linked=linked)

    @rule(linked=st.booleans(), late_ms=st.integers(0, 40))
    def tick(self, linked: bool, late_ms: int) -> None:
        next_s = self.pool.next_s()
        if next_s is not None:
            self.now_s = max(self.now_s, next_s) + late_ms / 1000
            due = self.pool.pop_due(self.now_s)
            after_s = self.pool.next_s()
            assert after_s is None or after_s > self.now_s
            self.gone(due, linked=linked)

    @rule(hop=st.sampled_from([HOP, OTHER]), after_ms=st.integers(0, 30))
    def link(self, hop: PeerId, after_ms: int) -> None:
        self.now_s += after_ms / 1000
        self.gone(self.pool.unpark(hop, self.now_s), linked=True)

    @invariant()
    def every_packet_is_here_or_accounted_for(self) -> None:
        assert len(self.pool) <= 12
        assert self.entered == self.left + self.pool.late + len(self.pool)


TestPoolMachine = PoolMachine.TestCase
