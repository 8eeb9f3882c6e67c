"""Real nats-servers for tests, on loopback: started by path, ended by their own process objects, never by name.

Where the program is not installed the test is skipped; CI installs it (installers/system.py), so there it must run.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from railgun_core.config import HostPort
from railgun_core.demo.central import jetstream_settings

HOST = "127.0.0.1"
READY_S = 15.0
SYSTEM_FOLDERS = os.pathsep.join(("/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin"))


def nats_server() -> str:
    """Where the program is. Skips the test when it is nowhere, and fails it on CI."""
    program = shutil.which("nats-server") or shutil.which("nats-server", path=SYSTEM_FOLDERS)
    if program is None:
        assert not os.environ.get("CI"), "the machine that gates changes must have nats-server"
        pytest.skip("nats-server is not installed; python3 -m installers deps installs it")
    return program


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((HOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


class NatsServer:
    """One server with a port and a folder of its own, which outlive its process."""

    def __init__(self, folder: Path, *, port: int, options: str = "", jetstream: bool = True) -> None:
        self.place = HostPort(HOST, port)
        self.folder = folder
        self._program = nats_server()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        settings = folder / "nats.conf"
        store = jetstream_settings(self._program, folder / "store", beside=settings) if jetstream else ""
        settings.write_text(f'listen: "{self.place}"\n{store}{options}', encoding="utf-8")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def launch(self) -> None:
        """Start the process; `ready` waits for it."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-c", str(self.folder / "nats.conf")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def ready(self) -> None:
        """Until it greets a client."""
        async with asyncio.timeout(READY_S):
            while not await self._greets():
                assert self._process is not None
                assert self._process.poll() is None, (self.folder / "log").read_text(encoding="utf-8")
                await asyncio.sleep(0.05)

    async def _greets(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection(self.place.host, self.place.port)
        except OSError:
            return False
        try:
            return (await reader.readline()).startswith(b"INFO")
        finally:
            writer.close()
            await writer.wait_closed()

    async def start(self) -> None:
        self.launch()
        await self.ready()

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """It keeps its sockets and says nothing any more."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)  # all its threads have stopped

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def forget(self) -> None:
        """Its disk is lost. Only while it does not run."""
        assert self._process is None
        shutil.rmtree(self.folder / "store", ignore_errors=True)


@contextmanager
def nats(**more: object) -> Iterator[NatsServer]:
    """A server that is not started yet, and does not outlive the block."""
    with tempfile.TemporaryDirectory(prefix="rgr-nats-") as name:
        server = NatsServer(Path(name), port=free_ports(1)[0], **more)  # type: ignore[arg-type]
        try:
            yield server
        finally:
            server.kill()


@contextmanager
def nats_cluster(size: int = 3) -> Iterator[list[NatsServer]]:
    """Servers of one cluster, not started yet."""
    ports = free_ports(2 * size)
    routes = ", ".join(f'"nats://{HOST}:{port}"' for port in ports[size:])
    with tempfile.TemporaryDirectory(prefix="rgr-nats-") as name:
        servers = [
            NatsServer(
                Path(name) / f"n{index}",
                port=ports[index],
                options=f'server_name: "n{index}"\n'
                f'cluster {{ name: "c", listen: "{HOST}:{ports[size + index]}", routes: [{routes}] }}\n',
            )
            for index in range(size)
        ]
        try:
            yield servers
        finally:
            for server in servers:
                server.kill()
