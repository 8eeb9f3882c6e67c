"""Sizes of a Sphinx packet.

The header has the published Katzenpost NIKE shape for X25519: version 2, alpha 32, beta `slots` x 82, MAC 32. With
five slots it is 476 bytes. The payload block is a 32-byte zero tag and the payload. What must stay true: every packet
of one geometry has one size at every hop, so a size tells nothing about path length, place on the path or content.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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
    """How many hops a header has room for, and how many bytes a person may put in. All sizes in bytes.

    What follows from the two is worked out once: a hop looks at it ten times a packet.
    """

    slots: int
    payload_bytes: int
    beta_bytes: int = field(init=False)
    mac_at: int = field(init=False)
    header_bytes: int = field(init=False)
    block_bytes: int = field(init=False)
    packet_bytes: int = field(init=False)
    surb_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        mac_at = BETA_AT + self.slots * SLOT_BYTES
        sizes = {
            "beta_bytes": self.slots * SLOT_BYTES,
            "mac_at": mac_at,
            "header_bytes": mac_at + MAC_BYTES,
            "block_bytes": PAYLOAD_TAG_BYTES + self.payload_bytes,
            "packet_bytes": mac_at + MAC_BYTES + PAYLOAD_TAG_BYTES + self.payload_bytes,
            "surb_bytes": mac_at + MAC_BYTES + NODE_ID_BYTES + SURB_KEY_BYTES,
        }
        for name, size in sizes.items():
            object.__setattr__(self, name, size)


SLOTS = 5
PAYLOAD_BYTES = 4_800  # an envelope of 4,096, a SURB of 572, and 132 for the fragment header and padding
STANDARD = Geometry(SLOTS, PAYLOAD_BYTES)
HEADER_BYTES = STANDARD.header_bytes
PACKET_BYTES = STANDARD.packet_bytes
SURB_BYTES = STANDARD.surb_bytes
