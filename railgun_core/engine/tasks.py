"""The tasks of one engine: each is held until it ends, one that fails is told of, and all end with the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

from railgun_core.base.errors import EnvironmentFailure

log = structlog.get_logger("engine")
STOP_WITHIN_S = 3.0


class Tasks:
    """Runs coroutines of one engine. `notice`: a code, a level and a detail for the board."""

    def __init__(self, notice: Callable[[str, str, str], None]) -> None:
        self._notice = notice
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run this until it ends or the engine does. Nothing begins once that has ended."""
        if self._is_closed:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def every(self, period_s: float, work: Callable[[], Awaitable[None]]) -> None:
        """Do this again and again, `period_s` after it was done last. What the machine refuses is told and survived."""
        self.spawn(self._again(period_s, work))

    async def close(self) -> None:
        """End everything. STOP_WITHIN_S at most."""
        self._is_closed = True
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=STOP_WITHIN_S)

    async def _again(self, period_s: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(period_s)
            try:
                await work()
            except EnvironmentFailure as failure:
                self._notice(failure.code, "warning", "")

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("task-failed", exc_info=task.exception())
            self._notice("internal", "error", type(task.exception()).__name__)
