"""The demo's count is honest: a copy, a swap, a gap and a refused send all show."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.demo.peers import PeerProcess
from railgun_core.demo.traffic import Attempt, DemoRoom, Traffic
from railgun_core.local_api.messages import MessageOut, Messages, RoomFollow, RoomSend, Sent
from railgun_core.wire.envelope import SizeClass


class Wire:
    """Carries what is sent to whoever follows, each line as often as the test says."""

    def __init__(self, copies: int) -> None:
        self.copies = copies
        self.bodies: list[tuple[str, bytes]] = []
        self.came = asyncio.Condition()


class ScriptedClient:
    """The two calls that traffic makes."""

    def __init__(self, name: str, wire: Wire, *, refuses: bool = False) -> None:
        self.name, self.wire, self.refuses = name, wire, refuses

    async def call(self, verb: str, args: RoomSend, answer: type[Sent]) -> Sent:
        if self.refuses:
            raise EnvironmentFailure("The disk is full.", code="disk-full")
        async with self.wire.came:
            self.wire.bodies += [(self.name, args.lines[0])] * self.wire.copies
            self.wire.came.notify_all()
        return Sent(1, 1, args.wait, 1, 1, 0)

    async def stream(self, verb: str, args: RoomFollow, event: type[Messages]) -> AsyncIterator[Messages]:
        at = 0
        while True:
            async with self.wire.came:
                while len(self.wire.bodies) <= at:
                    await self.wire.came.wait()
                fresh, at = self.wire.bodies[at:], len(self.wire.bodies)
            out = tuple(MessageOut(n, s, s == self.name, n, b, 0.0) for n, (s, b) in enumerate(fresh))
            yield Messages(args.room, out, at)


def people(wire: Wire, *, refuses: bool = False) -> list[PeerProcess]:
    found = []
    for name in ("ann", "bob", "cat"):
        peer = PeerProcess(name, Path(name), ())
        peer.client = ScriptedClient(name, wire, refuses=refuses)  # type: ignore[assignment]
        found.append(peer)
    return found


async def played(wire: Wire, members: list[PeerProcess]) -> Traffic:
    traffic = Traffic([DemoRoom("room-1", members)], size=SizeClass.SMALL, rng=Random(1))
    traffic.follow()
    await traffic.send_for(0.2, 60.0)
    await traffic.settle(2.0)
    await traffic.close()
    return traffic


async def test_everything_that_arrives_once_is_delivered() -> None:
    wire = Wire(copies=1)
    traffic = await played(wire, people(wire))
    assert traffic.sent > 0
    assert traffic.delivered == traffic.expected == 2 * traffic.sent
    assert (traffic.lost, traffic.duplicated, traffic.out_of_order, traffic.unstored) == (0, 0, 0, 0)
    assert len(traffic.latency_ms) == traffic.delivered


async def test_copies_are_counted_and_hide_no_loss() -> None:
    wire = Wire(copies=2)
    traffic = await played(wire, people(wire))
    assert traffic.duplicated == traffic.delivered == traffic.expected


async def test_a_refused_send_is_a_loss_and_its_code_is_told() -> None:
    wire = Wire(copies=1)
    traffic = await played(wire, people(wire, refuses=True))
    assert traffic.lost == traffic.expected > 0
    assert "disk-full" in traffic.failures[0]


def test_a_gap_and_a_swap_are_out_of_order() -> None:
    traffic = Traffic([], size=SizeClass.SMALL, rng=Random(1))
    reader = PeerProcess("bob", Path("bob"), ())
    for number in (1, 3, 2):
        traffic._count(reader, b"room-1 ann %d 5.0|x" % number, 5.5)
    assert (traffic.delivered, traffic.out_of_order, traffic.duplicated) == (2, 1, 1)


@pytest.mark.parametrize(("at_s", "worst_ms"), [(10.0, 3_000.0), (50.0, None)])
def test_the_failover_is_the_longest_wait_around_the_kill(at_s: float, worst_ms: float | None) -> None:
    traffic = Traffic([], size=SizeClass.SMALL, rng=Random(1))
    traffic.attempts = [Attempt("a", 9.5, 10.0), Attempt("a", 11.0, 14.0), Attempt("b", 11.0, 19.0), Attempt("a", 12.0)]
    assert traffic.worst_wait_ms("a", at_s, within_s=10.0) == worst_ms
