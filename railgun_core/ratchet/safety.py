"""The safety number of two members: the same on both devices, or somebody sits between them.

Made of both public member keys and nothing else, so it changes exactly when a key does. Digits as in Signal's numeric
fingerprint: per key SHA-512, iterated 5,200 times over the key, its first 30 bytes as six groups of five digits; the
lower half comes first. Words: 256 bits over the same two halves and a checksum of eight, as BIP-39 spells them.
Sources: Signal, "Safety number updates" and its NumericFingerprintGenerator; BIP-39.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from railgun_core.base.hashing import tagged_hash
from railgun_core.ratchet.words import WORDS

ITERATIONS = 5_200
VERSION = b"\x00\x01"
QR_PREFIX = "railgun:safety/1/"
_GROUP_BYTES, _GROUPS = 5, 6


@dataclass(frozen=True, slots=True)
class SafetyNumber:
    """Twelve groups of five digits, 24 words, and the text of a QR code: three spellings of one number."""

    digits: str
    words: tuple[str, ...]
    qr: str


def safety_number(one: bytes, other: bytes) -> SafetyNumber:
    """The number of two public keys, in either order. About 5 ms."""
    halves = sorted((_fingerprint(one), _fingerprint(other)))
    groups = [_digits(half, at) for half in halves for at in range(0, _GROUPS * _GROUP_BYTES, _GROUP_BYTES)]
    text = base64.urlsafe_b64encode(b"".join(halves)).rstrip(b"=").decode("ascii")
    return SafetyNumber(" ".join(groups), _words(tagged_hash("safety-words", *halves)), QR_PREFIX + text)


def _fingerprint(key: bytes) -> bytes:
    digest = VERSION + key
    for _ in range(ITERATIONS):
        digest = hashlib.sha512(digest + key).digest()
    return digest[: _GROUPS * _GROUP_BYTES]


def _digits(half: bytes, at: int) -> str:
    return f"{int.from_bytes(half[at : at + _GROUP_BYTES], 'big') % 100_000:05d}"


def _words(entropy: bytes) -> tuple[str, ...]:
    bits = int.from_bytes(entropy + hashlib.sha256(entropy).digest()[:1], "big")
    return tuple(WORDS[bits >> 11 * place & 0x7FF] for place in reversed(range(24)))
