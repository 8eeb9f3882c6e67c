"""Lines are messages, byte for byte, however they arrive."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.cli.lines import BATCH_BYTES, BATCH_LINES, TooLong, batches_of, check_lengths, messages_of
from railgun_core.local_api.messages import MAX_MESSAGE_BYTES


def pieces(*parts: bytes) -> Callable[[], bytes]:
    left = [part for part in parts if part]
    return lambda: left.pop(0) if left else b""


def all_of(*parts: bytes) -> list[bytes]:
    return [line for lines in messages_of(pieces(*parts)) for line in lines]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"one", [b"one"]),
        (b"one\n", [b"one"]),
        (b"one\ntwo", [b"one", b"two"]),
        (b"\n", [b""]),
        (b"\n\na\n\n", [b"", b"", b"a", b""]),
        (b"a\r\nb\rc\n", [b"a\r", b"b\rc"]),
        (b"\xff\xfe\x00\n\x0b\x0c\x1c\x85", [b"\xff\xfe\x00", b"\x0b\x0c\x1c\x85"]),
    ],
)
def test_only_newline_ends_a_message(data: bytes, expected: list[bytes]) -> None:
    assert all_of(data) == expected


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=8))
def test_messages_do_not_depend_on_how_the_bytes_arrive(data: bytes, cuts: list[int]) -> None:
    data = data.replace(b"\x01", b"\n").replace(b"\x02", b"\n")
    edges = [0, *sorted(cuts), len(data)]
    parts = [data[a:b] for a, b in itertools.pairwise(edges)]
    whole = data[:-1] if data.endswith(b"\n") else data
    expected = whole.split(b"\n") if data else []
    assert all_of(*parts) == expected
    assert all_of(*(bytes((byte,)) for byte in data)) == expected


@given(st.lists(st.integers(0, 3_000_000), max_size=30), st.integers(0, 500))
def test_batches_keep_the_order_and_their_bounds(sizes: list[int], small: int) -> None:
    lines = [bytes(0)] * small + [memoryview(BIG)[:size] for size in sizes]
    batches = list(batches_of(lines))  # type: ignore[arg-type]
    assert [line for batch in batches for line in batch] == lines
    for batch in batches:
        assert len(batch) <= BATCH_LINES
        assert len(batch) == 1 or sum(len(line) for line in batch) <= BATCH_BYTES


BIG = bytes(3_000_000)


def test_the_largest_message_passes_and_one_byte_more_does_not() -> None:
    largest = b"a" * MAX_MESSAGE_BYTES
    assert all_of(b"x\n", largest, b"\ny") == [b"x", largest, b"y"]
    check_lengths(pieces(b"x\n", largest, b"\ny"))
    for parts in ((b"x\n", largest, b"b\n"), (b"x\n" + largest + b"b",), (b"x\n", largest, b"b")):
        seen: list[list[bytes]] = []
        with pytest.raises(TooLong) as caught:
            seen.extend(messages_of(pieces(*parts)))
        assert (caught.value.number, seen) == (2, [[b"x"]])
        with pytest.raises(TooLong) as caught:
            check_lengths(pieces(*parts))
        assert caught.value.number == 2
