"""Secrets at rest: ChaCha20-Poly1305 under the 32 bytes of `store.key`, a file beside the database.

Sealed are the values of `secrets`, and `root` and `member_seed` of `rooms`. Each value is bound to the place it stands
in (table, room, name), so it does not open in another row. The nonce is 96 random bits: at 2^32 writes two are equal
with probability 2^-33 (NIST SP 800-38D, 8.3 counts the same way); a device that saves its ratchets ten times a second
gets there in 13 years.
What this gives: a copy of the database alone (a backup, a support bundle) holds no key. What it does not give: who has
both files has everything. Conversations, names and members are not sealed.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.store.failures import damaged
from railgun_core.store.keyfile import SEED_BYTES, load_or_create

KEY_NAME: Final = "store.key"
KEY_MARK: Final = "store-key"  # in marks: which key the database is sealed with
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
_PRINT_BYTES: Final = 7  # what fits a positive INTEGER of SQLite
_PRINT_LABEL: Final = b"railgun store key mark 1\x00"


class Vault:
    """Seals and opens values. Holds the key."""

    __slots__ = ("_cipher", "fingerprint")

    def __init__(self, key: bytes) -> None:
        self._cipher = ChaCha20Poly1305(key)
        self.fingerprint: Final = int.from_bytes(hashlib.sha256(_PRINT_LABEL + key).digest()[:_PRINT_BYTES], "big")

    def seal(self, value: bytes, *, table: str, room: bytes, name: str) -> bytes:
        """`value` for this place of the database: nonce, ciphertext, tag. 28 bytes longer. Cost: about 2 us."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, value, _place(table, room, name))

    def open(self, sealed: bytes, *, table: str, room: bytes, name: str) -> bytes:
        """What was sealed for this place. Raises EnvironmentFailure `database-damaged` if it is anything else."""
        if len(sealed) < NONCE_BYTES + TAG_BYTES:
            raise damaged()
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _place(table, room, name))
        except InvalidTag as error:
            raise damaged() from error


def vault_beside(database: Path, *, may_create: bool) -> Vault:
    """The vault of the database at this path. `may_create`: nothing is sealed yet, so a new key loses nothing.

    Raises EnvironmentFailure `key-unusable` if the key file is missing or not usable (see `keyfile`).
    """
    path = database.with_name(KEY_NAME)
    if not may_create and not os.path.lexists(path):
        raise EnvironmentFailure(
            f"The key file {KEY_NAME} of the message database is missing; put your copy of it back.",
            code="key-unusable",
        )
    return Vault(load_or_create(path, lambda: os.urandom(SEED_BYTES)))


def wrong_key() -> EnvironmentFailure:
    """The key file belongs to another database."""
    return EnvironmentFailure(
        f"The key file {KEY_NAME} is not the one this message database was made with; put the right one back.",
        code="key-unusable",
    )


def _place(table: str, room: bytes, name: str) -> bytes:
    return b"%b:%d:%b:%b" % (table.encode(), len(room), room, name.encode())
