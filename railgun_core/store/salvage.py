"""What can still be read of a damaged database goes into the new one: row by row, each by its own checksum.

A flipped page costs the rows on it, not the person's rooms. A table is read from its beginning until a page cannot be
read, and then from its end back to there. Nothing is believed but rows whose checksum is right. The new database counts
as an older copy (`starts.raise_alarm`), because nobody knows which rows are missing: the node makes new keys, and none
is used twice. What members said meanwhile comes from them, as for any device that was away.
Left out: the marks of the file itself; rows of rooms whose own row is gone; and a mailbox's tables unless all of them
are whole, for a position that is given twice would hide mail.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from railgun_core.store.checks import untouched
from railgun_core.store.schema import METADATA, SUMMED, Value, row_crc

_NOT_TAKEN: Final = frozenset({"marks"})
_WHOLE_OR_NOT: Final = ("mail_tags", "mail", "mail_notices")
_AT_ONCE: Final = 500
Row = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class _Shape:
    """How the rows of a table lie in the file, and where in a row that is read the values are."""

    name: str
    key: tuple[str, ...]  # the order of the file, so that no index is needed
    columns: tuple[str, ...]

    @classmethod
    def of(cls, name: str) -> _Shape:
        table = METADATA.tables[name]
        has_rowid = table.dialect_options["sqlite"]["with_rowid"]
        key = ("rowid",) if has_rowid else tuple(column.name for column in table.primary_key.columns)
        return cls(name, key, tuple(column.name for column in table.columns))

    def value(self, row: Row, column: str) -> Value:
        return row[self.columns.index(column)]

    def is_sound(self, row: Row) -> bool:
        values = [self.value(row, column) for column in SUMMED[self.name]]
        try:
            return None not in values and row_crc(*values) == self.value(row, "crc")
        except (TypeError, ValueError, OverflowError):
            return False  # of a kind that no column of this program has

    def question(self, way: str) -> str:
        order = ", ".join(f"{column} {way}" for column in self.key)
        return f"SELECT {', '.join((*self.key, *self.columns))} FROM {self.name} NOT INDEXED ORDER BY {order}"

    def statement(self) -> str:
        places = ", ".join("?" * len(self.columns))
        return f"INSERT OR IGNORE INTO {self.name} ({', '.join(self.columns)}) VALUES ({places})"


def salvage(damaged: Path, connection: Connection) -> int:
    """Copy the sound rows of `damaged` into the new, empty database. Gives the number of rooms that are there again.

    Needs an open transaction. Never raises for what is wrong with `damaged`. Cost: reads the whole file once, a
    mailbox's part of it twice.
    """
    try:
        with untouched(damaged) as link:
            rooms = _Shape.of("rooms")
            known = {rooms.value(row, "room") for row in _sound_rows(link, rooms)}
            mail_is_whole = all(_is_whole(link, _Shape.of(name)) for name in _WHOLE_OR_NOT)
            for name in SUMMED:
                if name not in _NOT_TAKEN and (mail_is_whole or name not in _WHOLE_OR_NOT):
                    _copy(link, connection, _Shape.of(name), {*known, b""})
    except (sqlite3.Error, OSError):
        return 0  # not even its first page can be read
    return len(known)


def _copy(link: sqlite3.Connection, connection: Connection, shape: _Shape, known: set[Value]) -> None:
    """The sound rows of a table, but for those of rooms that are not known."""
    rows = _sound_rows(link, shape)
    if "room" in shape.columns:
        rows = (row for row in rows if shape.value(row, "room") in known)
    while some := list(itertools.islice(rows, _AT_ONCE)):
        connection.exec_driver_sql(shape.statement(), some)


def _sound_rows(link: sqlite3.Connection, shape: _Shape) -> Iterator[Row]:
    """From the beginning as far as can be read, then from the end back to there."""
    for row in _read(link, shape, "ASC"):
        if row is None:
            yield from (row for row in _read(link, shape, "DESC") if row is not None)
            return
        yield row


def _read(link: sqlite3.Connection, shape: _Shape, way: str) -> Iterator[Row | None]:
    """The sound rows in one direction, and None where no more can be read before the end."""
    try:
        for values in link.execute(shape.question(way)):
            row = values[len(shape.key) :]
            if shape.is_sound(row):
                yield row
    except (sqlite3.DatabaseError, UnicodeError):
        yield None


def _is_whole(link: sqlite3.Connection, shape: _Shape) -> bool:
    """Whether every row of a table can be read and is what was written."""
    try:
        return all(shape.is_sound(values[len(shape.key) :]) for values in link.execute(shape.question("ASC")))
    except (sqlite3.DatabaseError, UnicodeError):
        return False
