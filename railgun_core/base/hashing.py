"""Hashes with a label in front, over fields of fixed width.

Without the label the same bytes could mean two things; without fixed widths "r1"+"2" is "r"+"12".
"""

from __future__ import annotations

import hashlib
import hmac

SUITE = 1


def label_bytes(label: str) -> bytes:
    """`railgun/<label>/v1` and a zero byte: the domain separator of hashes and signatures."""
    return b"railgun/" + label.encode("ascii") + b"/v1\x00"


def tagged_hash(label: str, *fixed_width_fields: bytes) -> bytes:
    """SHA-256 over the label and the fields, 32 bytes. The caller keeps the fields' widths fixed."""
    digest = hashlib.sha256(label_bytes(label))
    for field in fixed_width_fields:
        digest.update(field)
    return digest.digest()


def u64(value: int) -> bytes:
    """Eight big-endian bytes."""
    return value.to_bytes(8, "big")


def hkdf_extract(salt: bytes, secret: bytes) -> bytes:
    """RFC 5869 extract with SHA-256, 32 bytes."""
    return hmac.digest(salt, secret, "sha256")


def hkdf_expand(key: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 expand with SHA-256. `length` at most 8,160 bytes."""
    out, block, counter = b"", b"", 1
    while len(out) < length:
        block = hmac.digest(key, block + info + bytes((counter,)), "sha256")
        out += block
        counter += 1
    return out[:length]


def leading_zero_bits(digest: bytes) -> int:
    """How many bits are zero before the first one."""
    return len(digest) * 8 - int.from_bytes(digest, "big").bit_length()
