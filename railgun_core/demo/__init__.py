"""A real network of engine processes on loopback, with rooms and traffic, and its honest report.

`peers.py` starts and kills processes, `traffic.py` sends and counts, `network.py` puts them together, `report.py`
sums up. The demo knows only what any client of the local API can know.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal

from railgun_core.demo.network import play
from railgun_core.demo.options import DemoOptions


def run(options: DemoOptions) -> dict[str, object]:
    """Play a demo to its end; Ctrl-C or SIGTERM end it early, with every process that it started."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # also where SIGINT is ignored, as after nohup
    try:
        with contextlib.suppress(KeyboardInterrupt):
            return asyncio.run(play(options))
        return {"failed": "interrupted"}
    finally:
        signal.signal(signal.SIGTERM, before)


__all__ = ["run"]
