"""The data of the cells between a client and its guard: one place for both sides.

DELIVERY: recipient 32, reply id 16 (zeros: none), payload. A payload that came by a reply block is 32 bytes longer,
because only its addressee can check and cut its tag; it is delivered as it came.
RECORDS: the next position u32 (0: that was all), count8, records as blob16.
ASK_RECORDS: a position u32. REGISTER: a recipient id of 32 bytes.
All of them are strict: one encoding, MalformedFrame for anything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from railgun_core.base.errors import MalformedFrame
from railgun_core.mix.sphinx import PAYLOAD_BYTES
from railgun_core.wire.codec import Reader, array8, blob16, u32
from railgun_core.wire.frames import CELL_DATA_BYTES, RECORDS_PER_FRAME, Cell, CellKind
from railgun_core.wire.records import MAX_RECORD_BYTES

RECIPIENT_BYTES = 32
REPLY_ID_BYTES = 16
REPLY_PAYLOAD_BYTES = PAYLOAD_BYTES + 32  # with its tag, still closed
RECORDS_HEAD_BYTES = 5
NO_REPLY = bytes(REPLY_ID_BYTES)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A packet's payload at its guard, for one of the guard's clients. `reply_id` is empty for a plain packet."""

    recipient: bytes = field(repr=False)
    reply_id: bytes = field(repr=False)
    payload: bytes = field(repr=False)

    def cell(self) -> Cell:
        """The cell that carries it."""
        return Cell(CellKind.DELIVERY, 0, self.recipient + (self.reply_id or NO_REPLY) + self.payload)

    @classmethod
    def decode(cls, data: bytes) -> Delivery:
        reader = Reader(data)
        recipient, reply_id = reader.take(RECIPIENT_BYTES), reader.take(REPLY_ID_BYTES)
        plain = reply_id == NO_REPLY
        payload = reader.take(PAYLOAD_BYTES if plain else REPLY_PAYLOAD_BYTES)
        reader.end()
        return cls(recipient, b"" if plain else reply_id, payload)


@dataclass(frozen=True, slots=True)
class RelayRecords:
    """A part of the guard's list of relays; `following` is the position to ask for next, 0 when this was the end."""

    following: int
    raws: tuple[bytes, ...]

    def cell(self) -> Cell:
        """The cell that carries it. The caller sees to it that the records fit."""
        return Cell(CellKind.RECORDS, 0, u32(self.following) + array8([blob16(raw) for raw in self.raws]))

    @classmethod
    def decode(cls, data: bytes) -> RelayRecords:
        reader = Reader(data)
        following = reader.u32()
        raws = tuple(reader.blob16(MAX_RECORD_BYTES) for _ in range(reader.count(RECORDS_PER_FRAME)))
        reader.end()
        return cls(following, raws)


def register(recipient: bytes) -> Cell:
    """The cell with which a client asks for what comes to `recipient`, 32 bytes."""
    return Cell(CellKind.REGISTER, 0, recipient)


def ask_records(position: int) -> Cell:
    """The cell with which a client asks for relay records."""
    return Cell(CellKind.ASK_RECORDS, 0, u32(position))


def recipient_of(data: bytes) -> bytes:
    """The id in the data of a REGISTER."""
    if len(data) != RECIPIENT_BYTES:
        raise MalformedFrame("register")
    return data


def position_of(data: bytes) -> int:
    """The position in the data of an ASK_RECORDS."""
    reader = Reader(data)
    position = reader.u32()
    reader.end()
    return position


def pages(raws: Sequence[bytes], position: int, *, cells: int) -> list[RelayRecords]:
    """As many of `raws` from `position` on as fit into `cells` cells; one empty page when there is nothing."""
    found: list[RelayRecords] = []
    while not found or (position < len(raws) and len(found) < cells):
        start, room = position, CELL_DATA_BYTES - RECORDS_HEAD_BYTES
        while position < len(raws) and position - start < RECORDS_PER_FRAME and 2 + len(raws[position]) <= room:
            room -= 2 + len(raws[position])
            position += 1
        found.append(RelayRecords(position if position < len(raws) else 0, tuple(raws[start:position])))
    return found
