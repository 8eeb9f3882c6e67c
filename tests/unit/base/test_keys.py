"""Identity keys: the same signatures as another library makes, one verifier, no key in a repr."""

from __future__ import annotations

import random
from typing import Any

import pytest

from railgun_core.base.hashing import label_bytes
from railgun_core.base.keys import Identity, generate_identity, solves_puzzle, verify
from tests.unit.vectors.reading import vectors

IDENTITIES = vectors("identity")["identities"]


@pytest.mark.parametrize("vector", IDENTITIES)
def test_keys_and_signatures_are_those_of_the_vectors(vector: dict[str, Any]) -> None:
    identity, message = Identity(bytes.fromhex(vector["seed"])), bytes.fromhex(vector["message"])
    signature = identity.sign("record", message)
    assert identity.public_key.hex() == vector["public_key"]
    assert identity.peer_id.hex() == vector["peer_id"]
    assert signature.hex() == vector["record_signature"]
    assert verify(identity.public_key, "record", message, signature)


@pytest.mark.parametrize("vector", IDENTITIES)
def test_the_puzzle_counts_zero_bits_of_the_double_hash(vector: dict[str, Any]) -> None:
    key, bits = bytes.fromhex(vector["public_key"]), vector["puzzle_bits"]
    assert solves_puzzle(key, bits)
    assert not solves_puzzle(key, bits + 1)


def test_a_signature_for_one_purpose_does_not_serve_another(rng: random.Random) -> None:
    identity = Identity(rng.randbytes(32))
    signature = identity.sign("record", b"message")
    assert not verify(identity.public_key, "open", b"message", signature)
    assert not verify(identity.public_key, "record", label_bytes("record") + b"message", signature)


def test_a_signature_with_any_bit_turned_is_refused(rng: random.Random) -> None:
    identity = Identity(rng.randbytes(32))
    signature = identity.sign("record", b"message")
    for bit in range(512):
        turned = bytearray(signature)
        turned[bit // 8] ^= 1 << (bit % 8)
        assert not verify(identity.public_key, "record", b"message", bytes(turned))


@pytest.mark.parametrize("length", [0, 1, 31, 33, 64])
def test_a_key_of_another_length_verifies_nothing(length: int, rng: random.Random) -> None:
    identity = Identity(rng.randbytes(32))
    assert not verify(rng.randbytes(length), "record", b"m", identity.sign("record", b"m"))


@pytest.mark.parametrize("length", [0, 63, 65, 128])
def test_a_signature_of_another_length_is_refused(length: int, rng: random.Random) -> None:
    identity = Identity(rng.randbytes(32))
    assert not verify(identity.public_key, "record", b"m", rng.randbytes(length))


def test_random_keys_and_signatures_never_raise(rng: random.Random) -> None:
    assert not any(verify(rng.randbytes(32), "record", rng.randbytes(9), rng.randbytes(64)) for _ in range(500))


def test_keys_of_small_order_are_refused() -> None:
    """A key of small order verifies one signature for every message: whoever accepts it accepts anything."""
    small = [bytes(32), b"\x01" + bytes(31), bytes.fromhex("ec" + "ff" * 30 + "7f")]
    for key in small:
        for point in small:
            assert not verify(key, "record", b"any message", point + bytes(32))


def test_a_generated_identity_solves_its_puzzle(rng: random.Random) -> None:
    identity = generate_identity(rng.randbytes, puzzle_bits=4)
    assert solves_puzzle(identity.public_key, 4)


def test_a_key_does_not_show_in_its_repr(rng: random.Random) -> None:
    identity = Identity(rng.randbytes(32))
    assert identity.seed.hex()[:8] not in repr(identity)
    assert len(repr(identity)) < 30
