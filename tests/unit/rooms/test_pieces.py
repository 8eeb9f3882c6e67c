"""Large content in pieces of one size: in any order, once, in bounds."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.ids import MsgId
from railgun_core.rooms.content import Piece, decode_content
from railgun_core.rooms.pieces import MAX_BYTES, Puzzle, cut
from railgun_core.wire.envelope import SizeClass
from railgun_core.wire.frames import Slice
from tests.unit.rooms.table import met, read, seated

NAME = MsgId(b"n" * 16)


@pytest.mark.parametrize("length", [0, 1, 4_064, 4_065, 65_504])
def test_content_is_cut_to_medium_envelopes_and_put_together_in_any_order(length: int, rng: random.Random) -> None:
    content = rng.randbytes(length)
    parts = cut(content, NAME)
    assert len({name for name, _ in parts}) == len(parts)
    assert all(len(part) <= SizeClass.MEDIUM.capacity for _, part in parts)
    if length <= SizeClass.MEDIUM.capacity:
        assert parts == [(NAME, content)]
        return
    rng.shuffle(parts)
    puzzle = Puzzle()
    whole = [puzzle.add(piece) for _, part in parts if isinstance(piece := decode_content(part), Piece)]
    assert whole == [None] * (len(parts) - 1) + [content]
    assert puzzle.held_bytes == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=30))
def test_pieces_that_come_twice_count_once(order: list[tuple[int, int]]) -> None:
    puzzle, seen, done = Puzzle(), set[tuple[int, int]](), 0
    for number, index in order:
        fresh = (number, index) not in seen
        seen.add((number, index))
        whole = puzzle.add(Piece(MsgId(bytes((number,)) * 16), index, 3, b"%d" % index))
        if whole is not None:
            assert fresh
            assert whole == b"012"
            seen -= {(number, 0), (number, 1), (number, 2)}
            done += 1
    assert puzzle.held_bytes == len(seen)


def test_pieces_that_never_become_whole_are_held_in_bounds() -> None:
    puzzle, body = Puzzle(), bytes(4_000)
    for number in range(2 * MAX_BYTES // len(body)):
        puzzle.add(Piece(MsgId(number.to_bytes(16, "big")), 0, 2, body))
    assert puzzle.held_bytes <= MAX_BYTES


def test_an_item_that_comes_in_pieces_is_shown_once() -> None:
    table = seated()
    ann = met(table)
    relay = table.relay(Slice.PUSH)
    name, content = ann.item(1, b"w" * 40_000)
    parts = cut(content, name)
    relay.push(*parts[3:], *parts[:3])
    assert read(table) == [b"w" * 40_000]
    relay.push(*parts)
    assert len(read(table)) == 1


def test_a_piece_of_a_piece_is_refused() -> None:
    table = seated()
    met(table)
    nested = [decode_content(part) for _, part in cut(bytes(5_000), NAME)]
    assert all(isinstance(piece, Piece) for piece in nested)
    inner = cut(bytes(5_000), NAME)[0][1]
    outer = cut(inner + bytes(5_000), MsgId(b"o" * 16))
    table.relay(Slice.PUSH).push(*outer)
    assert read(table) == []
