"""Is this database older than what this device has already done? A counter of starts and ends says so.

It stands in the database and in `store.mark` beside it. At each start and each clean end it goes up by one: first in
the database, durably, then in the file. So the file is never ahead, whenever the program or the machine stops; were a
kill -9 to fall between the two, the database is ahead, which means nothing. A file that is ahead means one thing: the
database was put back from an older copy. Its ratchets would then use keys a second time, so the node makes new ones.

What it catches: a database copied before a start or a clean end that came later, put back without `store.mark`.
What it does not: a copy of the whole folder or of the whole disk (the mark is as old as the database); a copy made and
put back within one run that was then ended by kill -9; a database moved without its mark; a mark that was removed or
damaged (it carries a checksum, and counts as none).
The alarm is a row of `settings` (`changes.RESTORED_BACKUP`), written in the transaction that counts the start: it
outlives crashes, and goes in the transaction in which the node saves its new keys.
"""

from __future__ import annotations

import binascii
import contextlib
import os
import re
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert

from railgun_core.changes import RESTORED_BACKUP
from railgun_core.store.schema import MARKS, SETTINGS, summed

MARK_NAME: Final = "store.mark"
STARTS_MARK: Final = "starts"
_FILE_MODE: Final = 0o600
_LINE: Final = re.compile(rb"([0-9]{1,18}) ([0-9a-f]{8})\n")
_BINARY: Final = getattr(os, "O_BINARY", 0)


def mark_beside(database: Path) -> int:
    """The number in the mark file of the database at this path; 0 if there is none, or none that can be read."""
    try:
        line = database.with_name(MARK_NAME).read_bytes()
    except OSError:
        return 0
    found = _LINE.fullmatch(line)
    if found is None or int(found[2], 16) != binascii.crc32(found[1]):
        return 0
    return int(found[1])


def set_mark(database: Path, number: int) -> None:
    """Write the mark file, whole or not at all. A disk that refuses costs an alarm, never a start: nothing is raised.

    Call it only after `number` is durable in the database.
    """
    path = database.with_name(MARK_NAME)
    aside = path.with_name(f".{MARK_NAME}.new")
    digits = b"%d" % number
    with contextlib.suppress(OSError):
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _BINARY, _FILE_MODE)
        try:
            os.write(handle, b"%b %08x\n" % (digits, binascii.crc32(digits)))
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(aside, path)


def is_older(connection: Connection, *, in_file: int) -> bool:
    """Whether the database has seen fewer starts and ends than the mark file."""
    return in_file > _count(connection)


def raise_alarm(connection: Connection) -> None:
    """Note that the database is an older copy, until the node has settled it."""
    note = summed(SETTINGS, name=RESTORED_BACKUP, value="yes")
    connection.execute(insert(SETTINGS).on_conflict_do_nothing(), [note])


def count_up(connection: Connection, *, at_least: int = 0) -> int:
    """One more than both the database and `at_least` say. Gives the new number."""
    number = max(_count(connection), at_least) + 1
    put_count(connection, number)
    return number


def put_count(connection: Connection, number: int) -> None:
    """Set the number. A new database beside an old mark takes its number over: it is new, not restored."""
    statement = insert(MARKS).prefix_with("OR REPLACE")
    connection.execute(statement, [summed(MARKS, name=STARTS_MARK, value=number)])


def _count(connection: Connection) -> int:
    found = connection.execute(select(MARKS.c.value).where(MARKS.c.name == STARTS_MARK)).scalar()
    return found or 0
