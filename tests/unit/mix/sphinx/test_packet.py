"""Packets along paths of every length: what hops learn, what they refuse, and that all look alike."""

from __future__ import annotations

import hmac
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from railgun_core.base.errors import MalformedFrame
from railgun_core.mix.sphinx import (
    HEADER_BYTES,
    PACKET_BYTES,
    PAYLOAD_BYTES,
    SLOTS,
    SURB_BYTES,
    Geometry,
    Hop,
    keys,
    lioness,
    new_packet,
    new_surb,
    public_key,
    unwrap,
)
from railgun_core.wire import frames
from tests.unit.mix.sphinx.paths import make_path, walk

# Points of order 1, 2, 4 and 8 on Curve25519 and its twist, and their encodings that are not reduced.
LOW_ORDER = [
    bytes.fromhex(text)
    for text in (
        "00" * 32,
        "01" + "00" * 31,
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    )
]
LOW_ORDER += [one[:31] + bytes([one[31] | 0x80]) for one in LOW_ORDER]


def test_sizes_are_the_protocol_s() -> None:
    assert (HEADER_BYTES, PAYLOAD_BYTES, PACKET_BYTES, SURB_BYTES, SLOTS) == (476, 4_800, 5_308, 572, 5)
    assert frames.PACKET_BYTES == PACKET_BYTES


@pytest.mark.parametrize("length", range(1, SLOTS + 1))
def test_a_packet_reaches_its_recipient_over_every_length_of_path(length: int, rng: random.Random) -> None:
    privates, path = make_path(length, rng=rng)
    packet = new_packet(path, b"carry this", rng=rng, recipient=b"r" * 32)
    learned = walk(privates, packet)
    for at, one in enumerate(learned[:-1]):
        assert (one.next_hop, one.delay_ms) == (path[at + 1].node_id, 10 * at)
        assert one.packet is not None
        assert len(one.packet) == PACKET_BYTES
        assert one.recipient is one.reply_id is one.payload is None
    last = learned[-1]
    assert last.next_hop is last.packet is last.reply_id is None
    assert (last.recipient, last.delay_ms) == (b"r" * 32, 10 * (length - 1))
    assert last.payload == b"carry this".ljust(PAYLOAD_BYTES, b"\x00")
    assert len({one.tag for one in learned}) == length


@settings(max_examples=30, deadline=None)
@given(
    payload=st.binary(max_size=200),
    delays=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=SLOTS),
    to_last=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_whatever_goes_in_comes_out(payload: bytes, delays: list[int], to_last: bool, seed: int) -> None:
    rng = random.Random(seed)
    small = Geometry(slots=SLOTS, payload_bytes=200)
    privates = [rng.randbytes(32) for _ in delays]
    path = [Hop(rng.randbytes(32), public_key(one), delay) for one, delay in zip(privates, delays, strict=True)]
    recipient = None if to_last else rng.randbytes(32)
    packet = new_packet(path, payload, rng=rng, recipient=recipient, geometry=small)
    for private, delay in zip(privates, delays, strict=True):
        done = unwrap(private, packet, geometry=small)
        assert done.delay_ms == delay
        packet = done.packet or b""
    assert done.recipient == recipient
    assert done.payload == payload.ljust(200, b"\x00")


@settings(max_examples=60, deadline=None)
@given(scalars=st.lists(st.binary(min_size=32, max_size=32), min_size=2, max_size=6))
def test_one_product_of_scalars_does_what_the_chain_of_points_does(scalars: list[bytes]) -> None:
    point = public_key(b"\x07" * 32)
    exponent = keys.clamped(scalars[0])
    chained = keys.multiply(scalars[0], point)
    for scalar in scalars[1:]:
        exponent = keys.product(exponent, keys.clamped(scalar))
        chained = keys.multiply(scalar, chained)
    found = keys.scalar_bytes(exponent)
    assert keys.clamped(found) == exponent
    assert keys.multiply(found, point) == chained


@settings(max_examples=40, deadline=None)
@given(okm=st.binary(min_size=160, max_size=160), covered=st.binary(max_size=600))
def test_mac_and_tag_are_plain_hmac(okm: bytes, covered: bytes) -> None:
    found = keys.HopKeys(okm)
    tag = hmac.digest(okm[:32], b"replay", "sha256")[:16]
    assert found.mac_and_tag(covered) == (found.header_mac(covered), tag)


def test_the_replay_tag_names_the_header_and_not_the_payload(rng: random.Random) -> None:
    privates, path = make_path(3, rng=rng)
    packet = new_packet(path, b"one", rng=rng)
    first = unwrap(privates[0], packet)
    other_payload = packet[:HEADER_BYTES] + rng.randbytes(PACKET_BYTES - HEADER_BYTES)
    assert unwrap(privates[0], other_payload).tag == first.tag == unwrap(privates[0], packet).tag
    assert unwrap(privates[0], new_packet(path, b"one", rng=rng)).tag != first.tag


