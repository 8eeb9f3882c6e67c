"""Every frame between two peers, and its bytes.

A frame is `length u32 | type u8 | body`; the length counts what follows it. Envelope frames are
the hot path and are handled in place: a sender's frame is forwarded byte for byte to relays and members,
because it names the room by its tag's handle and nothing else that differs from link to link. What it means
follows from the session's role: from a member it is a publication, between relays a replica, to a
member a delivery. All other frames are small dataclasses with `encode` and `decode`.

Counting instead of naming: links are ordered and reliable, so ACK and GOT carry cumulative
counts per session instead of one id per envelope. Refusals name their ids.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import MsgId, Tag, TagHandle
from railgun_core.wire.codec import Reader, array8, blob16, u16, u32
from railgun_core.wire.envelope import SIZES
from railgun_core.wire.heads import Head
from railgun_core.wire.kinds import LENGTH, MAX_FRAME_BYTES, FrameType, Refusal, frame, refusal
from railgun_core.wire.mail import Collect, Collected, Deposit, Evicted, Obituary, Receipt

ENVELOPE_HEADER = struct.Struct(">IB8sI16s")  # length, type, handle, expiry in unix seconds, msg_id
ENVELOPE_HEADER_BYTES = ENVELOPE_HEADER.size  # 33
ENVELOPE_FRAME_SIZES = frozenset(ENVELOPE_HEADER_BYTES + size for size in SIZES)
PACKET_BYTES = 5_308  # a mix packet: Sphinx header 476, payload tag 32, payload 4,800 (mix/sphinx)
CELL_DATA_BYTES = PACKET_BYTES - 7
IDS_PER_FRAME = 4_000  # 64,000 bytes of ids: below MAX_FRAME_BYTES
RECORDS_PER_FRAME = 32


class Role(enum.IntEnum):
    """As what a session is opened."""

    MEMBER = 1
    RELAY = 2


class Slice(enum.IntEnum):
    """What a member asks of one relay of its committee.

    PUSH from its primary, ANNOUNCE (ids after 300 ms) from its secondary, QUIET from the others. The member
    knows which relays it reaches, so it assigns the slices; rendezvous hashing spreads them evenly.
    """

    QUIET = 0
    PUSH = 1
    ANNOUNCE = 2


@dataclass(frozen=True, slots=True)
class Open:
    """Ask for a session. `signature` by the room's epoch key over the link's binding; empty for relays."""

    tag: Tag
    epoch: int
    role: Role
    slice: Slice
    signature: bytes = field(repr=False)
    token: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        body = self.tag + self.epoch.to_bytes(8, "big") + bytes((self.role, self.slice))
        return frame(FrameType.OPEN, body + blob16(self.signature) + blob16(self.token))

    @classmethod
    def decode(cls, reader: Reader) -> Open:
        tag, epoch = Tag(reader.take(32)), reader.u64()
        try:
            role, slice_ = Role(reader.u8()), Slice(reader.u8())
        except ValueError:
            raise MalformedFrame("open") from None
        signature, token = reader.blob16(64), reader.blob16(512)
        if len(signature) not in (0, 64):
            raise MalformedFrame("open")
        return cls(tag, epoch, role, slice_, signature, token)


@dataclass(frozen=True, slots=True)
class Opened:
    """A session is open: my seat, the committee's size as I see it, and the quota in envelopes."""

    handle: TagHandle
    seat: int
    committee_size: int
    rate_per_s: int
    burst: int

    def encode(self) -> bytes:
        body = self.handle + bytes((self.seat, self.committee_size))
        return frame(FrameType.OPENED, body + u32(self.rate_per_s) + u32(self.burst))

    @classmethod
    def decode(cls, reader: Reader) -> Opened:
        return cls(TagHandle(reader.take(8)), reader.u8(), reader.u8(), reader.u32(), reader.u32())


@dataclass(frozen=True, slots=True)
class Refused:
    """No session, or no longer: why, and when to ask again."""

    handle: TagHandle
    code: Refusal
    retry_after_ms: int

    def encode(self) -> bytes:
        return frame(FrameType.REFUSED, self.handle + bytes((self.code,)) + u32(self.retry_after_ms))

    @classmethod
    def decode(cls, reader: Reader) -> Refused:
        return cls(TagHandle(reader.take(8)), refusal(reader.u8()), reader.u32())


@dataclass(frozen=True, slots=True)
class Misdirected:
    """You asked the wrong relay: here are the records of those I see in the seats."""

    handle: TagHandle
    records: tuple[bytes, ...]

    def encode(self) -> bytes:
        return frame(FrameType.MISDIRECTED, self.handle + array8([blob16(r) for r in self.records]))

    @classmethod
    def decode(cls, reader: Reader) -> Misdirected:
        handle = TagHandle(reader.take(8))
        return cls(handle, tuple(reader.blob16(1_000) for _ in range(reader.count(RECORDS_PER_FRAME))))


