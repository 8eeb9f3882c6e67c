"""From a path to a database that can be used: made, checked, set aside if damaged, upgraded.

Order of questions: is it there; was it made by a newer program (then hands off); is it sound (else a new one is made
of what can be read of it, and it is set aside with its -wal and -shm under a new name and kept); is its key there, and
the right one (else hands off); is it of an older program (then it is copied, and upgraded in one transaction). Last,
the start is counted (`starts`). Runs in a worker thread, before the writer starts.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.store.checks import Probe, find_damage, key_mark, probe
from railgun_core.store.connections import connect, writer_engine
from railgun_core.store.failures import NO_ROOM_BYTES, explained, failure_of
from railgun_core.store.fresh import create_tables
from railgun_core.store.salvage import salvage
from railgun_core.store.schema import APPLICATION_ID, REVISION
from railgun_core.store.starts import count_up, is_older, mark_beside, raise_alarm, set_mark
from railgun_core.store.vault import Vault, vault_beside, wrong_key
from railgun_core.store.wal import has_lost_transactions

_BESIDE: Final = ("-wal", "-shm")
_FRESH: Final = ".new"
_KNOWN_SO_FAR: Final = tuple(f"{n:04d}" for n in range(1, int(REVISION) + 1))
_FIRST_SEALED: Final = "0002"  # the first revision with a key
_CUT: Final = "The newest entries of the message database were damaged and are gone; a copy is kept as {}."
FILE_MODE: Final = 0o600
DIR_MODE: Final = 0o700


@dataclass(frozen=True, slots=True)
class Opened:
    """`repaired`: what had to be done about damage, in one sentence."""

    vault: Vault
    repaired: str | None


def prepare(path: Path) -> Opened:
    """Make `path` a sound database of today's format. Raises EnvironmentFailure (see `failures`)."""
    try:
        in_file = mark_beside(path)
        kept_as = _copy_of_a_cut_log(path)
        vault, repaired = _prepare(path, in_file)
        _count_start(path, in_file, is_cut=kept_as is not None and repaired is None)
        return Opened(vault, repaired or (None if kept_as is None else _CUT.format(kept_as)))
    except (OSError, sqlite3.Error, SQLAlchemyError) as error:
        raise explained(failure_of(error), free_bytes=_free_bytes(path.parent)) from error


def _copy_of_a_cut_log(path: Path) -> str | None:
    """The name of a copy of a database whose log has lost durable transactions; None for all others.

    What is left is sound, only older than what was told to others, just as if an older copy had been put back.
    """
    try:
        if not path.exists() or path.stat().st_size == 0 or not has_lost_transactions(path):
            return None
    except sqlite3.DatabaseError as error:
        if failure_of(error).code != "database-damaged":
            raise
        return None  # found again below, and set aside with its log
    name = _free_name(path, "damaged")
    for end in ("-wal", ""):
        shutil.copyfile(path.with_name(path.name + end), path.with_name(name + end))
        os.chmod(path.with_name(name + end), FILE_MODE)
    return name


