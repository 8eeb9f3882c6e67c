"""What both sides say before frames: who they are, bound to this one link.

The channel is already encrypted, but TLS here proves no identity and QUIC shows no secret of its channel. So each side
adds a nonce; `binding` hashes what only this link has, and is what the Ed25519 signatures of the hello and of
sessions are over. A signature taken from one link is worth nothing on another (protocol.md 5.1).

TLS: client nonce -> ; <- server nonce, key, signature ; client key, signature -> ; <- one byte, the verdict.
The client signs only after it has checked the server, so a prober does not learn whose client it caught.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable

from railgun_core.base.hashing import tagged_hash
from railgun_core.base.ids import PublicKey
from railgun_core.base.keys import SIGNATURE_BYTES, Identity, verify
from railgun_core.transport.link import DialFailure

NONCE_BYTES = 32
KEY_BYTES = 32
PROOF_BYTES = KEY_BYTES + SIGNATURE_BYTES
ALPN = "railgun/1"


class Verdict(enum.IntEnum):
    """The server's last word of the hello."""

    OPEN = 1
    BUSY = 2


def tls_binding(certificate: bytes, finished: bytes, client_nonce: bytes, server_nonce: bytes) -> bytes:
    """The binding of a TLS link.

    `finished` is the client's Finished (channel binding `tls-unique`): a MAC over the whole handshake, so nobody in
    the middle can have the same one with both sides. It is hashed because its width follows the cipher.
    """
    fields = (hashlib.sha256(certificate).digest(), hashlib.sha256(finished).digest(), client_nonce, server_nonce)
    return tagged_hash("tls-binding", *fields)


def keyed_binding(client: PublicKey, server: PublicKey, client_nonce: bytes, server_nonce: bytes) -> bytes:
    """The binding of a link whose channel has authenticated both keys already (QUIC, memory)."""
    return tagged_hash("binding", client, server, client_nonce, server_nonce)


def prove(identity: Identity, label: str, binding: bytes) -> bytes:
    """PROOF_BYTES: the key and its signature over the binding. `label` says for which side."""
    return identity.public_key + identity.sign(label, binding)


def proved_key(proof: bytes, label: str, binding: bytes) -> PublicKey | None:
    """The key that `proof` proves, or None."""
    key = PublicKey(proof[:KEY_BYTES])
    return key if verify(key, label, binding, proof[KEY_BYTES:]) else None


class TlsHello:
    """The dialogue over a TLS channel, without any channel: `needs` bytes in, bytes out.

    `admit` answers whether the server has a place for a key. Raises DialFailure on the client's side.
    """

    def __init__(self, identity: Identity, nonce: bytes, bind: Callable[[bytes, bytes], bytes]) -> None:
        self._identity = identity
        self._nonce = nonce
        self._bind = bind
        self.binding = b""

    def client_opens(self) -> bytes:
        return self._nonce

    def server_answers(self, client_nonce: bytes) -> bytes:
        """To NONCE_BYTES of the client."""
        self.binding = self._bind(client_nonce, self._nonce)
        return self._nonce + prove(self._identity, "tls-server", self.binding)

    def client_proves(self, answer: bytes, expected: PublicKey) -> bytes:
        """To NONCE_BYTES + PROOF_BYTES of the server."""
        self.binding = self._bind(self._nonce, answer[:NONCE_BYTES])
        key = proved_key(answer[NONCE_BYTES:], "tls-server", self.binding)
        if key != expected:
            raise DialFailure("another peer answered", code="wrong-peer")
        return prove(self._identity, "tls-client", self.binding)

    def server_checks(self, proof: bytes) -> PublicKey | None:
        """To PROOF_BYTES of the client: its key, or None."""
        return proved_key(proof, "tls-client", self.binding)
