"""Every decoder against 10,000 mutants of valid bytes: a value or MalformedFrame, never another error.

What decodes after all must encode to the very bytes it came from: each object has one encoding, so nothing can be
signed, stored or compared in two forms. `--long` takes ten times as many.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Callable

import pytest

from railgun_core.base.errors import MalformedFrame, UsageError
from railgun_core.rooms.content import (
    Letters,
    Piece,
    SentItem,
    Sync,
    decode_content,
    encode_item,
    encode_letters,
    encode_piece,
    encode_sync,
)
from railgun_core.rooms.invite import PREFIX, Invite, decode_invite, encode_invite
from railgun_core.wire.codec import Reader
from railgun_core.wire.envelope import SIZES, SizeClass, open_envelope, seal
from railgun_core.wire.frames import FrameSplitter, control_frames, decode_control
from railgun_core.wire.kinds import MAX_FRAME_BYTES
from railgun_core.wire.records import Address, AnnouncementBody, PeerBody, decode_record
from tests.property.mutants import DEFAULT_COUNT, LONG_FACTOR, mutants
from tests.property.samples import content_samples, frame_samples, record_samples

NOW_S = 1_800_000_000.0


@pytest.fixture
def count(long_run: bool) -> int:
    return DEFAULT_COUNT * (LONG_FACTOR if long_run else 1)


def survivors(
    valid: tuple[bytes, ...], decode: Callable[[bytes], object], encode: Callable[..., bytes], count: int
) -> int:
    """How many mutants decode; each of them encodes to itself."""
    alive = 0
    for mutant in mutants(valid, count=count, rng=random.Random(0x5EED)):
        try:
            value = decode(mutant)
        except MalformedFrame:
            continue
        assert encode(value) == mutant
        alive += 1
    return alive


@pytest.mark.parametrize("name", sorted(frame_samples()))
def test_mutated_control_frames_are_refused_or_have_one_encoding(name: str, count: int) -> None:
    # The length in front belongs to the splitter; the decoder is told where the frame ends.
    bodies = tuple(sample[4:] for sample in frame_samples()[name])
    alive = survivors(
        bodies,
        lambda body: decode_control(b"\x00\x00\x00\x00" + body, 0, 4 + len(body)),
        lambda frame: frame.encode()[4:],
        count,
    )
    assert alive < count


def test_a_mutated_stream_is_split_alike_whole_and_in_pieces(count: int) -> None:
    streams = tuple(b"".join(samples) for samples in frame_samples().values())
    rng = random.Random(7)
    for mutant in mutants(streams, count=count, rng=rng):
        cut = rng.randrange(len(mutant) + 1)
        assert _fed(mutant) == _fed(mutant[:cut], mutant[cut:])


def _fed(*pieces: bytes) -> tuple[list[bytes], int] | None:
    splitter, frames = FrameSplitter(), []
    try:
        for piece in pieces:
            batch = splitter.feed(piece)
            if batch is not None:
                frames += [batch.data[batch.bounds[n] : batch.bounds[n + 1]] for n in range(len(batch))]
                _read(batch)
            assert splitter.waiting_bytes < MAX_FRAME_BYTES
    except MalformedFrame:
        return None
    return frames, splitter.waiting_bytes


def _read(batch: object) -> None:
    try:
        list(control_frames(batch))  # type: ignore[arg-type]
    except MalformedFrame:
        return


def test_mutated_records_are_refused(count: int) -> None:
    valid = tuple(record.raw for record in record_samples())
    for mutant in mutants(valid, count=count, rng=random.Random(1)):
        if mutant not in valid:
            with pytest.raises(MalformedFrame):
                decode_record(mutant)


@pytest.mark.parametrize("body_type", [PeerBody, AnnouncementBody, Address])
def test_mutated_bodies_behind_a_valid_signature_are_refused_or_have_one_encoding(
    body_type: type[PeerBody | AnnouncementBody | Address], count: int
) -> None:
    records = [record.body for record in record_samples()]
    bodies: list[PeerBody | AnnouncementBody | Address] = [b for b in records if isinstance(b, body_type)]
    if body_type is Address:
        bodies = [address for body in records if isinstance(body, PeerBody) for address in body.addresses]

    def decode(data: bytes) -> object:
        reader = Reader(data)
        body = body_type.decode(reader)
        reader.end()
        return body

    assert survivors(tuple(body.encode() for body in bodies), decode, lambda body: body.encode(), count) < count


def test_mutated_envelopes_are_refused(count: int, rng: random.Random) -> None:
    key = rng.randbytes(32)
    valid = tuple(seal(rng.randbytes(n), key, size=SizeClass.SMALL, nonce=rng.randbytes(12)) for n in (0, 40, 224))
    for mutant in mutants(valid, count=count, rng=rng):
        if mutant not in valid:
            with pytest.raises(MalformedFrame):
                open_envelope(mutant, key)


def test_mutants_of_the_right_size_are_refused_by_their_seal(rng: random.Random) -> None:
    key = rng.randbytes(32)
    for size in sorted(SIZES):
        valid = seal(b"hello", key, size=SizeClass(size), nonce=rng.randbytes(12))
        for _ in range(300):
            mutant = bytearray(valid)
            mutant[rng.randrange(size)] ^= 1 << rng.randrange(8)
            with pytest.raises(MalformedFrame):
                open_envelope(bytes(mutant), key)


def test_mutated_room_content_is_refused_or_has_one_encoding(count: int, rng: random.Random) -> None:
    def encode(value: object) -> bytes:
        match value:
            case Sync():
                return encode_sync(value)
            case Letters():
                return encode_letters(value)
            case SentItem():
                return encode_item(value)
            case Piece():
                return encode_piece(value)
        raise AssertionError

    assert 0 < survivors(content_samples(rng), decode_content, encode, count) < count


def test_fuzzed_invites_give_an_invite_or_one_of_two_usage_errors(count: int, rng: random.Random) -> None:
    """Links mangled as text, as people and messengers mangle them, and links with any character at all."""
    link = encode_invite(Invite(rng.randbytes(32), "Garden", int(NOW_S) + 60, (("127.0.0.1", 4_000),)))
    alphabet = "abcXYZ019-_=+/%?#:. \t\n\x00é🜁"
    codes: set[str] = set()
    for round_ in range(2 * count):
        text = list(link)
        for _ in range(rng.choice((1, 1, 2, 4))):
            at = rng.randrange(len(text)) if text else 0
            match rng.randrange(4):
                case 0:
                    text[at : at + 1] = rng.choice(alphabet)
                case 1:
                    del text[at : at + rng.randrange(1, 5)]
                case 2:
                    text[at:at] = rng.choices(alphabet, k=rng.randrange(1, 4))
                case _:
                    del text[at:]
        mangled = "".join(text) if round_ % 50 else "".join(map(chr, rng.choices(range(0xD7FF), k=30)))
        try:
            invite = decode_invite(mangled, NOW_S)
        except UsageError as error:
            codes.add(error.code)
        else:
            assert encode_invite(invite) == mangled.strip() == link
    assert codes <= {"bad-invite", "invite-expired"}


def test_invites_of_mutated_bytes_give_an_invite_or_one_of_two_usage_errors(count: int, rng: random.Random) -> None:
    link = encode_invite(Invite(rng.randbytes(32), "Garden", int(NOW_S) + 60, (("127.0.0.1", 4_000), ("::1", 9))))
    raw = base64.urlsafe_b64decode(link[len(PREFIX) :] + "==")
    codes: set[str] = set()
    for mutant in mutants((raw,), count=count, rng=rng):
        text = PREFIX + base64.urlsafe_b64encode(mutant).decode().rstrip("=")
        try:
            decode_invite(text, NOW_S)
        except UsageError as error:
            codes.add(error.code)
        else:
            assert mutant == raw
    assert codes <= {"bad-invite", "invite-expired"}
