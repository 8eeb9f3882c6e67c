"""Frames: the bytes of the golden vectors, one encoding each, and a splitter that does not mind how bytes arrive."""

from __future__ import annotations

import itertools
import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import MsgId, PeerId, PublicKey, Tag, TagHandle
from railgun_core.wire.frames import (
    CELL_DATA_BYTES,
    ENVELOPE_FRAME_SIZES,
    IDS_PER_FRAME,
    PACKET_BYTES,
    RECORDS_PER_FRAME,
    Ack,
    Bye,
    Cell,
    CellKind,
    ControlFrame,
    FrameSplitter,
    Got,
    Have,
    Misdirected,
    Nack,
    Open,
    Opened,
    Packet,
    Ping,
    Pong,
    Pull,
    Refused,
    Role,
    Slice,
    Want,
    control_frames,
    decode_control,
    envelope_frame,
)
from railgun_core.wire.heads import Head
from railgun_core.wire.kinds import LENGTH, MAX_FRAME_BYTES, FrameType, Refusal, frame
from railgun_core.wire.mail import Collect, Collected, Deposit, Evicted, Obituary, Receipt
from tests.property.mutants import every_prefix
from tests.property.samples import ANY_FRAME, FRAMES, frame_samples
from tests.unit.vectors.reading import some_bytes, vectors

VECTORS = vectors("frames")
HANDLE, IDS = TagHandle(some_bytes("a tag", 8)), tuple(MsgId(some_bytes(f"id {n}", 16)) for n in range(2))
GOLDEN: dict[str, ControlFrame] = {
    "OPEN": Open(
        Tag(some_bytes("a tag")), 3_000_000, Role.MEMBER, Slice.PUSH, some_bytes("signature", 64), token=b"tok"
    ),
    "OPENED": Opened(HANDLE, 2, 5, 1_000, 2_000),
    "REFUSED": Refused(HANDLE, Refusal.RATE, 1_500),
    "MISDIRECTED": Misdirected(HANDLE, (b"abc", b"")),
    "ACK": Ack(HANDLE, 9, 8, 3, 5),
    "NACK": Nack(HANDLE, Refusal.FULL, 20, IDS),
    "GOT": Got(HANDLE, 12),
    "HAVE": Have(HANDLE, 13, IDS),
    "WANT": Want(HANDLE, IDS),
    "PULL": Pull(HANDLE, 14),
    "PING": Ping(15),
    "PONG": Pong(16),
    "BYE": Bye(HANDLE),
    "PACKET": Packet(some_bytes("packet", PACKET_BYTES)),
    "CELL": Cell(CellKind.DATA, 7, b"abc"),
    "DEPOSIT": Deposit(
        Tag(some_bytes("a tag")), 20_833, 1_800_604_800, IDS[0], some_bytes("signature", 64), some_bytes("sealed", 256)
    ),
    "RECEIPT": Receipt(HANDLE, IDS[0], Refusal.QUOTA, 60_000),
    "COLLECT": Collect(Tag(some_bytes("a tag")), 20_833, 7, True, some_bytes("signature", 64)),
    "COLLECTED": Collected(HANDLE, 9, True),
    "EVICTED": Evicted(
        Tag(some_bytes("a tag")), 20_833, 3, 8, 5, 1_800_000_000, PublicKey(some_bytes("key")), some_bytes("sig", 64)
    ),
    "HEAD": Head(
        Tag(some_bytes("a tag")),
        3_000_000,
        1_800_000_000,
        32,
        some_bytes("head", 16),
        PublicKey(some_bytes("key")),
        some_bytes("sig", 64),
    ),
    "OBITUARY": Obituary(
        PeerId(some_bytes("peer")), 9, 1_800_000_000, 1_800_000_030, PublicKey(some_bytes("key")), some_bytes("sig", 64)
    ),
}


def decoded(data: bytes) -> ControlFrame:
    return decode_control(data, 0, len(data))


def split(*pieces: bytes) -> list[bytes]:
    """The frames that a splitter cuts out of pieces that arrive one after the other."""
    splitter, found = FrameSplitter(), []
    for piece in pieces:
        batch = splitter.feed(piece)
        if batch is not None:
            assert len(batch) == len(batch.bounds) - 1 > 0
            found += [batch.data[batch.bounds[n] : batch.bounds[n + 1]] for n in range(len(batch))]
    return found


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_frames_are_those_of_the_vectors(name: str) -> None:
    assert GOLDEN[name].encode().hex() == VECTORS[name]
    assert decoded(bytes.fromhex(VECTORS[name])) == GOLDEN[name]