@pytest.mark.parametrize("point", LOW_ORDER, ids=lambda point: point[:2].hex() + point[-1:].hex())
def test_points_that_agree_on_nothing_are_refused(point: bytes, rng: random.Random) -> None:
    privates, path = make_path(2, rng=rng)
    packet = new_packet(path, b"", rng=rng)
    with pytest.raises(MalformedFrame):
        unwrap(privates[0], packet[:2] + point + packet[34:])
    with pytest.raises(MalformedFrame):
        new_packet([path[0], Hop(path[1].node_id, point)], b"", rng=rng)


def test_another_key_opens_nothing(rng: random.Random) -> None:
    privates, path = make_path(2, rng=rng)
    packet = new_packet(path, b"", rng=rng)
    for wrong in (privates[1], rng.randbytes(32), b"", b"short", privates[0] + b"\x00"):
        with pytest.raises(MalformedFrame):
            unwrap(wrong, packet)


@pytest.mark.parametrize("size", [0, 1, 33, HEADER_BYTES, PACKET_BYTES - 1, PACKET_BYTES + 1])
def test_a_packet_of_another_size_is_refused(size: int, rng: random.Random) -> None:
    privates, path = make_path(1, rng=rng)
    packet = new_packet(path, b"", rng=rng) + b"\x00"
    with pytest.raises(MalformedFrame):
        unwrap(privates[0], packet[:size])


@settings(max_examples=50, deadline=None)
@given(noise=st.binary(max_size=600) | st.randoms(use_true_random=False).map(lambda one: one.randbytes(PACKET_BYTES)))
def test_noise_is_refused_in_one_voice(noise: bytes) -> None:
    with pytest.raises(MalformedFrame):
        unwrap(b"\x09" * 32, noise)
    with pytest.raises(MalformedFrame):
        unwrap(b"\x09" * 32, b"\x00\x00" + noise[2:])


def test_what_does_not_fit_is_refused_when_it_is_made(rng: random.Random) -> None:
    _, path = make_path(5, rng=rng)
    short, long = path[0].node_id[:31], path + path[:1]
    for hops, payload, recipient in (
        ([], b"", None),
        (long, b"", None),
        (path, bytes(PAYLOAD_BYTES + 1), None),
        (path, b"", b"short"),
        ([Hop(short, path[0].key)], b"", None),
        ([Hop(path[0].node_id, path[0].key[:31])], b"", None),
        ([Hop(path[0].node_id, path[0].key, 2**32)], b"", None),
        ([Hop(path[0].node_id, path[0].key, -1)], b"", None),
    ):
        with pytest.raises(MalformedFrame):
            new_packet(hops, payload, rng=rng, recipient=recipient)
    with pytest.raises(MalformedFrame):
        new_surb(path, recipient=b"r" * 31, reply_id=b"i" * 16, rng=rng)
    with pytest.raises(MalformedFrame):
        lioness.encrypt(bytes(176), bytes(32))


def test_nothing_secret_shows_in_a_repr(rng: random.Random) -> None:
    privates, path = make_path(2, rng=rng)
    learned = walk(privates, new_packet(path, b"SECRET WORDS", rng=rng, recipient=b"RECIPIENT-".ljust(32)))
    _, kept = new_surb(path, recipient=b"r" * 32, reply_id=b"i" * 16, rng=rng)
    shown = repr(learned) + repr(kept) + repr(keys.derive(bytes(32)))
    for secret in (b"SECRET", b"RECIPIENT", kept.payload[:6]):
        assert repr(secret)[2:-1] not in shown


@pytest.mark.parametrize("length", [1, 3, 5])
def test_every_byte_of_a_packet_looks_random_at_every_hop(length: int, rng: random.Random) -> None:
    """Chi-square over byte values, of the header and of the payload block of 100 packets with the same content."""
    privates, path = make_path(length, rng=rng)
    counts = [[0] * 256, [0] * 256]
    packets = [new_packet(path, b"", rng=rng) for _ in range(100)]
    for private in privates:
        for packet in packets:
            for count, part in zip(counts, (packet[34:HEADER_BYTES], packet[HEADER_BYTES:]), strict=True):
                for byte in range(256):
                    count[byte] += part.count(byte)
        packets = [unwrap(private, packet).packet or b"" for packet in packets]
    for count in counts:
        expected = sum(count) / 256
        assert sum((seen - expected) ** 2 / expected for seen in count) < 255 + 5 * (2 * 255) ** 0.5


def test_no_place_of_a_packet_repeats_from_packet_to_packet(rng: random.Random) -> None:
    _, path = make_path(5, rng=rng)
    packets = [new_packet(path, b"", rng=rng) for _ in range(40)]
    assert all(packet[:2] == b"\x00\x00" for packet in packets)  # the version is the one constant
    for at in range(2, PACKET_BYTES):
        assert len({packet[at] for packet in packets}) > 20
