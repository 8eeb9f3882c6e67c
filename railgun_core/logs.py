"""The engine's log: JSON lines in `<data dir>/logs/engine.log`, five files of 1 MB, and the last 1,000 in memory.

Everything passes one redactor (redaction.py) before it is written or shown, also what libraries log. A log that
cannot be written is dropped: a full disk must not stop the relay. Only the engine process logs.
"""

from __future__ import annotations

import asyncio
import logging
import logging.handlers
import os
import sys
import traceback
from collections import deque
from collections.abc import AsyncGenerator, MutableMapping
from itertools import islice
from pathlib import Path
from typing import Any

import structlog

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.redaction import redact, scrub

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
FILE_BYTES = 1_000_000
FILES = 5
RING_LINES = 1_000
LINE_CHARS = 16_000
TOO_LONG = '{"level": "warning", "event": "log-line-too-long"}'
_PLACES = 6


class EngineLog:
    """The running log of one engine. Made by `start_logs`; safe to write from any thread."""

    def __init__(self, file: logging.Handler) -> None:
        self._file = file
        self._ring: deque[str] = deque(maxlen=RING_LINES)
        self._written = 0
        self._followers: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    def write(self, line: str) -> None:
        """Append one finished line. Never raises."""
        line = line if len(line) <= LINE_CHARS else TOO_LONG
        self._ring.append(line)
        self._written += 1
        self._file.handle(logging.makeLogRecord({"msg": line}))
        for changed, loop in list(self._followers.items()):
            try:
                loop.call_soon_threadsafe(changed.set)
            except RuntimeError:  # its loop has closed
                self._followers.pop(changed, None)

    def lines(self, count: int) -> tuple[str, ...]:
        """The newest `count` lines, oldest first; at most 1,000."""
        kept = list(self._ring)
        return tuple(kept[-count:] if count > 0 else ())

    async def follow(self, count: int) -> AsyncGenerator[tuple[str, ...], None]:
        """The newest `count` lines, then new ones in batches. A reader that is 1,000 lines behind misses some."""
        changed = asyncio.Event()
        self._followers[changed] = asyncio.get_running_loop()
        seen = self._written
        try:
            yield self.lines(count)
            while True:
                await changed.wait()
                changed.clear()
                kept = list(self._ring)
                fresh = min(self._written - seen, len(kept))
                seen = self._written
                if fresh:
                    yield tuple(islice(kept, len(kept) - fresh, None))
        finally:
            self._followers.pop(changed, None)

    def close(self) -> None:
        """Stop logging and close the file. Idempotent."""
        silence()
        root = logging.getLogger()
        for handler in [found for found in root.handlers if isinstance(found, _Foreign) and found.log is self]:
            root.removeHandler(handler)
        self._file.close()


def start_logs(data_dir: Path, *, level: str) -> EngineLog:
    """Log to this data dir from now on. EnvironmentFailure(unwritable) when the file cannot be made."""
    folder = data_dir / "logs"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = _PrivateFile(folder / "engine.log", maxBytes=FILE_BYTES, backupCount=FILES - 1, encoding="utf-8")
    except OSError as error:
        raise EnvironmentFailure(f"The log cannot be written: {error.strerror}.", code="unwritable") from None
    log = EngineLog(file)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _faults,
            redact,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: _Line(log),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.addHandler(_Foreign(log))
    root.setLevel(logging.WARNING)
    return log


def silence() -> None:
    """Log nothing: for processes whose standard output belongs to a result."""
    structlog.configure(processors=[_drop], wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def places_of(error: BaseException) -> tuple[str, ...]:
    """Where an error came from, innermost last: file and line, and no text, which may hold what must not be logged."""
    frames = traceback.extract_tb(error.__traceback__)[-_PLACES:]
    return tuple(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)


def _drop(_: Any, __: str, event: Any) -> Any:
    raise structlog.DropEvent


def _faults(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """An exception becomes its class and its places."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        event["places"] = places_of(error)
    return event


class _Line:
    """What structlog hands finished lines to."""

    def __init__(self, log: EngineLog) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = self.msg = log.write


class _Foreign(logging.Handler):
    """What libraries log: the first line of the format string without its values, which may be anything."""

    def __init__(self, log: EngineLog) -> None:
        super().__init__(logging.WARNING)
        self.log = log

    def emit(self, record: logging.LogRecord) -> None:
        first = str(record.msg).partition("\n")[0][:200]
        fields: dict[str, Any] = {"logger": record.name, "says": scrub(first)}
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        structlog.get_logger().log(max(record.levelno, logging.WARNING), "library", **fields)


class _PrivateFile(logging.handlers.RotatingFileHandler):
    """0600 from its first moment, and quiet when the disk is full."""

    def _open(self) -> Any:
        handle = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(handle, "a", encoding=self.encoding)

    def handleError(self, record: logging.LogRecord) -> None:
        return
