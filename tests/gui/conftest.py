"""The window's tests run on a real Qt event loop, off screen, against an engine on a real socket.

A scenario is a coroutine run by qasync with a deadline; it waits for what it expects instead of sleeping.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import qasync
from PySide6.QtWidgets import QApplication

from app.desk import Desk
from tests.gui.fake_engine import FakeEngine

WAIT_S = 20.0
SCENARIO_S = 60.0


async def until(condition: Callable[[], object], *, limit_s: float = WAIT_S) -> None:
    """Return as soon as `condition` holds; fail when it does not within `limit_s`."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 - widgets have no event for "this text stands here now"
            await asyncio.sleep(0.01)


Scenario = Callable[[Coroutine[object, object, None]], None]


@pytest.fixture
def play(qapp: QApplication) -> Iterator[Scenario]:
    """Run a scenario on the Qt loop."""
    loop = qasync.QEventLoop(qapp)
    asyncio.set_event_loop(loop)

    def run(scenario: Coroutine[object, object, None]) -> None:
        loop.run_until_complete(asyncio.wait_for(scenario, SCENARIO_S))

    yield run
    loop.close()
    asyncio.set_event_loop(None)


@asynccontextmanager
async def desk_on(data_dir: Path, *, command: tuple[str, ...] | None = None) -> AsyncIterator[Desk]:
    """A running app on a data dir; attached unless a command to start an engine is given."""
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    desk = Desk(app, data_dir, owns_engine=command is not None, engine_command=command)
    life = asyncio.ensure_future(desk.run())
    try:
        yield desk
    finally:
        desk.quit()
        await life


@asynccontextmanager
async def engine_on(data_dir: Path) -> AsyncIterator[FakeEngine]:
    """A scripted engine on a data dir."""
    engine = FakeEngine()
    await engine.start(data_dir)
    try:
        yield engine
    finally:
        await engine.close()
