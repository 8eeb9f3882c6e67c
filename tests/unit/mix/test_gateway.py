"""The guard's side: who gets what, and how little a client can ask for."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from railgun_core.base.clock import Instant
from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import LinkId
from railgun_core.base.keys import Identity
from railgun_core.events import Effect, Send, TunnelCell
from railgun_core.mix.cells import Delivery, RelayRecords, ask_records, register
from railgun_core.mix.gateway import Gateway, GatewayLimits
from railgun_core.mix.sphinx import PAYLOAD_BYTES
from railgun_core.wire.frames import PACKET_BYTES, Cell, CellKind, decode_control
from railgun_core.wire.records import Address, AddressKind, PeerBody, PeerRole, Record, sign_record

CLIENT, OTHER = LinkId(1), LinkId(2)
ID = b"r" * 32
NOW = Instant(1_000.0, 1_800_000_000.0)


def record(number: int, *, roles: PeerRole = PeerRole.RELAY, age_s: int = 10) -> Record:
    addresses = (Address(AddressKind.DHT, f"10.{number}.0.1", 4_000),)
    signed_s = int(NOW.unix_s) - age_s
    body = PeerBody(addresses, roles, "t", 1, 1, mix_key=b"k" * 32)
    return sign_record(
        Identity(number.to_bytes(32, "big")),
        body,
        sequence=signed_s * 1_000,
        not_before_s=signed_s,
        expires_s=signed_s + 3_600,
    )


class Desk:
    """A gateway and what it sent."""

    def __init__(self, records: Iterable[Record] = (), *, limits: GatewayLimits | None = None) -> None:
        self.records = list(records)
        self.gateway = Gateway(limits=limits or GatewayLimits(), records=lambda: self.records)
        self.out: list[Effect] = []

    def say(self, cell: Cell, link: LinkId = CLIENT, now: Instant = NOW) -> None:
        self.gateway.cell(link, cell, now, self.out)

    def deliver(self, recipient: bytes, reply_id: bytes = b"") -> None:
        payload = b"p" * (PAYLOAD_BYTES + 32 if reply_id else PAYLOAD_BYTES)
        self.gateway.deliver(recipient, reply_id, payload, NOW, self.out)

    def cells(self) -> list[tuple[LinkId, Cell]]:
        found = []
        for effect in self.out:
            assert isinstance(effect, Send)
            for chunk in effect.chunks:
                assert len(chunk) == PACKET_BYTES + 5
                cell = decode_control(bytes(chunk), 0, len(chunk))
                assert isinstance(cell, Cell)
                found.append((effect.link, cell))
        self.out.clear()
        return found

    def raws(self) -> list[bytes]:
        return [raw for _, cell in self.cells() for raw in RelayRecords.decode(cell.data).raws]


def test_what_is_for_a_registered_id_leaves_on_its_link_in_a_cell_as_large_as_a_packet() -> None:
    desk = Desk()
    desk.say(register(ID))
    desk.deliver(ID)
    desk.deliver(ID, b"i" * 16)
    (first_link, first), (second_link, second) = desk.cells()
    assert first_link == second_link == CLIENT
    assert Delivery.decode(first.data) == Delivery(ID, b"", b"p" * PAYLOAD_BYTES)
    assert Delivery.decode(second.data) == Delivery(ID, b"i" * 16, b"p" * (PAYLOAD_BYTES + 32))


def test_what_is_for_nobody_here_is_dropped_and_counted() -> None:
    desk = Desk()
    desk.deliver(ID)
    assert (desk.out, desk.gateway.undelivered) == ([], 1)


def test_an_id_of_another_link_is_never_taken_and_is_free_when_that_link_ends() -> None:
    desk = Desk()
    desk.say(register(ID))
    desk.say(register(ID), OTHER)
    desk.deliver(ID)
    assert [link for link, _ in desk.cells()] == [CLIENT]
    desk.gateway.link_down(OTHER)
    desk.deliver(ID)
    assert [link for link, _ in desk.cells()] == [CLIENT]
    desk.gateway.link_down(CLIENT)
    desk.deliver(ID)
    assert desk.cells() == []
    desk.say(register(ID), OTHER)
    desk.deliver(ID)
    assert [link for link, _ in desk.cells()] == [OTHER]


def test_a_link_holds_four_ids_and_may_name_them_again() -> None:
    desk = Desk()
    for _ in range(3):
        for number in range(4):
            desk.say(register(bytes((number,)) * 32))
    assert desk.gateway.registered == 4
    with pytest.raises(MalformedFrame):
        desk.say(register(ID))


def test_a_full_guard_takes_no_further_id_and_drops_none() -> None:
    desk = Desk(limits=GatewayLimits(ids=3))
    for number in range(5):
        desk.say(register(bytes((number,)) * 32), LinkId(number))
    assert desk.gateway.registered == 3
    desk.gateway.link_down(LinkId(0))
    desk.say(register(ID), LinkId(9))
    desk.deliver(ID)
    assert [link for link, _ in desk.cells()] == [LinkId(9)]


def test_a_guard_that_has_ended_all_links_keeps_nothing() -> None:
    desk = Desk()
    for number in range(50):
        desk.say(register(number.to_bytes(32, "big")), LinkId(number))
        desk.say(ask_records(0), LinkId(number))
    for number in range(50):
        desk.gateway.link_down(LinkId(number))
    desk.gateway.link_down(LinkId(77))
    assert (desk.gateway.registered, desk.gateway._clients) == (0, {})


def test_idle_cells_do_nothing_and_stream_cells_are_the_rims() -> None:
    desk = Desk()
    desk.say(Cell(CellKind.IDLE, 0, b""))
    connect = Cell(CellKind.CONNECT, 5, b"c" * 32)
    desk.say(connect)
    assert desk.out == [TunnelCell(CLIENT, connect)]


@pytest.mark.parametrize("kind", [CellKind.DELIVERY, CellKind.RECORDS])
def test_what_only_a_guard_says_is_refused_from_a_client(kind: CellKind) -> None:
    with pytest.raises(MalformedFrame):
        Desk().say(Cell(kind, 0, b""))


@pytest.mark.parametrize("cell", [Cell(CellKind.REGISTER, 0, b"short"), Cell(CellKind.ASK_RECORDS, 0, b"12345")])
def test_questions_of_a_wrong_form_are_refused(cell: Cell) -> None:
    with pytest.raises(MalformedFrame):
        Desk().say(cell)


def test_the_records_of_live_relays_come_once_each_newest_in_the_order_of_their_ids() -> None:
    live = [record(number) for number in range(1, 60)]
    older, dead = record(1, age_s=500), record(70, age_s=7_000)
    member = record(71, roles=PeerRole.BOOTSTRAP)
    desk = Desk([older, *reversed(live), dead, member, older])
    desk.say(ask_records(0))
    assert desk.raws() == [one.raw for one in sorted(live, key=lambda one: one.peer_id)]


def test_a_long_list_goes_on_where_it_stopped() -> None:
    live = [record(number) for number in range(1, 101)]
    desk = Desk(live, limits=GatewayLimits(record_cells=2, record_cells_per_s=1.0))
    found: list[bytes] = []
    position, now = 0, NOW
    while True:
        desk.say(ask_records(position), now=now)
        answers = [RelayRecords.decode(cell.data) for _, cell in desk.cells()]
        assert len(answers) <= 2
        found += [raw for answer in answers for raw in answer.raws]
        position, now = answers[-1].following, now.after(3.0)
        if not position:
            break
    assert found == [one.raw for one in sorted(live, key=lambda one: one.peer_id)]


def test_who_asks_all_the_time_gets_no_more_than_the_rate_and_others_get_theirs() -> None:
    live = [record(number) for number in range(1, 101)]
    desk = Desk(live, limits=GatewayLimits(record_cells=8, record_cells_per_s=1.0))
    for tenth in range(200):
        desk.say(ask_records(0), now=NOW.after(tenth / 10))
    assert len(desk.cells()) <= 8 + 20
    desk.say(ask_records(0), OTHER, now=NOW.after(20.0))
    assert len(desk.raws()) == 100


def test_many_who_ask_at_once_cost_one_sorting_of_the_list() -> None:
    read: list[int] = []
    live = [record(1)]
    gateway = Gateway(limits=GatewayLimits(), records=lambda: read.append(1) or live)  # type: ignore[func-returns-value]
    out: list[Effect] = []
    for number in range(100):
        gateway.cell(LinkId(number), ask_records(0), NOW.after(number / 1_000), out)
    assert (len(out), len(read)) == (100, 1)
    gateway.cell(CLIENT, ask_records(0), NOW.after(60.0), out)
    assert len(read) == 2


def test_a_guard_that_knows_nobody_says_so() -> None:
    desk = Desk()
    desk.say(ask_records(0))
    ((_, cell),) = desk.cells()
    assert RelayRecords.decode(cell.data) == RelayRecords(0, ())
