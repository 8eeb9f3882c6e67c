"""What the node asks the disk for: own items and mail, read back.

A disk that refuses own items is asked again, because a room waits for them. Mail is not: who collects it is told to
come back when no answer comes in time, and comes; retries of all that was asked meanwhile would only pile up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.events import Event, FetchItems, FetchMail, ItemsFetched, MailFetched
from railgun_core.store.port import Store

T = TypeVar("T")
FETCH_AGAIN_S = 5.0


class Reading:
    """Answers FetchItems and FetchMail. `failed` hears the code of each refusal."""

    def __init__(self, store: Store, *, tell: Callable[[Event], None], failed: Callable[[str], None]) -> None:
        self._store = store
        self._tell = tell
        self._failed = failed

    async def items(self, effect: FetchItems) -> None:
        """Own items. The room waits for them before it reads more, so a failure is tried again."""
        found = await self._until_read(lambda: self._store.own_items(effect.room, effect.first, effect.last))
        self._tell(ItemsFetched(effect.room, found))

    async def mail(self, effect: FetchMail) -> None:
        """Mail of a tag; no answer when the disk refuses."""
        try:
            found = await self._store.mail(effect.tag, effect.position, effect.limit)
        except EnvironmentFailure as failure:
            self._failed(failure.code)
            return
        self._tell(MailFetched(effect.ticket, tuple(found)))

    async def _until_read(self, read: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await read()
            except EnvironmentFailure as failure:
                self._failed(failure.code)
                await asyncio.sleep(FETCH_AGAIN_S)
