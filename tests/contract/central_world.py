"""A central server to test against, real or in memory, and a listener that remembers what a client says."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from railgun_core.base.ids import MsgId, Tag, handle_of
from railgun_core.central.memory import MemoryCentral, MemoryServer
from railgun_core.central.port import CentralPort
from railgun_core.config import HostPort
from railgun_core.wire.frames import envelope_frame
from tests.contract.nats_world import NatsServer

WITHIN_S = 15.0
TAG, OTHER_TAG = Tag(b"t" * 32), Tag(bytes(range(32)))
_tickets = itertools.count(1)


def envelope(number: int, *, tag: Tag = TAG, size: int = 256) -> bytes:
    """A whole envelope frame that differs from all others of this size."""
    body = number.to_bytes(4, "big") * (size // 4)
    return envelope_frame(handle_of(tag), expiry_s=1, msg_id=MsgId(number.to_bytes(16, "big")), envelope=body)


@dataclass(eq=False)
class Listener:
    """What a client told, and a way to wait for more of it."""

    states: list[tuple[bool, str]] = field(default_factory=list)
    kept: list[tuple[int, str]] = field(default_factory=list)
    brought: list[tuple[Tag, int, tuple[bytes, ...]]] = field(default_factory=list)
    client: CentralPort = field(init=False)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def on_state(self, up: bool, code: str) -> None:
        self.states.append((up, code))
        self._news.set()

    def on_kept(self, ticket: int, code: str) -> None:
        self.kept.append((ticket, code))
        self._news.set()

    def on_brought(self, tag: Tag, position: int, frames: tuple[bytes, ...]) -> None:
        self.brought.append((tag, position, frames))
        self._news.set()

    @property
    def is_up(self) -> bool:
        return bool(self.states) and self.states[-1][0]

    def frames(self, tag: Tag = TAG) -> list[bytes]:
        return [frame for its, _, frames in self.brought if its == tag for frame in frames]

    def position(self, tag: Tag = TAG) -> int:
        return next((position for its, position, _ in reversed(self.brought) if its == tag), 0)

    async def until(self, done: Callable[[], bool], within_s: float = WITHIN_S) -> None:
        async with asyncio.timeout(within_s):
            while not done():
                self._news.clear()
                await self._news.wait()

    async def until_up(self, within_s: float = WITHIN_S) -> None:
        await self.until(lambda: self.is_up, within_s)

    async def until_down(self, within_s: float = WITHIN_S) -> None:
        await self.until(lambda: not self.is_up, within_s)

    async def keep(self, frame: bytes, tag: Tag = TAG) -> str:
        """Keep one frame; the code of the answer."""
        return (await self.keep_all([frame], tag))[0]

    async def keep_all(self, frames: Sequence[bytes], tag: Tag = TAG) -> list[str]:
        """Keep frames in this order; the codes."""
        tickets = [next(_tickets) for _ in frames]
        for ticket, frame in zip(tickets, frames, strict=True):
            self.client.keep(ticket, tag, frame)
        await self.until(lambda: {ticket for ticket, _ in self.kept} >= set(tickets))
        return [dict(self.kept)[ticket] for ticket in tickets]


class CentralWorld(Protocol):
    """One server that tests can take away and bring back."""

    def client(self, listener: Listener) -> CentralPort: ...

    async def down(self) -> None: ...

    async def up(self) -> None: ...

    async def lose_store(self) -> None: ...


class RealWorld:
    """A nats-server of its own."""

    def __init__(self, server: NatsServer) -> None:
        self.server = server

    def client(self, listener: Listener) -> CentralPort:
        from railgun_core.central.client import CentralClient

        return CentralClient(
            (self.server.place,),
            replicas=1,
            on_state=listener.on_state,
            on_kept=listener.on_kept,
            on_brought=listener.on_brought,
        )

    async def down(self) -> None:
        self.server.kill()

    async def up(self) -> None:
        await self.server.start()

    async def lose_store(self) -> None:
        self.server.kill()
        self.server.forget()
        await self.server.start()


class MemoryWorld:
    """The same service without a network."""

    def __init__(self) -> None:
        self.server = MemoryServer(time.time)

    def client(self, listener: Listener) -> CentralPort:
        return MemoryCentral(
            self.server,
            later=lambda call: asyncio.get_running_loop().call_soon(call) and None,
            on_state=listener.on_state,
            on_kept=listener.on_kept,
            on_brought=listener.on_brought,
        )

    async def down(self) -> None:
        self.server.go_down()

    async def up(self) -> None:
        self.server.come_up()

    async def lose_store(self) -> None:
        self.server.lose_store()


class InOrder(Random):
    """Leaves the servers in the order in which they are given."""

    def __init__(self) -> None:
        super().__init__(1)
        self._numbers = itertools.count()

    def random(self) -> float:
        return float(next(self._numbers))

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


@asynccontextmanager
async def client_of(*places: HostPort, replicas: int = 1) -> AsyncIterator[Listener]:
    """A started client of these real servers, tried in this order."""
    from railgun_core.central.client import CentralClient

    listener = Listener()
    listener.client = CentralClient(
        places,
        replicas=replicas,
        on_state=listener.on_state,
        on_kept=listener.on_kept,
        on_brought=listener.on_brought,
        rng=InOrder(),
    )
    await listener.client.start()
    try:
        yield listener
    finally:
        await listener.client.stop()


async def eventually(asked: Callable[[], bool | Awaitable[bool]], within_s: float = 15.0) -> None:
    """Until the answer is yes; for what nobody tells by itself."""
    until_s = time.monotonic() + within_s
    while True:
        answer = asked()
        if answer if isinstance(answer, bool) else await answer:
            return
        assert time.monotonic() < until_s, f"not within {within_s} s"
        await asyncio.sleep(0.05)
