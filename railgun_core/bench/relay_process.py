"""Processes of a relay measurement: started fresh for each run, asked over a pipe, ended with their parent.

A child runs its own loop and answers questions one at a time. It ends when told to or when the pipe breaks, so
nothing outlives a parent that is gone. CPU time is read from outside (all threads, ended ones included) and so costs
the measured process nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import sys
from collections.abc import Awaitable, Callable, Mapping
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

import psutil

from railgun_core.base.errors import EnvironmentFailure

ANSWER_WITHIN_S = 30.0
END_WITHIN_S = 5.0
_SPAWN = multiprocessing.get_context("spawn")
_END = ("end", None)

Answer = Callable[[Any], Awaitable[object]]


class Asked:
    """A child's end of the pipe."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def tell(self, value: object) -> None:
        """Send the parent something it waits for."""
        self._pipe.send((True, value))

    async def serve(self, answers: Mapping[str, Answer]) -> None:
        """Answer until the parent says that it was all, or is gone."""
        while True:
            try:
                name, argument = await asyncio.to_thread(self._pipe.recv)
            except (EOFError, OSError):
                return
            if name == _END[0]:
                return
            self.tell(await answers[name](argument))


class Child:
    """A child process, seen from its parent. A context manager: leaving it ends the process."""

    def __init__(self, main: Callable[..., Awaitable[None]], *arguments: object) -> None:
        self._pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_run, args=(theirs, main, arguments), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def ask(self, name: str, argument: object = None, *, within_s: float = ANSWER_WITHIN_S) -> Any:
        """The child's answer. EnvironmentFailure(bench-failed) when it has none."""
        self._pipe.send((name, argument))
        return self.hear(within_s=within_s)

    def hear(self, *, within_s: float = ANSWER_WITHIN_S) -> Any:
        """What the child tells next."""
        try:
            if not self._pipe.poll(within_s):
                raise EnvironmentFailure("A process of the measurement does not answer.", code="bench-failed")
            well, value = self._pipe.recv()
        except (EOFError, OSError):
            raise EnvironmentFailure("A process of the measurement has ended.", code="bench-failed") from None
        if not well:
            raise EnvironmentFailure(f"A process of the measurement failed: {value}", code="bench-failed")
        return value

    def end(self) -> None:
        """End the process: asked first, then made to."""
        with contextlib.suppress(OSError):
            self._pipe.send(_END)
        self._process.join(END_WITHIN_S)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(END_WITHIN_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._pipe.close()
        self._process.close()


def cpu_s(pid: int) -> float:
    """User and system time of all threads of a process so far, to 10 ms."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def rss_mb(pid: int) -> float:
    """Resident memory of a process, in 10^6 bytes."""
    return float(psutil.Process(pid).memory_info().rss) / 1e6


def loop_name() -> str:
    """The event loop that children run."""
    return "asyncio" if sys.platform == "win32" else "uvloop"


def _run(pipe: Connection, main: Callable[..., Awaitable[None]], arguments: tuple[object, ...]) -> None:
    from railgun_core.logs import silence

    silence()
    try:
        with asyncio.Runner(loop_factory=_new_loop()) as runner:
            runner.run(_call(main, Asked(pipe), arguments))
    except KeyboardInterrupt:
        return
    except Exception as error:
        try:
            pipe.send((False, f"{type(error).__name__} {error}"))
        except OSError:
            return


async def _call(main: Callable[..., Awaitable[None]], asked: Asked, arguments: tuple[object, ...]) -> None:
    await main(asked, *arguments)


def _new_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    if sys.platform == "win32":
        return asyncio.SelectorEventLoop
    import uvloop

    return uvloop.new_event_loop
