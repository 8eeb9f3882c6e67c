"""What a room's key of an epoch or a day signs when an envelope travels without a session."""

from __future__ import annotations

import hashlib

from railgun_core.base.hashing import u64
from railgun_core.base.ids import MsgId


def deposit_message(period: int, expiry_s: int, msg_id: MsgId, envelope: bytes) -> bytes:
    """The bytes under the signature of a post (`period`: the epoch) or of a deposit (`period`: the day)."""
    return u64(period) + expiry_s.to_bytes(4, "big") + msg_id + hashlib.sha256(envelope).digest()
