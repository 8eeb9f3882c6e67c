"""LIONESS: one block cipher over the whole payload, so that a flipped bit destroys all of it.

Four rounds of an unbalanced Feistel network: ChaCha20, BLAKE2b, ChaCha20, BLAKE2b. The left part is 32 bytes. The key
is 128 bytes and 48 of IV behind them, a quarter of each for a round: a cipher round uses left ^ key quarter as key and
12 IV bytes as nonce, a hash round is BLAKE2b-256 keyed with key quarter || IV quarter. What must stay true: it is
Yawning Angel's published form (its vectors are tests).
Source: Anderson and Biham, Two practical and provably secure block ciphers (1996).
"""

from __future__ import annotations

from hashlib import blake2b

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from railgun_core.base.errors import MalformedFrame

KEY_BYTES = 128 + 48
LEFT_BYTES = 32

_SHA256 = hashes.SHA256()
_INFO = b"railgun/lioness/v1"
_COUNTER = bytes(4)


def derive(payload_key: bytes) -> bytes:
    """Key and IV, 176 bytes, from a payload key (48 bytes of a hop, 64 of a SURB). About 9 us."""
    return HKDFExpand(_SHA256, KEY_BYTES, _INFO).derive(payload_key)


def encrypt(key: bytes, block: bytes) -> bytes:
    """The block of the same size that `decrypt` undoes. About 35 us at 4.8 KB.

    `key` is 176 bytes. MalformedFrame when it is not, or when the block has under 33 bytes.
    """
    left, right = _halves(key, block)
    right = _stream(left ^ int.from_bytes(key[:32], "little"), key[128:140], right)
    left ^= _digest(key[32:64] + key[140:152], right)
    right = _stream(left ^ int.from_bytes(key[64:96], "little"), key[152:164], right)
    left ^= _digest(key[96:128] + key[164:], right)
    return left.to_bytes(LEFT_BYTES, "little") + right


def decrypt(key: bytes, block: bytes) -> bytes:
    """Undo `encrypt`. Never fails on content: a wrong key or a changed bit gives random bytes."""
    left, right = _halves(key, block)
    left ^= _digest(key[96:128] + key[164:], right)
    right = _stream(left ^ int.from_bytes(key[64:96], "little"), key[152:164], right)
    left ^= _digest(key[32:64] + key[140:152], right)
    right = _stream(left ^ int.from_bytes(key[:32], "little"), key[128:140], right)
    return left.to_bytes(LEFT_BYTES, "little") + right


def _halves(key: bytes, block: bytes) -> tuple[int, bytes]:
    if len(key) != KEY_BYTES or len(block) <= LEFT_BYTES:
        raise MalformedFrame("a payload or its key has the wrong size")
    return int.from_bytes(block[:LEFT_BYTES], "little"), block[LEFT_BYTES:]


def _stream(key: int, nonce: bytes, data: bytes) -> bytes:
    cipher = Cipher(algorithms.ChaCha20(key.to_bytes(32, "little"), _COUNTER + nonce), None)
    return cipher.encryptor().update(data)


def _digest(key: bytes, data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=LEFT_BYTES, key=key).digest(), "little")
