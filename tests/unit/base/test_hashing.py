"""Labels, fixed widths and HKDF against the vectors of RFC 5869."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.hashing import hkdf_expand, hkdf_extract, label_bytes, leading_zero_bits, tagged_hash, u64


def test_hkdf_gives_the_first_vector_of_its_rfc() -> None:
    prk = hkdf_extract(bytes(range(13)), b"\x0b" * 22)
    assert prk.hex() == "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"
    okm = hkdf_expand(prk, bytes(range(0xF0, 0xFA)), 42)
    assert okm.hex() == ("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")


def test_hkdf_expands_to_its_limit_and_no_further() -> None:
    assert len(hkdf_expand(bytes(32), b"", 8_160)) == 8_160
    with pytest.raises(ValueError, match="range"):
        hkdf_expand(bytes(32), b"", 8_161)


@given(st.integers(0, 200), st.integers(0, 200))
def test_a_shorter_expansion_is_the_start_of_a_longer_one(short: int, more: int) -> None:
    assert hkdf_expand(b"k" * 32, b"i", short + more)[:short] == hkdf_expand(b"k" * 32, b"i", short)


def test_a_tagged_hash_is_sha256_behind_its_label() -> None:
    assert label_bytes("peer") == b"railgun/peer/v1\x00"
    assert tagged_hash("peer", b"ab", b"c") == hashlib.sha256(b"railgun/peer/v1\x00abc").digest()


def test_labels_part_what_has_the_same_bytes() -> None:
    assert tagged_hash("peer", b"x") != tagged_hash("member", b"x")


@given(st.integers(0, 2**64 - 1))
def test_u64_is_eight_big_endian_bytes(value: int) -> None:
    assert int.from_bytes(u64(value), "big") == value
    assert len(u64(value)) == 8


@given(st.integers(0, 255))
def test_leading_zero_bits_are_counted_to_the_first_one(bits: int) -> None:
    assert leading_zero_bits((1 << (255 - bits)).to_bytes(32, "big")) == bits


def test_a_digest_of_zeros_has_all_its_bits_zero() -> None:
    assert leading_zero_bits(bytes(32)) == 256
