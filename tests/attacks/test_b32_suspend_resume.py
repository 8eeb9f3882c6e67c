"""B32, suspend and resume: an engine that stood still receives again within five seconds, and misses nothing.

A process that is stopped is what a test can do to a real engine; eight hours of sleep are in the unit tests of waking,
where the clocks are the test's, and in the simulator.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.attacks.crowd import OPTIONS, group_by
from tests.integration.conftest import ROOT, RealNode, free_port, fresh_host, joined, numbered, until

STOPPED_S = 20.0
RECEIVES_S = 5.0
READY_S = 90.0


@contextlib.contextmanager
def crowd(hosts: Sequence[str], port: int, *, prefix: Sequence[str] = ()) -> Iterator[tuple[Path, RealNode]]:
    """Relays at these hosts in one process; a folder for more nodes, and the first of them."""
    folder = Path(tempfile.mkdtemp(prefix="rg-"))
    process = subprocess.Popen(
        [*prefix, sys.executable, "-m", "tests.attacks.crowd", str(folder), str(port), *hosts],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"ready\n"
        yield folder, RealNode(folder / "0", ())
    finally:
        process.kill()
        process.communicate(timeout=10)
        shutil.rmtree(folder, ignore_errors=True)


def until_read(node: RealNode, room: str, wanted: bytes, *, within_s: float = 60.0) -> float:
    """How long it took until a line was there."""
    began_s = time.monotonic()
    until(lambda: wanted in node.read(room), within_s=within_s, what=wanted.decode())
    return time.monotonic() - began_s


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot stop a process")
@pytest.mark.deadline(240)
def test_an_engine_that_was_stopped_for_20_s_receives_again_within_5_s_and_missed_nothing() -> None:
    hosts = [fresh_host() for _ in range(4)]
    port = free_port(hosts[0])
    with crowd(hosts, port) as (folder, ann):
        entry = ("--bootstrap", f"{hosts[0]}:{port}", "--group-by", group_by(hosts))
        bob = RealNode(folder / "bob", ("--listen", f"{fresh_host()}:0", "--roles", "relay", *entry, *OPTIONS)).start()
        try:
            bob.wait_ready(relays=5)
            bob.good("room", "join", ann.create("talk"))
            before, missed, after = (numbered("ann", n, n + 19) for n in (1, 21, 41))
            ann.good("room", "send", "talk", "-", stdin=joined(before))
            bob.reads("talk", joined(before))
            took_s = stop_and_receive(bob, ann, missed)
            ann.good("room", "send", "talk", "-", stdin=joined(after))
            bob.reads("talk", joined([*before, *missed, *after]))  # in order, once
            answer = numbered("bob", 1, 20)
            bob.good("room", "send", "talk", "--wait", "delivered", "-", stdin=joined(answer))
            ann.reads("talk", joined([*before, *missed, *after, *answer]))
            assert "slept" in {notice.code for notice in bob.status().notices}
        finally:
            bob.stop()
    print(f"received again after {took_s:.1f} s")
    assert took_s <= RECEIVES_S


def stop_and_receive(stopped: RealNode, sender: RealNode, lines: list[bytes]) -> float:
    """Stop a process, send to it meanwhile, and let it go on; how long it took to have the last line."""
    assert stopped.process is not None
    os.kill(stopped.process.pid, signal.SIGSTOP)
    try:
        ends_s = time.monotonic() + STOPPED_S
        sender.good("room", "send", "talk", "-", stdin=joined(lines))
        until(lambda: time.monotonic() >= ends_s, within_s=STOPPED_S + 30, what="the end of the stop")
    finally:
        os.kill(stopped.process.pid, signal.SIGCONT)
    return until_read(stopped, "talk", lines[-1])
