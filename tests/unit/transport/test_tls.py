"""What only TLS over TCP can get wrong: strangers on either side, and frames that cross a goodbye."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable

import pytest

from railgun_core.base.keys import Identity
from railgun_core.transport.certificate import client_context, server_context
from railgun_core.transport.link import CloseReason, DialFailure, Limits, Link
from railgun_core.transport.tls import TlsTransport
from railgun_core.wire.frames import FrameBatch
from railgun_core.wire.kinds import FrameType, frame
from railgun_core.wire.records import Address, AddressKind

ME, THEM = Identity(b"\x01" * 32), Identity(b"\x02" * 32)


class Peer:
    """Handler and acceptor."""

    def __init__(self) -> None:
        self.links: list[Link] = []
        self.ends: list[CloseReason] = []
        self.count = 0
        self.is_pouring = False

    def accepted(self, link: Link) -> Peer:
        self.links.append(link)
        return self

    def frames(self, link: Link, batch: FrameBatch) -> None:
        self.count += len(batch)

    def credit(self, link: Link) -> None:
        if self.is_pouring:
            link.send([frame(FrameType.ENVELOPE, bytes(60_000))] * 5)

    def closed(self, link: Link, reason: CloseReason) -> None:
        self.ends.append(reason)


async def until(condition: Callable[[], bool], wait_s: float = 5.0) -> None:
    """A bounded wait for what no event tells."""
    async with asyncio.timeout(wait_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@pytest.fixture
async def pair() -> AsyncIterator[tuple[TlsTransport, TlsTransport]]:
    transports = TlsTransport(ME, limits=Limits(handshake_s=2.0)), TlsTransport(THEM, limits=Limits(handshake_s=0.5))
    yield transports
    for each in transports:
        await each.close()


async def _stranger(answer: bytes, context: ssl.SSLContext | None = None) -> tuple[asyncio.Server, Address]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    return server, Address(AddressKind.TLS, "127.0.0.1", server.sockets[0].getsockname()[1])


async def test_a_server_that_speaks_no_tls_is_the_wrong_peer(pair: tuple[TlsTransport, TlsTransport]) -> None:
    server, address = await _stranger(b"220 mail.example ready\r\n")
    with pytest.raises(DialFailure) as failure:
        await pair[0].dial(address, THEM.public_key, ME, Peer())
    assert failure.value.code == "wrong-peer"
    server.close()
    await server.wait_closed()


async def test_a_tls_server_of_another_kind_is_the_wrong_peer(pair: tuple[TlsTransport, TlsTransport]) -> None:
    context = server_context()[0]
    context.set_alpn_protocols(["h2"])
    server, address = await _stranger(b"x" * 200, context)
    with pytest.raises(DialFailure) as failure:
        await pair[0].dial(address, THEM.public_key, ME, Peer())
    assert failure.value.code in ("wrong-peer", "busy")
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("greeting", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00" + bytes(512), b""])
async def test_a_client_that_speaks_no_tls_is_dropped_and_leaves_no_trace(
    pair: tuple[TlsTransport, TlsTransport], greeting: bytes
) -> None:
    acceptor = Peer()
    address = await pair[1].listen("127.0.0.1", 0, acceptor)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(greeting)
    async with asyncio.timeout(2):
        while await _read(reader):
            pass
    writer.close()
    assert pair[1]._gate.inside == 0
    assert not acceptor.links


async def test_a_client_with_a_false_proof_is_dropped(pair: tuple[TlsTransport, TlsTransport]) -> None:
    acceptor = Peer()
    address = await pair[1].listen("127.0.0.1", 0, acceptor)
    reader, writer = await asyncio.open_connection(address.host, address.port, ssl=client_context())
    writer.write(bytes(32))
    await reader.readexactly(32 + 32 + 64)
    writer.write(ME.public_key + bytes(64))
    async with asyncio.timeout(2):
        assert await reader.read(100) == b"\x02"
    writer.close()
    await writer.wait_closed()
    assert not acceptor.links


async def test_frames_that_cross_a_goodbye_do_not_destroy_what_was_sent_before(
    pair: tuple[TlsTransport, TlsTransport],
) -> None:
    alice, bob = Peer(), Peer()
    address = await pair[1].listen("127.0.0.1", 0, bob)
    link = await pair[0].dial(address, THEM.public_key, ME, alice)
    alice.is_pouring = True
    alice.credit(link)
    await until(lambda: bob.count > 0)
    bob.links[0].send([frame(FrameType.ENVELOPE, bytes(4_000))] * 300)
    bob.links[0].close()
    await until(lambda: bool(alice.ends and bob.ends))
    assert alice.count == 300
    assert (alice.ends, bob.ends) == ([CloseReason.REMOTE], [CloseReason.LOCAL])


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(1000)
    except ConnectionError:
        return b""
