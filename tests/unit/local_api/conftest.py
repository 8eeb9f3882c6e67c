"""A real server on a real socket, with a handful of verbs that do what a test asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import msgspec
import pytest

from railgun_core.base.errors import UsageError
from railgun_core.local_api.connection import ApiLimits
from railgun_core.local_api.handlers import Handler, call, latest, stream
from railgun_core.local_api.messages import Empty
from railgun_core.local_api.server import ApiServer


class Say(msgspec.Struct, frozen=True):
    text: str


class Count(msgspec.Struct, frozen=True):
    upto: int


class Number(msgspec.Struct, frozen=True):
    value: int


class Blob(msgspec.Struct, frozen=True):
    body: bytes


class Verbs:
    """The handlers, and what they saw."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.entered = 0
        self.waiting = 0
        self.most_waiting = 0
        self.called_off = 0
        self.ended_streams = 0
        self.ticks: asyncio.Queue[int] = asyncio.Queue()

    async def echo(self, args: Say) -> Say:
        return args

    async def blob(self, args: Count) -> Blob:
        return Blob(bytes(args.upto))

    async def swallow(self, args: Blob) -> Number:
        return Number(len(args.body))

    async def wait(self, _: Empty) -> Empty:
        self.entered += 1
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.called_off += 1
            raise
        finally:
            self.waiting -= 1
        return Empty()

    async def refuse(self, args: Say) -> Empty:
        raise UsageError(args.text, code="no-such-room")

    async def crash(self, args: Say) -> Empty:
        raise ValueError(f"secret {args.text}")

    async def hang_up(self, _: Empty) -> Empty:
        raise ConnectionResetError("somebody else's connection")

    async def count(self, args: Count) -> AsyncGenerator[Number, None]:
        try:
            for value in range(args.upto):
                yield Number(value)
        finally:
            self.ended_streams += 1

    async def tick(self, _: Empty) -> AsyncGenerator[Number, None]:
        while True:
            value = await self.ticks.get()
            if value < 0:
                return
            yield Number(value)

    async def stumble(self, _: Empty) -> AsyncGenerator[Number, None]:
        yield Number(1)
        raise UsageError("no more", code="no-more")

    def table(self) -> dict[str, Handler]:
        return {
            "echo": call(Say, self.echo),
            "blob": call(Count, self.blob),
            "swallow": call(Blob, self.swallow),
            "wait": call(Empty, self.wait),
            "refuse": call(Say, self.refuse),
            "crash": call(Say, self.crash),
            "hang-up": call(Empty, self.hang_up),
            "count": stream(Count, self.count),
            "tick": stream(Empty, self.tick),
            "newest": latest(Count, self.count),
            "stumble": stream(Empty, self.stumble),
        }


@pytest.fixture
def verbs() -> Verbs:
    return Verbs()


@pytest.fixture
def limits() -> ApiLimits:
    return ApiLimits()


@pytest.fixture
async def server(verbs: Verbs, limits: ApiLimits, tmp_path: Path) -> AsyncIterator[ApiServer]:
    running = ApiServer(verbs.table(), limits=limits)
    await running.start(tmp_path / "data")
    yield running
    await running.close()


@pytest.fixture
def data_dir(server: ApiServer, tmp_path: Path) -> Path:
    return tmp_path / "data"
