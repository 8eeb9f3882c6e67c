"""B24, giant and endless frames: lengths are checked before memory is taken, and one link holds little."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Callable

import psutil
import pytest
from iroh import IrohError

from railgun_core.base.keys import Identity
from railgun_core.transport.hello import ALPN
from railgun_core.transport.link import CloseReason, Limits, Link, Transport
from railgun_core.transport.outqueue import QueuedLink
from railgun_core.transport.quic import QuicTransport, _bind, _target
from railgun_core.transport.quic_link import READ_BYTES as QUIC_READ_BYTES
from railgun_core.transport.tls import TlsTransport
from railgun_core.transport.tls_channel import READ_BYTES as TLS_READ_BYTES
from railgun_core.wire.frames import FrameBatch
from railgun_core.wire.kinds import MAX_FRAME_BYTES

ATTACKER, RELAY = Identity(b"\x01" * 32), Identity(b"\x02" * 32)
KINDS = pytest.mark.parametrize("kind", [TlsTransport, QuicTransport])
Kind = Callable[..., Transport]


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


def held_bytes(link: Link) -> int:
    assert isinstance(link, QueuedLink)
    return link._splitter.waiting_bytes


def test_a_read_and_an_unfinished_frame_together_stay_below_a_quarter_megabyte() -> None:
    assert max(TLS_READ_BYTES, QUIC_READ_BYTES) + MAX_FRAME_BYTES < 270_000


@KINDS
@pytest.mark.parametrize("length", [0, MAX_FRAME_BYTES - 3, 1 << 20, (1 << 32) - 1])
async def test_a_bad_length_closes_the_link_within_a_second_and_before_the_body_comes(kind: Kind, length: int) -> None:
    near, far, acceptor = kind(ATTACKER), kind(RELAY), Peer()
    try:
        address = await far.listen("127.0.0.1", 0, acceptor)
        link = await near.dial(address, RELAY.public_key, ATTACKER, Peer())
        await until(lambda: bool(acceptor.links))
        link.send([struct.pack(">I", length)])
        await until(lambda: bool(acceptor.ends), 1.0)
        assert acceptor.ends == [CloseReason.MALFORMED]
        assert held_bytes(acceptor.links[0]) == 0
    finally:
        await near.close()
        await far.close()


@KINDS
async def test_an_endless_stream_of_garbage_is_cut_at_its_first_bytes(kind: Kind) -> None:
    near, far, acceptor, attacker = kind(ATTACKER), kind(RELAY), Peer(), Peer()
    try:
        address = await far.listen("127.0.0.1", 0, acceptor)
        link = await near.dial(address, RELAY.public_key, ATTACKER, attacker)
        await until(lambda: bool(acceptor.links))
        before = psutil.Process().memory_info().rss
        async with asyncio.timeout(2.0):
            while not attacker.ends:
                if link.credit_bytes:
                    link.send([b"\xff" * 60_000])
                await asyncio.sleep(0)
        assert acceptor.ends == [CloseReason.MALFORMED]
        assert acceptor.links[0].bytes_received <= 2 * 1024 * 1024
        assert psutil.Process().memory_info().rss - before < 32 * 1024 * 1024
    finally:
        await near.close()
        await far.close()


@KINDS
async def test_frames_that_are_never_finished_hold_one_frame_each_and_end_at_the_first_frame_limit(kind: Kind) -> None:
    near, far, acceptor = kind(ATTACKER), kind(RELAY, limits=Limits(first_frame_s=0.8)), Peer()
    try:
        address = await far.listen("127.0.0.1", 0, acceptor)
        links = [await near.dial(address, RELAY.public_key, ATTACKER, Peer()) for _ in range(8)]
        await until(lambda: len(acceptor.links) == 8)
        for link in links:
            link.send([struct.pack(">I", MAX_FRAME_BYTES - 4) + bytes(MAX_FRAME_BYTES - 5)])
        await until(lambda: all(held_bytes(link) for link in acceptor.links))
        for link in links:
            link.send([b""])
        assert all(held_bytes(link) < MAX_FRAME_BYTES for link in acceptor.links)
        await until(lambda: len(acceptor.ends) == 8, 3.0)
        assert acceptor.ends == [CloseReason.IDLE] * 8
    finally:
        await near.close()
        await far.close()


async def test_a_peer_cannot_park_megabytes_in_streams_that_nobody_reads() -> None:
    far, acceptor = QuicTransport(RELAY), Peer()
    address = await far.listen("127.0.0.1", 0, acceptor)
    endpoint = await _bind(ATTACKER, "127.0.0.1", 0, alpns=[])
    try:
        connection = await endpoint.connect(_target(address, RELAY.public_key), ALPN.encode())
        first = await connection.open_bi()
        await first.send().write_all(bytes(32))
        await first.recv().read_exact(32)
        writes = []
        with contextlib.suppress(IrohError):  # cut off before all twenty are open
            for _ in range(20):
                stream = await connection.open_uni()
                writes.append(asyncio.ensure_future(stream.write_all(bytes(1_000_000))))
        await asyncio.wait_for(connection.closed(), 3)
        await asyncio.gather(*writes, return_exceptions=True)
        await until(lambda: bool(acceptor.ends))
        assert acceptor.ends == [CloseReason.MALFORMED]
    finally:
        await endpoint.close()
        await far.close()
