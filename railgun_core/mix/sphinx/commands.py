"""What a slot of the header tells its hop.

Commands stand one after the other, one byte and a body each: next hop 0x01 (node id 32, MAC 32), recipient 0x02 (32),
reply id 0x03 (16), delay 0x80 (u32 big-endian, milliseconds). A zero byte ends them and the rest is zero. The bytes
are Katzenpost's. What must stay true: one slot has one meaning; whatever is doubled, unknown, contradictory or cut
short is refused, and the refusal says nothing of the content.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from railgun_core.base.errors import MalformedFrame
from railgun_core.mix.sphinx.geometry import MAC_BYTES, NODE_ID_BYTES, RECIPIENT_BYTES, REPLY_ID_BYTES, SLOT_BYTES

MAX_DELAY_MS = 2**32 - 1


class Command(IntEnum):
    END = 0x00
    NEXT_HOP = 0x01
    RECIPIENT = 0x02
    REPLY = 0x03
    DELAY = 0x80


_BODY_BYTES = {
    Command.NEXT_HOP.value: NODE_ID_BYTES + MAC_BYTES,
    Command.RECIPIENT.value: RECIPIENT_BYTES,
    Command.REPLY.value: REPLY_ID_BYTES,
    Command.DELAY.value: 4,
}
_NEXT_HOP_ID, _RECIPIENT_ID, _REPLY_ID, _DELAY_ID = _BODY_BYTES  # plain numbers: an enum costs a microsecond here
_NEXT_HOP, _RECIPIENT, _REPLY, _DELAY = (bytes([one]) for one in _BODY_BYTES)
_REST_ON_THE_WAY = bytes(SLOT_BYTES - 5 - 65)


class Slot(NamedTuple):
    """One hop's orders. `next_hop` and `next_mac` come together; with them there is no recipient and no reply id.

    A tuple and no frozen dataclass: it is made at every hop, and a tuple costs a third.
    """

    delay_ms: int = 0
    next_hop: bytes | None = None
    next_mac: bytes | None = None
    recipient: bytes | None = None
    reply_id: bytes | None = None

    def __repr__(self) -> str:
        return "Slot()"


def encode(slot: Slot) -> bytes:
    """The 82 bytes of a slot. MalformedFrame when a value has the wrong size."""
    parts = []
    if slot.delay_ms:
        if not 0 <= slot.delay_ms <= MAX_DELAY_MS:
            raise MalformedFrame("a mix delay does not fit")
        parts.append(_DELAY + slot.delay_ms.to_bytes(4, "big"))
    if slot.recipient is not None:
        parts.append(_RECIPIENT + _sized(slot.recipient, RECIPIENT_BYTES))
    if slot.reply_id is not None:
        parts.append(_REPLY + _sized(slot.reply_id, REPLY_ID_BYTES))
    if slot.next_hop is not None and slot.next_mac is not None:
        parts.append(_NEXT_HOP + _sized(slot.next_hop, NODE_ID_BYTES) + _sized(slot.next_mac, MAC_BYTES))
    return b"".join(parts).ljust(SLOT_BYTES, b"\x00")


def decode(slot: bytes) -> Slot:
    """Read a slot. MalformedFrame on anything but one consistent set of commands. About 2 us."""
    if slot[0] == _DELAY_ID and slot[5] == _NEXT_HOP_ID and slot.endswith(_REST_ON_THE_WAY):
        return Slot(int.from_bytes(slot[1:5], "big"), slot[6:38], slot[38:70])  # what every mix gets: no loop for it
    at = 0
    delay_ms: int | None = None
    next_hop = next_mac = recipient = reply_id = None
    while at < SLOT_BYTES and (command := slot[at]):
        start, at = at + 1, at + 1 + _BODY_BYTES.get(command, SLOT_BYTES)
        if at > SLOT_BYTES:
            raise MalformedFrame("a mix header holds no valid command")
        if command == _DELAY_ID and delay_ms is None:
            delay_ms = int.from_bytes(slot[start:at], "big")
        elif command == _NEXT_HOP_ID and next_hop is None:
            next_hop, next_mac = slot[start : start + NODE_ID_BYTES], slot[start + NODE_ID_BYTES : at]
        elif command == _RECIPIENT_ID and recipient is None:
            recipient = slot[start:at]
        elif command == _REPLY_ID and reply_id is None:
            reply_id = slot[start:at]
        else:
            raise MalformedFrame("a mix header repeats a command")
    if slot.count(0, at) != SLOT_BYTES - at or (next_hop is not None and (recipient or reply_id)):
        raise MalformedFrame("a mix header holds contradictory commands")
    return Slot(delay_ms or 0, next_hop, next_mac, recipient, reply_id)


def _sized(value: bytes, size: int) -> bytes:
    if len(value) != size:
        raise MalformedFrame("a value of a mix header has the wrong size")
    return value
