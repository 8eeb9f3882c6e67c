"""People who write all the time, and what each node has read: for tests of real time with real processes.

A line names its writer and its number. It counts as written once its engine has answered, for then it is committed.
Conversations are read on from where they were left, so that a look costs what is new and no line hides a second one.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from railgun_core.local_api.client import Client
from railgun_core.local_api.messages import Messages, Outbox, RoomRead, RoomRef, RoomSend, Sent

from .conftest import RealNode, numbered, until

PAGE = 1_000


@dataclass(slots=True)
class Writer:
    """One member that writes numbered lines. `written`: the lines that its engine has."""

    name: str
    node: RealNode
    room: str
    written: list[bytes] = field(default_factory=list)

    async def write(self, client: Client, *, lines: int = 1, wait_s: float = 0.0) -> int:
        """Write so many lines; how many of them were stored within `wait_s`."""
        more = tuple(numbered(self.name, len(self.written) + 1, len(self.written) + lines))
        sent = await client.call("room.send", RoomSend(self.room, more, wait_s=wait_s), Sent)
        self.written += more
        return sent.reached

    async def write_on(self, ended: asyncio.Event, *, every_s: float) -> None:
        """A line now and then until told to end."""
        async with await Client.connect(self.node.data_dir) as client:
            while not ended.is_set():
                await self.write(client)
                await asyncio.sleep(every_s)

    def outbox(self) -> Outbox:
        """What has not come all the way."""
        return self.node.ask("room.outbox", RoomRef(self.room), Outbox)


@dataclass(slots=True)
class Reading:
    """What one node has read of a room so far, in the order it came."""

    name: str
    node: RealNode
    room: str
    lines: list[bytes] = field(default_factory=list)
    last: int = 0

    def look(self) -> list[bytes]:
        """Read on."""
        while True:
            page = self.node.ask("room.read", RoomRead(self.room, since=self.last, count=PAGE), Messages)
            if not page.messages:
                return self.lines
            self.lines += [message.body for message in page.messages]
            self.last = page.last

    def lacks(self, wanted: Iterable[bytes]) -> set[bytes]:
        """What is not there yet."""
        return set(wanted).difference(self.look())

    def has_all(self, writers: Iterable[Writer], *, within_s: float) -> float:
        """Wait until everything that was written is there; how long it took."""
        began_s, wanted = time.monotonic(), {line for one in writers for line in one.written}
        try:
            until(lambda: not self.lacks(wanted), within_s=within_s, what=f"all lines at {self.name}")
        finally:
            lacking = sorted(wanted.difference(self.lines))
            print(f"{self.name}: {len(lacking)} of {len(wanted)} are missing: {lacking[:5]}")
        return time.monotonic() - began_s

    def check(self, writers: Collection[Writer]) -> None:
        """Nothing twice, nothing else, and each writer's lines in their order."""
        found = self.look()
        assert set(found) <= {line for one in writers for line in one.written}
        twice = [line for line, count in Counter(found).items() if count > 1]
        assert twice == [], f"{self.name} got lines twice"
        for one in writers:
            theirs = [line for line in found if line.startswith(one.name.encode() + b"-")]
            assert theirs == [line for line in one.written if line in found], f"{self.name}: {one.name}'s lines"


def deaths(nodes: Iterable[RealNode]) -> int:
    """How many deaths of relays these nodes have told their people."""
    notices = (notice for node in nodes for notice in node.status().notices)
    return sum(notice.count for notice in notices if notice.code == "relay-died")
