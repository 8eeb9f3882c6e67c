"""Engine processes of a demo: each a `railgun node` with its own data dir, sockets and, where the system allows,
address.

On Linux every peer listens on 127.x.0.1, so that each is an address group of its own, as on the Internet. Where
loopback has a single address, ports stand for groups.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path

from railgun_core.base.errors import EnvironmentFailure, RailGunError
from railgun_core.local_api.client import Client
from railgun_core.status import NodeStatus

READY_S = 120.0
STOP_S = 8.0
POLL_S = 0.25


def many_addresses() -> bool:
    """Whether loopback has more than one address here."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.77.0.1", 0))
        except OSError:
            return False
    return True


def program() -> tuple[str, ...]:
    """How to start this very program: the frozen one itself, or this Python with the package."""
    return (sys.executable,) if getattr(sys, "frozen", False) else (sys.executable, "-m", "railgun_core")


@dataclass(slots=True)
class PeerProcess:
    """One engine, and the demo's connection to it."""

    name: str
    data_dir: Path
    arguments: tuple[str, ...]
    process: asyncio.subprocess.Process | None = None
    client: Client | None = None
    errors: Path = field(init=False)

    def __post_init__(self) -> None:
        self.errors = self.data_dir.with_suffix(".err")

    async def start(self) -> None:
        """Start the process; `connect` waits for it."""
        with self.errors.open("wb") as errors:
            self.process = await asyncio.create_subprocess_exec(
                *program(),
                "--data-dir",
                str(self.data_dir),
                "node",
                *self.arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=errors,
            )

    async def connect(self) -> Client:
        """The client of a peer that is up. EnvironmentFailure when it ends or takes too long."""
        if self.client is not None:
            return self.client
        async with asyncio.timeout(READY_S):
            while True:
                if self.process is None or self.process.returncode is not None:
                    said = self.errors.read_text(errors="replace").strip().splitlines()[-1:]
                    raise EnvironmentFailure(f"{self.name} ended: {' '.join(said)}", code="peer-ended")
                with contextlib.suppress(RailGunError):
                    self.client = await Client.connect(self.data_dir)
                    return self.client
                await asyncio.sleep(POLL_S)

    async def status(self) -> NodeStatus:
        return await (await self.connect()).call("status", None, NodeStatus)

    async def kill(self) -> None:
        """SIGKILL: no goodbye to anybody."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        await self.disconnect()

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL for whoever does not listen."""
        await self.disconnect()
        process = self.process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def disconnect(self) -> None:
        """Give the connection back; `connect` makes a new one."""
        client, self.client = self.client, None
        if client is not None:
            await client.close()
