"""`railgun node`: an engine and its local API in this process, until a signal ends them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from typing import Protocol

from railgun_core.config import Config
from railgun_core.engine.engine import Engine
from railgun_core.local_api import footprint
from railgun_core.local_api.server import ApiServer
from railgun_core.local_api.verbs import Verbs
from railgun_core.logs import start_logs
from railgun_core.status import Notice


class Teller(Protocol):
    """Who tells the person at the terminal how the engine is doing."""

    def started(self, engine: Engine) -> None:
        """The engine runs and its API answers."""

    def noticed(self, notice: Notice) -> None:
        """Something happened that a person may want to know."""


def run(config: Config, teller: Teller | None = None) -> int:
    """Serve until SIGINT or SIGTERM; the exit status. RailGunError when it cannot start."""
    footprint.before_start()
    if sys.platform == "win32":
        # A Proactor loop stops receiving UDP after one unreachable peer (cpython gh-91227).
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            return _leave(runner.run(serve(config, teller)))
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        status = runner.run(serve(config, teller))
    return _leave(status)


def _leave(status: int) -> int:
    """End the process here when QUIC was used; else just the exit status.

    Everything is closed by now, but iroh's threads live on, and one that calls into Python while the interpreter
    is taken down aborts the process ("exception not rethrown", seen once in some fifty stops).
    """
    if "iroh" in sys.modules:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


async def serve(config: Config, teller: Teller | None = None) -> int:
    """One engine with its API. Started in order, stopped in reverse."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: the runner turns Ctrl-C into a cancel
            loop.add_signal_handler(name, ended.set)
    log = start_logs(config.data_dir, level=config.log_level)
    engine = Engine(config)
    if teller is not None:
        engine.board.on_notice = teller.noticed
    server = ApiServer(Verbs(engine, log).handlers())
    try:
        await engine.start()
        await server.start(config.data_dir)
        if teller is not None:
            teller.started(engine)
        footprint.after_start()
        await ended.wait()
    finally:
        await server.close()
        await engine.stop()
        log.close()
    return 0
