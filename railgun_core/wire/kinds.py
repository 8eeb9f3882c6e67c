"""What all frames have in common: a length, a type byte, and the codes of refusals."""

from __future__ import annotations

import enum
import struct

from railgun_core.base.errors import MalformedFrame

MAX_FRAME_BYTES = 70_000  # protocol.md 5.1; a large envelope frame is 65,569
LENGTH = struct.Struct(">I")


class FrameType(enum.IntEnum):
    """The type byte."""

    OPEN = 1
    OPENED = 2
    REFUSED = 3
    MISDIRECTED = 4
    ENVELOPE = 5
    ACK = 6
    NACK = 7
    GOT = 8
    HAVE = 9
    WANT = 10
    PULL = 11
    PING = 12
    PONG = 13
    BYE = 14
    PACKET = 15
    CELL = 16
    DEPOSIT = 17
    RECEIPT = 18
    COLLECT = 19
    COLLECTED = 20
    EVICTED = 21
    OBITUARY = 22
    HEAD = 23


class Refusal(enum.IntEnum):
    """Why a relay said no. The names are the stable codes."""

    BAD_SIGNATURE = 1
    WRONG_EPOCH = 2
    NO_SESSION = 3
    RATE = 4
    FULL = 5
    EXPIRED = 6
    SIZE = 7
    NOT_SERVING = 8
    TOKEN = 9
    RETIRED = 10
    QUOTA = 11  # this room has used up what a mailbox keeps for one tag


def refusal(code: int) -> Refusal:
    """The refusal with this code. MalformedFrame for one that does not exist."""
    try:
        return Refusal(code)
    except ValueError:
        raise MalformedFrame("refusal") from None


def frame(kind: FrameType, body: bytes) -> bytes:
    """One frame with its length in front."""
    return LENGTH.pack(len(body) + 1) + bytes((kind,)) + body