@dataclass(frozen=True, slots=True)
class Ack:
    """Cumulative: of the envelopes of this session, how many I took and how many a majority holds.

    `held` of `size` is the number of seats that hold the newest one counted in `stored`.
    """

    handle: TagHandle
    taken: int
    stored: int
    held: int
    size: int

    def encode(self) -> bytes:
        counts = self.taken.to_bytes(8, "big") + self.stored.to_bytes(8, "big")
        return frame(FrameType.ACK, self.handle + counts + bytes((self.held, self.size)))

    @classmethod
    def decode(cls, reader: Reader) -> Ack:
        return cls(TagHandle(reader.take(8)), reader.u64(), reader.u64(), reader.u8(), reader.u8())


@dataclass(frozen=True, slots=True)
class Nack:
    """These envelopes were counted but not taken. Always sent before the Ack that counts them."""

    handle: TagHandle
    code: Refusal
    retry_after_ms: int
    ids: tuple[MsgId, ...]

    def encode(self) -> bytes:
        head = self.handle + bytes((self.code,)) + u32(self.retry_after_ms)
        return frame(FrameType.NACK, head + _ids(self.ids))

    @classmethod
    def decode(cls, reader: Reader) -> Nack:
        return cls(TagHandle(reader.take(8)), refusal(reader.u8()), reader.u32(), _read_ids(reader))


@dataclass(frozen=True, slots=True)
class Got:
    """Cumulative: how many envelopes of this session have arrived here."""

    handle: TagHandle
    count: int

    def encode(self) -> bytes:
        return frame(FrameType.GOT, self.handle + self.count.to_bytes(8, "big"))

    @classmethod
    def decode(cls, reader: Reader) -> Got:
        return cls(TagHandle(reader.take(8)), reader.u64())


@dataclass(frozen=True, slots=True)
class Have:
    """Ids that I hold; `position` is where the next Pull may start."""

    handle: TagHandle
    position: int
    ids: tuple[MsgId, ...]

    def encode(self) -> bytes:
        return frame(FrameType.HAVE, self.handle + self.position.to_bytes(8, "big") + _ids(self.ids))

    @classmethod
    def decode(cls, reader: Reader) -> Have:
        return cls(TagHandle(reader.take(8)), reader.u64(), _read_ids(reader))


@dataclass(frozen=True, slots=True)
class Want:
    """Send me these."""

    handle: TagHandle
    ids: tuple[MsgId, ...]

    def encode(self) -> bytes:
        return frame(FrameType.WANT, self.handle + _ids(self.ids))

    @classmethod
    def decode(cls, reader: Reader) -> Want:
        return cls(TagHandle(reader.take(8)), _read_ids(reader))


@dataclass(frozen=True, slots=True)
class Pull:
    """Tell me what you hold since `position` (0: everything)."""

    handle: TagHandle
    position: int

    def encode(self) -> bytes:
        return frame(FrameType.PULL, self.handle + self.position.to_bytes(8, "big"))

    @classmethod
    def decode(cls, reader: Reader) -> Pull:
        return cls(TagHandle(reader.take(8)), reader.u64())


@dataclass(frozen=True, slots=True)
class Ping:
    """Are you there? Answered by a Pong with the same nonce."""

    nonce: int

    def encode(self) -> bytes:
        return frame(FrameType.PING, self.nonce.to_bytes(8, "big"))

    @classmethod
    def decode(cls, reader: Reader) -> Ping:
        return cls(reader.u64())


@dataclass(frozen=True, slots=True)
class Pong:
    """I am."""

    nonce: int

    def encode(self) -> bytes:
        return frame(FrameType.PONG, self.nonce.to_bytes(8, "big"))

    @classmethod
    def decode(cls, reader: Reader) -> Pong:
        return cls(reader.u64())


@dataclass(frozen=True, slots=True)
class Bye:
    """I end this session; the link may carry others."""

    handle: TagHandle

    def encode(self) -> bytes:
        return frame(FrameType.BYE, self.handle)

    @classmethod
    def decode(cls, reader: Reader) -> Bye:
        return cls(TagHandle(reader.take(8)))


@dataclass(frozen=True, slots=True)
class Packet:
    """A mix packet: from a client to its guard, and between mixes."""

    body: bytes = field(repr=False)

    def encode(self) -> bytes:
        return frame(FrameType.PACKET, self.body)

    @classmethod
    def decode(cls, reader: Reader) -> Packet:
        return cls(reader.take(PACKET_BYTES))


class CellKind(enum.IntEnum):
    """What a cell carries. Below 16: between a client and its guard; from 16 on: one stream of a tunnel."""

    IDLE = 0  # keeps the link; nothing else
    REGISTER = 1  # client: packets for this recipient id (32) come to me
    DELIVERY = 2  # guard: recipient 32, reply id 16, payload of a packet
    ASK_RECORDS = 3  # client: relay records from position u32 on
    RECORDS = 4  # guard: next position u32 (0: that was all), count8 x record blob16
    CONNECT = 16  # client: open a stream to the relay with this peer id (32)
    CONNECTED = 17
    DATA = 18
    CREDIT = 19  # bytes u32 that the other side may send on this stream in addition
    CLOSE = 20  # code text8, empty for an orderly end


