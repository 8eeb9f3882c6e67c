"""How a connection to the database is made: pragmas, transactions, the checksum function.

The writer: WAL, synchronous=FULL (a transaction is on the disk when COMMIT returns), BEGIN IMMEDIATE. The reader:
query_only, so that nothing but the one writer thread ever changes a row. Source: sqlite.org, "Write-Ahead Logging"
and "PRAGMA Statements".
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool

from railgun_core.store.schema import row_crc

BUSY_S: Final = 5.0  # only another program can hold the file (an inspection with a shell): wait a little for it
PAGE_BYTES: Final = 8192  # measured with 4 KB items: fewer overflow pages than with 4096
CACHE_KIB: Final = 8192
JOURNAL_LIMIT_BYTES: Final = 32 * 1024 * 1024  # the WAL is cut back to this after a large burst


def connect(path: Path) -> sqlite3.Connection:
    """A bare connection, without implicit transactions. The file must exist."""
    link = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    link.create_function("row_crc", -1, row_crc, deterministic=True)
    return link


def empty_wal(path: Path) -> None:
    """Move what is in the write-ahead log into the database and cut the log to nothing.

    Rows that were replaced stand in the log until then: old ratchet states among them. Nothing is done if somebody
    reads at this moment, or if the disk refuses: there is a next time.
    """
    with contextlib.suppress(sqlite3.Error), contextlib.closing(connect(path)) as link:
        link.execute("PRAGMA secure_delete=ON")
        link.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def _prepare_writer(link: sqlite3.Connection) -> None:
    link.execute(f"PRAGMA page_size={PAGE_BYTES}")  # has effect on an empty file only
    link.execute("PRAGMA journal_mode=WAL")
    link.execute("PRAGMA synchronous=FULL")
    link.execute("PRAGMA fullfsync=ON")  # macOS: fsync alone does not empty the drive's cache
    link.execute("PRAGMA checkpoint_fullfsync=ON")
    link.execute("PRAGMA secure_delete=ON")  # what a person forgets is overwritten
    link.execute("PRAGMA trusted_schema=OFF")
    link.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    link.execute(f"PRAGMA journal_size_limit={JOURNAL_LIMIT_BYTES}")


def _prepare_reader(link: sqlite3.Connection) -> None:
    link.execute("PRAGMA query_only=ON")
    link.execute("PRAGMA trusted_schema=OFF")
    link.execute(f"PRAGMA cache_size=-{CACHE_KIB}")


def _engine(path: Path, prepare: Callable[[sqlite3.Connection], None], begin: str) -> Engine:
    def open_link() -> sqlite3.Connection:
        link = connect(path)
        try:
            prepare(link)
        except BaseException:
            link.close()
            raise
        return link

    engine = create_engine("sqlite+pysqlite://", creator=open_link, poolclass=NullPool)

    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "begin", on_begin)
    return engine


def writer_engine(path: Path) -> Engine:
    """For the one connection that writes."""
    return _engine(path, _prepare_writer, "BEGIN IMMEDIATE")


def reader_engine(path: Path) -> Engine:
    """For the connection that reads beside it."""
    return _engine(path, _prepare_reader, "BEGIN")
