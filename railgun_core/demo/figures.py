"""Quantiles of what a demo measured."""

from __future__ import annotations

from collections.abc import Sequence


def quantiles(values: Sequence[float], which: Sequence[int]) -> dict[str, float | None]:
    """Quantiles by nearest rank; 100 is named max. None without values."""
    ordered = sorted(values)
    names = {100: "max"}
    return {
        names.get(q, f"p{q}"): round(ordered[min(len(ordered) - 1, len(ordered) * q // 100)], 2) if ordered else None
        for q in which
    }
