"""The one thread that writes.

Jobs wait in one queue, in the order of the calls. The thread takes all that came while its last transaction ran (up
to a bounded number of rows), carries them out in one transaction and answers each caller after COMMIT: that is group
commit. Jobs nobody waits for (`urgent=False`) go with the next transaction, or alone after `SOON_S`.
If one job of a group holds a value that cannot be stored, the group is rolled back and each job runs alone, so that
nobody pays for a neighbour. Source: Gray and Reuter, "Transaction Processing", on group commit.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine

from railgun_core.base.errors import RailGunError, UsageError
from railgun_core.changes import Change
from railgun_core.store.apply import apply_changes
from railgun_core.store.failures import disk_full, failure_of
from railgun_core.store.vault import Vault

SOON_S: Final = 0.5  # contract: within a second
MAX_ROWS: Final = 2000  # a transaction; bounds the time a caller waits for others
MAX_SOON: Final = 1000  # unhurried jobs waiting before they are written without delay
FULL_BELOW_BYTES: Final = 64 * 1024 * 1024  # own items are refused below this much free disk

Answer = Callable[[RailGunError | None], None]


@dataclass(frozen=True, slots=True)
class Job:
    """Work for one transaction: changes, or anything else as a callable.

    `answer` is called on the writer's thread, after COMMIT or with what went wrong.
    """

    work: tuple[Change, ...] | Callable[[Connection], None]
    rows: int
    own_items: bool
    answer: Answer | None

    @property
    def urgent(self) -> bool:
        """Somebody waits for it."""
        return self.answer is not None


class Writer:
    """Owns the writing connection. `engine` is not used by anyone else."""

    def __init__(self, engine: Engine, vault: Vault, *, free_bytes: Callable[[], int]) -> None:
        self._engine = engine
        self._vault = vault
        self._free_bytes = free_bytes
        self._condition = threading.Condition()
        self._jobs: deque[Job] = deque()
        self._urgent = 0
        self._closing = False
        self.lost_soon = 0  # unhurried jobs that could not be written: a full disk, mostly
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, job: Job) -> bool:
        """Queue a job. False: closed already, nothing was queued."""
        with self._condition:
            if self._closing:
                return False
            self._jobs.append(job)
            self._urgent += job.urgent
            if job.urgent or len(self._jobs) == 1 or len(self._jobs) >= MAX_SOON:
                self._condition.notify()
            return True

    def close(self) -> None:
        """Write what is queued and end the thread. Blocks; call it off the event loop."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            with self._engine.connect() as connection:
                while jobs := self._take():
                    self._transact(connection, jobs)
                connection.rollback()
        except BaseException as error:  # the thread must never die and leave callers waiting
            self._abandon(failure_of(error))
        finally:
            self._engine.dispose()

    def _take(self) -> list[Job]:
        """The next group; empty when closing and done."""
        with self._condition:
            self._condition.wait_for(lambda: self._jobs or self._closing)
            if not self._hurry():
                self._condition.wait_for(self._hurry, timeout=SOON_S)
            group: list[Job] = []
            rows = 0
            while self._jobs and (not group or rows + self._jobs[0].rows <= MAX_ROWS):
                job = self._jobs.popleft()
                self._urgent -= job.urgent
                rows += job.rows
                group.append(job)
            return group

    def _hurry(self) -> bool:
        return self._urgent > 0 or self._closing or len(self._jobs) >= MAX_SOON

    def _transact(self, connection: Connection, jobs: Sequence[Job]) -> None:
        accepted = self._with_room(jobs)
        error = self._attempt(connection, accepted)
        if isinstance(error, UsageError) and len(accepted) > 1:
            for job in accepted:
                self._answer([job], self._attempt(connection, [job]))
        else:
            self._answer(accepted, error)

    def _with_room(self, jobs: Sequence[Job]) -> Sequence[Job]:
        """Refuse own items on a nearly full disk; all else may still fit."""
        if not any(job.own_items for job in jobs):
            return jobs
        try:
            low = self._free_bytes() < FULL_BELOW_BYTES
        except OSError as error:
            self._answer(jobs, failure_of(error))
            return ()
        if low:
            self._answer([job for job in jobs if job.own_items], disk_full())
            return [job for job in jobs if not job.own_items]
        return jobs

    def _attempt(self, connection: Connection, jobs: Sequence[Job]) -> RailGunError | None:
        try:
            with connection.begin():
                _carry_out(connection, self._vault, jobs)
        except Exception as error:
            return failure_of(error)
        return None

    def _answer(self, jobs: Sequence[Job], error: RailGunError | None) -> None:
        for job in jobs:
            if job.answer is not None:
                job.answer(error)
            elif error is not None:
                self.lost_soon += 1

    def _abandon(self, error: RailGunError) -> None:
        with self._condition:
            self._closing = True
            left = list(self._jobs)
            self._jobs.clear()
            self._urgent = 0
        self._answer(left, error)


def _carry_out(connection: Connection, vault: Vault, jobs: Sequence[Job]) -> None:
    """Run the jobs in order; the changes of neighbours are joined, so that they share statements."""
    joined: list[Change] = []
    for job in jobs:
        if isinstance(job.work, tuple):
            joined.extend(job.work)
            continue
        apply_changes(connection, vault, joined)
        joined = []
        job.work(connection)
    apply_changes(connection, vault, joined)
