"""The steps that bring a database to today's tables, run by alembic inside the program.

Steps are ordinary modules named in `STEPS`, not files looked up in a folder, so that they are found when the program
is installed, zipped or frozen. A step is never edited once released; a new one is added below, with `REVISION` in
`schema.py`. All steps of one upgrade run in one transaction. SQLite cannot alter most things in place: use
`op.batch_alter_table`.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Final

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script.base import Script
from alembic.script.revision import RevisionMap
from sqlalchemy import Connection

from railgun_core.store.fresh import seal
from railgun_core.store.migrations import v0001_first, v0002_private, v0003_mail, v0004_variants
from railgun_core.store.schema import METADATA
from railgun_core.store.vault import Vault

STEPS: Final[tuple[ModuleType, ...]] = (v0001_first, v0002_private, v0003_mail, v0004_variants)


def known_revisions(steps: tuple[ModuleType, ...] = STEPS) -> tuple[str, ...]:
    """The revisions this program can open, oldest first."""
    return tuple(str(step.revision) for step in steps)


def upgrade(connection: Connection, vault: Vault, *, steps: tuple[ModuleType, ...] = STEPS) -> None:
    """Run the steps a database lacks, and say in it where it is now. Needs an open transaction.

    A step that seals values finds the vault in its context's options.
    """
    revisions = known_revisions(steps)
    scripts = [Script(step, str(step.revision), step.__name__) for step in steps]
    revision_map = RevisionMap(lambda: scripts)
    assert revision_map.get_current_head() == revisions[-1], "the steps are one line, oldest first"

    def missing(heads: Iterable[str], _context: MigrationContext) -> list[RevisionStep]:
        done = max((revisions.index(head) + 1 for head in heads), default=0)
        return [RevisionStep(revision_map, script, True) for script in scripts[done:]]

    context = MigrationContext.configure(
        connection,
        opts={
            "fn": missing,
            "transactional_ddl": True,
            "render_as_batch": True,
            "target_metadata": METADATA,
            "vault": vault,
        },
    )
    with Operations.context(context):
        context.run_migrations()
    seal(connection, vault, revision=revisions[-1])
