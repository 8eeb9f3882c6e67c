"""The engine as a child of the app: start it, restart it after a crash, leave it running or end it.

An engine that already answers on the data dir is used as it is and never ended from here. The child is a process of its
own session, so it can outlive the window. Three crashes in a row are enough: then the reason is shown and the person
decides. What the engine says on stderr is kept only to name that reason.
"""

from __future__ import annotations

import asyncio
import enum
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from PySide6.QtCore import QObject, Signal

from app.link import close_fully
from app.messages import tr
from railgun_core.base.errors import RailGunError
from railgun_core.local_api.client import Client

MAX_RESTARTS = 3
BACKOFF_S = (0.3, 1.0, 2.0)
STEADY_S = 60.0  # an engine that ran this long has not crashed "in a row"
LOOK_S = 0.25
START_S = 20.0
END_S = 8.0  # the engine hands its duties over before it ends
_MAX_REASON_BYTES = 4_096


class Stage(enum.Enum):
    """Where the engine is."""

    STARTING = "starting"
    RUNNING = "running"  # ours
    ATTACHED = "attached"  # somebody else's
    RESTARTING = "restarting"
    GIVEN_UP = "given-up"


def engine_command(data_dir: Path) -> tuple[str, ...]:
    """How to start the engine: this Python, or the frozen program itself."""
    program = (sys.executable,) if getattr(sys, "frozen", False) else (sys.executable, "-m", "railgun_core")
    return (*program, "node", "--data-dir", str(data_dir))


class EngineProcess(QObject):
    """Keeps one engine alive for a data dir. `run` is its life; `end` stops what this app started."""

    stage_changed = Signal(object, str)  # Stage, reason for the person

    def __init__(self, data_dir: Path, command: Sequence[str] | None = None) -> None:
        super().__init__()
        self._data_dir = data_dir
        self._command = tuple(command) if command is not None else engine_command(data_dir)
        self._process: subprocess.Popen[bytes] | None = None
        self._again = asyncio.Event()
        self.stage = Stage.STARTING

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def look_again(self) -> None:
        """The engine was lost, or the person asks for another try."""
        self._again.set()

    async def run(self) -> None:
        """Attach or start, watch, restart, until cancelled."""
        crashes = 0
        while True:
            if await self._answers():
                self._at(Stage.ATTACHED)
                crashes = 0
                await self._wait_for_another_look()
                continue
            lived_s, reason = await self._one_life()
            crashes = 1 if lived_s >= STEADY_S else crashes + 1
            if crashes > MAX_RESTARTS:
                self._at(Stage.GIVEN_UP, tr("{reason} (started {n} times)", n=crashes, reason=reason))
                await self._wait_for_another_look()
                crashes = 0
                continue
            self._at(Stage.RESTARTING, tr("The engine stopped: {reason}", reason=reason))
            await asyncio.sleep(BACKOFF_S[crashes - 1])

    async def end(self) -> None:
        """End the engine this app started: ask, wait, then insist. An attached one is left alone."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        if await self._exited(process, END_S) is None:
            process.kill()
            await self._exited(process, END_S)

    def leave_running(self) -> int | None:
        """Forget the child without ending it; its process id."""
        pid = self.pid
        if self._process is not None:
            self._process.returncode = 0  # or Popen warns about a child that is meant to go on
        self._process = None
        return pid

    async def _one_life(self) -> tuple[float, str]:
        """Start the engine and wait for its end: how long it lived in seconds, and its last words."""
        began = asyncio.get_running_loop().time()
        if self.stage is not Stage.RESTARTING:
            self._at(Stage.STARTING)
        with tempfile.TemporaryFile() as words:
            try:
                process = self._process = subprocess.Popen(  # noqa: ASYNC220 - asyncio's would die with the loop
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=words,
                    start_new_session=True,
                )
            except OSError as error:
                return 0.0, tr("the engine cannot be started ({why})", why=error.strerror or type(error).__name__)
            self.stage = Stage.RUNNING
            await self._exited(process, None)
            return asyncio.get_running_loop().time() - began, _last_words(words, process.returncode)

    async def _exited(self, process: subprocess.Popen[bytes], limit_s: float | None) -> int | None:
        """Its exit status, or None when it still runs after `limit_s`. Looking costs one waitpid."""
        waited = 0.0
        while process.poll() is None:
            if limit_s is not None and waited >= limit_s:
                return None
            pause = LOOK_S if limit_s is not None or waited < START_S else 1.0
            await asyncio.sleep(pause)
            waited += pause
        return process.returncode

    async def _wait_for_another_look(self) -> None:
        self._again.clear()
        await self._again.wait()

    async def _answers(self) -> bool:
        try:
            client = await Client.connect(self._data_dir)
        except (RailGunError, OSError):
            return False
        await close_fully(client)
        return True

    def _at(self, stage: Stage, reason: str = "") -> None:
        self.stage = stage
        self.stage_changed.emit(stage, reason)


def _last_words(words: IO[bytes], status: int) -> str:
    """The last line of what the engine said on stderr; how it ended where it said nothing or was killed."""
    size = words.seek(0, 2)
    words.seek(max(0, size - _MAX_REASON_BYTES))
    lines = [line.strip() for line in words.read().decode("utf-8", "replace").splitlines() if line.strip()]
    if status < 0:
        return tr("ended by signal {n}", n=-status)
    return lines[-1] if lines else tr("exit status {n}", n=status)
