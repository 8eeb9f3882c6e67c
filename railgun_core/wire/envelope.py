"""The sealed envelope: what a relay carries and cannot read.

Exactly 256, 4,096 or 65,536 bytes: nonce 12 || ChaCha20-Poly1305(length u32 || content || zeros).
The length is inside the seal, so size tells the class and nothing else. The key lives for one epoch, so
random nonces are safe (RFC 8439; 2^32 messages under one key leave collision odds below 2^-32).
"""

from __future__ import annotations

import enum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from railgun_core.base.errors import MalformedFrame, UsageError
from railgun_core.base.rng import Rng

NONCE_BYTES = 12
OVERHEAD_BYTES = NONCE_BYTES + 16 + 4


class SizeClass(enum.IntEnum):
    """The three envelope sizes, in bytes."""

    SMALL = 256
    MEDIUM = 4_096
    LARGE = 65_536

    @property
    def capacity(self) -> int:
        """Content bytes that fit."""
        return self.value - OVERHEAD_BYTES


SIZES = frozenset(int(size) for size in SizeClass)


def seal(content: bytes, key: bytes, *, size: SizeClass, rng: Rng) -> bytes:
    """An envelope of exactly `size` bytes. UsageError when the content does not fit. About 6 us at 4 KiB."""
    if len(content) > size.capacity:
        raise UsageError("content does not fit its size class")
    padded = len(content).to_bytes(4, "big") + content + bytes(size.capacity - len(content))
    nonce = rng.randbytes(NONCE_BYTES)
    return nonce + ChaCha20Poly1305(key).encrypt(nonce, padded, None)


def open_envelope(envelope: bytes, key: bytes) -> bytes:
    """The content of an envelope. One error path for a wrong size, a wrong key and wrong padding."""
    if len(envelope) not in SIZES:
        raise MalformedFrame("envelope")
    try:
        padded = ChaCha20Poly1305(key).decrypt(envelope[:NONCE_BYTES], envelope[NONCE_BYTES:], None)
    except InvalidTag:
        raise MalformedFrame("envelope") from None
    length = int.from_bytes(padded[:4], "big")
    if length > len(padded) - 4 or padded.count(0, 4 + length) != len(padded) - 4 - length:
        raise MalformedFrame("envelope")
    return padded[4 : 4 + length]
