"""The bounded reader: every method gives a value or MalformedFrame, and takes exactly what it says."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.errors import MalformedFrame
from railgun_core.wire.codec import Reader, array8, blob8, blob16, u16, u32

READS: dict[str, Callable[[Reader], object]] = {
    "u8": Reader.u8,
    "u16": Reader.u16,
    "u32": Reader.u32,
    "u64": Reader.u64,
    "flag": Reader.flag,
    "count": lambda reader: reader.count(7),
    "blob8": lambda reader: reader.blob8(40),
    "blob16": lambda reader: reader.blob16(300),
    "text8": lambda reader: reader.text8(40),
    "take": lambda reader: reader.take(5),
    "rest": Reader.rest,
    "end": Reader.end,
}


@given(st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1), st.binary(max_size=255), st.binary(max_size=999))
def test_what_was_written_is_read_back(two: int, four: int, short: bytes, long: bytes) -> None:
    reader = Reader(u16(two) + u32(four) + blob8(short) + blob16(long))
    assert (reader.u16(), reader.u32(), reader.blob8(), reader.blob16()) == (two, four, short, long)
    reader.end()


@given(st.text(max_size=60))
def test_text_is_read_back(text: str) -> None:
    assert Reader(blob8(text.encode())).text8() == text


@given(st.lists(st.binary(min_size=2, max_size=2), max_size=255))
def test_an_array_has_its_count_in_front(items: list[bytes]) -> None:
    reader = Reader(array8(items))
    assert [reader.take(2) for _ in range(reader.count(255))] == items
    reader.end()


@given(st.binary(max_size=400), st.lists(st.sampled_from(sorted(READS)), max_size=30))
def test_any_reads_of_any_bytes_give_values_or_malformed_frame(data: bytes, names: list[str]) -> None:
    reader = Reader(data)
    for name in names:
        try:
            READS[name](reader)
        except MalformedFrame:
            continue


def test_ten_thousand_random_plans_of_reading_never_raise_anything_else(rng: random.Random) -> None:
    names = sorted(READS)
    for _ in range(10_000):
        reader = Reader(rng.randbytes(rng.randrange(40)))
        try:
            for name in rng.choices(names, k=6):
                READS[name](reader)
        except MalformedFrame:
            pass


@pytest.mark.parametrize(("name", "needs"), [("u8", 1), ("u16", 2), ("u32", 4), ("u64", 8), ("take", 5), ("flag", 1)])
def test_a_field_that_is_one_byte_short_is_refused(name: str, needs: int) -> None:
    READS[name](Reader(bytes(needs)))
    with pytest.raises(MalformedFrame):
        READS[name](Reader(bytes(needs - 1)))


@pytest.mark.parametrize("value", range(2, 256))
def test_a_flag_is_zero_or_one_and_nothing_else(value: int) -> None:
    with pytest.raises(MalformedFrame):
        Reader(bytes((value,))).flag()


def test_a_length_above_its_limit_is_refused_although_the_bytes_are_there() -> None:
    with pytest.raises(MalformedFrame):
        Reader(blob8(bytes(41))).blob8(40)
    with pytest.raises(MalformedFrame):
        Reader(blob16(bytes(301))).blob16(300)
    with pytest.raises(MalformedFrame):
        Reader(b"\x08" + bytes(8)).count(7)


@pytest.mark.parametrize("text", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"])
def test_text_that_is_no_strict_utf8_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedFrame):
        Reader(blob8(text)).text8()


def test_a_reader_stops_at_its_end_although_the_buffer_goes_on() -> None:
    reader = Reader(b"abcdef", 1, 3)
    assert reader.take(2) == b"bc"
    with pytest.raises(MalformedFrame):
        reader.u8()
    reader.end()


def test_trailing_bytes_are_refused() -> None:
    reader = Reader(b"ab")
    reader.u8()
    with pytest.raises(MalformedFrame):
        reader.end()
    assert reader.rest() == b"b"
    reader.end()


def test_a_failed_read_takes_nothing() -> None:
    reader = Reader(b"abc")
    with pytest.raises(MalformedFrame):
        reader.u32()
    assert reader.rest() == b"abc"
