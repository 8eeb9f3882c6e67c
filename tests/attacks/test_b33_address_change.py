"""B33, another address in mid-stream: a device moves to another network and goes on within five seconds.

The network is two namespaces joined by a virtual cable; nothing of it leaves the machine. Only root may make one.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.attacks.crowd import OPTIONS, group_by
from tests.attacks.test_b32_suspend_resume import crowd, until_read
from tests.integration.conftest import RealNode, joined, numbered
from tests.integration.halves import ip, why_not

HOSTS = [f"10.77.0.{number}" for number in range(1, 5)]
PORT = 7_700
RECOVERS_S = 5.0


@dataclass(frozen=True, slots=True)
class Cable:
    """A device's namespace and that of everybody else, joined."""

    device: str
    others: str

    def move_to(self, address: str) -> None:
        """Give the device this address instead of the one it has."""
        ip("-n", self.device, "addr", "flush", "dev", "rg-a")
        ip("-n", self.device, "addr", "add", f"{address}/16", "dev", "rg-a")
        ip("-n", self.device, "route", "replace", "default", "via", HOSTS[0])


@pytest.fixture
def cable() -> Iterator[Cable]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    found = Cable(f"rg-a-{os.getpid()}", f"rg-b-{os.getpid()}")
    with contextlib.ExitStack() as exits:
        for name in (found.device, found.others):
            ip("netns", "add", name)
            exits.callback(ip, "netns", "del", name)
        ip("link", "add", "rg-a", "netns", found.device, "type", "veth", "peer", "name", "rg-b", "netns", found.others)
        for name, end in ((found.device, "rg-a"), (found.others, "rg-b")):
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", end, "up")
        for host in HOSTS:
            ip("-n", found.others, "addr", "add", f"{host}/16", "dev", "rg-b")
        found.move_to("10.77.1.2")
        yield found


@pytest.mark.deadline(240)
def test_a_device_that_moves_to_another_address_receives_and_sends_again_within_5_s(cable: Cable) -> None:
    with crowd(HOSTS, PORT, prefix=("ip", "netns", "exec", cable.others)) as (folder, ann):
        entry = ("--bootstrap", f"{HOSTS[0]}:{PORT}", "--group-by", group_by(HOSTS))
        arguments = ("--listen", "0.0.0.0:0", "--roles", "relay", *entry, *OPTIONS)
        bob = RealNode(folder / "bob", arguments, prefix=("ip", "netns", "exec", cable.device))
        try:
            bob.start().wait_ready(relays=5)
            bob.good("room", "join", ann.create("talk"))
            before, during, answer = numbered("ann", 1, 20), numbered("ann", 21, 40), numbered("bob", 1, 20)
            ann.good("room", "send", "talk", "-", stdin=joined(before))
            bob.reads("talk", joined(before))
            cable.move_to("10.77.2.9")
            moved_s = time.monotonic()
            ann.good("room", "send", "talk", "-", stdin=joined(during))
            until_read(bob, "talk", during[-1])
            took_s = time.monotonic() - moved_s
            bob.reads("talk", joined([*before, *during]))
            bob.good("room", "send", "talk", "--wait", "delivered", "-", stdin=joined(answer))
            ann.reads("talk", joined([*before, *during, *answer]))
            assert "moved" in {notice.code for notice in bob.status().notices}
        finally:
            bob.stop()
    print(f"received again {took_s:.1f} s after the move")
    assert took_s <= RECOVERS_S
