"""Save, then send: what the node wants durable, in order, as few commits as possible.

Everything asked for while one commit ran goes into the next. A commit that fails is tried again with the same
changes, because the sequences in it are given out already; meanwhile `failure` says why, and new messages are
refused.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.changes import Change
from railgun_core.events import Save
from railgun_core.store.port import Store

RETRY_S = 1.0
MAX_CHANGES = 500  # in one commit


class Saver:
    """Feeds Save effects to the store and answers with their tickets."""

    def __init__(
        self, store: Store, saved: Callable[[int], None], failed: Callable[[EnvironmentFailure], None]
    ) -> None:
        self._store = store
        self._saved = saved
        self._failed = failed
        self._queue: deque[Save] = deque()
        self._wake = asyncio.Event()
        self._progress = asyncio.Event()
        self._asked = self._durable = 0  # saves queued, and saves committed, since the start
        self.failure: EnvironmentFailure | None = None

    async def settled(self) -> None:
        """Until everything that is queued now is durable, or the disk refuses it (EnvironmentFailure)."""
        upto = self._asked
        while self._durable < upto:
            if self.failure is not None:
                raise self.failure
            self._progress.clear()
            await self._progress.wait()

    def put(self, save: Save) -> None:
        """Queue one effect."""
        self._asked += 1
        self._queue.append(save)
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                await self._commit_some()

    async def drain(self) -> None:
        """Commit what is queued, once; for an orderly end."""
        while self._queue and self.failure is None:
            await self._commit_some()

    async def _commit_some(self) -> None:
        batch: list[Save] = []
        changes: list[Change] = []
        while self._queue and len(changes) < MAX_CHANGES:
            batch.append(self._queue.popleft())
            changes.extend(batch[-1].changes)
        try:
            await self._store.commit(changes)
        except EnvironmentFailure as failure:
            self._queue.extendleft(reversed(batch))
            self.failure = failure
            self._failed(failure)
            self._progress.set()
            await asyncio.sleep(RETRY_S)
            return
        self.failure = None
        self._durable += len(batch)
        for save in batch:
            self._saved(save.ticket)
        self._progress.set()