@dataclass(frozen=True, slots=True)
class Cell:
    """Anything else between a client and its guard, as large as a packet: size says nothing of content."""

    kind: CellKind
    stream: int
    data: bytes = field(repr=False)

    def encode(self) -> bytes:
        head = bytes((self.kind,)) + u32(self.stream) + u16(len(self.data))
        return frame(FrameType.CELL, head + self.data + bytes(CELL_DATA_BYTES - len(self.data)))

    @classmethod
    def decode(cls, reader: Reader) -> Cell:
        try:
            kind = CellKind(reader.u8())
        except ValueError:
            raise MalformedFrame("cell") from None
        stream, length = reader.u32(), reader.u16()
        body = reader.take(CELL_DATA_BYTES)
        if length > CELL_DATA_BYTES or body.count(0, length) != CELL_DATA_BYTES - length:
            raise MalformedFrame("cell")
        return cls(kind, stream, body[:length])


Mail = Deposit | Receipt | Collect | Collected | Evicted
ControlFrame = (
    Open
    | Opened
    | Refused
    | Misdirected
    | Ack
    | Nack
    | Got
    | Have
    | Want
    | Pull
    | Ping
    | Pong
    | Bye
    | Packet
    | Cell
    | Mail
    | Obituary
    | Head
)

_DECODERS: dict[int, Callable[[Reader], ControlFrame]] = {
    FrameType.OPEN: Open.decode,
    FrameType.OPENED: Opened.decode,
    FrameType.REFUSED: Refused.decode,
    FrameType.MISDIRECTED: Misdirected.decode,
    FrameType.ACK: Ack.decode,
    FrameType.NACK: Nack.decode,
    FrameType.GOT: Got.decode,
    FrameType.HAVE: Have.decode,
    FrameType.WANT: Want.decode,
    FrameType.PULL: Pull.decode,
    FrameType.PING: Ping.decode,
    FrameType.PONG: Pong.decode,
    FrameType.BYE: Bye.decode,
    FrameType.PACKET: Packet.decode,
    FrameType.CELL: Cell.decode,
    FrameType.DEPOSIT: Deposit.decode,
    FrameType.RECEIPT: Receipt.decode,
    FrameType.COLLECT: Collect.decode,
    FrameType.COLLECTED: Collected.decode,
    FrameType.EVICTED: Evicted.decode,
    FrameType.OBITUARY: Obituary.decode,
    FrameType.HEAD: Head.decode,
}


def _ids(ids: Sequence[MsgId]) -> bytes:
    return u16(len(ids)) + b"".join(ids)


def _read_ids(reader: Reader) -> tuple[MsgId, ...]:
    count = reader.u16()
    if count > IDS_PER_FRAME:
        raise MalformedFrame("ids")
    blob = reader.take(16 * count)
    return tuple(MsgId(blob[at : at + 16]) for at in range(0, len(blob), 16))


def decode_control(data: bytes, start: int, end: int) -> ControlFrame:
    """The control frame in `data[start:end]`, where `start` is at its length field."""
    if start + 5 > end:
        raise MalformedFrame("truncated")
    decoder = _DECODERS.get(data[start + 4])
    if decoder is None:
        raise MalformedFrame("type")
    reader = Reader(data, start + 5, end)
    decoded = decoder(reader)
    reader.end()
    return decoded


def envelope_frame(handle: TagHandle, *, expiry_s: int, msg_id: MsgId, envelope: bytes) -> bytes:
    """A whole envelope frame, ready to be sent and to be forwarded as it is."""
    head = ENVELOPE_HEADER.pack(ENVELOPE_HEADER_BYTES - 4 + len(envelope), FrameType.ENVELOPE, handle, expiry_s, msg_id)
    return head + envelope


@dataclass(frozen=True, slots=True)
class FrameBatch:
    """The complete frames of one read: `data[bounds[i]:bounds[i+1]]` is a frame with its length field."""

    data: bytes
    bounds: list[int]

    def __len__(self) -> int:
        return len(self.bounds) - 1


class FrameSplitter:
    """Cuts a byte stream into frames, a whole read at a time; keeps the unfinished rest.

    A length above MAX_FRAME_BYTES, or of an empty frame, raises MalformedFrame before any memory is taken.
    """

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the unfinished frame."""
        return len(self._rest)

    def feed(self, data: bytes) -> FrameBatch | None:
        """The frames that `data` completes, or None."""
        if self._rest:
            data = self._rest + data
        at, size, bounds = 0, len(data), [0]
        unpack = LENGTH.unpack_from
        while size - at >= 4:
            (length,) = unpack(data, at)
            if not 0 < length <= MAX_FRAME_BYTES - 4:
                raise MalformedFrame("length")
            stop = at + 4 + length
            if stop > size:
                break
            bounds.append(stop)
            at = stop
        self._rest = data[at:] if at < size else b""
        return FrameBatch(data, bounds) if at else None


def control_frames(batch: FrameBatch) -> Iterator[ControlFrame]:
    """The control frames of a batch, in order, without its envelopes."""
    for index in range(len(batch)):
        start, end = batch.bounds[index], batch.bounds[index + 1]
        if batch.data[start + 4] != FrameType.ENVELOPE:
            yield decode_control(batch.data, start, end)
