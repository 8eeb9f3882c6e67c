"""A network of two halves, joined by a cable that can be cut: namespaces on this machine, which nothing leaves.

    left --- bridge === trunk === bridge --- right

Each node has an address of a group of its own in its half. The trunk runs between two bridges in a namespace of their
own: when it is cut both halves keep their interfaces and addresses, and packets to the other one vanish unanswered.
Only root may make namespaces; elsewhere the tests that need them are left out and say so.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from .conftest import RealNode

PORT = 7_700


def why_not() -> str:
    """Why namespaces cannot be made here; empty when they can."""
    if sys.platform != "linux" or shutil.which("ip") is None:
        return "network namespaces need Linux and iproute2"
    if os.geteuid() != 0:
        return "network namespaces need root"
    name = f"rg-try-{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        return "this machine does not let root make network namespaces"
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return ""


def ip(*words: str) -> None:
    """One command of iproute2, which has to work."""
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=20)


@dataclass(slots=True)
class Halves:
    """Nodes in two halves. Numbers of nodes go through both: even ones are on the left, odd ones on the right."""

    folder: Path
    sides: tuple[str, str]
    middle: str
    options: tuple[str, ...]
    nodes: list[RealNode] = field(default_factory=list)

    def add(self, *more: str) -> RealNode:
        """One more node, not started yet, in the other half than the last one. The first is everybody's way in."""
        number = len(self.nodes)
        side, host = self.sides[number % 2], f"10.{101 + number}.0.1"
        ip("-n", side, "addr", "add", f"{host}/32", "dev", "lo")
        entry = ("--bootstrap", f"10.101.0.1:{PORT}") if number else ()
        arguments = ("--listen", f"{host}:{0 if number else PORT}", "--puzzle-bits", "0", "--lan", "off")
        prefix = ("ip", "netns", "exec", side)
        node = RealNode(self.folder / f"n{number}", (*arguments, *entry, *self.options, *more), prefix=prefix)
        self.nodes.append(node)
        return node

    def start(self, count: int, *more: str) -> list[RealNode]:
        """So many nodes, which all know each other."""
        for _ in range(count):
            self.add(*more).start()
        for node in self.nodes:
            node.wait_ready(relays=count)
        return self.nodes

    def cut(self) -> None:
        """From now on nothing passes."""
        ip("-n", self.middle, "link", "set", "rg-t0", "down")

    def heal(self) -> None:
        """All passes again."""
        ip("-n", self.middle, "link", "set", "rg-t0", "up")

    def lay(self) -> None:
        """Bridges, the trunk between them, and a cable from each half to its bridge."""
        ip("-n", self.middle, "link", "add", "rg-t0", "type", "veth", "peer", "name", "rg-t1")
        for number, side in enumerate(self.sides):
            bridge, plug = f"rg-b{number}", f"rg-p{number}"
            ip("-n", self.middle, "link", "add", bridge, "type", "bridge")
            ip("link", "add", "rg-h", "netns", side, "type", "veth", "peer", "name", plug, "netns", self.middle)
            for port in (plug, f"rg-t{number}"):
                ip("-n", self.middle, "link", "set", port, "master", bridge)
                ip("-n", self.middle, "link", "set", port, "up")
            ip("-n", self.middle, "link", "set", bridge, "up")
            for end in ("lo", "rg-h"):
                ip("-n", side, "link", "set", end, "up")
            ip("-n", side, "route", "add", "10.0.0.0/8", "dev", "rg-h")

    def close(self) -> None:
        """End everything that was started."""
        running = [node for node in self.nodes if node.process is not None]
        for node in running:
            if node.process is not None:
                node.process.terminate()
        for node in running:
            node.stop()


@contextlib.contextmanager
def two_halves(*options: str) -> Iterator[Halves]:
    """Both halves, joined; everything is ended and removed at the end."""
    if reason := why_not():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="rg-"))
    left, right, middle = (f"rg-{name}-{os.getpid()}" for name in ("left", "right", "mid"))
    halves = Halves(folder, (left, right), middle, options)
    with contextlib.ExitStack() as exits:
        exits.callback(shutil.rmtree, folder, ignore_errors=True)
        for name in (left, right, middle):
            ip("netns", "add", name)
            exits.callback(ip, "netns", "del", name)
        halves.lay()
        exits.callback(halves.close)
        yield halves
