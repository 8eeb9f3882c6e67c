"""A real NATS server with JetStream on loopback, for a demo in mode hybrid: started, killed, started again.

It is the distribution's own program, with its data in the demo's folder: what it acknowledged lies there, and is served
again after it was killed. By itself JetStream acknowledges what the kernel has, and syncs every two minutes: a machine
that loses power loses as much. From version 2.10 on it can sync each write before it says yes, and is told to.
Source: the server's documentation of `sync_interval`; 2.9 refuses a file that names it.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from railgun_core.base.errors import EnvironmentFailure

PROGRAM = "nats-server"
ALSO_IN = "/usr/sbin:/usr/local/sbin"  # where a person's own path does not look
UP_WITHIN_S, STOP_S, POLL_S = 10.0, 5.0, 0.05
SYNCED = "sync_interval: always"


def jetstream_settings(program: str, store: Path, *, beside: Path) -> str:
    """JetStream in a server's file: on the disk before it is acknowledged, where this server knows how. Some 50 ms.

    `beside`: a file that may be written to ask the server. EnvironmentFailure when it does not answer.
    """
    synced, plain = (f'jetstream {{ store_dir: "{store.as_posix()}"{more} }}\n' for more in (f", {SYNCED}", ""))
    beside.write_text(synced, encoding="utf-8")
    try:
        asked = subprocess.run(
            [program, "-t", "-c", str(beside)], capture_output=True, timeout=UP_WITHIN_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        raise EnvironmentFailure("the central server did not start", code="no-central") from None
    return synced if asked.returncode == 0 else plain


@dataclass(slots=True)
class CentralServer:
    """One server, and how often it was started."""

    folder: Path
    host: str
    port: int
    process: asyncio.subprocess.Process | None = None
    starts: int = 0

    @property
    def place(self) -> str:
        """HOST:PORT for peers."""
        return f"{self.host}:{self.port}"

    async def start(self) -> None:
        """Start it and wait until it listens. EnvironmentFailure where it is not installed or does not come up."""
        found = shutil.which(PROGRAM) or shutil.which(PROGRAM, path=ALSO_IN)
        if found is None:
            raise EnvironmentFailure(f"Mode hybrid needs {PROGRAM}, which is not installed.", code="no-central")
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = await asyncio.to_thread(self._settings, found)
        with (self.folder / "server.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                found,
                *("-c", str(settings)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.starts += 1
        try:
            async with asyncio.timeout(UP_WITHIN_S):
                await self._listens()
        except TimeoutError:
            raise EnvironmentFailure("the central server did not start", code="no-central") from None

    def _settings(self, program: str) -> Path:
        """The file that the server reads."""
        path = self.folder / "nats.conf"
        jetstream = jetstream_settings(program, self.folder / "jetstream", beside=path)
        path.write_text(f'listen: "{self.place}"\n{jetstream}', encoding="utf-8")
        return path

    async def kill(self) -> None:
        """SIGKILL: it says goodbye to nobody and writes nothing any more."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL if it does not listen."""
        if self.process is None or self.process.returncode is not None:
            return
        self.process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await self.process.wait()
        except TimeoutError:
            await self.kill()

    async def _listens(self) -> None:
        """Until it takes connections."""
        while True:
            if self.process is None or self.process.returncode is not None:
                raise EnvironmentFailure("the central server ended at once", code="no-central")
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(self.host, self.port)
                writer.close()
                return
            await asyncio.sleep(POLL_S)
