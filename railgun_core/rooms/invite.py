"""Invite links: `railgun://join/<base64url>`.

Whoever has the link can read the room, so it says when it ends, and shows people a fingerprint to compare. It may
carry addresses of the inviter's DHT contacts, so that a network without any configured server can be entered.
Signed by a key derived from the room itself: that proves the bytes are whole, not who made them.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from dataclasses import dataclass, field

from railgun_core.base.errors import MalformedFrame, UsageError
from railgun_core.base.hashing import hkdf_expand, hkdf_extract, tagged_hash, u64
from railgun_core.base.keys import SIGNATURE_BYTES, Identity, verify
from railgun_core.wire.codec import Reader, array8, blob8, u16

PREFIX = "railgun://join/"
VERSION = 1
MAX_LINK_CHARS = 2_048
MAX_HINTS = 4
LIFETIME_S = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Invite:
    """What a link says."""

    room_root: bytes = field(repr=False)
    name: str
    expires_s: int
    hints: tuple[tuple[str, int], ...] = ()

    @property
    def fingerprint(self) -> str:
        """Four groups of four hex characters, for two people to compare."""
        text = tagged_hash("room-fingerprint", self.room_root)[:8].hex()
        return " ".join(text[at : at + 4] for at in range(0, 16, 4))


def _key(room_root: bytes) -> Identity:
    return Identity(hkdf_expand(hkdf_extract(b"railgun/invite/v1", room_root), b"sign", 32))


def encode_invite(invite: Invite) -> str:
    """The link. UsageError when the name is too long, or has characters that do not print."""
    if not invite.name.isprintable():
        raise UsageError("a room's name has no control characters or line breaks", code="bad-name")
    name = invite.name.encode("utf-8")
    if not 0 < len(name) <= 120:
        raise UsageError("a room's name has 1 to 120 bytes", code="bad-name")
    hints = [blob8(ipaddress.ip_address(host).packed) + u16(port) for host, port in invite.hints[:MAX_HINTS]]
    payload = bytes((VERSION,)) + invite.room_root + u64(invite.expires_s) + blob8(name) + array8(hints)
    raw = payload + _key(invite.room_root).sign("invite", payload)
    return PREFIX + base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def decode_invite(link: str, unix_s: float) -> Invite:
    """What a link says. UsageError with code bad-invite or invite-expired, and nothing else."""
    try:
        invite = _decode(link.strip())
    except MalformedFrame:
        raise UsageError(
            "this is not a whole invite link: copy it again from its start to its end", code="bad-invite"
        ) from None
    if invite.expires_s <= unix_s:
        raise UsageError("this invite has expired: ask for a new one", code="invite-expired")
    return invite


def _decode(link: str) -> Invite:
    if not link.startswith(PREFIX) or len(link) > MAX_LINK_CHARS or not link.isascii():
        raise MalformedFrame("link")
    text = link[len(PREFIX) :]
    if not all(c.isalnum() or c in "-_" for c in text):
        raise MalformedFrame("link")
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise MalformedFrame("link") from None
    if len(raw) <= SIGNATURE_BYTES or base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii") != text:
        raise MalformedFrame("link")
    payload, signature = raw[:-SIGNATURE_BYTES], raw[-SIGNATURE_BYTES:]
    reader = Reader(payload)
    if reader.u8() != VERSION:
        raise MalformedFrame("version")
    room_root, expires_s, name = reader.take(32), reader.u64(), reader.text8(120)
    hints = tuple(_hint(reader) for _ in range(reader.count(MAX_HINTS)))
    reader.end()
    if not name or not name.isprintable() or not verify(_key(room_root).public_key, "invite", payload, signature):
        raise MalformedFrame("invite")
    return Invite(room_root, name, expires_s, hints)


def _hint(reader: Reader) -> tuple[str, int]:
    packed, port = reader.blob8(16), reader.u16()
    if len(packed) not in (4, 16) or port == 0:
        raise MalformedFrame("hint")
    return str(ipaddress.ip_address(packed)), port
