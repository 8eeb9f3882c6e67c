"""What this node knows of the relay directory: groups, their relays, and how fresh that is.

One view serves all callers. A search is made only where the map of the ring has a gap; with at most 16 groups one
lookup closes all gaps at once. Between searches, what owners store here is seen at once.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

from railgun_core.base.clock import Instant
from railgun_core.base.ids import PeerId
from railgun_core.discovery.config import DhtConfig
from railgun_core.discovery.crawl import Findings, Report, Verifier
from railgun_core.discovery.datagrams import ContactInfo
from railgun_core.discovery.group_map import GroupMap
from railgun_core.discovery.placement import names_group
from railgun_core.wire.records import Record

_ROUNDS = 12  # searches in a row for one call; each widens the searched part of the ring
_REPORTERS_ASKED = 2
_GROUPS_AT_ONCE = 8
_YOUNG_S = 60.0  # the view counts as young this long after a group was new


class GroupSearch(Protocol):
    """Where the view gets its facts from."""

    async def groups(self, target: bytes, report: Report) -> list[ContactInfo]:
        """Report the groups near `target`; who was asked and answered, nearest first."""

    async def pages(self, who: ContactInfo, key: bytes, findings: Findings, *, start: int, total: int) -> None:
        """Read one holder's list."""


class RelayView:
    """The relays near any target. `local` gives the group records held by or owned by this node, by ring key."""

    def __init__(
        self,
        *,
        config: DhtConfig,
        crawler: GroupSearch,
        verifier: Verifier,
        clock: Callable[[], Instant],
        local: Callable[[], dict[bytes, tuple[Record, ...]]],
    ) -> None:
        self._config = config
        self._crawler = crawler
        self._verifier = verifier
        self._clock = clock
        self._local = local
        self._map = GroupMap()
        self._fetched: dict[bytes, tuple[float, tuple[Record, ...]]] = {}
        self._changed_s = clock().mono_s
        self._searching = asyncio.Lock()
        self._fetching = asyncio.Semaphore(_GROUPS_AT_ONCE)
        self.on_lookup: Callable[[float], None] = lambda seconds: None

    async def near(self, targets: Sequence[bytes], *, network: int) -> tuple[Record, ...]:
        """Live relay records of the nearest groups of every target. `network`: how many contacts there are.

        At 640 groups a committee asks about 700 questions, and nothing for a while after.
        """
        local = self._local()
        self._note(None, tuple(local))
        if network:
            async with self._searching:
                await self._search(targets, small=network < 2 * self._config.k)
        found: dict[bytes, tuple[Record, ...]] = {}
        for _ in range(3):
            missing = [key for key in self._wanted(targets) if key not in found]
            if not missing:
                break
            got = await asyncio.gather(*(self._group(key, local.get(key, ())) for key in missing))
            for key, records in zip(missing, got, strict=True):
                found[key] = records
                if not records:
                    self._map.forget(key)
        newest: dict[PeerId, Record] = {}
        for records in found.values():
            for record in records:
                known = newest.get(record.peer_id)
                if known is None or known.sequence < record.sequence:
                    newest[record.peer_id] = record
        return tuple(newest.values())

    def _wanted(self, targets: Sequence[bytes]) -> list[bytes]:
        nearest = (self._map.nearest(target, depth) for target, depth in self._depths(targets).items())
        return list(dict.fromkeys(key for keys in nearest for key in keys))

    def _depths(self, targets: Sequence[bytes]) -> dict[bytes, int]:
        """How many groups each target needs: so many that `groups_per_target` are near no other target.

        A group that is near several may serve one of them, and leaves the others a place to fill from further away.
        """
        enough, most = self._config.groups_per_target, self._config.groups_per_target + self._config.groups_spare
        near = {target: self._map.nearest(target, most) for target in targets}
        times = Counter(key for keys in near.values() for key in keys)
        depths: dict[bytes, int] = {}
        for target, keys in near.items():
            alone = [at for at, key in enumerate(keys, 1) if times[key] == 1]
            depths[target] = alone[enough - 1] if len(alone) >= enough else most
        return depths

    async def _search(self, targets: Sequence[bytes], *, small: bool) -> None:
        now_s = self._clock().mono_s
        since_s = now_s - self._cache_s(now_s)
        for attempt in range(_ROUNDS):
            depths = self._depths(targets).items()
            found = (self._map.gap(target, count=depth, since_s=since_s) for target, depth in depths)
            gaps = list(dict.fromkeys(gap for gap in found if gap is not None))
            if not gaps:
                return
            if small and attempt == 0:
                gaps = gaps[:1]  # in a small network the first search covers the whole ring
            if not any(await asyncio.gather(*(self._search_one(gap) for gap in gaps))):
                return

    async def _search_one(self, target: bytes) -> bool:
        started_s = self._clock().mono_s
        closest = await self._crawler.groups(target, self._note)
        now_s = self._clock().mono_s
        if closest:
            self._map.searched(target, closest, k=self._config.k, now_s=now_s)
            self.on_lookup(now_s - started_s)
        return bool(closest)

    def _note(self, reporter: ContactInfo | None, keys: tuple[bytes, ...]) -> None:
        if self._map.report(reporter, keys):
            self._changed_s = self._clock().mono_s

    def _cache_s(self, now_s: float) -> float:
        young = now_s - self._changed_s < _YOUNG_S
        return self._config.young_cache_s if young else self._config.settled_cache_s

    async def _group(self, key: bytes, local: tuple[Record, ...]) -> tuple[Record, ...]:
        now = self._clock()
        findings = Findings(self._verifier, self._acceptable(key, now.unix_s))
        for record in local:
            findings.add_record(record)
        fetched_s, records = self._fetched.get(key, (0.0, ()))
        for record in records:
            findings.add_record(record)
        if not findings.records or now.mono_s - fetched_s > self._config.settled_cache_s:
            async with self._fetching:
                await self._fetch(key, findings)
            self._fetched[key] = (self._clock().mono_s, findings.records)
            if len(self._fetched) > 4 * len(self._map) + 64:
                self._fetched = {k: v for k, v in self._fetched.items() if now.mono_s - v[0] < 600.0}
        return findings.records

    async def _fetch(self, key: bytes, findings: Findings) -> None:
        """Read the group's list at two who reported it, and at more only while nothing valid came."""
        asked = self._map.reporters(key)
        total = self._config.records_per_group
        for start in range(0, min(len(asked), 3 * _REPORTERS_ASKED), _REPORTERS_ASKED):
            some = asked[start : start + _REPORTERS_ASKED]
            await asyncio.gather(*(self._crawler.pages(who, key, findings, start=0, total=total) for who in some))
            if findings.records:
                return

    def _acceptable(self, key: bytes, unix_s: float) -> Callable[[Record], bool]:
        by_port = self._config.group_by_port
        return lambda record: record.is_live(unix_s) and names_group(record, key, by_port=by_port)
