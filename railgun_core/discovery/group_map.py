"""Which groups of relays are known, and which parts of the ring have been searched for them.

Committee selection needs the 16 groups nearest to a target. A lookup that ends with its k nearest nodes has seen every
group in the part of the ring around its target where those nodes are: any key there has one of them among its own
nearest. The map remembers such parts as prefixes, so that one search in a small network answers for all targets, and
in a large one tells where to look next until 16 groups are certain.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from railgun_core.discovery.datagrams import ContactInfo

BITS = 160
_MAX_KEYS = 4_096
_MAX_PARTS = 512


def shared_bits(one: bytes, other: bytes) -> int:
    """How many leading bits two ids have in common."""
    return BITS - (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_length()


class GroupMap:
    """Group keys, who reported them, and searched prefixes. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._reporters: dict[bytes, dict[bytes, ContactInfo]] = {}
        self._parts: dict[tuple[int, int], float] = {}  # (prefix, bits) -> searched at

    def __len__(self) -> int:
        return len(self._reporters)

    def report(self, reporter: ContactInfo | None, keys: Iterable[bytes]) -> bool:
        """A node says it holds records of these groups; None is ourselves. True when one is new."""
        fresh = False
        for key in keys:
            if key not in self._reporters:
                if len(self._reporters) >= _MAX_KEYS:
                    break
                self._reporters[key] = {}
                fresh = True
            if reporter is not None:
                self._reporters[key][reporter.id] = reporter
        return fresh

    def reporters(self, key: bytes) -> list[ContactInfo]:
        """Who may be asked for a group's records, latest report first."""
        return list(self._reporters.get(key, {}).values())[::-1]

    def forget(self, key: bytes) -> None:
        """Nobody had a live record of this group."""
        self._reporters.pop(key, None)

    def searched(self, target: bytes, closest: list[ContactInfo], *, k: int, now_s: float) -> None:
        """A lookup for `target` ended with these nodes. Fewer than `k` means there are no more."""
        bits = shared_bits(target, closest[-1].id) if len(closest) >= k else 0
        if len(self._parts) >= _MAX_PARTS:
            del self._parts[min(self._parts, key=lambda part: self._parts[part])]
        self._parts[int.from_bytes(target, "big") >> (BITS - bits), bits] = now_s

    def nearest(self, target: bytes, count: int) -> list[bytes]:
        """Known group keys, nearest to `target` first."""
        goal = int.from_bytes(target, "big")
        return heapq.nsmallest(count, self._reporters, key=lambda key: int.from_bytes(key, "big") ^ goal)

    def gap(self, target: bytes, *, count: int, since_s: float) -> bytes | None:
        """Where to search next so that the `count` groups nearest to `target` are certain; None when they are.

        Only searches made at `since_s` or later count.
        """
        parts = {part for part, at_s in self._parts.items() if at_s >= since_s}
        goal = int.from_bytes(target, "big")
        around = [bits for prefix, bits in parts if goal >> (BITS - bits) == prefix]
        if not around:
            return target
        bits = min(around)
        while bits > 0 and self._inside(goal, bits) < count:
            sibling = (goal ^ (1 << (BITS - bits))) >> (BITS - bits)
            hole = _hole(parts, sibling, bits, goal)
            if hole is not None:
                return hole.to_bytes(20, "big")
            bits -= 1
        return None

    def _inside(self, goal: int, bits: int) -> int:
        prefix = goal >> (BITS - bits)
        return sum(int.from_bytes(key, "big") >> (BITS - bits) == prefix for key in self._reporters)


def _hole(parts: set[tuple[int, int]], prefix: int, bits: int, goal: int) -> int | None:
    """A point below `prefix` that no searched part covers, the tail taken from `goal`; None when all is covered."""
    if any(own <= bits and prefix >> (bits - own) == head for head, own in parts):
        return None
    if not any(own > bits and head >> (own - bits) == prefix for head, own in parts):
        tail = BITS - bits
        return (prefix << tail) | (goal & ((1 << tail) - 1))
    near = (goal >> (BITS - bits - 1)) & 1
    first = _hole(parts, prefix << 1 | near, bits + 1, goal)
    return first if first is not None else _hole(parts, prefix << 1 | (1 - near), bits + 1, goal)
