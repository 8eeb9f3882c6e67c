"""The app's one connection to its engine: whole NodeStatus values in, commands out.

It reconnects by itself for as long as it runs. While the window is seen it watches the stream; while it is hidden it
asks once in three seconds instead, because each event costs the Qt loop about 0.4 ms and nobody looks (measured).
Commands are coroutines; what they fail with becomes a notice for the person and a None for the caller.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
from PySide6.QtCore import QObject, Signal

from app import messages
from app.messages import tr
from app.present import Connection
from railgun_core.base.errors import RailGunError
from railgun_core.local_api.client import ApiError, Client
from railgun_core.local_api.messages import Messages, RoomFollow
from railgun_core.status import NodeStatus

T = TypeVar("T")

# Everything a call can end in on purpose.
_FAILURES = (RailGunError, OSError)

RETRY_S = (0.1, 0.2, 0.4, 0.8, 1.0)
QUIET_S = 3.0


class Pace(enum.Enum):
    """How closely the engine is watched."""

    LIVE = "live"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the engine did not do what was asked: its code, and one sentence to show beside the control."""

    code: str
    sentence: str


class Link(QObject):
    """See the module. `run` is the whole life of it; cancel it to end."""

    status_changed = Signal(object)  # NodeStatus
    connection_changed = Signal(object)  # Connection
    noticed = Signal(str)  # a sentence for the person

    def __init__(self, data_dir: Path) -> None:
        super().__init__()
        self.data_dir = data_dir
        self._client: Client | None = None
        self._connection = Connection.STARTING
        self._pace = Pace.LIVE
        self._watching: asyncio.Task[None] | None = None
        self._jobs: set[asyncio.Task[None]] = set()
        self._arrived = asyncio.Event()

    @property
    def connection(self) -> Connection:
        """How the app stands to the engine now (never STOPPED: that is for whoever starts engines to say)."""
        return self._connection

    @property
    def connected(self) -> bool:
        """True while commands can be sent."""
        return self._client is not None

    def set_pace(self, pace: Pace) -> None:
        """Watch closely or now and then."""
        if pace is not self._pace:
            self._pace = pace
            if self._watching is not None:
                self._watching.cancel()

    async def run(self) -> None:
        """Connect, watch, reconnect, until cancelled."""
        attempt = 0
        try:
            while True:
                try:
                    client = await Client.connect(self.data_dir)
                except _FAILURES:
                    await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
                    attempt += 1
                    continue
                attempt = 0
                await self._use(client)
        finally:
            await self.finish_jobs()

    async def _use(self, client: Client) -> None:
        self._client = client
        try:
            await self._watch(client)
        except _FAILURES:
            pass
        finally:
            self._client = None
            self._arrived.clear()
            self._connected(Connection.LOST)
            await close_fully(client)

    async def _watch(self, client: Client) -> None:
        while True:
            live = self._pace is Pace.LIVE
            watching = asyncio.ensure_future(self._stream(client) if live else self._poll(client))
            self._watching = watching
            try:
                await asyncio.wait({watching})
            finally:
                self._watching = None
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            if not watching.cancelled():
                watching.result()  # raises what ended it
                return

    async def _stream(self, client: Client) -> None:
        async with aclosing(client.stream("status.watch", None, NodeStatus)) as statuses:
            async for status in statuses:
                self._took(status)

    async def _poll(self, client: Client) -> None:
        while True:
            self._took(await client.call("status", None, NodeStatus))
            await asyncio.sleep(QUIET_S)

    def _took(self, status: NodeStatus) -> None:
        self._arrived.set()
        self._connected(Connection.CONNECTED)
        self.status_changed.emit(status)

    def _connected(self, connection: Connection) -> None:
        if connection is not self._connection:
            self._connection = connection
            self.connection_changed.emit(connection)

    async def attempt(self, verb: str, args: msgspec.Struct | None, result_type: type[T]) -> T | Refusal:
        """The engine's answer, or why not; for controls that say it themselves."""
        client = self._client
        if client is None:
            return Refusal("no-engine", messages.error_sentence("no-engine", ""))
        try:
            return await client.call(verb, args, result_type)
        except _FAILURES as error:
            return Refusal(str(getattr(error, "code", "no-engine")), sentence_of(error))

    async def ask(self, verb: str, args: msgspec.Struct | None, result_type: type[T]) -> T | None:
        """The engine's answer, or None after a notice that says why not."""
        answer = await self.attempt(verb, args, result_type)
        if isinstance(answer, Refusal):
            self.noticed.emit(answer.sentence)
            return None
        return answer

    async def follow(self, room: str, since: int) -> AsyncGenerator[Messages, None]:
        """A room's messages from a position on, across reconnects, until the iterator is closed."""
        while True:
            await self._arrived.wait()
            client = self._client
            with suppress(*_FAILURES):
                if client is not None:
                    async with aclosing(client.stream("room.follow", RoomFollow(room, since), Messages)) as events:
                        async for event in events:
                            since = max(since, event.last)
                            yield event
            await asyncio.sleep(RETRY_S[-1])  # the stream ended: the engine restarts, or the room was left

    def start(self, job: Coroutine[object, object, None], done: Callable[[], None] | None = None) -> asyncio.Task[None]:
        """Run a page's coroutine and hold it; it is cancelled with the link."""
        task = asyncio.ensure_future(job)
        self._jobs.add(task)

        def ended(finished: asyncio.Task[None]) -> None:
            self._jobs.discard(finished)
            if not finished.cancelled() and (error := finished.exception()) is not None:
                self.noticed.emit(tr("Something went wrong in the window: {kind}.", kind=type(error).__name__))
            if done is not None:
                done()

        task.add_done_callback(ended)
        return task

    async def finish_jobs(self) -> None:
        """Cancel what pages started and wait for it."""
        jobs = list(self._jobs)
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)


async def close_fully(client: Client) -> None:
    """Close to the end even when the caller is cancelled meanwhile, or a socket would be left open. At most 4 s."""
    closing = asyncio.ensure_future(client.close())
    try:
        await asyncio.shield(closing)
    except asyncio.CancelledError:
        await closing
        raise


def sentence_of(error: BaseException) -> str:
    """What to tell the person about a failed call."""
    if isinstance(error, ApiError):
        return messages.error_sentence(error.code, error.sentence)
    code = getattr(error, "code", "no-engine")
    return messages.error_sentence(str(code), str(getattr(error, "detail", "")))
