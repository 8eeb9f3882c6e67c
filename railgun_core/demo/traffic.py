"""Messages through a demo's rooms, and the count of what arrived.

A message says its room, sender, number and time, so every copy can be told apart and timed: all processes share
this machine's clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any

from railgun_core.base.errors import RailGunError
from railgun_core.demo.peers import PeerProcess
from railgun_core.local_api.messages import Messages, RoomFollow, RoomSend, Sent
from railgun_core.wire.envelope import SizeClass

BODY_BYTES = {SizeClass.SMALL: 120, SizeClass.MEDIUM: 3_500, SizeClass.LARGE: 60_000}
FILLER = b" A sealed envelope passes through five relays, and none of them can read this."
SEND_WAIT_S = 60.0


@dataclass(slots=True)
class DemoRoom:
    """One room: who is in it, and how many messages each has sent."""

    name: str
    members: list[PeerProcess]
    sent: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Attempt:
    """One message from submission to storage, for the failover figures. `over`: the answer came, good or bad."""

    room: str
    at_s: float
    stored_s: float | None = None
    over: bool = False


class Traffic:
    """Sends at random moments and follows every conversation."""

    def __init__(self, rooms: list[DemoRoom], *, size: SizeClass, rng: Random) -> None:
        self._rooms = rooms
        self._size = size
        self._rng = rng
        self._tasks: set[asyncio.Task[None]] = set()
        self._seen: dict[tuple[str, str, str], int] = {}
        self.attempts: list[Attempt] = []
        self.sent = self.expected = self.delivered = self.duplicated = self.out_of_order = self.unstored = 0
        self.latency_ms: list[float] = []
        self.failures: list[str] = []
        self._changed = asyncio.Event()

    @property
    def lost(self) -> int:
        """What should have arrived and has not."""
        return self.expected - self.delivered

    def follow(self) -> None:
        """Read every room on every member, from now on."""
        for room in self._rooms:
            for member in room.members:
                self._spawn(self._follow(room, member))

    async def send_for(self, seconds: float | None, rate_per_s: float) -> None:
        """Messages with exponential gaps, as independent people write; without end for None."""
        began_s = due_s = time.monotonic()
        while rate_per_s and self._rooms:
            due_s += self._rng.expovariate(rate_per_s)
            if seconds is not None and due_s - began_s > seconds:
                break
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            room = self._rng.choice(self._rooms)
            self._spawn(self._send(room, self._rng.choice(room.members)))
        if seconds is not None:
            await asyncio.sleep(max(0.0, began_s + seconds - time.monotonic()))

    async def settle(self, limit_s: float) -> None:
        """Wait until everything has arrived and is stored, or for `limit_s`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while self.lost > 0 or self._sending():
                    self._changed.clear()
                    await self._changed.wait()
        await asyncio.sleep(1.0)  # what comes twice comes late

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def worst_wait_ms(self, room: str, at_s: float, *, within_s: float) -> float | None:
        """The longest that a message of a room waited for storage around a moment; None without one."""
        waits = [
            (attempt.stored_s - attempt.at_s) * 1000
            for attempt in self.attempts
            if attempt.room == room and attempt.stored_s is not None and -1.0 <= attempt.at_s - at_s <= within_s
        ]
        return max(waits, default=None)

    def _sending(self) -> bool:
        return any(not attempt.over for attempt in self.attempts)

    async def _send(self, room: DemoRoom, member: PeerProcess) -> None:
        number = room.sent[member.name] = room.sent.get(member.name, 0) + 1
        head = f"{room.name} {member.name} {number} {time.time():.6f}|".encode()
        body = (head + FILLER * (BODY_BYTES[self._size] // len(FILLER) + 1))[: BODY_BYTES[self._size]]
        attempt = Attempt(room.name, time.monotonic())
        self.attempts.append(attempt)
        self.sent += 1
        self.expected += len(room.members) - 1
        try:
            client = await member.connect()
            answer = await client.call("room.send", RoomSend(room.name, (body,), wait_s=SEND_WAIT_S), Sent)
        except RailGunError as error:
            self.failures.append(f"{member.name}: {error.code}")
        else:
            self.unstored += answer.waiting
            if not answer.waiting:
                attempt.stored_s = time.monotonic()
        attempt.over = True
        self._changed.set()

    async def _follow(self, room: DemoRoom, member: PeerProcess) -> None:
        client = await member.connect()
        with contextlib.suppress(RailGunError):
            async for event in client.stream("room.follow", RoomFollow(room.name), Messages):
                arrived_s = time.time()
                for message in event.messages:
                    if not message.me:
                        self._count(member, message.body, arrived_s)
                self._changed.set()

    def _count(self, reader: PeerProcess, body: bytes, arrived_s: float) -> None:
        room, sender, number, sent_s = body.split(b"|", 1)[0].decode().split()
        key = (reader.name, room, sender)
        last = self._seen.get(key, 0)
        if int(number) <= last:
            self.duplicated += 1
            return
        if int(number) != last + 1:
            self.out_of_order += 1
        self._seen[key] = int(number)
        self.delivered += 1
        self.latency_ms.append((arrived_s - float(sent_s)) * 1000)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
