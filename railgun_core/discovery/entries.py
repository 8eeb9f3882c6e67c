"""The search of a quiet node: it asks the entries it was given and nobody else.

A person who relays nothing and uses guards should meet as few strangers as possible: whoever gets a datagram from this
device learns its address (threats.md B36). So a quiet node follows no contact, answers no question and keeps nothing
alive. What it learns is what its entries hold: enough to find guards, and in a network of more than k nodes not every
relay. The rest of the relays' records come from a guard, over its link.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from railgun_core.discovery.config import DhtConfig
from railgun_core.discovery.crawl import Crawler, Findings, Report
from railgun_core.discovery.datagrams import MAX_DATAGRAM_BYTES, ContactInfo, Endpoint, FindGroups, Groups
from railgun_core.discovery.membership import endpoints_of
from railgun_core.discovery.questions import Questions

_PAGES = 16  # 384 groups of one entry: far above the 16 or so that a node holds


class EntrySearch:
    """Groups and records as the entries know them. Implements `GroupSearch` of the relay view."""

    def __init__(
        self, *, config: DhtConfig, crawler: Crawler, questions: Questions, notice: Callable[[str], None]
    ) -> None:
        self._config = config
        self._crawler = crawler
        self._questions = questions
        self._notice = notice
        self._entries: dict[Endpoint, None] = {}
        self._is_warned = False

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, addresses: Sequence[Endpoint]) -> None:
        """Entries to ask from now on. Sends nothing."""
        self._entries.update(dict.fromkeys(addresses))

    def drop(self, addresses: Iterable[Endpoint]) -> None:
        """Ask these no more."""
        for address in addresses:
            self._entries.pop(address, None)

    async def groups(self, target: bytes, report: Report) -> list[ContactInfo]:
        """Ask every entry for all groups it knows; those that answered, fewer than k, for there are no others."""
        found = await asyncio.gather(*(self._ask(address, target, report) for address in self._entries))
        answered = [who for who in found if who is not None]
        if len(answered) < len(found) and not self._is_warned:
            self._is_warned = True
            self._notice("bootstrap-unreachable")
        return answered[: self._config.k - 1]

    async def pages(self, who: ContactInfo, key: bytes, findings: Findings, *, start: int, total: int) -> None:
        """Read the list that an entry holds under one key."""
        await self._crawler.pages(who, key, findings, start=start, total=total)

    async def _ask(self, address: Endpoint, target: bytes, report: Report) -> ContactInfo | None:
        """All pages of one entry; None when it does not answer."""
        endpoints = await endpoints_of(*address)
        who: ContactInfo | None = None
        start = 0
        for _ in range(_PAGES if endpoints else 0):
            build = partial(FindGroups, target=target, start=start)
            asked = who or ContactInfo(b"", *endpoints[0])
            got = await self._questions.call(asked, build, unproved_bytes=MAX_DATAGRAM_BYTES, anyone=who is None)
            if got is None:
                break
            who, answer = got
            if not isinstance(answer, Groups):
                break
            report(who, answer.keys)
            start += len(answer.keys)
            if not answer.keys or start >= answer.total:
                break
        return who
