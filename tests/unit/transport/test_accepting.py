from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Callable

import pytest

from railgun_core.transport.accepting import stop_accepting


class _Announced(asyncio.Protocol):
    def __init__(self, made: list[asyncio.BaseTransport]) -> None:
        self._made = made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._made.append(transport)


async def _close_while_a_client_arrives(rounds: int) -> int:
    """How many connections were announced when the listening ended `rounds` of the loop after a client came."""
    made: list[asyncio.BaseTransport] = []
    server = await asyncio.get_running_loop().create_server(lambda: _Announced(made), "127.0.0.1", 0)
    with socket.create_connection(server.sockets[0].getsockname()):
        for _ in range(rounds):
            await asyncio.sleep(0)
        await stop_accepting(server)
        server.close()
        for transport in made:
            transport.close()
        for _ in range(3):
            await asyncio.sleep(0)
    return len(made)


def _loops() -> list[Callable[[], asyncio.AbstractEventLoop]]:
    loops: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.SelectorEventLoop]
    try:
        import uvloop
    except ImportError:
        return loops
    return [*loops, uvloop.new_event_loop]


@pytest.mark.parametrize("loop_factory", _loops())
@pytest.mark.parametrize("rounds", range(4))
def test_a_connection_on_its_way_when_the_listening_ends_is_announced_and_never_left_open(
    loop_factory: Callable[[], asyncio.AbstractEventLoop], rounds: int
) -> None:
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        announced = runner.run(_close_while_a_client_arrives(rounds))
    gc.collect()  # a socket left open would be reported here, as an error
    assert announced <= 1
    if loop_factory is asyncio.SelectorEventLoop and rounds > 1:  # the loop had seen the client by then
        assert announced == 1
