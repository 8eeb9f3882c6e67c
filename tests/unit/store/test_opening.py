"""Opening a database: new, of an older program, of a newer one, not readable."""

from __future__ import annotations

import asyncio
import enum
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import sqlalchemy as sa
from alembic import op
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.changes import SettingPut
from railgun_core.store import migrations, opening, schema
from railgun_core.store.checks import DEFINITIONS, probe
from railgun_core.store.connections import reader_engine, writer_engine
from railgun_core.store.sqlite import SqliteStore
from railgun_core.store.vault import vault_beside


async def filled(path: Path) -> None:
    store = await SqliteStore.open(path)
    await store.commit([SettingPut("colour", "red")])
    await store.close()


async def colour(path: Path) -> str | None:
    store = await SqliteStore.open(path)
    try:
        assert store.repaired is None
        return (await store.settings()).get("colour")
    finally:
        await store.close()


def content(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


async def test_what_was_committed_is_there_after_a_new_start(tmp_path: Path) -> None:
    await filled(tmp_path / "railgun.db")
    assert await colour(tmp_path / "railgun.db") == "red"


@pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")
async def test_the_files_are_for_their_owner_only(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "data" / "railgun.db")
    await store.commit([SettingPut("colour", "red")])
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "data").iterdir()}
    assert set(modes) == {"railgun.db", "railgun.db-wal", "railgun.db-shm", "store.key", "store.mark"}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    await store.close()


def migrated(path: Path) -> None:
    """A database made step by step, as one of an older program would be."""
    path.touch()
    opening._upgrade(path, vault_beside(path, may_create=True))


def test_the_tables_of_the_statements_are_the_tables_of_the_steps(tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    migrated(path)
    engine = reader_engine(path)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.METADATA) == []
    engine.dispose()
    assert migrations.known_revisions()[-1] == schema.REVISION
    found = probe(path)
    assert (found.application_id, found.format, found.revision) == (schema.APPLICATION_ID, schema.FORMAT, "0004")


async def test_a_fresh_database_equals_a_migrated_one(tmp_path: Path) -> None:
    await (await SqliteStore.open(tmp_path / "fresh.db")).close()
    migrated(tmp_path / "migrated.db")
    assert shape(tmp_path / "fresh.db") == shape(tmp_path / "migrated.db")


def shape(path: Path) -> list[list[tuple[object, ...]]]:
    """Every definition, word for word, and every mark that a file without rows of its own holds."""
    link = sqlite3.connect(path)
    questions = (
        DEFINITIONS,
        "SELECT * FROM alembic_version",
        "SELECT * FROM marks WHERE name <> 'starts'",
        "PRAGMA application_id",
    )
    answers = [link.execute(question).fetchall() for question in (*questions, "PRAGMA user_version")]
    link.close()
    return answers


