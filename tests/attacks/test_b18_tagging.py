"""B18: a hostile hop marks a packet and looks for the mark further on. 10,000 single-bit flips.

A flip in the header is refused by the next hop, always. A flip in the payload passes on the way (no honest hop can see
it), leaves the last hop with a block of which half the bits differ, and is never delivered. Residual: the last hop
knows that a packet was destroyed, not which one.
"""

from __future__ import annotations

import random

import pytest

from railgun_core.base.errors import MalformedFrame
from railgun_core.mix.sphinx import (
    HEADER_BYTES,
    PACKET_BYTES,
    Geometry,
    lioness,
    new_packet,
    new_surb,
    open_reply,
    packet_from_surb,
    unwrap,
)
from railgun_core.mix.sphinx.header import open_header
from tests.unit.mix.sphinx.paths import make_path

HEADER_FLIPS = HEADER_BYTES * 8  # every bit there is
PAYLOAD_FLIPS = 10_000 - HEADER_FLIPS
STANDARD_BLOCK = (PACKET_BYTES - HEADER_BYTES) * 8


def _flip(data: bytes, bit: int) -> bytes:
    return data[: bit // 8] + bytes([data[bit // 8] ^ (1 << bit % 8)]) + data[bit // 8 + 1 :]


def test_every_single_bit_of_the_header_is_guarded_at_the_next_hop(rng: random.Random) -> None:
    privates, path = make_path(5, rng=rng)
    packet = new_packet(path, b"untouched", rng=rng, geometry=Geometry(5, 32))
    header = packet[:HEADER_BYTES]
    for bit in range(HEADER_FLIPS):
        with pytest.raises(MalformedFrame):
            open_header(privates[0], _flip(header, bit), Geometry(5, 32))


def test_a_flipped_payload_bit_destroys_the_payload_and_is_never_delivered(rng: random.Random) -> None:
    privates, path = make_path(2, rng=rng)
    packet = new_packet(path, b"x" * 4_800, rng=rng)
    keys = [open_header(privates[0], packet[:HEADER_BYTES], Geometry(5, 4_800)).payload_key]
    sent = unwrap(privates[0], packet).packet
    assert sent is not None
    keys.append(open_header(privates[1], sent[:HEADER_BYTES], Geometry(5, 4_800)).payload_key)
    first, last = (lioness.derive(key) for key in keys)
    whole = lioness.decrypt(last, sent[HEADER_BYTES:])
    assert whole == bytes(32) + b"x" * 4_800
    plain, changed = int.from_bytes(whole, "little"), 0.0
    bits = [rng.randrange(STANDARD_BLOCK) for _ in range(PAYLOAD_FLIPS)]
    for number, bit in enumerate(bits):
        marked = _flip(packet[HEADER_BYTES:], bit)
        if number < 1_000:  # the whole way through the hops; the rest through the same two layers alone
            on_the_way = unwrap(privates[0], packet[:HEADER_BYTES] + marked)
            assert on_the_way.packet is not None
            with pytest.raises(MalformedFrame):
                unwrap(privates[1], on_the_way.packet)
        block = lioness.decrypt(last, lioness.decrypt(first, marked))
        assert block[:32] != bytes(32)
        share = (int.from_bytes(block, "little") ^ plain).bit_count() / STANDARD_BLOCK
        assert abs(share - 0.5) < 0.03  # six standard deviations of one packet
        changed += share
    assert abs(changed / PAYLOAD_FLIPS - 0.5) < 0.01


def test_a_marked_reply_is_never_taken_for_words(rng: random.Random) -> None:
    privates, path = make_path(3, rng=rng)
    surb, kept = new_surb(path, recipient=b"r" * 32, reply_id=b"i" * 16, rng=rng)
    _, packet = packet_from_surb(surb, b"stored")
    for _ in range(100):
        on_the_way = packet[:HEADER_BYTES] + _flip(packet[HEADER_BYTES:], rng.randrange(STANDARD_BLOCK))
        for private in privates:
            done = unwrap(private, on_the_way)
            on_the_way = done.packet or b""
        assert done.payload is not None
        with pytest.raises(MalformedFrame):
            open_reply(done.payload, kept)
