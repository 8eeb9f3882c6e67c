"""Between the node and the central server of hybrid mode: effects in, events out, and figures for the page.

Imported only in mode hybrid, because the NATS library costs some 5 MB. One object serves one set of options; when they
change the engine stops it and makes another. The node's CentralKeep is answered by one CentralKept, also when it stops.

The server learns the address of whoever connects. So there is a connection only while rooms follow something there:
a device whose rooms all go through guards or mixes never shows itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from railgun_core.base.ids import Tag
from railgun_core.central.client import CentralClient
from railgun_core.central.connection import CentralFailure, open_connection
from railgun_core.central.port import Why
from railgun_core.config import Config, HostPort
from railgun_core.events import CentralBrought, CentralFollow, CentralKeep, CentralKept, CentralState, Event
from railgun_core.status import CentralStatus


class Central:
    """The central server of one engine. `tell` takes the events, on the loop, one at a time."""

    def __init__(self, config: Config, tell: Callable[[Event], None]) -> None:
        self._tell = tell
        self._first = config.central_first
        self._state = CentralState(False, Why.OFF)
        self._kept = self._brought = 0
        self._wanted = False
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._client = CentralClient(
            config.central,
            replicas=config.central_replicas,
            on_state=self._on_state,
            on_kept=self._on_kept,
            on_brought=self._on_brought,
        )

    async def start(self) -> None:
        """Connect as soon as something is to be followed; returns at once. Idempotent."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._connect_while_wanted())

    async def stop(self) -> None:
        """End everything; open keeps are answered. Idempotent, bounded."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        await self._client.stop()

    def apply(self, effect: CentralKeep | CentralFollow) -> None:
        """Do what the node asks; the answers come later, never from inside this call."""
        match effect:
            case CentralKeep():
                self._client.keep(effect.ticket, effect.tag, effect.frame)
            case CentralFollow():
                self._client.follow(effect.tags)
                self._wanted = bool(effect.tags)
                self._news.set()

    def woke(self) -> None:
        """This machine slept, or its address changed: connect anew."""
        self._client.woke()

    async def share(self, text: bytes) -> bool:
        """Give the server one line of telemetry; whether it has it. Bounded."""
        return await self._client.tell(text)

    def status(self) -> CentralStatus:
        """As people see it."""
        return CentralStatus(
            configured=True,
            up=self._state.up,
            first=self._first,
            why=str(self._state.code if self._wanted else Why.NO_ROOM),
            kept=self._kept,
            brought=self._brought,
        )

    async def _connect_while_wanted(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            await (self._client.start() if self._wanted else self._client.stop())

    def _on_state(self, up: bool, code: str) -> None:
        self._state = CentralState(up, code)
        self._tell(self._state)

    def _on_kept(self, ticket: int, code: str) -> None:
        self._kept += not code
        self._tell(CentralKept(ticket, code))

    def _on_brought(self, tag: Tag, position: int, frames: tuple[bytes, ...]) -> None:
        self._brought += len(frames)
        self._tell(CentralBrought(tag, position, frames))


@dataclass(frozen=True, slots=True)
class Answer:
    """What one configured server says when it is asked now. `code` empty: it can keep envelopes."""

    server: HostPort
    code: str
    ms: float


async def ask_servers(config: Config) -> tuple[Answer, ...]:
    """Connect to each configured server once, at the same time. Some seconds at most; never raises."""

    async def ask(server: HostPort) -> Answer:
        began_s = time.perf_counter()
        try:
            connection = await open_connection(server, replicas=config.central_replicas)
        except CentralFailure as failure:
            return Answer(server, str(failure.code), (time.perf_counter() - began_s) * 1_000)
        took_ms = (time.perf_counter() - began_s) * 1_000
        await connection.close()
        return Answer(server, "", took_ms)

    return tuple(await asyncio.gather(*(ask(server) for server in config.central)))
