"""Shared secrets, the keys that follow from one, and blinding.

A hop's secret is X25519(its private key, alpha). HKDF-SHA256-Expand turns it into 160 bytes: header MAC key 32, stream
key 32, stream IV 16, payload key 48, blinding seed 32. The blinding scalar is the first 32 bytes of ChaCha20 under the
seed. All this as Katzenpost publishes it; its vectors run through this module.
What must stay true: an all-zero secret is refused (libsodium reports it), and MACs are compared in constant time.
Source: Danezis and Goldberg, Sphinx (2009); RFC 7748, 5869, 8439; the Katzenpost Sphinx specification.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from nacl.bindings import crypto_scalarmult, crypto_scalarmult_base
from nacl.exceptions import CryptoError

from railgun_core.base.errors import MalformedFrame
from railgun_core.mix.sphinx.geometry import KEY_BYTES, REPLAY_TAG_BYTES

_SHA256 = hashes.SHA256()
_KDF_INFO = b"katzenpost-kdf-v0-hkdf-sha256"
_KDF_BYTES = 160
_ZERO_NONCE = bytes(16)  # counter 0 and nonce 0
_ZERO_KEY = bytes(KEY_BYTES)

_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))

_GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
_WITH_COFACTOR = 8 * _GROUP_ORDER
_TOP_BIT = 1 << 254


@dataclass(frozen=True, slots=True)
class HopKeys:
    """The 160 bytes that one hop and the packet's maker share, cut where they are used. Never logged, never shown."""

    okm: bytes = field(repr=False)

    @property
    def stream_iv(self) -> bytes:
        return self.okm[64:80]

    @property
    def payload(self) -> bytes:
        """48 bytes, from which LIONESS gets its key."""
        return self.okm[80:128]

    def header_mac(self, covered: bytes) -> bytes:
        """HMAC-SHA256 over version, alpha and beta."""
        return hmac.digest(self.okm[:32], covered, "sha256")

    def mac_and_tag(self, covered: bytes) -> tuple[bytes, bytes]:
        """The header MAC, and the 16 bytes that name this header to this hop, whatever the payload.

        Both are HMAC-SHA256 under one key, so its two padded blocks are hashed once for both (RFC 2104, section 4):
        a third less than two calls.
        """
        padded = self.okm[:32].ljust(64, b"\x00")
        inner, outer = sha256(padded.translate(_INNER_PAD)), sha256(padded.translate(_OUTER_PAD))
        tag_inner, tag_outer = inner.copy(), outer.copy()
        inner.update(covered)
        outer.update(inner.digest())
        tag_inner.update(b"replay")
        tag_outer.update(tag_inner.digest())
        return outer.digest(), tag_outer.digest()[:REPLAY_TAG_BYTES]

    def keystream_xor(self, data: bytes) -> bytes:
        """AES-256-CTR from its first block."""
        return Cipher(algorithms.AES256(self.okm[32:64]), modes.CTR(self.okm[64:80])).encryptor().update(data)

    def blinding_scalar(self) -> bytes:
        """What the hop multiplies alpha with."""
        return Cipher(algorithms.ChaCha20(self.okm[128:], _ZERO_NONCE), None).encryptor().update(_ZERO_KEY)


def public_key(private: bytes) -> bytes:
    """The X25519 public key of 32 private bytes. About 25 us. MalformedFrame when they are not 32."""
    if len(private) != KEY_BYTES:
        raise MalformedFrame("a mix key is 32 bytes")
    return crypto_scalarmult_base(private)


def multiply(scalar: bytes, point: bytes) -> bytes:
    """X25519. About 50 us. MalformedFrame when the result is all zero or an argument is not 32 bytes."""
    if len(scalar) != KEY_BYTES or len(point) != KEY_BYTES:  # the binding would read past the end of shorter ones
        raise MalformedFrame("a mix key is 32 bytes")
    try:
        return crypto_scalarmult(scalar, point)
    except CryptoError as error:
        raise MalformedFrame("a mix key agrees on nothing") from error


def derive(secret: bytes) -> HopKeys:
    """The keys of a hop. About 10 us."""
    return HopKeys(HKDFExpand(_SHA256, _KDF_BYTES, _KDF_INFO).derive(secret))


def clamped(scalar: bytes) -> int:
    """The integer X25519 really uses for 32 bytes."""
    return (int.from_bytes(scalar, "little") & ((1 << 255) - 8)) | _TOP_BIT


def product(left: int, right: int) -> int:
    """One clamped scalar that does what two clamped ones do in turn.

    The maker of a packet knows all blinding scalars, so it multiplies numbers (a microsecond) and not points (50 us).
    A clamped scalar is a multiple of 8, which kills any small-order part, so only the value modulo 8 x the order
    counts. X25519 looks at the x coordinate alone, so s and -s are the same: of the two, one has the top bit that
    clamping sets. Python's integers are not constant-time; these scalars are the maker's, used for one packet.
    """
    value = left * right % _WITH_COFACTOR
    if value < _TOP_BIT:
        value = _WITH_COFACTOR - value
    if value >> 255:  # once in 2**127
        raise MalformedFrame("a mix key agrees on nothing")
    return value


def scalar_bytes(value: int) -> bytes:
    return value.to_bytes(KEY_BYTES, "little")
