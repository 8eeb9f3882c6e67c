"""Where an engine's door is, and how a client finds it.

Rules, the same for both sides:
- `<data dir>/run/` (0700) holds `api.json` (0600): where the engine of this data dir answers now. No file: no engine.
- Unix: the socket is `<data dir>/run/api.sock`. Kernels cut AF_UNIX paths at 107 bytes (macOS 103), so for a longer
  path it is `<runtime dir>/railgun/<32 hex of SHA-256(data dir)>.sock`, with the runtime dir `$XDG_RUNTIME_DIR`, or
  `/tmp/railgun-<uid>/` where that is missing or too long. Every directory is 0700 and the socket is 0600.
- Elsewhere: a TCP port of 127.0.0.1. `api.json` then holds two fresh 256-bit secrets: `token`, which the client says
  first, and `answer`, which only the real engine can say back. So neither side is fooled by a program that took a
  stale port.
- `run/engine.lock` is held while an engine runs, so there is one engine for a data dir and a stale file is harmless.
- A client follows `api.json` only when the socket's directory belongs to the owner of the data dir and is closed to all
  others: nobody can place a door under /tmp and have it used (threat B27).
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from pathlib import Path
from typing import IO

import msgspec

from railgun_core.base.errors import EnvironmentFailure

MAX_SOCKET_PATH_BYTES = 103  # macOS: 104 with the final NUL; Linux: 108
LOOPBACK = "127.0.0.1"
_MAX_POINTER_BYTES = 4_096


class Endpoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """What `api.json` holds. Either `socket`, or `port` with its two secrets."""

    socket: str = ""
    port: int = 0
    token: str = ""
    answer: str = ""

    def __repr__(self) -> str:
        return f"Endpoint({'unix' if self.socket else 'tcp'})"  # the secrets reach no log and no traceback


def run_dir(data_dir: Path) -> Path:
    """The directory of the door, inside the data dir."""
    return data_dir.resolve() / "run"


def socket_path(data_dir: Path) -> Path:
    """Where the socket of this data dir belongs; always short enough for the kernel."""
    near = run_dir(data_dir) / "api.sock"
    if _fits(near):
        return near
    name = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:32] + ".sock"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and Path(runtime).is_dir() and _fits(Path(runtime) / "railgun" / name):
        return Path(runtime) / "railgun" / name
    return Path("/tmp") / f"railgun-{_own_uid()}" / name


def new_tcp_endpoint(port: int) -> Endpoint:
    """A TCP door with fresh secrets."""
    return Endpoint(port=port, token=os.urandom(32).hex(), answer=os.urandom(32).hex())


def private_dir(path: Path) -> Path:
    """Make `path` a directory of this user that nobody else may enter. EnvironmentFailure(unsafe-directory) if not."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or (os.name == "posix" and found.st_uid != _own_uid()):
            raise EnvironmentFailure("A directory the engine needs belongs to somebody else.", code="unsafe-directory")
        if os.name == "posix" and stat.S_IMODE(found.st_mode) != 0o700:
            path.chmod(0o700)
    except OSError as error:
        raise EnvironmentFailure(f"The data directory cannot be used: {error.strerror}.", code="unwritable") from None
    return path


def publish(data_dir: Path, endpoint: Endpoint) -> None:
    """Write `api.json` in one step, 0600 from its first moment."""
    target = run_dir(data_dir) / "api.json"
    fresh = target.with_suffix(".new")
    try:
        fresh.unlink(missing_ok=True)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(endpoint))
        fresh.replace(target)
    except OSError as error:
        raise EnvironmentFailure(
            f"The data directory cannot be written: {error.strerror}.", code="unwritable"
        ) from None


def withdraw(data_dir: Path) -> None:
    """Take the door off the wall. Idempotent, and never fails: the lock is what counts."""
    try:
        (run_dir(data_dir) / "api.json").unlink(missing_ok=True)
    except OSError:
        return


def find(data_dir: Path) -> Endpoint:
    """Where the engine of this data dir answers. EnvironmentFailure(no-engine) when there is none."""
    try:
        with (run_dir(data_dir) / "api.json").open("rb") as file:
            endpoint = msgspec.json.decode(file.read(_MAX_POINTER_BYTES), type=Endpoint)
    except PermissionError:
        raise EnvironmentFailure("The engine's data belongs to another user.", code="not-yours") from None
    except (OSError, msgspec.DecodeError):
        raise no_engine() from None
    if endpoint.socket:
        _trust(data_dir, Path(endpoint.socket))
    elif not endpoint.port or len(endpoint.token) != 64 or len(endpoint.answer) != 64:
        raise no_engine()
    return endpoint


def no_engine() -> EnvironmentFailure:
    """The error for a data dir without a running engine."""
    return EnvironmentFailure(
        "No engine is running on this data directory; start one with: railgun node.", code="no-engine"
    )


def lock(data_dir: Path) -> IO[bytes]:
    """Hold the data dir for one engine, until the file is closed. EnvironmentFailure(already-running) if it is held."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFailure(f"The data directory cannot be made: {error.strerror}.", code="unwritable") from None
    path = private_dir(run_dir(data_dir)) / "engine.lock"
    try:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0)
    except OSError as error:
        raise EnvironmentFailure(
            f"The data directory cannot be written: {error.strerror}.", code="unwritable"
        ) from None
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise EnvironmentFailure(
            "An engine is already running on this data directory.", code="already-running"
        ) from None
    return file


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES


def _own_uid() -> int:
    return 0 if sys.platform == "win32" else os.geteuid()


def _trust(data_dir: Path, socket: Path) -> None:
    try:
        door, home = socket.parent.lstat(), data_dir.resolve().stat()
    except OSError:
        raise no_engine() from None
    closed = stat.S_ISDIR(door.st_mode) and stat.S_IMODE(door.st_mode) & 0o077 == 0
    if not closed or door.st_uid != home.st_uid:
        raise EnvironmentFailure("The engine's socket lies where others can reach it.", code="unsafe-directory")
