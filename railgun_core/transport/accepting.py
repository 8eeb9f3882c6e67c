"""Ending a listening socket without leaving behind what it has just accepted.

asyncio takes two rounds of its loop from accepting a connection to announcing it. A connection whose server closes in
between is announced to nobody and closed by nobody (CPython's selector loops, 3.11 to 3.13: the transport fails while
it attaches to the server).
"""

from __future__ import annotations

import asyncio
import contextlib

_ROUNDS = 2


async def stop_accepting(server: asyncio.Server) -> None:
    """Take no more connections, and return when those on their way have been announced. Then `server.close()`."""
    loop = asyncio.get_running_loop()
    for listening in server.sockets:
        with contextlib.suppress(NotImplementedError):  # Windows' loop announces in the round that accepts
            loop.remove_reader(listening.fileno())
    for _ in range(_ROUNDS):
        await asyncio.sleep(0)
