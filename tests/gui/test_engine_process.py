"""The app keeps its engine alive, says when it cannot, and ends only what it started."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import psutil

from app.engine_process import Stage
from app.present import Connection, Shape
from tests.gui.conftest import Scenario, desk_on, engine_on, until

SCRIPT = Path(__file__).with_name("fake_engine.py")


def command(data_dir: Path) -> tuple[str, ...]:
    return (sys.executable, str(SCRIPT), "node", "--data-dir", str(data_dir))


def test_an_engine_that_is_killed_is_back_and_the_window_says_what_happened(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with desk_on(tmp_path, command=command(tmp_path)) as desk:
            assert desk.engine is not None
            await until(lambda: desk.seen.connection is Connection.CONNECTED)
            first = desk.engine.pid
            assert first is not None
            os.kill(first, signal.SIGKILL)
            await until(lambda: "signal 9" in desk.window.notice)
            await until(lambda: desk.seen.connection is Connection.CONNECTED)
            assert desk.engine.pid not in (None, first)
            second = desk.engine.pid
        assert second is not None
        assert not psutil.pid_exists(second)

    play(scenario())


def test_after_three_restarts_the_reason_is_shown(play: Scenario, tmp_path: Path) -> None:
    broken = (sys.executable, "-c", "import sys; sys.exit('database is read-only')")

    async def scenario() -> None:
        async with desk_on(tmp_path, command=broken) as desk:
            await until(lambda: desk.seen.connection is Connection.STOPPED)
            state = desk.window.shelf.home.state
            assert state.mark.shape is Shape.EXCLAMATION
            assert state.sentence.text() == "database is read-only (started 4 times)"

    play(scenario())


def test_an_engine_that_already_answers_is_used_and_left_alone(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path) as engine:
            async with desk_on(tmp_path, command=("/nonexistent",)) as desk:
                assert desk.engine is not None
                await until(lambda: desk.seen.connection is Connection.CONNECTED)
                assert desk.engine.stage is Stage.ATTACHED
                assert desk.engine.pid is None
            await until(lambda: engine.watchers == 0)

    play(scenario())


def test_with_keep_relaying_the_engine_outlives_the_app(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with desk_on(tmp_path, command=command(tmp_path)) as desk:
            assert desk.engine is not None
            await until(lambda: desk.seen.connection is Connection.CONNECTED)
            desk.window.shelf.settings.keep.setChecked(True)
            pid = desk.engine.pid
        assert pid is not None
        engine = psutil.Process(pid)
        try:
            assert engine.is_running()
        finally:
            engine.kill()
            engine.wait(10)

    play(scenario())
