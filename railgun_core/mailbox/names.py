"""The names of what is kept under one tag, packed: a mailbox of a gigabyte knows hundreds of thousands of them.

About 130 bytes an envelope, a third of what tuples take. In order of position; the envelopes are on the disk.
"""

from __future__ import annotations

import bisect
from array import array
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Kept(NamedTuple):
    """One durable envelope; `size` is that of its frame."""

    position: int
    digest: bytes  # of its name and its bytes
    size: int
    expiry_s: int


class Names:
    """Kept envelopes in order of position. `in` asks for a digest, in constant time."""

    __slots__ = ("_digests", "_expiries", "_known", "_positions", "_sizes")

    def __init__(self, kept: Iterable[Kept] = ()) -> None:
        self._fill(list(kept))

    def __len__(self) -> int:
        return len(self._positions)

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._known

    def __iter__(self) -> Iterator[Kept]:
        return map(Kept, self._positions, self._digests, self._sizes, self._expiries)

    @property
    def last_expiry_s(self) -> int:
        """When the last of them expires. There must be one."""
        return max(self._expiries)

    def add(self, kept: Kept) -> None:
        """Put one more in its place, which is nearly always the end."""
        at = bisect.bisect_left(self._positions, kept.position)
        self._positions.insert(at, kept.position)
        self._digests.insert(at, kept.digest)
        self._sizes.insert(at, kept.size)
        self._expiries.insert(at, kept.expiry_s)
        self._known.add(kept.digest)

    def since(self, position: int, most: int) -> list[Kept]:
        """Those from `position` on, the first `most` of them."""
        first = bisect.bisect_left(self._positions, position)
        return self._slice(first, min(first + most, len(self)))

    def cut(self, count: int) -> None:
        """Forget the first `count`."""
        self._known.difference_update(self._digests[:count])
        del self._positions[:count], self._digests[:count], self._sizes[:count], self._expiries[:count]

    def expire(self, unix_s: float) -> list[Kept]:
        """Forget those whose time has come, and give them. Costs one look when there is none."""
        if not len(self) or min(self._expiries) > unix_s:
            return []
        everything = list(self)
        self._fill([kept for kept in everything if kept.expiry_s > unix_s])
        return [kept for kept in everything if kept.expiry_s <= unix_s]

    def _fill(self, kept: list[Kept]) -> None:
        self._positions = array("Q", (one.position for one in kept))
        self._digests = [one.digest for one in kept]
        self._sizes = array("I", (one.size for one in kept))
        self._expiries = array("I", (one.expiry_s for one in kept))
        self._known = set(self._digests)

    def _slice(self, first: int, stop: int) -> list[Kept]:
        return [
            Kept(self._positions[n], self._digests[n], self._sizes[n], self._expiries[n]) for n in range(first, stop)
        ]
