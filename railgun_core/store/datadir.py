"""The data directory: private to its owner, and used by one engine at a time.

The lock is the operating system's, on an open file: it goes when the process ends in whatever way, so a crash leaves
nothing to clean up. The file itself stays; the number in it is for people, and decides nothing.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Final

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.store.failures import os_failure

DIR_MODE: Final = 0o700
FILE_MODE: Final = 0o600
LOCK_NAME: Final = "engine.lock"
_OTHERS: Final = 0o077
_LOCKED_AT: Final = 1 << 20  # Windows locks bytes: one far behind the text, so that the number can still be read

if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        os.lseek(handle, _LOCKED_AT, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        os.lseek(handle, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


class DataDir:
    """A locked data directory. Release it with `close`, or as a context manager."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path: Final = path
        self._handle: int | None = handle

    @property
    def database(self) -> Path:
        """Where the store keeps its database."""
        return self.path / "railgun.db"

    @property
    def identity_key(self) -> Path:
        """Where the identity key is."""
        return self.path / "identity.key"

    @property
    def store_key(self) -> Path:
        """Where the key of the database's secrets is."""
        return self.path / "store.key"

    def close(self) -> None:
        """Release the lock. Idempotent."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            os.close(handle)

    def __enter__(self) -> DataDir:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_data_dir(path: Path) -> DataDir:
    """Make the directory if need be and lock it.

    Raises EnvironmentFailure: `data-dir-in-use` if another engine has it, `unwritable`, `disk-full`.
    """
    try:
        _make_private(path)
        handle = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), FILE_MODE)
    except OSError as error:
        raise os_failure(error) from error
    try:
        _lock(handle)
    except OSError as error:
        os.close(handle)
        raise EnvironmentFailure(
            "Another Rail Gun Relay is running on this data directory.", code="data-dir-in-use"
        ) from error
    try:
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
    except OSError as error:
        os.close(handle)
        raise os_failure(error) from error
    return DataDir(path, handle)


def _make_private(path: Path) -> None:
    path.mkdir(mode=DIR_MODE, parents=True, exist_ok=True)
    if sys.platform != "win32" and path.stat().st_mode & _OTHERS:
        path.chmod(DIR_MODE)
