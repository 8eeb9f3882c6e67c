"""What stands inside the payload of a mix packet when its last hop opens it, and inside a reply.

    parcel: kind u8 || SURB 572 || body blob16, zeros up to 4,800      reply: body blob16, zeros up to 4,800

A POST is work for the relay; a DROP is cover and only asks for an answer. Both carry a SURB and both are answered,
so that a guard counts one packet back for every packet out, whatever it was.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from railgun_core.base.errors import MalformedFrame
from railgun_core.mix.sphinx import PAYLOAD_BYTES, SURB_BYTES
from railgun_core.wire.codec import Reader, blob16

POST_BYTES = PAYLOAD_BYTES - 1 - SURB_BYTES - 2  # 4,225: the longest body of a post
REPLY_BYTES = PAYLOAD_BYTES - 2


class ParcelKind(enum.IntEnum):
    """What the last hop does with a parcel."""

    POST = 1  # hand the body to the relay, answer by the SURB
    DROP = 2  # answer by the SURB, nothing else


@dataclass(frozen=True, slots=True)
class Parcel:
    """An opened payload. `surb` answers it, once."""

    kind: ParcelKind
    surb: bytes = field(repr=False)
    body: bytes = field(repr=False)


def encode_post(surb: bytes, body: bytes) -> bytes:
    """A payload that brings `body` to a relay. ValueError for a body over POST_BYTES or a SURB of another size."""
    return _encode(ParcelKind.POST, surb, body)


def encode_drop(surb: bytes) -> bytes:
    """A payload that brings nothing and is answered all the same."""
    return _encode(ParcelKind.DROP, surb, b"")


def decode(payload: bytes) -> Parcel:
    """What the last hop got. MalformedFrame for anything that `encode_*` cannot have made."""
    reader = Reader(payload)
    try:
        kind = ParcelKind(reader.u8())
    except ValueError:
        raise MalformedFrame("parcel") from None
    surb, body = reader.take(SURB_BYTES), reader.blob16(POST_BYTES)
    _only_zeros(reader)
    if len(payload) != PAYLOAD_BYTES or (kind is ParcelKind.DROP and body):
        raise MalformedFrame("parcel")
    return Parcel(kind, surb, body)


def encode_reply(body: bytes) -> bytes:
    """The payload of an answer. ValueError over REPLY_BYTES."""
    if len(body) > REPLY_BYTES:
        raise ValueError("a reply is too long")
    return (blob16(body)).ljust(PAYLOAD_BYTES, b"\x00")


def decode_reply(payload: bytes) -> bytes:
    """The body of an answer. MalformedFrame."""
    reader = Reader(payload)
    body = reader.blob16(REPLY_BYTES)
    _only_zeros(reader)
    return body


def _encode(kind: ParcelKind, surb: bytes, body: bytes) -> bytes:
    if len(surb) != SURB_BYTES or len(body) > POST_BYTES:
        raise ValueError("a parcel of the wrong size")
    return (bytes((kind,)) + surb + blob16(body)).ljust(PAYLOAD_BYTES, b"\x00")


def _only_zeros(reader: Reader) -> None:
    rest = reader.rest()
    if rest.count(0) != len(rest):
        raise MalformedFrame("padding")