def _free_bytes(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return NO_ROOM_BYTES  # not known: no reason to blame the disk


def _prepare(path: Path, in_file: int) -> tuple[Vault, str | None]:
    path.parent.mkdir(mode=DIR_MODE, parents=True, exist_ok=True)
    fresh = path.with_name(path.name + _FRESH)
    if fresh.exists() and not path.exists():
        fresh.rename(path)  # a start was stopped after it had set the damaged one aside
    if not path.exists() or path.stat().st_size == 0:
        return _create(path, in_file), None
    seen, damage = _look(path)
    if damage is None and seen is not None and not seen.is_blank():
        damage = _damage_of(path, seen)
    if damage is not None:
        return _make_anew(path, damage, in_file)
    vault = _vault_of(path, None if seen is None else seen.revision)
    if seen is not None and seen.revision != REVISION:
        if seen.is_blank():
            _change(path, lambda connection: create_tables(connection, vault, starts=in_file))
        else:
            _back_up(path, before=REVISION)
            _upgrade(path, vault)
    os.chmod(path, FILE_MODE)
    return vault, None


def _make_anew(path: Path, damage: str, in_file: int) -> tuple[Vault, str]:
    """Set a damaged database aside for a new one that holds what could be read of it; and say what happened.

    The new one is made whole under another name first, so that a start that is stopped in between loses nothing.
    """
    vault = vault_beside(path, may_create=True)
    fresh = path.with_name(path.name + _FRESH)
    _remove(fresh)
    rooms = 0

    def work(connection: Connection) -> None:
        nonlocal rooms
        create_tables(connection, vault, starts=in_file)
        rooms = salvage(path, connection)
        if rooms or connection.exec_driver_sql("SELECT 1 FROM secrets LIMIT 1").first() is not None:
            raise_alarm(connection)  # what is missing is not known, so nothing of it may be used a second time

    try:
        os.close(os.open(fresh, os.O_CREAT | os.O_RDWR, FILE_MODE))
        _change(fresh, work)
    except BaseException:
        _remove(fresh)
        raise
    name = quarantine(path)
    fresh.rename(path)
    again = {0: "no room could be saved", 1: "one room was saved"}.get(rooms, f"{rooms} rooms were saved")
    return vault, f"The message database was damaged ({damage}): it is kept as {name}, a new one was made, and {again}."


def _remove(path: Path) -> None:
    for end in (*_BESIDE, ""):
        path.with_name(path.name + end).unlink(missing_ok=True)


def _damage_of(path: Path, seen: Probe) -> str | None:
    if seen.revision is None or not seen.agrees(_KNOWN_SO_FAR):
        return "its version marks do not agree"
    return find_damage(path, revision=seen.revision)


def _vault_of(path: Path, revision: str | None) -> Vault:
    """The vault of a sound database. A key is made only if nothing in it can be sealed yet."""
    sealed = revision is not None and revision >= _FIRST_SEALED
    vault = vault_beside(path, may_create=not sealed)
    if sealed and key_mark(path) != vault.fingerprint:
        raise wrong_key()
    return vault


def _count_start(path: Path, in_file: int, *, is_cut: bool) -> None:
    """Count this start in the database, then in the file. On a full disk nothing is counted.

    `is_cut`: the newest transactions are gone, so this database is older than what was done with it.
    """
    number, older = 0, False

    def count(connection: Connection) -> None:
        nonlocal number, older
        older = is_cut or is_older(connection, in_file=in_file)
        if older:
            raise_alarm(connection)
        number = count_up(connection, at_least=in_file)

    try:
        _change(path, count)
    except (SQLAlchemyError, EnvironmentFailure) as error:
        if older or failure_of(error).code != "disk-full":
            raise
        return  # reading and deleting must go on
    set_mark(path, number)


def _look(path: Path) -> tuple[Probe | None, str | None]:
    """(what the file says, what is wrong with it). Raises for a database of a newer program; changes nothing."""
    try:
        seen = probe(path)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        if failure_of(error).code != "database-damaged":
            raise
        return None, "it is not readable as a database"
    if seen.is_newer(_KNOWN_SO_FAR):
        raise EnvironmentFailure(
            "The message database was made by a newer version of this program: install that version again.",
            code="database-newer",
        )
    return seen, None


def _create(path: Path, in_file: int) -> Vault:
    vault = vault_beside(path, may_create=True)
    if any(path.with_name(path.name + end).exists() for end in _BESIDE):
        _set_aside(path, _free_name(path, "damaged"))  # a WAL without its file would be played into the new one
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, FILE_MODE))
    _change(path, lambda connection: create_tables(connection, vault, starts=in_file))
    return vault


def _upgrade(path: Path, vault: Vault) -> None:
    from railgun_core.store import migrations  # alembic is big, and needed for a database of an older program only

    _change(path, lambda connection: migrations.upgrade(connection, vault))


def _change(path: Path, work: Callable[[Connection], None]) -> None:
    """Change the tables in one transaction."""
    engine = writer_engine(path)
    try:
        with engine.connect() as connection, connection.begin():
            connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")
            work(connection)
    finally:
        engine.dispose()


def _back_up(path: Path, *, before: str) -> None:
    """A copy of the whole database, WAL included, next to it. An older copy of the same name is replaced."""
    copy = path.with_name(f"{path.name}.before-{before}")
    copy.unlink(missing_ok=True)
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_RDWR, FILE_MODE))
    source = connect(path)
    target = sqlite3.connect(copy)
    try:
        source.backup(target)
    finally:
        target.close()
        source.close()


def quarantine(path: Path) -> str:
    """Rename a database and what lies beside it; gives the new name of the file. Nothing is removed."""
    name = _free_name(path, "damaged")
    _set_aside(path, name)
    return name


def _set_aside(path: Path, name: str) -> None:
    # The WAL goes first: were it left alone with a new file of the old name, SQLite would play it into that one.
    for end in (*_BESIDE, ""):
        source = path.with_name(path.name + end)
        if source.exists():
            source.rename(path.with_name(name + end))


def _free_name(path: Path, what: str) -> str:
    number = 1
    while any(path.with_name(f"{path.name}.{what}-{number}{end}").exists() for end in ("", *_BESIDE)):
        number += 1
    return f"{path.name}.{what}-{number}"
