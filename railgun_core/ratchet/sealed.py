"""What cannot be opened, and the plain bytes of the library's objects.

The library speaks unpadded base64; wires and stores here keep raw bytes.
"""

from __future__ import annotations

import base64
import binascii
import enum

from railgun_core.base.errors import MalformedFrame, PeerError

KEY_BYTES = 32


class Why(enum.StrEnum):
    """Why a message cannot be opened."""

    UNKNOWN_KEYS = "unknown-keys"  # keys for it may still come
    SPENT = "spent"  # its key was used up or thrown away: opened before, or too old
    FORGED = "forged"  # not made by whom it claims, or damaged


class Unopenable(PeerError):
    """A message that cannot be opened here. `code` is one of `Why`."""

    code = "unopenable"

    def __init__(self, why: Why) -> None:
        super().__init__(code=why.value)
        self.why = why


def to_text(raw: bytes) -> str:
    """Raw bytes as the library reads them."""
    return base64.b64encode(raw).rstrip(b"=").decode("ascii")


def to_raw(text: str) -> bytes:
    """What the library wrote, as raw bytes. MalformedFrame when it is no base64."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise MalformedFrame("base64") from None
