"""What the meter says, and that a liar gains nothing from his claims."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.clock import Instant
from railgun_core.base.ids import Group, PeerId
from railgun_core.mix.loops import LoopWatch
from railgun_core.mix.meter import MIN_MIXES, Meter, lacking, path_entropy_bits, pool_of
from railgun_core.mix.topology import MixNode


def mixes(*loads: float) -> list[MixNode]:
    return [
        MixNode(PeerId(n.to_bytes(32, "big")), Group(n.to_bytes(2, "big")), b"k" * 32, load)
        for n, load in enumerate(loads)
    ]


def test_the_pool_is_arrivals_times_delay_of_the_middle_mix() -> None:
    assert pool_of([]) == 0.0
    assert pool_of(mixes(50, 50, 50)) == pytest.approx(11.0)
    assert pool_of(mixes(10, 50, 9_999)) == pytest.approx(11.0)


def test_the_entropy_of_a_path_is_that_of_its_mixes_up_to_that_of_the_network() -> None:
    three = mixes(50, 50, 50)
    assert path_entropy_bits(three, three) == pytest.approx(math.log2(math.e * 50 * 0.66))  # three mixes: all there is
    many = mixes(*[50.0] * 3_000)
    assert path_entropy_bits(many[:3], many) == pytest.approx(3 * math.log2(math.e * 11))
    assert path_entropy_bits(mixes(0, 0, 0), mixes(0, 0, 0)) == 0.0
    assert path_entropy_bits([], []) == 0.0


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), st.floats(0, 6e3))
def test_whoever_claims_more_than_the_median_gains_nothing(loads: list[float], claim: float) -> None:
    honest = mixes(*loads)
    liar = honest[0]
    above = max([*loads, claim])
    bent = [MixNode(liar.peer_id, liar.group, liar.key, above), *honest[1:]]
    bolder = [MixNode(liar.peer_id, liar.group, liar.key, above * 1_000 + 1), *honest[1:]]
    assert path_entropy_bits(bent[:3], bent) == pytest.approx(path_entropy_bits(bolder[:3], bolder)) or len(loads) < 3
    assert path_entropy_bits(honest[:3], honest) >= 0.0


def test_each_lack_has_its_sentence_and_the_first_is_named() -> None:
    good = {"on": True, "guards": 1, "mixes": MIN_MIXES, "pool": 10.0, "alarm": False}
    lacks = [("on", False), ("guards", 0), ("mixes", 31), ("pool", 9.9), ("alarm", True)]
    assert lacking(**good) == ""  # type: ignore[arg-type]
    sentences = [lacking(**{**good, **dict(lacks[at:])}) for at in range(len(lacks))]  # type: ignore[arg-type]
    assert sentences == [
        "Nothing is sent through mixes.",
        "No guard can be reached.",
        "31 mixes are known; 32 are needed.",
        "About 9.9 packets hide one another in a mix; 10 are needed.",
        "Packets of this device vanish on their way: somebody may be dropping them.",
    ]


def test_the_report_puts_it_together(now: Instant) -> None:
    meter, loops, known = Meter(), LoopWatch(), mixes(*[60.0] * 32)
    loops.sent(b"a", now, due_s=1.0)
    loops.returned(b"a", now)

    before = meter.report(on=True, mixes=known, loops=loops, guards=0, packets_per_s=2.0, gb_month=58.0)
    assert (before.anonymous, before.entropy_bits, before.loop_return, before.loops) == (False, None, 1.0, 1)
    meter.sent(known[:3], known)
    after = meter.report(on=True, mixes=known, loops=loops, guards=1, packets_per_s=2.0, gb_month=58.0)
    assert (after.anonymous, after.why, after.mixes, after.groups, after.pool) == (True, "", 32, 32, 13.2)
    assert after.entropy_bits == pytest.approx(10.2, abs=0.1)  # of the whole network: three pools would be 15.5
