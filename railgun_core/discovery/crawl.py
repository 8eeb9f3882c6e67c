"""Searches on real sockets: the lookup machine driven by questions and answers.

Everything here returns verified records or contacts that answered; nothing raises for what a peer did.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeAlias

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.keys import solves_puzzle
from railgun_core.discovery.config import DhtConfig
from railgun_core.discovery.datagrams import (
    MAX_DATAGRAM_BYTES,
    Answer,
    ContactInfo,
    FindGroups,
    FindNode,
    FindValue,
    Groups,
    Nodes,
    Question,
    Values,
)
from railgun_core.discovery.lookup import Lookup
from railgun_core.discovery.questions import UNPROVED_LIST_BYTES, Asking, Questions
from railgun_core.discovery.routing import Table
from railgun_core.wire.records import Record, decode_record

Report: TypeAlias = Callable[[ContactInfo, tuple[bytes, ...]], None]

_VERIFIED_REMEMBERED = 4_096
_HOLDERS_PAGED = 4  # holders whose whole list is read; with a fifth hostile all four lie in 0.2 % of cases
_GROUP_PAGES = 3


class Verifier:
    """Decodes records, remembering those it has verified, since many holders send the same bytes."""

    def __init__(self, puzzle_bits: int) -> None:
        self._puzzle_bits = puzzle_bits
        self._known: OrderedDict[bytes, Record] = OrderedDict()

    def decode(self, raw: bytes) -> Record | None:
        """The record, or None when it is not one we accept."""
        known = self._known.get(raw)
        if known is not None:
            return known
        try:
            record = decode_record(raw)
        except MalformedFrame:
            return None
        if not solves_puzzle(record.public_key, self._puzzle_bits):
            return None
        self._known[raw] = record
        if len(self._known) > _VERIFIED_REMEMBERED:
            self._known.popitem(last=False)
        return record


class Findings:
    """Records of one search: per peer the newest that passes `accept`."""

    def __init__(self, verifier: Verifier, accept: Callable[[Record], bool]) -> None:
        self._verifier = verifier
        self._accept = accept
        self._newest: dict[bytes, Record] = {}

    def add(self, raws: Iterable[bytes]) -> int:
        """How many of these were acceptable."""
        good = 0
        for raw in raws:
            record = self._verifier.decode(raw)
            if record is not None and self.add_record(record):
                good += 1
        return good

    def add_record(self, record: Record) -> bool:
        if not self._accept(record):
            return False
        known = self._newest.get(record.public_key)
        if known is None or known.sequence < record.sequence:
            self._newest[record.public_key] = record
        return True

    @property
    def records(self) -> tuple[Record, ...]:
        return tuple(self._newest.values())


class Crawler:
    """The searches of one node."""

    def __init__(self, own_id: bytes, *, config: DhtConfig, table: Table, questions: Questions) -> None:
        self._own_id = own_id
        self._config = config
        self._table = table
        self._questions = questions

    async def nodes(self, target: bytes) -> list[ContactInfo]:
        """The live nodes nearest to `target`, at most k. Fewer than k means that there are no others."""
        machine = self._machine(target, self._config.paths)
        await self._drive(machine, lambda token: FindNode(token, target), UNPROVED_LIST_BYTES, lambda who, answer: None)
        return machine.closest()

    async def records(self, key: bytes, findings: Findings, *, paths: int, holders: int | None) -> list[ContactInfo]:
        """Fill `findings` from the nodes nearest to `key`; `holders` None reads all, else stops after so many."""
        machine = self._machine(key, paths)
        more: list[tuple[ContactInfo, int, int]] = []
        seen = 0

        def heard(who: ContactInfo, answer: Answer) -> None:
            nonlocal seen
            if not isinstance(answer, Values):
                return
            if findings.add(answer.records):
                seen += 1
            if answer.total > len(answer.records):
                more.append((who, len(answer.records), answer.total))
            if holders is not None and seen >= holders:
                machine.stop()

        await self._drive(machine, lambda token: FindValue(token, key, 0), MAX_DATAGRAM_BYTES, heard)
        if holders is None:
            limit = self._config.records_per_key
            await asyncio.gather(
                *(
                    self.pages(who, key, findings, start=at, total=min(total, limit))
                    for who, at, total in more[:_HOLDERS_PAGED]
                )
            )
        return machine.closest()

    async def pages(self, who: ContactInfo, key: bytes, findings: Findings, *, start: int, total: int) -> None:
        """Read one holder's list from `start` to `total`, or until it has no more to say."""
        while start < total:
            build = partial(FindValue, key=key, start=start)
            got = await self._questions.call(who, build, unproved_bytes=MAX_DATAGRAM_BYTES)
            if got is None or not isinstance(got[1], Values) or not got[1].records:
                return
            findings.add(got[1].records)
            start += len(got[1].records)
            total = min(total, got[1].total)

    async def groups(self, target: bytes, report: Report) -> list[ContactInfo]:
        """Ask the nodes nearest to `target` for the groups they know; returns those nodes.

        All of them are read to the end: what each holds overlaps little with what the others do.
        """
        machine = self._machine(target, self._config.paths)
        more: dict[bytes, int] = {}

        def heard(who: ContactInfo, answer: Answer) -> None:
            if isinstance(answer, Groups):
                report(who, answer.keys)
                if answer.total > len(answer.keys):
                    more[who.id] = len(answer.keys)

        await self._drive(machine, lambda token: FindGroups(token, target, 0), UNPROVED_LIST_BYTES, heard)
        closest = machine.closest()
        await asyncio.gather(
            *(self._group_pages(who, target, more[who.id], report) for who in closest if who.id in more)
        )
        return closest

    async def _group_pages(self, who: ContactInfo, target: bytes, start: int, report: Report) -> None:
        for _ in range(_GROUP_PAGES):
            build = partial(FindGroups, target=target, start=start)
            got = await self._questions.call(who, build, unproved_bytes=MAX_DATAGRAM_BYTES)
            if got is None or not isinstance(got[1], Groups) or not got[1].keys:
                return
            report(who, got[1].keys)
            start += len(got[1].keys)
            if start >= got[1].total:
                return

    def _machine(self, target: bytes, paths: int) -> Lookup:
        config = self._config
        seeds = self._table.nearest(target, max(config.k, paths * 2))
        return Lookup(target, seeds, own_id=self._own_id, k=config.k, alpha=config.alpha, paths=paths)

    async def _drive(
        self,
        machine: Lookup,
        build: Callable[[bytes], Question],
        unproved_bytes: int,
        heard: Callable[[ContactInfo, Answer], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def pump() -> None:
            if done.done():
                return
            for contact in machine.questions():
                self._questions.ask(asking(contact))
            if machine.finished:
                done.set_result(None)

        def asking(contact: ContactInfo) -> Asking:
            def answered(who: ContactInfo, answer: Answer) -> None:
                if not done.done():
                    heard(who, answer)
                    machine.answered(contact.id, answer.contacts if isinstance(answer, Nodes | Values | Groups) else ())
                    pump()

            def slow() -> None:
                machine.slow(contact.id)
                pump()

            def failed() -> None:
                machine.failed(contact.id)
                pump()

            return Asking(
                endpoint=contact.endpoint,
                expected_id=contact.id,
                build=build,
                unproved_bytes=unproved_bytes,
                on_answer=answered,
                on_slow=slow,
                on_failed=failed,
            )

        def give_up() -> None:
            machine.stop()
            pump()

        deadline = loop.call_later(self._config.lookup_deadline_s, give_up)
        try:
            pump()
            await done
        finally:
            deadline.cancel()
            machine.stop()
