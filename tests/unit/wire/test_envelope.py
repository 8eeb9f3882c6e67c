"""Sealed envelopes: three sizes, one error, and the bytes of the golden vectors."""

from __future__ import annotations

import itertools
import random
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.errors import MalformedFrame, UsageError
from railgun_core.base.ids import MsgId
from railgun_core.wire.envelope import OVERHEAD_BYTES, SIZES, SizeClass, nonce_of, open_envelope, seal
from tests.unit.vectors.reading import some_bytes, vectors

SMALL_AND_MEDIUM = st.sampled_from([SizeClass.SMALL, SizeClass.MEDIUM])


@pytest.mark.parametrize("vector", vectors("envelopes"))
def test_envelopes_are_those_of_the_vectors(vector: dict[str, Any]) -> None:
    key, content = bytes.fromhex(vector["key"]), some_bytes("content", vector["content_length"])
    assert sha256(content).hexdigest() == vector["content_sha256"]
    envelope = seal(content, key, size=SizeClass(vector["size"]), nonce=bytes.fromhex(vector["nonce"]))
    assert sha256(envelope).hexdigest() == vector["envelope_sha256"]
    assert vector["envelope"] in (None, envelope.hex())
    assert open_envelope(envelope, key) == content


def test_the_three_sizes_are_those_of_the_protocol() -> None:
    assert {256, 4_096, 65_536} == SIZES
    assert OVERHEAD_BYTES == 32
    assert [size.capacity for size in SizeClass] == [224, 4_064, 65_504]


@given(SMALL_AND_MEDIUM, st.data())
def test_any_content_comes_out_as_it_went_in(size: SizeClass, data: st.DataObject) -> None:
    content = data.draw(st.binary(max_size=size.capacity))
    envelope = seal(content, b"k" * 32, size=size, nonce=bytes(12))
    assert len(envelope) == size
    assert open_envelope(envelope, b"k" * 32) == content


@pytest.mark.parametrize("size", list(SizeClass))
def test_a_full_envelope_opens_and_one_byte_more_does_not_fit(size: SizeClass, rng: random.Random) -> None:
    key, content = rng.randbytes(32), rng.randbytes(size.capacity)
    assert open_envelope(seal(content, key, size=size, nonce=rng.randbytes(12)), key) == content
    with pytest.raises(UsageError):
        seal(content + b"x", key, size=size, nonce=rng.randbytes(12))


def test_content_that_ends_in_zeros_keeps_them(rng: random.Random) -> None:
    key = rng.randbytes(32)
    for content in (b"", b"\x00", b"a\x00\x00", bytes(224)):
        assert open_envelope(seal(content, key, size=SizeClass.SMALL, nonce=rng.randbytes(12)), key) == content


def test_another_key_opens_nothing(rng: random.Random) -> None:
    envelope = seal(b"hello", rng.randbytes(32), size=SizeClass.SMALL, nonce=rng.randbytes(12))
    with pytest.raises(MalformedFrame):
        open_envelope(envelope, rng.randbytes(32))


def test_any_bit_turned_anywhere_is_refused(rng: random.Random) -> None:
    key = rng.randbytes(32)
    envelope = seal(b"hello", key, size=SizeClass.SMALL, nonce=rng.randbytes(12))
    for bit in range(len(envelope) * 8):
        turned = bytearray(envelope)
        turned[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(MalformedFrame):
            open_envelope(bytes(turned), key)


def test_bytes_of_any_other_length_are_refused(rng: random.Random) -> None:
    for length in {*range(600), 4_095, 4_097, 65_535, 65_537} - SIZES:
        with pytest.raises(MalformedFrame):
            open_envelope(bytes(length), rng.randbytes(32))


def _sealed_by_hand(padded: bytes, key: bytes) -> bytes:
    return bytes(12) + ChaCha20Poly1305(key).encrypt(bytes(12), padded, None)


@pytest.mark.parametrize(
    "padded",
    [
        (225).to_bytes(4, "big") + bytes(224),
        b"\xff\xff\xff\xff" + bytes(224),
        (5).to_bytes(4, "big") + b"hello" + bytes(218) + b"\x01",
        (4).to_bytes(4, "big") + b"hello" + bytes(219),
    ],
)
def test_wrong_padding_under_the_right_key_is_the_same_error_as_a_wrong_key(padded: bytes, rng: random.Random) -> None:
    key = rng.randbytes(32)
    with pytest.raises(MalformedFrame) as wrong_padding:
        open_envelope(_sealed_by_hand(padded, key), key)
    with pytest.raises(MalformedFrame) as wrong_key:
        open_envelope(_sealed_by_hand(padded, key), rng.randbytes(32))
    assert (wrong_padding.value.detail, wrong_padding.value.code) == (wrong_key.value.detail, wrong_key.value.code)


def named(key: bytes, content: bytes, name: bytes, size: SizeClass = SizeClass.SMALL) -> bytes:
    return seal(content, key, size=size, nonce=nonce_of(content, key, size=size, name=MsgId(name)))


def test_what_goes_out_again_is_the_same_bytes(rng: random.Random) -> None:
    key = rng.randbytes(32)
    assert named(key, b"same", b"n" * 16) == named(key, b"same", b"n" * 16)


def test_another_name_key_size_or_word_shares_neither_a_nonce_nor_anything_else(rng: random.Random) -> None:
    key, other = rng.randbytes(32), rng.randbytes(32)
    found = [
        named(key, b"same", b"n" * 16),
        named(key, b"same", b"m" * 16),
        named(other, b"same", b"n" * 16),
        named(key, b"same", b"n" * 16, SizeClass.MEDIUM),
        named(key, b"more", b"n" * 16),
    ]
    for first, second in itertools.combinations(found, 2):
        assert first[:12] != second[:12]
        assert sum(a == b for a, b in zip(first[:256], second[:256], strict=True)) < 16
