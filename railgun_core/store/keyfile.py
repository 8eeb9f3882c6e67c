"""A key that must outlive the database: 32 bytes in a file of their own. `identity.key`, `store.key`.

The file appears whole or not at all (written aside, synced, then linked into place) and is never replaced: who loses
the identity key is somebody else, who loses the store key has lost the secrets of the database. It must be a plain
file that only its owner can read; anything else is refused and said.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.store.failures import os_failure

SEED_BYTES: Final = 32
KEY_MODE: Final = 0o600
_OTHERS: Final = 0o077
_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_BINARY: Final = getattr(os, "O_BINARY", 0)


def load_or_create(path: Path, make: Callable[[], bytes]) -> bytes:
    """The seed in `path`; if there is none, `make()` gives one and it is saved first.

    Raises EnvironmentFailure: `key-unusable` (a link, readable by others, of the wrong size), `unwritable`,
    `disk-full`.
    """
    try:
        if not os.path.lexists(path):
            _create(path, make())
        else:
            _remove_leftover(path)
        return _load(path)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise _unusable(path, "is a link; put the file itself there") from error
        raise os_failure(error) from error


def _load(path: Path) -> bytes:
    if stat.S_ISLNK(os.lstat(path).st_mode):
        raise _unusable(path, "is a link; put the file itself there")
    handle = os.open(path, os.O_RDONLY | _NO_FOLLOW | _BINARY)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise _unusable(path, "is not a plain file")
        if sys.platform != "win32":
            if found.st_uid != os.geteuid():
                raise _unusable(path, "belongs to another user")
            if found.st_mode & _OTHERS:
                raise _unusable(path, "can be read by other users; run: chmod 600 on it")
        seed = os.read(handle, SEED_BYTES + 1)
    finally:
        os.close(handle)
    if len(seed) != SEED_BYTES:
        raise _unusable(path, "does not hold a key; put your copy of it back")
    return seed


def _create(path: Path, seed: bytes) -> None:
    if len(seed) != SEED_BYTES:
        raise ValueError("a seed has 32 bytes")
    aside = _aside(path)
    aside.unlink(missing_ok=True)
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | _BINARY, KEY_MODE)
    try:
        try:
            os.write(handle, seed)
            os.fsync(handle)
        finally:
            os.close(handle)
        _put_in_place(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _put_in_place(aside: Path, path: Path) -> None:
    if sys.platform == "win32":
        os.rename(aside, path)  # refuses to replace there
        return
    try:
        os.link(aside, path)  # unlike rename, fails if the name is taken meanwhile
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS):
            raise
        if os.path.lexists(path):  # a file system without links: the data directory's lock keeps others out
            raise FileExistsError(errno.EEXIST, "exists") from error
        os.rename(aside, path)


def _remove_leftover(path: Path) -> None:
    with contextlib.suppress(OSError):  # of a start that was stopped in between: a second name of the key
        _aside(path).unlink(missing_ok=True)


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unusable(path: Path, why: str) -> EnvironmentFailure:
    return EnvironmentFailure(f"The {path.stem} key file {path.name} {why}.", code="key-unusable")
