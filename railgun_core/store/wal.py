"""Has the write-ahead log lost transactions that were on the disk?

SQLite takes a frame of the log whose checksum is wrong for the place where a crash cut it off, and quietly leaves out
all that follows. After a crash of the program that is right: the transaction cut off was never acknowledged. After a
flipped bit it is not: transactions that came later were. They betray themselves. A transaction begins only when the one
before is durable, so at most one can be cut off; two commit frames of this log after the last one that SQLite accepts
are a proof. What this cannot see: a flip in the very last transaction, which looks like one that was cut off.
Source: sqlite.org, "WAL-mode File Format" (frames, salts; the index's count of valid frames).
"""

from __future__ import annotations

import sqlite3
import struct
from collections import Counter
from pathlib import Path
from typing import Final

from railgun_core.store.checks import untouched

_HEADER: Final = struct.Struct(">IIIIIIII")  # magic, format, page size, sequence, salts, checksums
_FRAME: Final = struct.Struct(">IIIIII")  # page, pages after commit or 0, salts, checksums
_PAGE_SIZE_AT: Final = 16  # of the database's header, u16, 1 for 65,536
_VALID_AT: Final = 16  # of the index: how many frames are valid and committed, in this machine's order
Salts = tuple[int, int]
_CUT_OFF: Final = 1  # transactions that a crash can leave behind


def has_lost_transactions(path: Path) -> bool:
    """Whether the log beside the database at `path` holds durable transactions that SQLite will leave out.

    Ask before anything writes to the database: its next close empties the log. Changes nothing in either file.
    Cost: reads the log's frame headers, some ms for a log of 32 MB. Raises sqlite3.Error and OSError.
    """
    wal = path.with_name(path.name + "-wal")
    if not wal.exists() or wal.stat().st_size <= _HEADER.size:
        return False
    frames = _frames(wal, _page_bytes(path))
    valid = _valid_frames(path)
    if not frames or valid >= len(frames):
        return False
    ours = _salts_of(wal) or Counter(salts for _, salts in frames).most_common(1)[0][0]
    commits = sum(1 for pages, salts in frames[valid:] if pages and salts == ours)
    return commits > _CUT_OFF


def _page_bytes(path: Path) -> int:
    with path.open("rb") as file:
        file.seek(_PAGE_SIZE_AT)
        size = int.from_bytes(file.read(2), "big")
    return 65_536 if size == 1 else size


def _frames(wal: Path, page_bytes: int) -> list[tuple[int, Salts]]:
    """Of each frame the pages after its commit (0: no commit) and its salts."""
    found: list[tuple[int, Salts]] = []
    with wal.open("rb") as file:
        at = _HEADER.size
        while True:
            file.seek(at)
            head = file.read(_FRAME.size)
            if len(head) < _FRAME.size:
                return found
            _, pages, salt_1, salt_2, _, _ = _FRAME.unpack(head)
            found.append((pages, (salt_1, salt_2)))
            at += _FRAME.size + page_bytes


def _valid_frames(path: Path) -> int:
    """How many frames SQLite accepts: it reads the whole log at the first question and notes it in its index."""
    with untouched(path) as link:
        link.execute("BEGIN")
        try:
            link.execute("SELECT count(*) FROM sqlite_master").fetchone()
            with path.with_name(path.name + "-shm").open("rb") as index:
                index.seek(_VALID_AT)
                return int(struct.unpack("=I", index.read(4))[0])
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise
            return 0  # the database itself is damaged, which is found without this
        finally:
            link.rollback()


def _salts_of(wal: Path) -> Salts | None:
    """The salts in the log's header, which all its own frames carry; None where that header is not what was written.

    Frames with others are left from before the log was begun anew.
    """
    with wal.open("rb") as file:
        head = file.read(_HEADER.size)
    words = struct.unpack(">6I" if head[3] & 1 else "<6I", head[:24])
    first = second = 0
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    *_, salt_1, salt_2, sum_1, sum_2 = _HEADER.unpack(head)
    return (salt_1, salt_2) if (first, second) == (sum_1, sum_2) else None
