"""What the transport contract is checked with: peers that write down what they hear, and a loop for each scenario.

Each scenario runs in a loop of its own; when it ends, its transports are closed, and no task and no socket may be
left. Waits are for events, with a deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from railgun_core.base.keys import Identity
from railgun_core.transport.link import CloseReason, Limits, Link, Transport
from railgun_core.transport.memory import MemoryNetwork, MemoryTransport
from railgun_core.transport.quic import QuicTransport
from railgun_core.transport.tls import TlsTransport
from railgun_core.wire.frames import FrameBatch
from railgun_core.wire.kinds import FrameType, frame
from railgun_core.wire.records import Address
from tests.contract.tunnel_world import TunnelledTransport

WAIT_S = 30.0
ALICE, BOB, CAROL = (Identity(bytes((n,)) * 32) for n in (1, 2, 3))
ROOT = Path(__file__).resolve().parents[2]


class Peer:
    """A handler and acceptor that writes down what it hears."""

    def __init__(self) -> None:
        self.links: list[Link] = []
        self.ends: list[CloseReason] = []
        self.reads = self.count = self.credits = 0
        self.digest = hashlib.sha256()
        self.after_end = 0
        self.on_frames: Callable[[Link], None] | None = None
        self._changed = asyncio.Event()

    def accepted(self, link: Link) -> Peer:
        self.links.append(link)
        self._changed.set()
        return self

    def frames(self, link: Link, batch: FrameBatch) -> None:
        self.reads += 1
        self.count += len(batch)
        self.digest.update(batch.data[batch.bounds[0] : batch.bounds[-1]])
        self.after_end += len(self.ends)
        if self.on_frames is not None:
            self.on_frames(link)
        self._changed.set()

    def credit(self, link: Link) -> None:
        self.credits += 1
        self.after_end += len(self.ends)
        self._changed.set()

    def closed(self, link: Link, reason: CloseReason) -> None:
        self.ends.append(reason)
        self._changed.set()

    async def until(self, condition: Callable[[], bool], wait_s: float = WAIT_S) -> None:
        async with asyncio.timeout(wait_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


class World:
    """The transports of one scenario."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._network = MemoryNetwork()
        self._made: list[Transport] = []

    def make(self, identity: Identity, limits: Limits | None = None) -> Transport:
        made: Transport
        if self.kind == "memory":
            made = MemoryTransport(identity, self._network, limits=limits)
        elif self.kind == "tls":
            made = TlsTransport(identity, limits=limits)
        elif self.kind == "tunnel":
            made = TunnelledTransport(identity, limits=limits)
        else:
            made = QuicTransport(identity, limits=limits)
        self._made.append(made)
        return made

    async def pair(self, limits: Limits | None = None, far_limits: Limits | None = None) -> Pair:
        """Alice has dialled Bob."""
        near, far, alice, bob = self.make(ALICE, limits), self.make(BOB, far_limits or limits), Peer(), Peer()
        address = await far.listen("127.0.0.1", 0, bob)
        link = await near.dial(address, BOB.public_key, ALICE, alice)
        await bob.until(lambda: bool(bob.links))
        return Pair(near, far, alice, bob, link, bob.links[0], address)

    async def close(self) -> None:
        for transport in self._made:
            await transport.close()
            await transport.close()  # harmless
        for _ in range(3):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}


@dataclasses.dataclass
class Pair:
    near: Transport
    far: Transport
    alice: Peer
    bob: Peer
    link: Link
    far_link: Link
    address: Address


def _loops() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.SelectorEventLoop}
    with contextlib.suppress(ImportError):
        import uvloop

        loops["uvloop"] = uvloop.new_event_loop
    return loops


def scenario(*kinds: str) -> Callable[[Callable[[World], Awaitable[None]]], Callable[[str, str], None]]:
    """Run an async scenario for each kind of transport on each loop."""

    def decorate(body: Callable[[World], Awaitable[None]]) -> Callable[[str, str], None]:
        async def whole(kind: str) -> None:
            world = World(kind)
            try:
                await body(world)
            finally:
                await world.close()

        def run(kind: str, loop: str) -> None:
            with asyncio.Runner(loop_factory=_loops()[loop]) as runner:
                runner.run(whole(kind))
            gc.collect()  # a forgotten socket warns here, and a warning is an error

        run.__name__, run.__doc__, run.__module__ = body.__name__, body.__doc__, body.__module__
        settings = [(k, loop) for k in kinds for loop in _loops() if k != "memory" or loop == "asyncio"]
        return pytest.mark.parametrize(("kind", "loop"), settings)(run)

    return decorate


def some_frame(size: int = 64) -> bytes:
    return frame(FrameType.ENVELOPE, b"e" * (size - 5))


ALL = ("memory", "tls", "tunnel", "quic")
REAL = ("tls", "tunnel", "quic")


async def pour(link: Link, peer: Peer, chunks: Sequence[bytes]) -> None:
    """Send all of `chunks` within the link's credit."""
    at = 0
    while at < len(chunks):
        size, start = 0, at
        while at < len(chunks) and size < link.credit_bytes:
            size += len(chunks[at])
            at += 1
        heard = peer.credits
        link.send(chunks[start:at])
        if not link.credit_bytes:
            await peer.until(lambda heard=heard: peer.credits > heard)  # type: ignore[misc]