def test_an_envelope_frame_is_that_of_the_vectors() -> None:
    made = envelope_frame(HANDLE, expiry_s=1_800_000_600, msg_id=IDS[0], envelope=some_bytes("sealed", 256))
    assert made.hex() == VECTORS["ENVELOPE"]
    assert len(made) in ENVELOPE_FRAME_SIZES


def test_every_type_of_frame_has_a_vector() -> None:
    assert VECTORS.keys() == {kind.name for kind in FrameType}
    assert {type(golden).__name__ for golden in GOLDEN.values()} == FRAMES.keys()


@given(ANY_FRAME)
def test_any_frame_comes_back_as_it_was(sent: ControlFrame) -> None:
    data = sent.encode()
    assert decoded(data) == sent
    assert len(data) == 4 + LENGTH.unpack_from(data)[0] <= MAX_FRAME_BYTES


@pytest.mark.parametrize("name", sorted(FRAMES))
def test_a_frame_broken_off_anywhere_is_refused(name: str) -> None:
    for sample in frame_samples()[name]:
        for prefix in every_prefix(sample):
            with pytest.raises(MalformedFrame):
                decoded(prefix)


@pytest.mark.parametrize("name", sorted(FRAMES))
def test_a_frame_with_trailing_bytes_is_refused(name: str) -> None:
    for sample in frame_samples()[name]:
        for tail in (b"\x00", b"\xff", sample):
            with pytest.raises(MalformedFrame):
                decoded(sample + tail)


def test_the_fullest_frames_fit_the_limit() -> None:
    ids = tuple(MsgId(n.to_bytes(16, "big")) for n in range(IDS_PER_FRAME))
    records = tuple(bytes(1_000) for _ in range(RECORDS_PER_FRAME))
    for full in (Have(HANDLE, 1, ids), Nack(HANDLE, Refusal.RATE, 1, ids), Misdirected(HANDLE, records)):
        assert len(full.encode()) <= MAX_FRAME_BYTES
        assert decoded(full.encode()) == full
    assert max(ENVELOPE_FRAME_SIZES) == 65_569 <= MAX_FRAME_BYTES


def test_packets_and_cells_of_any_content_have_one_size() -> None:
    cells = [Cell(kind, 1, bytes(range(length))) for kind in CellKind for length in (0, 1, 255)]
    sizes = {len(cell.encode()) for cell in (*cells, Cell(CellKind.DATA, 2**32 - 1, b"x" * CELL_DATA_BYTES))}
    assert sizes == {len(Packet(bytes(PACKET_BYTES)).encode())} == {5 + PACKET_BYTES}


def test_a_cell_with_anything_in_its_padding_is_refused() -> None:
    data = Cell(CellKind.DATA, 7, b"abc").encode()
    for at in (5 + 7 + 3, len(data) - 1):
        with pytest.raises(MalformedFrame):
            decoded(data[:at] + b"\x01" + data[at + 1 :])


def test_counts_above_their_limit_are_refused() -> None:
    ids = tuple(MsgId(n.to_bytes(16, "big")) for n in range(IDS_PER_FRAME + 1))
    for too_full in (
        Want(HANDLE, ids),
        Misdirected(HANDLE, (b"",) * (RECORDS_PER_FRAME + 1)),
        Misdirected(HANDLE, (bytes(1_001),)),
        Open(Tag(bytes(32)), 1, Role.MEMBER, Slice.PUSH, b"s" * 63),
        Open(Tag(bytes(32)), 1, Role.MEMBER, Slice.PUSH, b"s" * 65),
        Open(Tag(bytes(32)), 1, Role.MEMBER, Slice.PUSH, b"", b"t" * 513),
    ):
        with pytest.raises(MalformedFrame):
            decoded(too_full.encode())


