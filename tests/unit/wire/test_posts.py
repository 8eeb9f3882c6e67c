"""Posts: an envelope that proves by itself that a member sent it."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import MsgId, handle_of
from railgun_core.base.keys import Identity
from railgun_core.wire.envelope import SizeClass
from railgun_core.wire.frames import ENVELOPE_FRAME_SIZES
from railgun_core.wire.kinds import Refusal
from railgun_core.wire.posts import (
    POST_BYTES,
    Post,
    PostAnswer,
    PostStatus,
    decode_post,
    decode_post_answer,
    sign_post,
)

KEY = Identity(b"e" * 32)
ENVELOPE = bytes(range(256)) * 16
POST = sign_post(KEY, 3_000_000, 1_800_000_600, MsgId(b"i" * 16), ENVELOPE)
ROOM_IN_A_PACKET = 4_800 - 1 - 572  # payload less kind and reply block


def test_a_post_comes_back_as_it_was_whatever_zeros_follow_it() -> None:
    raw = POST.encode()
    assert len(raw) == POST_BYTES <= ROOM_IN_A_PACKET
    for padding in (0, 1, ROOM_IN_A_PACKET - POST_BYTES):
        found = decode_post(raw + bytes(padding))
        assert found == POST
        assert found.is_signed()


def test_its_frame_is_the_one_a_session_would_have_brought() -> None:
    assert len(POST.frame) in ENVELOPE_FRAME_SIZES
    assert POST.frame[5:13] == handle_of(POST.tag)
    assert POST.frame.endswith(ENVELOPE)


@pytest.mark.parametrize(
    "changed",
    [
        dataclasses.replace(POST, epoch=POST.epoch + 1),
        dataclasses.replace(POST, expiry_s=POST.expiry_s + 1),
        dataclasses.replace(POST, msg_id=MsgId(b"j" * 16)),
        dataclasses.replace(POST, envelope=ENVELOPE[::-1]),
        dataclasses.replace(POST, tag=Identity(b"f" * 32).public_key),
        dataclasses.replace(POST, signature=bytes(64)),
    ],
)
def test_whatever_is_changed_the_signature_no_longer_holds(changed: Post) -> None:
    assert not changed.is_signed()


@given(st.binary(max_size=POST_BYTES + 50))
def test_any_bytes_are_a_post_or_malformed(data: bytes) -> None:
    try:
        found = decode_post(data)
    except MalformedFrame:
        return
    assert found.encode() == data[:POST_BYTES]


def test_padding_that_is_not_zero_is_refused() -> None:
    with pytest.raises(MalformedFrame):
        decode_post(POST.encode() + b"\x00\x01")


@pytest.mark.parametrize(
    "answer", [PostAnswer(PostStatus.STORED, None, 3, 5), *(PostAnswer(PostStatus.REFUSED, code) for code in Refusal)]
)
def test_answers_come_back_as_they_were(answer: PostAnswer) -> None:
    assert decode_post_answer(answer.encode() + bytes(100)) == answer


@pytest.mark.parametrize("data", [b"", b"\x01\x00\x03", b"\x03\x00\x00\x00", b"\x02\x00\x00\x00", b"\x01\x04\x00\x00"])
def test_answers_that_contradict_themselves_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedFrame):
        decode_post_answer(data)


def test_what_is_sealed_and_what_signs_it_does_not_show() -> None:
    assert repr(POST.signature)[2:20] not in repr(POST)
    assert "envelope" not in repr(POST)


def test_a_post_holds_a_medium_envelope_and_no_other() -> None:
    assert len(POST.envelope) == SizeClass.MEDIUM
