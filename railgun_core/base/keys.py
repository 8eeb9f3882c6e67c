"""Ed25519 identity keys.

PyNaCl verifies everywhere: libraries disagree on edge-case signatures, and a split verifier splits the
network (measured: PyNaCl accepts one of twelve odd cases, OpenSSL five). Keys never show in a repr.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from nacl.bindings import (
    crypto_sign,
    crypto_sign_open,
    crypto_sign_seed_keypair,
)
from nacl.exceptions import BadSignatureError, CryptoError

from railgun_core.base.hashing import label_bytes, leading_zero_bits
from railgun_core.base.ids import PeerId, PublicKey, peer_id_of

SIGNATURE_BYTES = 64
SEED_BYTES = 32


class Identity:
    """A signing key and what follows from it. Made from a 32-byte seed."""

    __slots__ = ("_secret", "peer_id", "public_key", "seed")

    def __init__(self, seed: bytes) -> None:
        public, secret = crypto_sign_seed_keypair(seed)
        self.seed = seed
        self._secret = secret
        self.public_key = PublicKey(public)
        self.peer_id: PeerId = peer_id_of(self.public_key)

    def __repr__(self) -> str:
        return f"Identity({self.peer_id.hex()[:8]})"

    def sign(self, label: str, message: bytes) -> bytes:
        """A 64-byte signature over the label and the message. About 40 us."""
        return crypto_sign(label_bytes(label) + message, self._secret)[:SIGNATURE_BYTES]


def verify(public_key: bytes, label: str, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is `public_key`'s over the label and the message. About 100 us."""
    if len(public_key) != 32 or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        crypto_sign_open(signature + label_bytes(label) + message, public_key)
    except (BadSignatureError, CryptoError, ValueError):
        return False
    return True


def solves_puzzle(public_key: bytes, bits: int) -> bool:
    """Whether a key pays the static identity puzzle: `bits` leading zeros in SHA-256(SHA-256(key))."""
    return leading_zero_bits(hashlib.sha256(hashlib.sha256(public_key).digest()).digest()) >= bits


def generate_identity(randbytes: Callable[[int], bytes], *, puzzle_bits: int) -> Identity:
    """A fresh identity that solves the puzzle. At 14 bits about a second of one core."""
    while True:
        identity = Identity(randbytes(SEED_BYTES))
        if solves_puzzle(identity.public_key, puzzle_bits):
            return identity
