"""B21, slow and silent connections: many half-open sockets take no place from honest peers and little memory.

Bounds under test: 5 s handshake, 64 half-open, an eighth of them for one address. What is not defended: a botnet with
many addresses can fill all half-open places for `handshake_s` at a time; the last test shows how long that lasts.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import sys
from collections.abc import AsyncIterator, Callable

import psutil
import pytest

from railgun_core.base.keys import Identity
from railgun_core.transport.certificate import client_context
from railgun_core.transport.hello import ALPN
from railgun_core.transport.link import CloseReason, DialFailure, Limits, Link
from railgun_core.transport.quic import QuicTransport, _bind, _target
from railgun_core.transport.tls import TlsTransport
from railgun_core.wire.frames import FrameBatch
from railgun_core.wire.kinds import FrameType, frame
from railgun_core.wire.records import Address

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs further loopback addresses")
HONEST, RELAY, ATTACKER = (Identity(bytes((n,)) * 32) for n in (1, 2, 3))
EVIL_HOST = "127.66.6.6"


class Peer:
    """Handler and acceptor."""

    def __init__(self) -> None:
        self.links: list[Link] = []
        self.ends: list[CloseReason] = []
        self.count = 0

    def accepted(self, link: Link) -> Peer:
        self.links.append(link)
        return self

    def frames(self, link: Link, batch: FrameBatch) -> None:
        self.count += len(batch)

    def credit(self, link: Link) -> None: ...

    def closed(self, link: Link, reason: CloseReason) -> None:
        self.ends.append(reason)


async def until(condition: Callable[[], bool], wait_s: float = 5.0) -> None:
    """A bounded wait for what no event tells."""
    async with asyncio.timeout(wait_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def slow_sockets(address: Address, hosts: list[str], stack: contextlib.ExitStack) -> None:
    """Open TCP connections that say nothing, or begin a handshake and stop."""
    loop = asyncio.get_running_loop()
    for index, host in enumerate(hosts):
        sock = stack.enter_context(socket.socket())
        sock.setblocking(False)
        sock.bind((host, 0))
        await loop.sock_connect(sock, (address.host, address.port))
        if index % 3 == 1:
            with contextlib.suppress(OSError):
                await loop.sock_sendall(sock, b"\x16\x03\x01\x02\x00\x01")


async def honest_dials(transport: TlsTransport | QuicTransport, address: Address, count: int) -> list[float]:
    loop, took = asyncio.get_running_loop(), []
    for _ in range(count):
        started, handler = loop.time(), Peer()
        link = await transport.dial(address, RELAY.public_key, HONEST, handler)
        took.append(loop.time() - started)
        link.close()
    return sorted(took)


@contextlib.asynccontextmanager
async def relay(
    kind: type[TlsTransport] | type[QuicTransport], limits: Limits
) -> AsyncIterator[tuple[TlsTransport | QuicTransport, TlsTransport | QuicTransport, Address, Peer]]:
    near, far, acceptor = kind(HONEST), kind(RELAY, limits=limits), Peer()
    try:
        yield near, far, await far.listen("127.0.0.1", 0, acceptor), acceptor
    finally:
        await near.close()
        await far.close()


async def test_five_hundred_half_open_sockets_do_not_keep_an_honest_peer_out() -> None:
    async with relay(TlsTransport, Limits()) as (near, far, address, acceptor):
        old = await near.dial(address, RELAY.public_key, HONEST, Peer())
        before = psutil.Process().memory_info().rss
        with contextlib.ExitStack() as stack:
            await slow_sockets(address, [EVIL_HOST] * 500, stack)
            took = await honest_dials(near, address, 20)
            grown = psutil.Process().memory_info().rss - before
            assert far._gate.half_open <= 8
            old.send([frame(FrameType.PING, bytes(8))])
            await until(lambda: acceptor.count > 0)
        assert took[-1] < 1.0
        assert grown < 64 * 1024 * 1024


async def test_clients_that_finish_tls_and_then_say_nothing_are_put_out_at_the_limit() -> None:
    async with relay(TlsTransport, Limits(handshake_s=0.6)) as (near, far, address, _acceptor):
        writers = []
        for _ in range(8):
            _, writer = await asyncio.open_connection(
                address.host, address.port, ssl=client_context(), local_addr=(EVIL_HOST, 0)
            )
            writer.write(b"\x00" * 31)  # one byte of the nonce is missing
            writers.append(writer)
        assert far._gate.half_open == 8
        assert (await honest_dials(near, address, 3))[-1] < 1.0
        await until(lambda: far._gate.half_open == 0)
        for writer in writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def test_quic_connections_without_a_stream_do_not_keep_an_honest_peer_out() -> None:
    async with relay(QuicTransport, Limits()) as (near, far, address, _acceptor):
        endpoint = await _bind(ATTACKER, EVIL_HOST, 0, alpns=[])
        target = _target(address, RELAY.public_key)
        attempts = [asyncio.ensure_future(endpoint.connect(target, ALPN.encode())) for _ in range(100)]
        rng = random.Random(1)
        with contextlib.ExitStack() as stack:
            for _ in range(400):  # and datagrams that only look like the first packet of a handshake
                sock = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
                sock.sendto(b"\xc0\x00\x00\x00\x01\x08" + rng.randbytes(1194), (address.host, address.port))
        results = await asyncio.gather(*attempts, return_exceptions=True)
        assert 0 < sum(not isinstance(result, BaseException) for result in results) <= 8
        assert far._gate.half_open <= 8
        assert (await honest_dials(near, address, 10))[-1] < 1.0
        await endpoint.close()


async def test_many_addresses_can_fill_the_gate_only_until_the_handshake_limit() -> None:
    async with relay(TlsTransport, Limits(handshake_s=0.5)) as (near, far, address, _acceptor):
        with contextlib.ExitStack() as stack:
            await slow_sockets(address, [f"127.66.{n // 8}.1" for n in range(64)], stack)
            await until(lambda: far._gate.half_open == 64)
            with pytest.raises(DialFailure) as failure:
                await near.dial(address, RELAY.public_key, HONEST, Peer())
            assert failure.value.code == "busy"
            await until(lambda: far._gate.half_open < 64, 2.0)
            assert (await honest_dials(near, address, 1))[-1] < 1.0
