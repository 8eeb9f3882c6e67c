"""The records this node holds for others: several per key, signed, bounded, never older than what was here before.

What must stay true: a later sequence wins and an earlier one never comes back, not even after the later one expired
(a floor is kept until everything below it is expired too); caps refuse what is new and evict only what is least
recent of all; holders never republish, so a record dies with its owner. Theory: protocol.md, section 2.
"""

from __future__ import annotations

import enum
import heapq
from collections import OrderedDict
from typing import TypeAlias

from railgun_core.base.ids import PeerId
from railgun_core.wire.records import CLOCK_SLACK_S, MAX_LIFETIME_S, Record, RecordKind

Slot: TypeAlias = tuple[bytes, PeerId, RecordKind]


class Listing(enum.Enum):
    """What stands under a key."""

    OWN = enum.auto()  # the records of one peer or one tag
    GROUP = enum.auto()  # the relays of an address group: what group_keys_near names
    MAILBOXES = enum.auto()  # one of the lists of mailboxes


class RecordStore:
    """Verified records by key. All times are Unix seconds."""

    def __init__(self, *, per_key: int, per_group: int, total: int) -> None:
        self._per_key = per_key
        self._per_group = per_group
        self._total = total
        self._records: OrderedDict[Slot, Record] = OrderedDict()  # least recently stored first
        self._by_key: dict[bytes, dict[Slot, Record]] = {}
        self._groups: set[bytes] = set()
        self._floors: OrderedDict[Slot, int] = OrderedDict()  # highest sequence of slots that are gone

    def __len__(self) -> int:
        return len(self._records)

    def holds(self, key: bytes, raw: bytes) -> bool:
        """Whether exactly these bytes are here already, so that they need no second verification."""
        return any(record.raw == raw for record in self._by_key.get(key, {}).values())

    def put(self, key: bytes, record: Record, *, listing: Listing, now_s: float) -> bool:
        """Keep a verified record. False when it is not live, older than what was known, or the key is full."""
        if not record.is_live(now_s):
            return False
        slot = (key, record.peer_id, record.kind)
        known = self._records.get(slot)
        if known is not None and not (known.sequence < record.sequence or known.raw == record.raw):
            return False
        if known is None:
            if record.sequence <= self._floors.get(slot, -1):
                return False
            self._drop_dead(key, now_s)
            if len(self._by_key.get(key, ())) >= (self._per_key if listing is Listing.OWN else self._per_group):
                return False
        self._floors.pop(slot, None)
        self._records[slot] = record
        self._records.move_to_end(slot)
        self._by_key.setdefault(key, {})[slot] = record
        if listing is Listing.GROUP:
            self._groups.add(key)
        while len(self._records) > self._total:
            self._remove(next(iter(self._records)))
        return True

    def get(self, key: bytes, *, now_s: float) -> tuple[Record, ...]:
        """The live records under a key, in an order that does not change while they stay."""
        self._drop_dead(key, now_s)
        return tuple(self._by_key.get(key, {}).values())

    def group_keys_near(self, target: bytes, *, now_s: float) -> list[bytes]:
        """Keys of groups with a live record, nearest to `target` first. Sorts all groups held here."""
        goal = int.from_bytes(target, "big")
        live = [k for k in self._groups if any(r.is_live(now_s) for r in self._by_key.get(k, {}).values())]
        return heapq.nsmallest(len(live), live, key=lambda k: int.from_bytes(k, "big") ^ goal)

    def sweep(self, *, now_s: float) -> int:
        """Forget what is expired, and floors that guard nothing any more. How many records went."""
        dead = [slot for slot, record in self._records.items() if not record.is_live(now_s)]
        for slot in dead:
            self._remove(slot)
        horizon_ms = int((now_s - MAX_LIFETIME_S - CLOCK_SLACK_S) * 1000)
        for slot in [slot for slot, sequence in self._floors.items() if sequence < horizon_ms]:
            del self._floors[slot]
        return len(dead)

    def _drop_dead(self, key: bytes, now_s: float) -> None:
        for slot in [s for s, record in self._by_key.get(key, {}).items() if not record.is_live(now_s)]:
            self._remove(slot)

    def _remove(self, slot: Slot) -> None:
        record = self._records.pop(slot)
        self._floors[slot] = record.sequence
        while len(self._floors) > self._total:
            self._floors.popitem(last=False)
        siblings = self._by_key[slot[0]]
        del siblings[slot]
        if not siblings:
            del self._by_key[slot[0]]
            self._groups.discard(slot[0])
