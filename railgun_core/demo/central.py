"""A real NATS server with JetStream on loopback, for a demo in mode hybrid: started, killed, started again.

It is the distribution's own program, with its data in the demo's folder: what it acknowledged lies there, and is served
again after it was killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from railgun_core.base.errors import EnvironmentFailure

PROGRAM = "nats-server"
ALSO_IN = "/usr/sbin:/usr/local/sbin"  # where a person's own path does not look
UP_WITHIN_S, STOP_S, POLL_S = 10.0, 5.0, 0.05


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
        with (self.folder / "server.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                found,
                *("-a", self.host, "-p", str(self.port), "-js", "-sd", str(self.folder / "jetstream")),
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
