"""The credit of a stream and the cutting of bytes into cells: whatever is written and granted, in whatever order."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from railgun_core.base.errors import MalformedFrame
from railgun_core.transport.tunnel import (
    GRANT_CELLS,
    WINDOW_BYTES,
    WINDOW_CELLS,
    StreamEnd,
    Window,
    close_cell,
    data_cells,
    read_end,
)
from railgun_core.wire.codec import u32
from railgun_core.wire.frames import CELL_DATA_BYTES, PACKET_BYTES, Cell, CellKind, decode_control


def opened(frame: bytes) -> Cell:
    cell = decode_control(frame, 0, len(frame))
    assert isinstance(cell, Cell)
    return cell


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30_000), st.integers(0, 15)), max_size=40))
def test_every_byte_arrives_in_order_within_the_window_and_nobody_waits_for_ever(steps: list[tuple[int, int]]) -> None:
    sender, receiver = Window(), Window()
    waiting, said, heard = bytearray(), bytearray(), bytearray()
    flying: list[bytes] = []

    def deliver(count: int) -> None:
        for _ in range(min(count, len(flying))):
            receiver.heard()
            heard.extend(opened(flying.pop(0)).data)
            grant = receiver.taken(1)
            if grant is not None:
                sender.earned(grant)

    for size, arriving in steps:
        fresh = bytes((size + at) % 251 for at in range(size))
        said += fresh
        waiting += fresh
        cells = data_cells(7, waiting, sender)
        assert all(len(opened(cell).data) == CELL_DATA_BYTES for cell in cells[:-1])
        flying += cells
        assert len(flying) <= WINDOW_CELLS
        deliver(arriving)
    while waiting or flying:
        flying += data_cells(7, waiting, sender)
        assert flying
        deliver(len(flying))
    assert heard == said


def test_a_stream_has_at_most_64_kib_on_its_way() -> None:
    assert WINDOW_BYTES <= 64 * 1024 < WINDOW_BYTES + CELL_DATA_BYTES


def test_credit_comes_back_half_a_window_at_a_time() -> None:
    window = Window()
    grants = []
    for _ in range(WINDOW_CELLS):
        window.heard()
        grants.append(window.taken(1))
    assert [at for at, grant in enumerate(grants, 1) if grant is not None] == [GRANT_CELLS, 2 * GRANT_CELLS]
    assert grants[GRANT_CELLS - 1] == u32(GRANT_CELLS * CELL_DATA_BYTES)


def test_more_than_the_window_is_an_error() -> None:
    window = Window()
    for _ in range(WINDOW_CELLS):
        window.heard()
    with pytest.raises(MalformedFrame):
        window.heard()


@pytest.mark.parametrize("data", [b"", b"\x00\x00\x00", u32(1), u32(CELL_DATA_BYTES), u32(0) + b"x", b"\xff" * 4])
def test_credit_that_was_not_spent_or_is_no_cells_is_an_error(data: bytes) -> None:
    with pytest.raises(MalformedFrame):
        Window().earned(data)


@pytest.mark.parametrize("end", list(StreamEnd))
def test_an_end_is_as_large_as_any_packet_and_reads_back(end: StreamEnd) -> None:
    frame = close_cell(9, end)
    assert len(frame) == PACKET_BYTES + 5
    cell = opened(frame)
    assert (cell.kind, cell.stream) == (CellKind.CLOSE, 9)
    assert read_end(cell.data) is end


def test_an_unknown_end_is_a_reset_and_a_broken_one_an_error() -> None:
    assert read_end(b"\x03new") is StreamEnd.RESET
    for data in (b"", b"\x04new", b"\x00x", b"\x01\xff", bytes(60)):
        with pytest.raises(MalformedFrame):
            read_end(data)