def test_a_fresh_database_does_without_alembic(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from railgun_core.store.opening import prepare;"
        "prepare(Path(sys.argv[1])); prepare(Path(sys.argv[1])); sys.exit('alembic' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "railgun.db")], check=True, timeout=60)


def newer_step() -> ModuleType:
    step = ModuleType("v0005_later")
    step.revision = "0005"  # type: ignore[attr-defined]
    step.down_revision = "0004"  # type: ignore[attr-defined]

    def upgrade() -> None:
        with op.batch_alter_table("settings") as batch:
            batch.add_column(sa.Column("note", sa.Text, nullable=False, server_default=""))

    step.upgrade = upgrade  # type: ignore[attr-defined]
    return step


def upgrade_further(path: Path) -> None:
    engine = writer_engine(path)
    with engine.connect() as connection, connection.begin():
        migrations.upgrade(connection, vault_beside(path, may_create=False), steps=(*migrations.STEPS, newer_step()))
    engine.dispose()


async def test_a_database_of_a_newer_program_is_refused_in_one_sentence_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    await filled(path)
    upgrade_further(path)
    before = content(tmp_path)
    with pytest.raises(EnvironmentFailure, match=r"^[^.]+newer version[^.]+\.$") as caught:
        await SqliteStore.open(path)
    assert caught.value.code == "database-newer"
    assert content(tmp_path) == before


async def test_a_newer_database_that_was_not_closed_is_refused_and_keeps_its_wal(tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    await filled(path)
    holder = sqlite3.connect(path)
    holder.execute("SELECT count(*) FROM settings").fetchone()
    upgrade_further(path)  # stays in the WAL while somebody has the file open
    kept = {end: (tmp_path / f"railgun.db{end}").read_bytes() for end in ("", "-wal")}
    with pytest.raises(EnvironmentFailure) as caught:
        await SqliteStore.open(path)
    assert caught.value.code == "database-newer"
    assert {end: (tmp_path / f"railgun.db{end}").read_bytes() for end in ("", "-wal")} == kept
    holder.close()


async def test_an_older_database_is_copied_and_upgraded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "railgun.db"
    await filled(path)
    with monkeypatch.context() as later:
        later.setattr(migrations, "STEPS", (*migrations.STEPS, newer_step()))
        later.setattr(opening, "REVISION", "0005")
        later.setattr(opening, "_KNOWN_SO_FAR", ("0001", "0002", "0003", "0004", "0005"))
        later.setattr(migrations.upgrade, "__kwdefaults__", {"steps": migrations.STEPS})
        store = await SqliteStore.open(path)
        assert await store.settings() == {"colour": "red"}
        await store.close()
        assert probe(path).revision == "0005"
        assert await colour(path) == "red"
    copy = tmp_path / "railgun.db.before-0005"
    assert probe(copy).revision == "0004"
    assert await colour(copy) == "red"


async def test_an_upgrade_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "railgun.db"
    await filled(path)
    step = newer_step()
    good = step.upgrade

    def stumble() -> None:
        good()
        raise OSError(28, "no space")

    step.upgrade = stumble  # type: ignore[attr-defined]
    with monkeypatch.context() as later:
        later.setattr(opening, "REVISION", "0005")
        later.setattr(opening, "_KNOWN_SO_FAR", ("0001", "0002", "0003", "0004", "0005"))
        later.setattr(migrations.upgrade, "__kwdefaults__", {"steps": (*migrations.STEPS, step)})
        with pytest.raises(EnvironmentFailure) as caught:
            await SqliteStore.open(path)
        assert caught.value.code == "disk-full"
    assert await colour(path) == "red"


async def test_a_start_that_was_stopped_before_the_first_tables_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    path.touch()
    link = sqlite3.connect(path)
    link.execute("PRAGMA journal_mode=WAL")
    link.close()
    assert path.stat().st_size > 0
    assert await colour(path) is None


async def test_a_wal_without_its_file_is_set_aside_and_not_played_into_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    store = await SqliteStore.open(path)
    await store.commit([SettingPut("colour", "red")])
    wal = (tmp_path / "railgun.db-wal").read_bytes()
    await store.close()
    path.unlink()
    (tmp_path / "railgun.db-wal").write_bytes(wal)
    assert await colour(path) is None
    assert (tmp_path / "railgun.db.damaged-1-wal").read_bytes() == wal


async def test_a_folder_that_cannot_be_made_is_unwritable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EnvironmentFailure) as caught:
        await SqliteStore.open(tmp_path / "file" / "railgun.db")
    assert caught.value.code == "unwritable"


async def test_a_directory_in_the_place_of_the_database_is_unwritable(tmp_path: Path) -> None:
    (tmp_path / "railgun.db").mkdir()
    (tmp_path / "railgun.db" / "x").touch()
    with pytest.raises(EnvironmentFailure) as caught:
        await SqliteStore.open(tmp_path / "railgun.db")
    assert caught.value.code == "unwritable"


async def test_the_loop_is_free_while_a_database_is_opened(tmp_path: Path) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counter = asyncio.ensure_future(count())
    await filled(tmp_path / "railgun.db")
    counter.cancel()
    assert turns > 10


async def test_the_value_of_an_enum_is_stored_as_its_text_and_is_no_damage(tmp_path: Path) -> None:
    class Colour(enum.StrEnum):
        RED = "red"

    store = await SqliteStore.open(tmp_path / "railgun.db")
    await store.commit([SettingPut("colour", Colour.RED)])
    await store.close()
    assert await colour(tmp_path / "railgun.db") == "red"
