"""Is this file sound, and is it ours? Read-only questions asked before a database is used.

`probe` looks at a file without changing a byte of it. `find_damage` goes through everything: SQLite's own structure
and index check, then the checksum of every row. Cost: the whole file is read once, about a second for some hundred MB.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from railgun_core.store.connections import connect
from railgun_core.store.schema import APPLICATION_ID, FORMAT, REVISION, SUMMED, SUMMED_BEFORE, row_crc
from railgun_core.store.vault import KEY_MARK

DEFINITIONS: Final = "SELECT type, name, tbl_name, ifnull(sql, '') FROM sqlite_master ORDER BY type, name"
SCHEMA_MARK: Final = "definitions"
_VERSIONS_AT: Final = 18  # in the header: write and read version, 1 = rollback journal, 2 = WAL (sqlite.org/fileformat)


@dataclass(frozen=True, slots=True)
class Probe:
    """What a file says about itself. `revision` is None in an empty database."""

    application_id: int
    format: int
    revision: str | None

    def is_newer(self, known: tuple[str, ...]) -> bool:
        """Made by a newer program. Two places must say so: one alone is a flipped bit."""
        return self.application_id == APPLICATION_ID and self.format > FORMAT and self.revision not in known

    def is_blank(self) -> bool:
        """A file that never got its first tables: the program was stopped while it made them."""
        return self.application_id == 0 and self.format == 0 and self.revision is None

    def agrees(self, known: tuple[str, ...]) -> bool:
        """Ours, and both version marks say the same."""
        return self.application_id == APPLICATION_ID and self.revision in known and self.format == int(self.revision)


@contextmanager
def untouched(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that changes nothing in the file. Sees the WAL if there is one."""
    wal = path.with_name(path.name + "-wal")
    mode = "mode=ro" if wal.exists() and wal.stat().st_size else "mode=ro&immutable=1"
    link = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None)
    try:
        yield link
    finally:
        link.close()


def probe(path: Path) -> Probe:
    """Read the marks of a database. Raises sqlite3.DatabaseError or UnicodeDecodeError if it is none."""
    with untouched(path) as link:
        application_id = _number(link, "PRAGMA application_id")
        format_ = _number(link, "PRAGMA user_version")
        tables = {row[0] for row in link.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        revision = None
        if "alembic_version" in tables:
            row = link.execute("SELECT version_num FROM alembic_version").fetchone()
            revision = str(row[0]) if row else None
        return Probe(application_id, format_, revision)


def find_damage(path: Path, *, revision: str = REVISION) -> str | None:
    """What is wrong with a file of this revision, in a few words; None if all of it is as it was written."""
    try:
        link = connect(path)
    except sqlite3.DatabaseError:
        return "it cannot be opened"
    try:
        return _header(path) or _structure(link) or _definitions(link) or _rows(link, revision)
    except (sqlite3.DatabaseError, UnicodeError, OverflowError) as error:
        if _is_environment(error):
            raise
        return "a page cannot be read"
    finally:
        link.close()


def schema_crc(definitions: Iterable[Sequence[object]]) -> int:
    """The checksum of the answer to `DEFINITIONS`: of every table's and index's definition."""
    return row_crc(*(str(value) for row in definitions for value in row))


def _is_environment(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", 0)
    return isinstance(code, int) and code & 0xFF in (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_NOMEM,
    )


def _structure(link: sqlite3.Connection) -> str | None:
    # integrity_check is quick_check plus "does every row have its index entries": a flip inside an index would else
    # make a row invisible or stored twice.
    answer = link.execute("PRAGMA integrity_check(1)").fetchone()
    return None if answer and answer[0] == "ok" else "its pages do not fit together"


def _header(path: Path) -> str | None:
    with path.open("rb") as file:
        file.seek(_VERSIONS_AT)
        versions = file.read(2)
    # SQLite takes an unknown write version for "read only", and would say so at the first commit.
    return None if versions in (b"\x01\x01", b"\x02\x02") else "its header is not what was written"


def _definitions(link: sqlite3.Connection) -> str | None:
    mark = link.execute("SELECT value FROM marks WHERE name = ?", (SCHEMA_MARK,)).fetchone()
    sound = mark is not None and mark[0] == schema_crc(link.execute(DEFINITIONS).fetchall())
    return None if sound else "its table definitions are not what was written"


def key_mark(path: Path) -> int | None:
    """Which key the secrets of a sound database are sealed with. Changes nothing."""
    with untouched(path) as link:
        found = link.execute("SELECT value FROM marks WHERE name = ?", (KEY_MARK,)).fetchone()
        return int(found[0]) if found else None


def _rows(link: sqlite3.Connection, revision: str) -> str | None:
    for name, columns in SUMMED_BEFORE.get(revision, SUMMED).items():
        for row in link.execute(f"SELECT crc, {', '.join(columns)} FROM {name}"):
            if any(value is None for value in row) or row_crc(*row[1:]) != row[0]:
                return "a row is not what was written"
    return None


def _number(link: sqlite3.Connection, pragma: str) -> int:
    return int(link.execute(pragma).fetchone()[0])
