"""Sizes of a Sphinx packet.

The header has the published Katzenpost NIKE shape for X25519: version 2, alpha 32, beta `slots` x 82, MAC 32. With
five slots it is 476 bytes. The payload block is a 32-byte zero tag and the payload. What must stay true: every packet
of one geometry has one size at every hop, so a size tells nothing about path length, place on the path or content.
"""

from __future__ import annotations

from dataclasses import dataclass

VERSION = b"\x00\x00"
KEY_BYTES = 32
MAC_BYTES = 32
NODE_ID_BYTES = 32
RECIPIENT_BYTES = 32
REPLY_ID_BYTES = 16
REPLAY_TAG_BYTES = 16
SLOT_BYTES = 82  # the larger of (next hop 65 + reply id 17) and what the other commands need together
PAYLOAD_TAG_BYTES = 32
PAYLOAD_KEY_BYTES = 48
SURB_KEY_BYTES = 64

ALPHA_AT = len(VERSION)
BETA_AT = ALPHA_AT + KEY_BYTES


@dataclass(frozen=True, slots=True)
class Geometry:
    """How many hops a header has room for, and how many bytes a person may put in. All sizes in bytes."""

    slots: int
    payload_bytes: int

    @property
    def beta_bytes(self) -> int:
        return self.slots * SLOT_BYTES

    @property
    def mac_at(self) -> int:
        return BETA_AT + self.slots * SLOT_BYTES

    @property
    def header_bytes(self) -> int:
        return self.mac_at + MAC_BYTES

    @property
    def block_bytes(self) -> int:
        return PAYLOAD_TAG_BYTES + self.payload_bytes

    @property
    def packet_bytes(self) -> int:
        return self.header_bytes + self.block_bytes

    @property
    def surb_bytes(self) -> int:
        return self.header_bytes + NODE_ID_BYTES + SURB_KEY_BYTES


SLOTS = 5
PAYLOAD_BYTES = 4_800  # an envelope of 4,096, a SURB of 572, and 132 for the fragment header and padding
STANDARD = Geometry(SLOTS, PAYLOAD_BYTES)
HEADER_BYTES = STANDARD.header_bytes
PACKET_BYTES = STANDARD.packet_bytes
SURB_BYTES = STANDARD.surb_bytes
