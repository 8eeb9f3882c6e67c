"""What is read back from the disk, and what a disk that refuses costs."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.base.ids import Tag
from railgun_core.engine import reading
from railgun_core.engine.reading import Reading
from railgun_core.events import Event, FetchItems, FetchMail, ItemsFetched, MailFetched
from tests.unit.rooms.table import ROOM

MAIL = FetchMail(7, Tag(b"t" * 32), 1, 48)


class Disk:
    """Refuses so many times, then answers."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals

    async def own_items(self, *asked: object) -> tuple[object, ...]:
        return self._answer()

    async def mail(self, *asked: object) -> tuple[object, ...]:
        return self._answer()

    def _answer(self) -> tuple[object, ...]:
        if self.refusals:
            self.refusals -= 1
            raise EnvironmentFailure(code="disk-io")
        return ()


def reader(disk: Disk) -> tuple[Reading, list[Event], list[str]]:
    told: list[Event] = []
    failures: list[str] = []
    return Reading(cast("Any", disk), tell=told.append, failed=failures.append), told, failures


async def test_own_items_are_asked_for_until_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "FETCH_AGAIN_S", 0.0)
    found, told, failures = reader(Disk(refusals=2))
    await found.items(FetchItems(ROOM, 1, 9))
    assert told == [ItemsFetched(ROOM, ())]
    assert failures == ["disk-io"] * 2


async def test_mail_that_cannot_be_read_leaves_nothing_behind_that_waits() -> None:
    found, told, failures = reader(Disk(refusals=1))
    async with asyncio.timeout(1.0):
        await found.mail(MAIL)
    assert (told, failures) == ([], ["disk-io"])
    await found.mail(MAIL)
    assert told == [MailFetched(7, ())]
