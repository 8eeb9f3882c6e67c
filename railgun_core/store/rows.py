"""Rows that are read: each one is compared with its checksum before anybody sees it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Row, Select, Table, select

from railgun_core.store.failures import damaged
from railgun_core.store.schema import SUMMED, row_crc

AnyRow = Row[*tuple[Any, ...]]
Wanted = Select[*tuple[Any, ...]]


def full(table: Table) -> Wanted:
    """Every summed column of a table, the checksum first."""
    return select(*(table.c[name] for name in ("crc", *SUMMED[table.name])))


def sound(rows: Iterable[AnyRow], table: Table) -> Iterator[AnyRow]:
    """The rows of a `full` query as they were written. EnvironmentFailure(database-damaged) for any other."""
    width = 1 + len(SUMMED[table.name])
    for row in rows:
        crc, *values = tuple(row)[:width]
        if any(v is None for v in values) or row_crc(*values) != crc:
            raise damaged()
        yield row
