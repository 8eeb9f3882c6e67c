"""What the disk and SQLite say, as this project's errors.

Only codes leave this package: `disk-full`, `database-damaged`, `database-newer`, `unwritable`, `data-dir-in-use`,
`key-unusable`. The details name files by their last part only, never a folder of the person.
"""

from __future__ import annotations

import errno
import sqlite3

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from railgun_core.base.errors import EnvironmentFailure, RailGunError, UsageError

_NO_ROOM_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT if hasattr(errno, "EDQUOT") else errno.ENOSPC})
NO_ROOM_BYTES = 1024 * 1024  # less than a start needs
_PRIMARY_MASK = 0xFF  # SQLite's extended result codes keep the primary code in the low byte
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_SCHEMA})


def failure_of(error: BaseException) -> RailGunError:
    """The project's error for one of the disk's or the database's.

    A value that no column can hold (too large, no text) is the caller's doing: UsageError. All else is the machine's.
    """
    if isinstance(error, RailGunError):
        return error
    if isinstance(error, DBAPIError) and isinstance(error.orig, BaseException):
        return failure_of(error.orig)
    if isinstance(error, OSError):
        return os_failure(error)
    if isinstance(error, UnicodeDecodeError):
        return damaged()  # read, not given: what is stored was sound text once
    if isinstance(error, sqlite3.IntegrityError | sqlite3.InterfaceError | OverflowError | UnicodeError | TypeError):
        return UsageError("A value cannot be stored: too large, missing or of the wrong kind.")
    if isinstance(error, sqlite3.DataError):
        return UsageError("A value cannot be stored: it is too large.")
    if isinstance(error, sqlite3.Error):
        return _sqlite_failure(error)
    if isinstance(error, SQLAlchemyError):
        return EnvironmentFailure("The database cannot be used.", code="database-damaged")
    return EnvironmentFailure("The database stopped working.", code="unwritable")


def os_failure(error: OSError) -> EnvironmentFailure:
    """A full disk, or a place that cannot be written."""
    if error.errno in _NO_ROOM_ERRNOS:
        return disk_full()
    return EnvironmentFailure("The data directory cannot be read or written.", code="unwritable")


def explained(failure: RailGunError, *, free_bytes: int) -> RailGunError:
    """Without room SQLite cannot make its -shm file either, and then says "I/O error": say what it is."""
    if failure.code == "unwritable" and free_bytes < NO_ROOM_BYTES:
        return disk_full()
    return failure


def disk_full() -> EnvironmentFailure:
    """No room: reading and deleting still work."""
    return EnvironmentFailure("The disk is full: nothing new can be saved until there is room.", code="disk-full")


def damaged() -> EnvironmentFailure:
    """A row or a page is not what was written."""
    return EnvironmentFailure(
        "The message database is damaged; it is checked again at the next start.", code="database-damaged"
    )


def _sqlite_failure(error: sqlite3.Error) -> EnvironmentFailure:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None and isinstance(error, sqlite3.OperationalError):
        return damaged()  # the only one without a code: a text that is no UTF-8
    primary = code & _PRIMARY_MASK if isinstance(code, int) else None
    if primary == sqlite3.SQLITE_FULL:
        return disk_full()
    if primary in _DAMAGED:
        return damaged()
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return EnvironmentFailure("Another program holds the message database.", code="unwritable")
    if primary == sqlite3.SQLITE_ERROR:  # a table or a column is gone: the schema is not what was written
        return damaged()
    return EnvironmentFailure("The message database cannot be read or written.", code="unwritable")
