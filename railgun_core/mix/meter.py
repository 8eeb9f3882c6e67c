"""How anonymous this device is now: figures that a person sees, and one sentence about what is lacking.

The pool is the mean number of packets among which one hides in a mix: arrivals a second times mean delay (Little). A
packet leaves an exponential mix with the entropy log2(e x pool) bits (Danezis, "The Traffic Analysis of
Continuous-Time Mixes", 2004); its path has the sum, but no more than hides among all packets under way in the network.
Mixes say their load themselves. So none counts for more than the median: who claims more gains nothing, and who wants
to bend the median has to run half of the mixes. That much is not proved, and this is an estimate.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from railgun_core.mix.loops import LoopWatch
from railgun_core.mix.topology import MEAN_DELAY_MS, STRATA, MixNode
from railgun_core.status import Anonymity

MIN_MIXES = 32
MIN_POOL = 10.0
MEAN_DELAY_S = MEAN_DELAY_MS / 1000


def median_load_per_s(mixes: Sequence[MixNode]) -> float:
    """The packets a second through a mix in the middle; 0 when there is none."""
    return statistics.median(node.load_per_s for node in mixes) if mixes else 0.0


def pool_of(mixes: Sequence[MixNode]) -> float:
    """The packets among which one hides in a mix, taking the median mix."""
    return median_load_per_s(mixes) * MEAN_DELAY_S


def path_entropy_bits(path: Sequence[MixNode], mixes: Sequence[MixNode]) -> float:
    """What a global observer does not know of a message that took this path, in bits; at least 0."""
    median = median_load_per_s(mixes)
    total = sum(_bits(min(node.load_per_s, median) * MEAN_DELAY_S) for node in path)
    arrivals_per_s = median * len(mixes) / STRATA  # every packet passes one mix of each stratum
    return min(total, _bits(arrivals_per_s * STRATA * MEAN_DELAY_S))


def lacking(*, on: bool, mixes: int, pool: float, alarm: bool, guards: int) -> str:
    """The first thing that is lacking, as a sentence; empty when nothing is."""
    if not on:
        return "Nothing is sent through mixes."
    if guards == 0:
        return "No guard can be reached."
    if mixes < MIN_MIXES:
        return f"{mixes} mixes are known; {MIN_MIXES} are needed."
    if pool < MIN_POOL:
        return f"About {pool:.1f} packets hide one another in a mix; {MIN_POOL:.0f} are needed."
    if alarm:
        return "Packets of this device vanish on their way: somebody may be dropping them."
    return ""


def _bits(pool: float) -> float:
    return max(0.0, math.log2(math.e * pool)) if pool > 0 else 0.0


class Meter:
    """Keeps the entropy of the last message and puts the figures together."""

    def __init__(self) -> None:
        self._entropy_bits: float | None = None

    def sent(self, path: Sequence[MixNode], mixes: Sequence[MixNode]) -> None:
        """A real message left over this path."""
        self._entropy_bits = path_entropy_bits(path, mixes)

    def report(
        self,
        *,
        on: bool,
        mixes: Sequence[MixNode],
        loops: LoopWatch,
        guards: int,
        packets_per_s: float,
        gb_month: float,
    ) -> Anonymity:
        """All figures. `anonymous` only when nothing is lacking."""
        pool = pool_of(mixes)
        why = lacking(on=on, mixes=len(mixes), pool=pool, alarm=loops.alarm, guards=guards)
        return Anonymity(
            anonymous=not why,
            why=why,
            mixes=len(mixes),
            groups=len({node.group for node in mixes}),
            pool=round(pool, 2),
            entropy_bits=None if self._entropy_bits is None else round(self._entropy_bits, 1),
            loop_return=loops.share,
            loops=loops.settled,
            alarm=loops.alarm,
            guards=guards,
            packets_per_s=packets_per_s,
            gb_month=gb_month,
        )
