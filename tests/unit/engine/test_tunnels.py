"""Whom a guard connects clients with, and which side of a link a cell is for. No sockets."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from railgun_core.base.ids import DialId, LinkId, PeerId
from railgun_core.base.keys import Identity
from railgun_core.engine.tunnels import Tunnels, guarded_address
from railgun_core.events import Dial
from railgun_core.transport.link import CloseReason, DialFailure, Link
from railgun_core.transport.tls import TlsTransport
from railgun_core.transport.tunnel import StreamEnd, read_end
from railgun_core.wire.frames import Cell, CellKind, FrameBatch, decode_control
from railgun_core.wire.records import Address, AddressKind, PeerBody, PeerRole, Record, sign_record

RELAY = Identity(b"\x02" * 32)


def record(*addresses: Address, roles: PeerRole = PeerRole.RELAY, age_s: int = 0, identity: Identity = RELAY) -> Record:
    now_s = int(time.time()) - age_s
    body = PeerBody(tuple(addresses), roles, "test", 1, 1)
    return sign_record(identity, body, sequence=now_s * 1000, not_before_s=now_s, expires_s=now_s + 600)


def tls(host: str, port: int = 4433) -> Address:
    return Address(AddressKind.TLS, host, port)


class FakeLink:
    """As much of a link as tunnels look at."""

    def __init__(self, *, inbound: bool) -> None:
        self.inbound = inbound
        self.cells: list[Cell] = []

    def send(self, chunks: Sequence[bytes | memoryview]) -> None:
        for chunk in chunks:
            cell = decode_control(bytes(chunk), 0, len(chunk))
            assert isinstance(cell, Cell)
            self.cells.append(cell)


class Deaf:
    """A handler that nobody should call."""

    def frames(self, link: Link, batch: FrameBatch) -> None:
        pytest.fail("frames")

    def credit(self, link: Link) -> None:
        pytest.fail("credit")

    def closed(self, link: Link, reason: CloseReason) -> None:
        pytest.fail("closed")


def tunnels(links: dict[LinkId, FakeLink], known: dict[PeerId, Record] | None) -> Tunnels:
    return Tunnels(
        TlsTransport(Identity(b"\x01" * 32)),
        link=links.get,  # type: ignore[arg-type]
        record=None if known is None else known.get,
        own_host=lambda: "127.0.0.1",
    )


@pytest.mark.parametrize(
    ("own_host", "host", "allowed"),
    [
        ("5.9.1.1", "8.8.8.8", True),
        ("5.9.1.1", "2606:4700::1111", True),
        ("5.9.1.1", "192.168.1.1", False),
        ("5.9.1.1", "10.0.0.1", False),
        ("5.9.1.1", "169.254.169.254", False),
        ("5.9.1.1", "127.0.0.1", False),
        ("5.9.1.1", "::1", False),
        ("5.9.1.1", "::ffff:127.0.0.1", False),
        ("5.9.1.1", "::ffff:10.0.0.1", False),
        ("5.9.1.1", "fe80::1", False),
        ("5.9.1.1", "fd00::1", False),
        ("5.9.1.1", "0.0.0.0", False),
        ("5.9.1.1", "224.0.0.1", False),
        ("192.168.1.5", "192.168.1.9", True),
        ("192.168.1.5", "8.8.8.8", True),
        ("192.168.1.5", "127.0.0.1", False),
        ("192.168.1.5", "169.254.169.254", False),
        ("127.0.0.1", "127.3.0.1", True),
        ("127.0.0.1", "0.0.0.0", False),
    ],
)
def test_a_record_leads_a_guard_nowhere_nearer_to_itself_than_it_is_to_others(
    own_host: str, host: str, allowed: bool
) -> None:
    address = guarded_address(record(tls(host)), own_host=own_host, unix_s=time.time())
    assert (address is not None) is allowed


def test_only_a_live_relay_with_a_tls_address_is_connected_to() -> None:
    now_s = time.time()
    good = tls("127.0.0.1")
    quic = Address(AddressKind.QUIC, "127.0.0.1", 4433)
    assert guarded_address(record(quic, good), own_host="127.0.0.1", unix_s=now_s) == good
    assert guarded_address(None, own_host="127.0.0.1", unix_s=now_s) is None
    for wrong in (
        record(quic),
        record(),
        record(good, roles=PeerRole.BOOTSTRAP),
        record(good, roles=PeerRole(0)),
        record(good, age_s=4_000),
    ):
        assert guarded_address(wrong, own_host="127.0.0.1", unix_s=now_s) is None


async def test_a_guard_cannot_ask_its_client_to_connect_anywhere() -> None:
    relay = record(tls("127.0.0.1"))
    link = FakeLink(inbound=False)
    ours = tunnels({LinkId(1): link}, {relay.peer_id: relay})
    ours.cell(LinkId(1), Cell(CellKind.CONNECT, 1, relay.peer_id))
    assert not link.cells
    assert ours.carried == 0
    await ours.close()


async def test_an_engine_that_is_no_guard_refuses_and_so_does_one_that_does_not_know_the_relay() -> None:
    for known in (None, {}):
        link = FakeLink(inbound=True)
        ours = tunnels({LinkId(1): link}, known)
        ours.cell(LinkId(1), Cell(CellKind.CONNECT, 7, RELAY.peer_id))
        assert [(cell.kind, cell.stream) for cell in link.cells] == [(CellKind.CLOSE, 7)]
        assert read_end(link.cells[0].data) is StreamEnd.REFUSED
        assert ours.counts.refused == 1
        await ours.close()


async def test_cells_below_the_tunnels_and_from_unknown_links_are_left_alone() -> None:
    link = FakeLink(inbound=True)
    ours = tunnels({LinkId(1): link}, {})
    ours.cell(LinkId(1), Cell(CellKind.IDLE, 0, b""))
    ours.cell(LinkId(1), Cell(CellKind.DELIVERY, 0, b"x"))
    ours.cell(LinkId(2), Cell(CellKind.CONNECT, 1, RELAY.peer_id))
    ours.link_closed(LinkId(3))
    assert not link.cells
    await ours.close()
    await ours.close()


async def test_a_dial_says_why_it_cannot_even_begin() -> None:
    outward, inward = FakeLink(inbound=False), FakeLink(inbound=True)
    links = {LinkId(1): outward, LinkId(2): inward}
    good = record(tls("127.0.0.1"))
    without = record(Address(AddressKind.QUIC, "127.0.0.1", 9))
    ours = tunnels(links, None)
    none = Tunnels(None, link=links.get, record=None, own_host=lambda: "127.0.0.1")  # type: ignore[arg-type]
    cases = [
        (ours, without, LinkId(1), "no-tls"),
        (none, good, LinkId(1), "no-tls"),
        (ours, good, LinkId(9), "no-guard"),
        (ours, good, LinkId(2), "no-guard"),
        (ours, good, None, "no-guard"),
    ]
    for which, relay, via, code in cases:
        with pytest.raises(DialFailure) as failure:
            await which.dial(Dial(DialId(1), relay, None, via), identity=RELAY, handler=Deaf())
        assert failure.value.code == code
    assert not outward.cells
    assert not inward.cells
    await ours.close()
    with pytest.raises(DialFailure):
        await ours.dial(Dial(DialId(1), good, None, LinkId(1)), identity=RELAY, handler=Deaf())
    await none.close()
