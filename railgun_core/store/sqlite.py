"""The store on SQLite: asyncio in front, one writer thread and one reader thread behind.

A commit returns after its transaction is on the disk (WAL, synchronous=FULL). Reads have a connection of their own and
do not wait for writes; they see every commit that has returned. No clock is read here: times come in the changes.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine

from railgun_core.base.errors import EnvironmentFailure, RailGunError
from railgun_core.base.ids import RoomId, Tag
from railgun_core.changes import (
    Change,
    CommitteePut,
    DutyPut,
    ExposurePut,
    Item,
    Message,
    PeerPut,
    StoredState,
    TrafficAdd,
)
from railgun_core.store import queries
from railgun_core.store.apply import has_own_items, rows_of
from railgun_core.store.connections import empty_wal, reader_engine, writer_engine
from railgun_core.store.failures import failure_of
from railgun_core.store.mail import mail_from
from railgun_core.store.opening import Opened, prepare
from railgun_core.store.removal import PRUNE_ROWS, end_membership, forget_room, prune_chunk
from railgun_core.store.starts import count_up, set_mark
from railgun_core.store.writer import Job, Writer

T = TypeVar("T")


def disk_free_bytes(folder: Path) -> int:
    """What the file system has left for this person."""
    return shutil.disk_usage(folder).free


class SqliteStore:
    """See `port.Store`. Made by `open`; `repaired` says in one sentence what was done about a damaged file."""

    def __init__(self, path: Path, opened: Opened, *, free_bytes: Callable[[Path], int]) -> None:
        self.path: Final = path
        self.repaired: Final = opened.repaired
        self._vault = opened.vault
        self._writer = Writer(writer_engine(path), opened.vault, free_bytes=lambda: free_bytes(path.parent))
        self._reader = Reader(reader_engine(path))
        self._closing: asyncio.Future[None] | None = None
        self._writer.start()

    @classmethod
    async def open(cls, path: Path, *, free_bytes: Callable[[Path], int] = disk_free_bytes) -> SqliteStore:
        """Make, check, upgrade and open the database at `path`.

        `store.key` and `store.mark` lie beside it (see `vault`, `starts`).
        Raises EnvironmentFailure: unwritable, disk-full, database-newer, key-unusable. A damaged file is set aside
        and said.
        Cost: reads the whole file once.
        """
        opened = await asyncio.to_thread(prepare, path)
        return cls(path, opened, free_bytes=free_bytes)

    @property
    def lost_soon(self) -> int:
        """How many `commit_soon` calls could not be written since the start (a full disk)."""
        return self._writer.lost_soon

    async def load(self) -> StoredState:
        """See the port."""
        return await self._reader.ask(lambda c: queries.load(c, self._vault))

    async def commit(self, changes: Sequence[Change]) -> None:
        """See the port. UsageError if a value fits no column (an integer above 2**63-1, a NaN)."""
        fixed = tuple(changes)
        await self._write(fixed, rows=rows_of(fixed), own_items=has_own_items(fixed))

    def commit_soon(self, changes: Sequence[Change]) -> None:
        """See the port. Never raises: what cannot be written is counted in `lost_soon`."""
        fixed = tuple(changes)
        self._writer.put(Job(fixed, rows_of(fixed), has_own_items(fixed), None))

    async def own_items(self, room: RoomId, first: int, last: int) -> tuple[Item, ...]:
        """See the port."""
        return await self._reader.ask(lambda c: queries.own_items(c, room, first, last))

    async def mail(self, tag: Tag, position: int, limit: int) -> tuple[tuple[int, bytes], ...]:
        """See the port."""
        return await self._reader.ask(lambda c: mail_from(c, tag, position, limit))

    async def messages(
        self, room: RoomId, *, after: int, limit: int, max_bytes: int | None = None
    ) -> tuple[Message, ...]:
        """See the port."""
        return await self._reader.ask(
            lambda c: queries.messages(c, room, after=after, limit=limit, max_bytes=max_bytes)
        )

    async def latest_messages(self, room: RoomId, *, limit: int, max_bytes: int | None = None) -> tuple[Message, ...]:
        """See the port."""
        return await self._reader.ask(lambda c: queries.latest_messages(c, room, limit=limit, max_bytes=max_bytes))

    async def committees(self, *, room: RoomId | None = None, tag: Tag | None = None) -> tuple[CommitteePut, ...]:
        """See the port."""
        return await self._reader.ask(lambda c: queries.committees(c, room=room, tag=tag))

    async def duties(self, *, limit: int) -> tuple[DutyPut, ...]:
        """See the port."""
        return await self._reader.ask(lambda c: queries.duties(c, limit=limit))

    async def traffic(self, *, since_hour: int) -> tuple[TrafficAdd, ...]:
        """See the port."""
        return await self._reader.ask(lambda c: queries.traffic(c, since_hour=since_hour))

    async def exposure(self, *, day: int) -> tuple[ExposurePut, ...]:
        """See the port."""
        return await self._reader.ask(lambda c: queries.exposure(c, day=day))

    async def peers(self, *, limit: int) -> tuple[PeerPut, ...]:
        """See the port."""
        return await self._reader.ask(lambda c: queries.peers(c, limit=limit))

    async def settings(self) -> dict[str, str]:
        """See the port."""
        return await self._reader.ask(queries.settings)

    async def end_membership(self, room: RoomId) -> None:
        """See the port. Rewrites every own item: some 10 us each."""
        await self._write(lambda connection: end_membership(connection, room), rows=1, own_items=False)

    async def forget_room(self, room: RoomId) -> None:
        """See the port. One transaction; the freed pages are overwritten."""
        await self._write(lambda connection: forget_room(connection, room), rows=1, own_items=False)

    async def prune(self, *, items_before_s: float, traffic_before_hour: int, committees_before_s: float) -> None:
        """See the port. Duties that ended before `committees_before_s` go too, and all but the newest peers.

        Works in small transactions, so that commits get their turn.
        """
        removed = [PRUNE_ROWS]

        def work(connection: Connection) -> None:
            removed[0] = prune_chunk(
                connection,
                items_before_s=items_before_s,
                traffic_before_hour=traffic_before_hour,
                committees_before_s=committees_before_s,
            )

        while removed[0] >= PRUNE_ROWS:
            await self._write(work, rows=PRUNE_ROWS, own_items=False)
        await asyncio.to_thread(empty_wal, self.path)

    async def close(self) -> None:
        """See the port."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(asyncio.to_thread(self._close))
        await asyncio.shield(self._closing)

    def _close(self) -> None:
        ended = 0

        def count(connection: Connection) -> None:
            nonlocal ended
            ended = count_up(connection)

        durable: list[bool] = []
        self._writer.put(Job(count, 1, False, lambda error: durable.append(error is None)))
        self._writer.close()
        self._reader.close()
        if durable == [True]:
            set_mark(self.path, ended)

    async def _write(
        self, work: tuple[Change, ...] | Callable[[Connection], None], *, rows: int, own_items: bool
    ) -> None:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def settle(error: RailGunError | None) -> None:
            if done.done():  # the caller was cancelled; the write itself went on
                return
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

        def answer(error: RailGunError | None) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, error)

        if not self._writer.put(Job(work, rows, own_items, answer)):
            raise _closed()
        await done


class Reader:
    """One thread with the reading connection."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store-reader")
        self._closed = False

    async def ask(self, question: Callable[[Connection], T]) -> T:
        """Run `question` on the reader's thread, in a transaction of its own."""
        if self._closed:
            raise _closed()
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._ask, question)

    def close(self) -> None:
        """Wait for what is being read, then close. Blocks."""
        self._closed = True
        self._pool.submit(self._close).result()
        self._pool.shutdown()

    def _ask(self, question: Callable[[Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            with self._connection.begin():
                return question(self._connection)
        except Exception as error:
            raise failure_of(error) from error

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._engine.dispose()


def _closed() -> EnvironmentFailure:
    return EnvironmentFailure("The store is closed.", code="unwritable")
