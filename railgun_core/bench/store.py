"""What the store costs over bare SQLite.

Both write the same own items, in the same batches, each batch durable before the next (WAL, synchronous=FULL), into
files beside each other, in turns A B A B. The floor is `sqlite3.executemany` into one table with the same unique key
and nothing else: no outbox, no checksums, no threads. Run: `python -m railgun_core.bench.store [rows] [body_bytes]`.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from railgun_core.base.ids import MemberId, RoomId
from railgun_core.changes import Item, ItemsAdd
from railgun_core.store.sqlite import SqliteStore

BATCH_ROWS = 200
TURNS = 2
WRITERS = 200  # callers at once, in the group commit figure

_ROOM = RoomId(b"bench-room------")
_ME = MemberId(b"bench-me")
_FLOOR_TABLE = """CREATE TABLE items (position INTEGER PRIMARY KEY AUTOINCREMENT, room BLOB, sender BLOB, seq INTEGER,
part INTEGER, parts INTEGER, own INTEGER, at_s REAL, body BLOB, UNIQUE (room, sender, seq))"""
_FLOOR_ADD = """INSERT OR IGNORE INTO items (room, sender, seq, part, parts, own, at_s, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""


async def run(rows: int, body_bytes: int) -> dict[str, float]:
    """Rows per second of the store and of the floor, their ratio, and single commits per second of many callers."""
    body = bytes(body_bytes)
    store_s = floor_s = group_s = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(TURNS):
            floor_s += await asyncio.to_thread(_floor, Path(folder) / f"floor-{turn}.db", rows, body)
            batches_s, singles_s = await _store(Path(folder) / f"store-{turn}.db", rows, body)
            store_s += batches_s
            group_s += singles_s
    total = rows * TURNS
    return {
        "rows": rows,
        "body_bytes": body_bytes,
        "store_rows_per_s": round(total / store_s),
        "floor_rows_per_s": round(total / floor_s),
        "store_over_floor": round(store_s / floor_s, 2),
        "single_commits_per_s": round(total / group_s),
    }


def _floor(path: Path, rows: int, body: bytes) -> float:
    link = sqlite3.connect(path, isolation_level=None)
    try:
        link.execute("PRAGMA page_size=8192")
        link.execute("PRAGMA journal_mode=WAL")
        link.execute("PRAGMA synchronous=FULL")
        link.execute(_FLOOR_TABLE)
        started = time.perf_counter()
        for first in range(1, rows + 1, BATCH_ROWS):
            batch = range(first, min(first + BATCH_ROWS, rows + 1))
            link.execute("BEGIN IMMEDIATE")
            link.executemany(_FLOOR_ADD, [(_ROOM, _ME, seq, 0, 1, 1, 1.0, body) for seq in batch])
            link.execute("COMMIT")
        return time.perf_counter() - started
    finally:
        link.close()


async def _store(path: Path, rows: int, body: bytes) -> tuple[float, float]:
    """Seconds for `rows` own items in batches, then for as many others' items in commits of their own."""
    store = await SqliteStore.open(path)
    try:
        started = time.perf_counter()
        for first in range(1, rows + 1, BATCH_ROWS):
            batch = range(first, min(first + BATCH_ROWS, rows + 1))
            items = tuple(Item(seq, 0, 1, body, 1.0) for seq in batch)
            await store.commit([ItemsAdd(_ROOM, _ME, items, own=True)])
        between = time.perf_counter()
        for first in range(1, rows + 1, WRITERS):
            wave = range(first, min(first + WRITERS, rows + 1))
            ones = ([ItemsAdd(_ROOM, MemberId(b"others--"), (Item(n, 0, 1, body, 1.0),), own=False)] for n in wave)
            await asyncio.gather(*(store.commit(one) for one in ones))
        return between - started, time.perf_counter() - between
    finally:
        await store.close()


def main(arguments: list[str]) -> None:
    """Print the figures as one line of JSON."""
    rows = int(arguments[0]) if arguments else 5000
    body_bytes = int(arguments[1]) if len(arguments) > 1 else 4096
    print(json.dumps(asyncio.run(run(rows, body_bytes))))


if __name__ == "__main__":
    main(sys.argv[1:])
