"""Slots: the published command bytes, and the refusal of all that is not one consistent set of orders."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.errors import MalformedFrame
from railgun_core.mix.sphinx.commands import Slot, decode, encode

HOP = b"\x01" + b"n" * 32 + b"m" * 32
RECIPIENT = b"\x02" + b"r" * 32
REPLY = b"\x03" + b"i" * 16
DELAY = bytes.fromhex("80000004d2")  # the published bytes for 1,234 ms


@pytest.mark.parametrize(
    ("raw", "slot"),
    [
        (b"", Slot()),
        (DELAY, Slot(1_234)),
        (DELAY + HOP, Slot(1_234, b"n" * 32, b"m" * 32)),
        (RECIPIENT + REPLY, Slot(recipient=b"r" * 32, reply_id=b"i" * 16)),
        (DELAY + RECIPIENT + REPLY, Slot(1_234, recipient=b"r" * 32, reply_id=b"i" * 16)),
    ],
)
def test_orders_are_read_and_written_alike(raw: bytes, slot: Slot) -> None:
    assert decode(raw.ljust(82, b"\x00")) == slot
    assert encode(slot) == raw.ljust(82, b"\x00")


@pytest.mark.parametrize(
    "raw",
    [
        b"\x04",
        b"\xff",
        DELAY + DELAY,
        b"\x80\x00\x00\x00\x00" * 2,
        RECIPIENT + RECIPIENT,
        REPLY + REPLY,
        HOP + REPLY,
        REPLY + HOP,
        RECIPIENT + RECIPIENT[:20],
        HOP + b"\x00" * 10 + b"\x01",
        b"\x00" * 81 + b"\x01",
        HOP + HOP,
        bytes(80) + b"\x80\x00",
    ],
    ids=lambda raw: raw[:6].hex() + f"-{len(raw)}",
)
def test_anything_else_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedFrame):
        decode(raw.ljust(82, b"\x00")[:82])


@given(st.binary(min_size=82, max_size=82))
def test_noise_is_read_or_refused_and_what_is_read_is_written_back(noise: bytes) -> None:
    try:
        slot = decode(noise)
    except MalformedFrame:
        return
    assert decode(encode(slot)) == slot
