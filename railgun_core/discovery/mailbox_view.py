"""The mailboxes nearest to any place on the ring, all of them, however few they are among the peers.

They are read from the lists of `placement.py`, the widest first. A list with room left holds every mailbox of its part
of the ring; a full one is read by its next parts, nearest first, until enough groups are found. So up to some fifty
mailboxes cost one search, and what was read serves every place for minutes.
What must stay true: a record counts when two holders give it, or we hold it ourselves, or hardly anybody answered: the
widest list is at one place for everybody, and a single liar there must bring nobody in.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from railgun_core.base.clock import Instant
from railgun_core.base.ids import PeerId
from railgun_core.discovery.config import DhtConfig
from railgun_core.discovery.crawl import Findings, Verifier
from railgun_core.discovery.datagrams import ContactInfo
from railgun_core.discovery.placement import (
    MAIL_LIST_BITS,
    MAILBOXES_PER_GROUP,
    RING_BITS,
    mail_list_key,
    mailbox_place,
)
from railgun_core.wire.records import Record

_HOLDERS_READ = 6
_HOLDERS_AGREE = 2  # where at least one more answered
_FULL_SHARE = 0.75  # of a list's places: from here on its parts are read, which hold the same until it is full
_GROUPS_BITS = MAIL_LIST_BITS[-2]  # the narrowest list of several groups
_LISTS_AT_ONCE = 8
_MAX_LISTS = 8_192
_YOUNG_S = 60.0  # the lists count as young this long after one has changed


class ListSearch(Protocol):
    """Where the lists are read."""

    async def nodes(self, target: bytes) -> list[ContactInfo]:
        """The live nodes nearest to `target`."""

    async def pages(self, who: ContactInfo, key: bytes, findings: Findings, *, start: int, total: int) -> None:
        """Read one holder's list."""


class MailboxView:
    """The mailboxes near any place. `local` gives what this node holds or owns under a key."""

    def __init__(
        self,
        *,
        config: DhtConfig,
        search: ListSearch,
        verifier: Verifier,
        clock: Callable[[], Instant],
        local: Callable[[bytes], Iterable[Record]],
    ) -> None:
        self._config = config
        self._search = search
        self._verifier = verifier
        self._clock = clock
        self._local = local
        self._lists: dict[bytes, tuple[float, tuple[Record, ...]]] = {}  # by key: when it was read, and what it held
        self._reading: dict[bytes, asyncio.Lock] = {}
        self._at_once = asyncio.Semaphore(_LISTS_AT_ONCE)
        self._changed_s = clock().mono_s

    async def near(self, places: Sequence[bytes], *, network: int) -> tuple[Record, ...]:
        """The live records of all mailboxes in the nearest groups of every place. `network`: how many contacts."""
        enough = self._config.groups_per_target + self._config.groups_spare
        found = await asyncio.gather(*(self._within(place, 0, enough, network) for place in dict.fromkeys(places)))
        newest: dict[PeerId, Record] = {}
        for record in (record for records in found for record in records):
            known = newest.get(record.peer_id)
            if known is None or known.sequence < record.sequence:
                newest[record.peer_id] = record
        return tuple(newest.values())

    async def _within(self, place: bytes, level: int, enough: int, network: int) -> list[Record]:
        """Mailboxes of the part that a list covers: all, or so many parts of it that `enough` groups are found."""
        bits = MAIL_LIST_BITS[level]
        records = await self._list(place, bits, network)
        if len(records) < self._config.records_per_group * _FULL_SHARE or bits == _GROUPS_BITS:
            return [*records, *await self._crowded(records, network)]
        found: list[Record] = []
        step = MAIL_LIST_BITS[level + 1]
        goal = int.from_bytes(place, "big")
        for part in range(1 << (step - bits)):  # in this order the parts come nearest first
            there = goal ^ part << (RING_BITS - step)
            found += await self._within(there.to_bytes(len(place), "big"), level + 1, enough, network)
            if len({self._place(record) for record in found}) >= enough:
                break
        return found

    async def _crowded(self, records: Iterable[Record], network: int) -> list[Record]:
        """The own lists of the groups that have all their places in a wider list, and so may have more."""
        counts = Counter(self._place(record) for record in records)
        full = [place for place, count in counts.items() if place is not None and count >= MAILBOXES_PER_GROUP]
        lists = await asyncio.gather(*(self._list(place, RING_BITS, network) for place in full))
        return [record for records in lists for record in records]

    async def _list(self, place: bytes, bits: int, network: int) -> tuple[Record, ...]:
        """What one list holds, as fresh as the cache allows; one search at a time for each."""
        key = mail_list_key(place, bits)
        async with self._reading.setdefault(key, asyncio.Lock()):
            now = self._clock()
            read_s, records = self._lists.get(key, (float("-inf"), ()))
            if network and now.mono_s - read_s > self._cache_s(now.mono_s):
                async with self._at_once:
                    fresh = await self._read(key, place, bits)
                if {record.peer_id for record in fresh} != {record.peer_id for record in records}:
                    self._changed_s = now.mono_s
                records = fresh
                self._lists[key] = (now.mono_s, records)
                self._forget_old()
            findings = Findings(self._verifier, self._acceptable(place, bits))
            for record in (*records, *self._local(key)):
                findings.add_record(record)
            return findings.records

    async def _read(self, key: bytes, place: bytes, bits: int) -> tuple[Record, ...]:
        accept = self._acceptable(place, bits)
        holders = (await self._search.nodes(key))[:_HOLDERS_READ]
        told = [Findings(self._verifier, accept) for _ in holders]
        total = self._config.records_per_group
        await asyncio.gather(
            *(self._search.pages(who, key, one, start=0, total=total) for who, one in zip(holders, told, strict=True))
        )
        votes = Counter(record.peer_id for one in told for record in one.records)
        needed = _HOLDERS_AGREE if len(holders) > _HOLDERS_AGREE else 1
        agreed = Findings(self._verifier, lambda record: votes[record.peer_id] >= needed)
        for record in (record for one in told for record in one.records):
            agreed.add_record(record)
        return agreed.records

    def _acceptable(self, place: bytes, bits: int) -> Callable[[Record], bool]:
        unix_s, tail = self._clock().unix_s, RING_BITS - bits
        prefix = int.from_bytes(place, "big") >> tail

        def accept(record: Record) -> bool:
            own = self._place(record)
            return own is not None and record.is_live(unix_s) and int.from_bytes(own, "big") >> tail == prefix

        return accept

    def _place(self, record: Record) -> bytes | None:
        return mailbox_place(record, by_port=self._config.group_by_port)

    def _cache_s(self, now_s: float) -> float:
        young = now_s - self._changed_s < _YOUNG_S
        return self._config.young_cache_s if young else self._config.mailboxes_cache_s

    def _forget_old(self) -> None:
        while len(self._lists) > _MAX_LISTS:
            oldest = min(self._lists, key=lambda key: self._lists[key][0])
            del self._lists[oldest]
            self._reading.pop(oldest, None)
