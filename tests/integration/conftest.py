"""Real networks for the integration tests: each node a `railgun node` process with its own data dir and address.

Processes are ended by their own process object, whatever a test did. Readiness is asked of the local API, within a
deadline; nothing here waits for a fixed time. Where loopback has one address only, ports stand for address groups.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from railgun_core.base.errors import RailGunError
from railgun_core.demo.peers import many_addresses
from railgun_core.local_api.client import Client
from railgun_core.status import NodeStatus

ROOT = Path(__file__).resolve().parents[2]
READY_S = 60.0
STOP_S = 10.0
CLI_S = 90.0
POLL_S = 0.1
TEXT_LINES = 5_000

T = TypeVar("T")
# Second octets name address groups, which nodes of one network must not share; the third keeps processes apart that run
# tests beside each other.
_second_octets = itertools.cycle(range(11, 250))
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


@dataclass(frozen=True, slots=True)
class Ran:
    """How a verb ended."""

    status: int
    out: bytes
    err: str

    @property
    def sentence(self) -> str:
        """The one line on stderr, without the program's name. Fails when there is not exactly one."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("railgun: "), self.err
        return lines[0].removeprefix("railgun: ")


@dataclass(slots=True)
class Begun:
    """A verb under way."""

    process: subprocess.Popen[bytes]

    def say(self, data: bytes) -> None:
        """Give it more input."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def end(self, rest: bytes = b"", *, within_s: float = CLI_S) -> Ran:
        """Give it the last input, if it still takes any, and wait for its end."""
        out, err = self.process.communicate(rest, timeout=within_s)
        text = err.decode(errors="replace")
        assert "Traceback" not in text, text
        return Ran(self.process.returncode, out, text)


def railgun(*arguments: str | bytes | Path, stdin: bytes = b"", timeout_s: float = CLI_S) -> Ran:
    """Run one verb as a person would, in a process of its own."""
    began_s = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "railgun_core", *arguments],
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        timeout=timeout_s,
        check=False,
    )
    err = done.stderr.decode(errors="replace")
    words = " ".join(str(word)[:40] for word in arguments)
    print(f"{time.monotonic() - began_s:5.1f} s, exit {done.returncode}: railgun {words}")  # shown when a test fails
    assert "Traceback" not in err, err
    return Ran(done.returncode, done.stdout, err)


def until(true: Callable[[], bool], *, within_s: float, what: str) -> None:
    """Ask again and again until it is so; fail when it takes too long."""
    end_s = time.monotonic() + within_s
    while not true():
        if time.monotonic() > end_s:
            pytest.fail(f"not within {within_s:.0f} s: {what}")
        time.sleep(POLL_S)


@dataclass(slots=True)
class RealNode:
    """One engine process, which may be started again on the same data dir."""

    data_dir: Path
    arguments: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None
    prefix: tuple[str, ...] = ()  # a command that runs it elsewhere, as in a network namespace
    said: Path = field(init=False)

    def __post_init__(self) -> None:
        self.said = self.data_dir.with_name(self.data_dir.name + ".err")

    def start(self) -> RealNode:
        """Start; `wait_ready` waits for it."""
        assert self.process is None or self.process.poll() is not None
        self.said.parent.mkdir(parents=True, exist_ok=True)
        with self.said.open("ab") as errors:
            program = (*self.prefix, sys.executable, "-m", "railgun_core")
            self.process = subprocess.Popen(
                [*program, "--data-dir", str(self.data_dir), "node", *self.arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=os.environ | {"PYTHONFAULTHANDLER": "1"},  # a crash below Python says where
            )
        return self

    def wait_ready(self, *, relays: int = 0) -> RealNode:
        """Until the API answers and the view holds that many relays."""

        def ready() -> bool:
            assert self.process is not None
            if self.process.poll() is not None:
                pytest.fail(f"the node ended: {self.said.read_text(errors='replace')[-500:]}")
            with contextlib.suppress(RailGunError):
                return self.status().relays >= relays
            return False

        until(ready, within_s=READY_S, what=f"a node that knows {relays} relays")
        return self

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(STOP_S)

    def stop(self) -> int:
        """SIGTERM; the exit status. SIGKILL when it does not listen."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.returncode

    def cli(self, *arguments: str | bytes | Path, stdin: bytes = b"", timeout_s: float = CLI_S) -> Ran:
        """Run a verb against this engine."""
        return railgun("--data-dir", self.data_dir, *arguments, stdin=stdin, timeout_s=timeout_s)

    def good(self, *arguments: str | bytes | Path, stdin: bytes = b"", timeout_s: float = CLI_S) -> bytes:
        """Run a verb that has to work; what it printed."""
        ran = self.cli(*arguments, stdin=stdin, timeout_s=timeout_s)
        assert ran.status == 0, ran.err
        return ran.out

    @contextlib.contextmanager
    def begin(self, *arguments: str | Path) -> Iterator[Begun]:
        """Start a verb and leave it running, with pipes; it is ended at the end if it has not."""
        process = subprocess.Popen(
            [sys.executable, "-m", "railgun_core", "--data-dir", str(self.data_dir), *map(str, arguments)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            yield Begun(process)
        finally:
            process.kill()
            process.wait(STOP_S)
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()

    def ask(self, verb: str, args: msgspec.Struct | None, result_type: type[T]) -> T:
        """One call of the local API."""

        async def question() -> T:
            async with await Client.connect(self.data_dir) as client:
                return await client.call(verb, args, result_type)

        return asyncio.run(question())

    def status(self) -> NodeStatus:
        return self.ask("status", None, NodeStatus)

    def create(self, room: str) -> str:
        """A new room; its invite link."""
        self.good("room", "create", room)
        return self.good("room", "invite", room).decode().strip()

    def read(self, room: str) -> bytes:
        """The whole conversation, as the command line prints it."""
        return self.good("room", "read", room)

    def reads(self, room: str, wanted: bytes, *, within_s: float = 60.0) -> None:
        """Until a room reads exactly so."""
        found = b""

        def same() -> bool:
            nonlocal found
            found = self.read(room)
            return found == wanted

        until(same, within_s=within_s, what=f"{len(wanted)} bytes in {room}")


@dataclass(slots=True)
class RealNetwork:
    """A bootstrap peer and nodes around it."""

    folder: Path
    options: tuple[str, ...]
    nodes: list[RealNode] = field(default_factory=list)
    bootstrap: RealNode = field(init=False)
    entry: str = field(init=False)

    def __post_init__(self) -> None:
        self.options += ("--puzzle-bits", "0", "--lan", "off")
        if not many_addresses():
            self.options += ("--group-by", "port")
        host = fresh_host()
        self.entry = f"{host}:{free_port(host)}"
        self.bootstrap = self._node("bootstrap", "--listen", self.entry, "--roles", "bootstrap")

    def add(self, *more: str) -> RealNode:
        """One more node, not started yet."""
        name = f"n{len(self.nodes) + 1}"
        node = self._node(name, "--listen", f"{fresh_host()}:0", "--bootstrap", self.entry, *more)
        self.nodes.append(node)
        return node

    def start(self, count: int) -> list[RealNode]:
        """The bootstrap peer and `count` nodes, which all know each other."""
        self.bootstrap.start()
        nodes = [self.add().start() for _ in range(count)]
        for node in nodes:
            node.wait_ready(relays=count)
        return nodes

    def close(self) -> None:
        """End everything that was started."""
        for node in (*self.nodes, self.bootstrap):
            if node.process is not None:
                node.process.terminate()
        for node in (*self.nodes, self.bootstrap):
            if node.process is not None:
                node.stop()

    def _node(self, name: str, *arguments: str) -> RealNode:
        return RealNode(self.folder / name, (*arguments, *self.options))


def fresh_host() -> str:
    """An address of loopback that no other node has, in a group of its own."""
    return f"127.{next(_second_octets)}.{_WORKER}.1" if many_addresses() else "127.0.0.1"


def free_port(host: str) -> int:
    """A port that is free for TCP and UDP."""
    for _ in range(50):
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind((host, 0))
            with contextlib.suppress(OSError):
                udp.bind(tcp.getsockname())
                return int(tcp.getsockname()[1])
    pytest.fail("no free port")


@contextlib.contextmanager
def real_network(*options: str) -> Iterator[RealNetwork]:
    """A network in a folder of its own, ended and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="rg-"))
    network = RealNetwork(folder, tuple(options))
    try:
        yield network
    finally:
        network.close()
        shutil.rmtree(folder, ignore_errors=True)


def real_text(lines: int = TEXT_LINES) -> bytes:
    """Lines that people wrote, with all the blank and long ones: Python's own library, as installed."""
    folder = Path(os.__file__).parent
    found: list[bytes] = []
    for path in sorted(folder.glob("*.py")):
        found += path.read_bytes().splitlines(keepends=True)
        if len(found) >= lines:
            break
    text = b"".join(found[:lines])
    assert text.count(b"\n") == lines
    return text


def numbered(name: str, first: int, last: int) -> list[bytes]:
    """Lines that can be told apart."""
    return [f"{name}-{number:06d}".encode() for number in range(first, last + 1)]


def joined(lines: Sequence[bytes]) -> bytes:
    """Lines as `room read` prints them."""
    return b"".join(line + b"\n" for line in lines)
