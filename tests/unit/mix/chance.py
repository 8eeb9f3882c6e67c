"""Statistics that several tests ask for: distance from a distribution, and how well scores tell two kinds apart."""

from __future__ import annotations

import math
from collections.abc import Sequence


def ks_distance(values: Sequence[float], *, mean: float) -> float:
    """Kolmogorov and Smirnov's distance of a sample from the exponential distribution of this mean."""
    count = len(values)
    worst = 0.0
    for rank, value in enumerate(sorted(values)):
        at = -math.expm1(-value / mean)
        worst = max(worst, at - rank / count, (rank + 1) / count - at)
    return worst


def ks_limit(count: int, *, p: float) -> float:
    """The distance that a true sample of this size exceeds with probability `p`."""
    return math.sqrt(-math.log(p / 2) / 2 / count)


def auc(cover: Sequence[float], real: Sequence[float]) -> float:
    """The probability that a score ranks a real one over a cover one; ties count half. 0.5: it cannot tell."""
    labelled = sorted([(score, 0) for score in cover] + [(score, 1) for score in real])
    ranks, at = 0.0, 0
    while at < len(labelled):
        end = at
        while end < len(labelled) and labelled[end][0] == labelled[at][0]:
            end += 1
        ranks += sum(label for _, label in labelled[at:end]) * (at + end + 1) / 2
        at = end
    return (ranks - len(real) * (len(real) + 1) / 2) / (len(cover) * len(real))
