"""B03, second half: tags of consecutive epochs link no better than chance.

10,000 rooms. The guesser sees a tag of one epoch and a tag of the next and says how alike they are; the pairs are of
one room or of two. Three measures of likeness are tried, and the best may not order the pairs better than AUC 0.51.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from railgun_core.rooms.epoch_keys import epoch_keys

PAIRS = 10_000
EPOCH = 3_000_000


def bits_in_common(one: bytes, other: bytes) -> float:
    return 256 - (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()


def bytes_in_common(one: bytes, other: bytes) -> float:
    return sum(a == b for a, b in zip(one, other, strict=True))


def closeness(one: bytes, other: bytes) -> float:
    return -abs(int.from_bytes(one, "little") - int.from_bytes(other, "little"))


def auc(alike: list[float], unlike: list[float]) -> float:
    """The chance that a pair of one room is ranked above a pair of two; ties count half (Mann and Whitney)."""
    ranked = sorted([(value, 1) for value in alike] + [(value, 0) for value in unlike])
    ranks, at = 0.0, 0
    while at < len(ranked):
        end = at
        while end < len(ranked) and ranked[end][0] == ranked[at][0]:
            end += 1
        ranks += (at + end + 1) / 2 * sum(label for _, label in ranked[at:end])
        at = end
    n = len(alike)
    return (ranks - n * (n + 1) / 2) / (n * len(unlike))


def test_tags_of_consecutive_epochs_link_no_better_than_chance() -> None:
    rng = random.Random(1)
    tags = []
    for _ in range(PAIRS):
        root = rng.randbytes(32)
        tags.append((bytes(epoch_keys(root, EPOCH).tag), bytes(epoch_keys(root, EPOCH + 1).tag)))
    strangers = [(tags[n][0], tags[(n + 1) % PAIRS][1]) for n in range(PAIRS)]
    measures: tuple[Callable[[bytes, bytes], float], ...] = (bits_in_common, bytes_in_common, closeness)
    found = {}
    for measure in measures:
        area = auc([measure(*pair) for pair in tags], [measure(*pair) for pair in strangers])
        found[measure.__name__] = round(max(area, 1 - area), 4)
    assert max(found.values()) <= 0.51, found


def test_the_area_tells_what_is_linked_from_what_is_not() -> None:
    """The measure itself works: a tag against itself is found always, a constant never."""
    rng = random.Random(2)
    some = [rng.randbytes(32) for _ in range(200)]
    own = [bits_in_common(tag, tag) for tag in some]
    other = [bits_in_common(tag, some[(n + 1) % 200]) for n, tag in enumerate(some)]
    assert auc(own, other) == 1.0
    assert auc([1.0] * 50, [1.0] * 50) == 0.5
