"""The sealed envelope: what a relay carries and cannot read.

Exactly 256, 4,096 or 65,536 bytes: nonce 12 || ChaCha20-Poly1305(length u32 || content || zeros).
The length is inside the seal, so size tells the class and nothing else. The nonce is a keyed hash of name, size and
content: what goes out again is the same bytes, so whoever holds it can tell it from other bytes under its name.
Different ones share a nonce as rarely as by chance. The key lives for one epoch or day, so 96 bits are enough
(RFC 8439; 2^32 messages under one key leave collision odds below 2^-32).
"""

from __future__ import annotations

import enum
import hashlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from railgun_core.base.errors import MalformedFrame, UsageError
from railgun_core.base.ids import MsgId

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


def nonce_of(content: bytes, key: bytes, *, size: SizeClass, name: MsgId) -> bytes:
    """The nonce of content that is sealed under a name. About 5 us at 4 KiB."""
    said = name + size.to_bytes(4, "big") + content
    return hashlib.blake2b(said, key=key, person=b"railgun/nonce/v1", digest_size=NONCE_BYTES).digest()


def seal(content: bytes, key: bytes, *, size: SizeClass, nonce: bytes) -> bytes:
    """An envelope of exactly `size` bytes. UsageError when the content does not fit. About 6 us at 4 KiB."""
    if len(content) > size.capacity:
        raise UsageError("content does not fit its size class")
    padded = len(content).to_bytes(4, "big") + content + bytes(size.capacity - len(content))
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
