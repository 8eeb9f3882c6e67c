"""The data of cells: one encoding, and anything else is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.errors import MalformedFrame
from railgun_core.mix.cells import (
    NO_REPLY,
    REPLY_PAYLOAD_BYTES,
    Delivery,
    RelayRecords,
    ask_records,
    pages,
    position_of,
    recipient_of,
    register,
)
from railgun_core.mix.sphinx import PAYLOAD_BYTES
from railgun_core.wire.frames import CELL_DATA_BYTES, RECORDS_PER_FRAME, Cell, CellKind, decode_control

RECIPIENT = b"r" * 32


def over_the_wire(cell: Cell) -> Cell:
    encoded = cell.encode()
    decoded = decode_control(encoded, 0, len(encoded))
    assert isinstance(decoded, Cell)
    return decoded


@pytest.mark.parametrize(("reply_id", "size"), [(b"", PAYLOAD_BYTES), (b"i" * 16, REPLY_PAYLOAD_BYTES)])
def test_a_delivery_comes_back_as_it_was(reply_id: bytes, size: int) -> None:
    delivery = Delivery(RECIPIENT, reply_id, b"p" * size)
    cell = over_the_wire(delivery.cell())
    assert cell.kind is CellKind.DELIVERY
    assert Delivery.decode(cell.data) == delivery


@pytest.mark.parametrize(
    "data",
    [
        b"",
        RECIPIENT + NO_REPLY,
        RECIPIENT + NO_REPLY + bytes(REPLY_PAYLOAD_BYTES),
        RECIPIENT + b"i" * 16 + bytes(4_800),
    ],
)
def test_a_delivery_of_another_length_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedFrame):
        Delivery.decode(data)


@given(st.lists(st.binary(min_size=1, max_size=1_000), max_size=120), st.integers(1, 30))
def test_pages_give_every_record_once_and_fit_their_cells(raws: list[bytes], cells: int) -> None:
    position, found, asked = 0, list[bytes](), 0
    while True:
        answers = pages(raws, position, cells=cells)
        assert 1 <= len(answers) <= cells
        for answer in answers:
            cell = over_the_wire(answer.cell())
            assert len(cell.data) <= CELL_DATA_BYTES
            assert RelayRecords.decode(cell.data) == answer
            assert len(answer.raws) <= RECORDS_PER_FRAME
            found += answer.raws
        position, asked = answers[-1].following, asked + 1
        if position == 0:
            break
        assert asked < 130
    assert found == raws


def test_a_position_beyond_the_end_is_the_end() -> None:
    assert pages([b"a", b"b"], 9, cells=4) == [RelayRecords(0, ())]


@given(st.binary(max_size=200))
def test_records_that_are_none_are_refused_and_nothing_else_happens(data: bytes) -> None:
    try:
        decoded = RelayRecords.decode(data)
    except MalformedFrame:
        return
    assert decoded.cell().data == data


def test_questions_have_one_form() -> None:
    assert recipient_of(register(RECIPIENT).data) == RECIPIENT
    assert position_of(ask_records(77).data) == 77
    for wrong in (b"", b"r" * 31, b"r" * 33):
        with pytest.raises(MalformedFrame):
            recipient_of(wrong)
        with pytest.raises(MalformedFrame):
            position_of(wrong)
