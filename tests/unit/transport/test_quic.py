"""What only QUIC can get wrong: endpoints of pseudonyms, extra streams, silent connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import iroh
import pytest

from railgun_core.base.keys import Identity
from railgun_core.transport.hello import ALPN
from railgun_core.transport.link import CloseReason, DialFailure, Limits, Link
from railgun_core.transport.quic import QuicTransport, _bind, _listen_failure, _target
from railgun_core.wire.frames import FrameBatch

ME, THEM, PSEUDONYM = (Identity(bytes((n,)) * 32) for n in (1, 2, 3))


class Peer:
    """Handler and acceptor."""

    def __init__(self) -> None:
        self.links: list[Link] = []
        self.ends: list[CloseReason] = []

    def accepted(self, link: Link) -> Peer:
        self.links.append(link)
        return self

    def frames(self, link: Link, batch: FrameBatch) -> None: ...

    def credit(self, link: Link) -> None: ...

    def closed(self, link: Link, reason: CloseReason) -> None:
        self.ends.append(reason)


async def until(condition: Callable[[], bool], wait_s: float = 5.0) -> None:
    """A bounded wait for what no event tells."""
    async with asyncio.timeout(wait_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@pytest.fixture
async def pair() -> AsyncIterator[tuple[QuicTransport, QuicTransport]]:
    transports = QuicTransport(ME), QuicTransport(THEM, limits=Limits(handshake_s=0.5))
    yield transports
    for each in transports:
        await each.close()


async def test_a_pseudonyms_endpoint_lives_as_long_as_its_links(pair: tuple[QuicTransport, QuicTransport]) -> None:
    address = await pair[1].listen("127.0.0.1", 0, Peer())
    await pair[0].listen("127.0.0.1", 0, Peer())
    ends = [Peer(), Peer()]
    links = [await pair[0].dial(address, THEM.public_key, PSEUDONYM, end) for end in ends]
    assert len(pair[0]._sources) == 1
    own = await pair[0].dial(address, THEM.public_key, ME, Peer())
    assert len(pair[0]._sources) == 1  # as itself a peer dials from where it listens
    links[0].close()
    await until(lambda: bool(ends[0].ends))
    assert len(pair[0]._sources) == 1
    links[1].close()
    await until(lambda: bool(ends[1].ends))
    assert not pair[0]._sources
    assert own.credit_bytes > 0


async def test_a_failed_dial_closes_the_endpoint_it_opened(pair: tuple[QuicTransport, QuicTransport]) -> None:
    address = await pair[1].listen("127.0.0.1", 0, Peer())
    with pytest.raises(DialFailure):
        await pair[0].dial(address, ME.public_key, PSEUDONYM, Peer())
    assert not pair[0]._sources


@pytest.mark.parametrize("open_more", ["open_bi", "open_uni"])
async def test_a_peer_that_opens_a_second_stream_is_cut_off(
    pair: tuple[QuicTransport, QuicTransport], open_more: str
) -> None:
    acceptor = Peer()
    address = await pair[1].listen("127.0.0.1", 0, acceptor)
    endpoint = await _bind(ME, "127.0.0.1", 0, alpns=[])
    connection = await endpoint.connect(_target(address, THEM.public_key), ALPN.encode())
    stream = await connection.open_bi()
    await stream.send().write_all(bytes(32))
    await stream.recv().read_exact(32)
    await until(lambda: bool(acceptor.links))
    more = await getattr(connection, open_more)()
    await (more if isinstance(more, iroh.SendStream) else more.send()).write_all(b"x" * 100)
    await until(lambda: bool(acceptor.ends))
    assert acceptor.ends == [CloseReason.MALFORMED]
    await endpoint.close()


async def test_a_connection_without_a_stream_ends_at_the_handshake_limit(
    pair: tuple[QuicTransport, QuicTransport],
) -> None:
    acceptor = Peer()
    address = await pair[1].listen("127.0.0.1", 0, acceptor)
    endpoint = await _bind(ME, "127.0.0.1", 0, alpns=[])
    connection = await endpoint.connect(_target(address, THEM.public_key), ALPN.encode())
    assert pair[1]._gate.half_open == 1
    await asyncio.wait_for(connection.closed(), 3)
    await until(lambda: pair[1]._gate.inside == 0)
    assert not acceptor.links
    await endpoint.close()


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("Address already in use (os error 98)", "port-taken"),
        ("Permission denied (os error 13)", "port-forbidden"),
        ("Cannot assign requested address (os error 99)", "no-such-address"),
    ],
)
def test_the_systems_words_become_codes(message: str, code: str) -> None:
    assert _listen_failure(message).code == code
