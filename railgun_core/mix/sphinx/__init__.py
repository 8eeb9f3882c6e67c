"""Sphinx mix packets: one size, unlinkable from hop to hop, with reply blocks.

Pure functions over PyNaCl and cryptography; nothing else of the project but its errors. Header: Katzenpost's NIKE
X25519 form bit for bit (its published vectors are tests). Payload: LIONESS. The construction and its sources stand at
each module; time, replay, queues and paths belong to the callers in `mix`.
"""

from __future__ import annotations

from railgun_core.mix.sphinx.geometry import (
    HEADER_BYTES,
    PACKET_BYTES,
    PAYLOAD_BYTES,
    SLOTS,
    STANDARD,
    SURB_BYTES,
    Geometry,
)
from railgun_core.mix.sphinx.header import Hop
from railgun_core.mix.sphinx.keys import public_key
from railgun_core.mix.sphinx.packet import Unwrapped, new_packet, unwrap
from railgun_core.mix.sphinx.surb import SurbKeys, new_surb, open_reply, packet_from_surb

__all__ = [
    "HEADER_BYTES",
    "PACKET_BYTES",
    "PAYLOAD_BYTES",
    "SLOTS",
    "STANDARD",
    "SURB_BYTES",
    "Geometry",
    "Hop",
    "SurbKeys",
    "Unwrapped",
    "new_packet",
    "new_surb",
    "open_reply",
    "packet_from_surb",
    "public_key",
    "unwrap",
]
