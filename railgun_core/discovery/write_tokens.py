"""Proof that an address receives what we send to it, without keeping state for anyone.

A token is a keyed hash of the asker's address and key under a secret that rotates every ten minutes; two secrets are
live. Who shows a valid token has received one of our datagrams there (the idea of a QUIC retry token and of discv5's
WHOAREYOU). It is both the write token of STORE and the end of the amplification limit.
"""

from __future__ import annotations

import hashlib
import hmac

from railgun_core.base.ids import PublicKey
from railgun_core.base.rng import Rng
from railgun_core.discovery.datagrams import TOKEN_BYTES, Endpoint, encode_endpoint

ROTATE_S = 600.0


class WriteTokens:
    """Issues and checks tokens. `now_s` is monotonic seconds."""

    __slots__ = ("_previous", "_rng", "_rotated_s", "_secret")

    def __init__(self, rng: Rng, *, now_s: float) -> None:
        self._rng = rng
        self._secret = rng.randbytes(32)
        self._previous = rng.randbytes(32)
        self._rotated_s = now_s

    def issue(self, endpoint: Endpoint, public_key: PublicKey, *, now_s: float) -> bytes:
        """The token of this asker, valid for 10 to 20 minutes."""
        self._rotate(now_s)
        return _token(self._secret, endpoint, public_key)

    def valid(self, token: bytes, endpoint: Endpoint, public_key: PublicKey, *, now_s: float) -> bool:
        """Whether `token` was issued to this asker under a live secret."""
        self._rotate(now_s)
        if len(token) != TOKEN_BYTES:
            return False
        current = hmac.compare_digest(token, _token(self._secret, endpoint, public_key))
        return current or hmac.compare_digest(token, _token(self._previous, endpoint, public_key))

    def _rotate(self, now_s: float) -> None:
        elapsed = now_s - self._rotated_s
        if elapsed < ROTATE_S:
            return
        self._previous = self._secret if elapsed < 2 * ROTATE_S else self._rng.randbytes(32)
        self._secret = self._rng.randbytes(32)
        self._rotated_s = now_s


def _token(secret: bytes, endpoint: Endpoint, public_key: PublicKey) -> bytes:
    return hashlib.blake2b(encode_endpoint(endpoint) + public_key, key=secret, digest_size=TOKEN_BYTES).digest()
