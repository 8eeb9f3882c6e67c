"""Subjects, and what counts as an envelope frame."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.ids import MsgId, Tag, handle_of
from railgun_core.central.port import BATCH_BYTES, BATCH_FRAMES, is_envelope_frame, subject_of
from railgun_core.wire.envelope import SizeClass
from railgun_core.wire.frames import Ping, envelope_frame

TAG = Tag(b"t" * 32)


def frame(size: int) -> bytes:
    return envelope_frame(handle_of(TAG), expiry_s=1, msg_id=MsgId(bytes(16)), envelope=bytes(size))


@given(st.binary(min_size=32, max_size=32))
def test_a_subject_is_the_tag_and_nothing_else(tag: bytes) -> None:
    subject = subject_of(Tag(tag))
    assert subject == "railgun." + tag.hex()


@pytest.mark.parametrize("size", SizeClass)
def test_frames_of_all_three_sizes_are_envelope_frames(size: int) -> None:
    assert is_envelope_frame(frame(size))
    assert not is_envelope_frame(frame(size)[:-1])
    assert not is_envelope_frame(frame(size) + b"x")
    assert not is_envelope_frame(bytes(len(frame(size))))


@given(st.binary(max_size=600))
def test_garbage_is_no_envelope_frame(data: bytes) -> None:
    assert not is_envelope_frame(data)
    assert not is_envelope_frame(Ping(1).encode())


def test_a_batch_of_the_largest_frames_stays_in_its_bytes() -> None:
    assert len(frame(SizeClass.LARGE)) <= BATCH_BYTES
    assert BATCH_FRAMES * len(frame(SizeClass.SMALL)) <= BATCH_BYTES