def test_unknown_codes_roles_and_slices_are_refused() -> None:
    opened = Open(Tag(bytes(32)), 1, Role.MEMBER, Slice.PUSH, b"").encode()
    refused = Refused(HANDLE, Refusal.RATE, 1).encode()
    for at, known, data in (
        (45, set(Role), opened),
        (46, set(Slice), opened),
        (13, set(Refusal), refused),
    ):
        for value in set(range(256)) - {int(code) for code in known}:
            with pytest.raises(MalformedFrame):
                decoded(data[:at] + bytes((value,)) + data[at + 1 :])


def test_secrets_of_a_frame_do_not_show_in_its_repr() -> None:
    shown = repr(Open(Tag(bytes(32)), 1, Role.MEMBER, Slice.PUSH, b"SIGNATURE", b"TOKEN"))
    assert "SIGNATURE" not in shown
    assert "TOKEN" not in shown


def test_an_envelope_frame_is_no_control_frame() -> None:
    data = envelope_frame(HANDLE, expiry_s=1, msg_id=IDS[0], envelope=bytes(256))
    with pytest.raises(MalformedFrame):
        decoded(data)


# ---------------------------------------------------------------- the splitter


@given(st.lists(ANY_FRAME.map(lambda sent: sent.encode()), max_size=6), st.data())
def test_bytes_cut_anywhere_give_the_same_frames(frames: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    edges = [0, *cuts, len(stream)]
    pieces = [stream[start:stop] for start, stop in itertools.pairwise(edges)]
    assert split(*pieces) == frames


def test_byte_by_byte_equals_whole() -> None:
    frames = [sample for samples in frame_samples().values() for sample in samples]
    frames.append(envelope_frame(HANDLE, expiry_s=1, msg_id=IDS[0], envelope=bytes(4_096)))
    stream = b"".join(frames)
    assert split(stream) == frames
    assert split(*(stream[at : at + 1] for at in range(len(stream)))) == frames


def test_nothing_is_kept_between_whole_frames() -> None:
    splitter = FrameSplitter()
    splitter.feed(Ping(1).encode() + b"\x00\x00")
    assert splitter.waiting_bytes == 2
    splitter.feed(b"\x00\x09\x0c")
    assert splitter.waiting_bytes == 5
    batch = splitter.feed(bytes(8))
    assert batch is not None
    assert splitter.waiting_bytes == 0


def test_no_bytes_give_no_frame() -> None:
    splitter = FrameSplitter()
    assert splitter.feed(b"") is None
    assert splitter.feed(b"\x00") is None
    assert splitter.feed(b"") is None


@pytest.mark.parametrize("length", [0, MAX_FRAME_BYTES - 3, MAX_FRAME_BYTES, 2**31, 2**32 - 1])
def test_a_length_of_zero_or_beyond_the_limit_is_refused_before_memory_is_taken(length: int) -> None:
    splitter = FrameSplitter()
    tracemalloc.start()
    try:
        with pytest.raises(MalformedFrame):
            splitter.feed(LENGTH.pack(length))
        assert tracemalloc.get_traced_memory()[1] < 50_000
    finally:
        tracemalloc.stop()
    assert splitter.waiting_bytes == 0


def test_a_bad_length_behind_good_frames_is_refused_too() -> None:
    with pytest.raises(MalformedFrame):
        FrameSplitter().feed(Ping(1).encode() + LENGTH.pack(0))


def test_the_longest_frame_passes() -> None:
    longest = frame(FrameType.PING, bytes(MAX_FRAME_BYTES - 5))
    assert len(longest) == MAX_FRAME_BYTES
    assert split(longest[:50_000], longest[50_000:]) == [longest]


def test_what_waits_never_exceeds_one_frame(rng: random.Random) -> None:
    splitter = FrameSplitter()
    longest = frame(FrameType.PING, bytes(MAX_FRAME_BYTES - 5))
    stream = longest * 3
    at = 0
    while at < len(stream):
        step = rng.randrange(1, 9_000)
        splitter.feed(stream[at : at + step])
        assert splitter.waiting_bytes < MAX_FRAME_BYTES
        at += step


def test_control_frames_come_in_order_without_the_envelopes_between() -> None:
    sent = [Ping(1), Bye(HANDLE), Pong(2)]
    envelope = envelope_frame(HANDLE, expiry_s=1, msg_id=IDS[0], envelope=bytes(256))
    batch = FrameSplitter().feed(envelope.join(one.encode() for one in sent))
    assert batch is not None
    assert len(batch) == 5
    assert list(control_frames(batch)) == sent
