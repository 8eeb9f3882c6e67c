"""What stands in a payload: one encoding, and nothing else is taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.errors import MalformedFrame
from railgun_core.mix.parcel import (
    POST_BYTES,
    REPLY_BYTES,
    ParcelKind,
    decode,
    decode_reply,
    encode_drop,
    encode_post,
    encode_reply,
)
from railgun_core.mix.sphinx import PAYLOAD_BYTES, SURB_BYTES

SURB = b"s" * SURB_BYTES


@given(st.binary(max_size=POST_BYTES))
def test_a_post_comes_back_as_it_was(body: bytes) -> None:
    payload = encode_post(SURB, body)
    parcel = decode(payload)
    assert len(payload) == PAYLOAD_BYTES
    assert (parcel.kind, parcel.surb, parcel.body) == (ParcelKind.POST, SURB, body)


def test_a_post_and_a_drop_are_of_one_size() -> None:
    assert decode(encode_drop(SURB)).kind is ParcelKind.DROP
    assert len(encode_drop(SURB)) == len(encode_post(SURB, bytes(POST_BYTES))) == PAYLOAD_BYTES


@given(st.binary(max_size=REPLY_BYTES))
def test_a_reply_comes_back_as_it_was(body: bytes) -> None:
    assert decode_reply(encode_reply(body)) == body


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x07" + encode_post(SURB, b"x")[1:],
        encode_post(SURB, b"x")[:-1],
        encode_post(SURB, b"x") + b"\x00",
        encode_post(SURB, b"x")[:-1] + b"\x01",
        b"\x02" + encode_post(SURB, b"x")[1:],
        b"\x01" + SURB + (POST_BYTES + 1).to_bytes(2, "big") + bytes(POST_BYTES),
    ],
)
def test_a_payload_that_cannot_be_is_refused(payload: bytes) -> None:
    with pytest.raises(MalformedFrame):
        decode(payload)


@given(st.binary(max_size=PAYLOAD_BYTES))
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    for read in (decode, decode_reply):
        try:
            read(data)
        except MalformedFrame:
            continue


def test_what_does_not_fit_is_not_encoded() -> None:
    with pytest.raises(ValueError, match="size"):
        encode_post(SURB, bytes(POST_BYTES + 1))
    with pytest.raises(ValueError, match="size"):
        encode_drop(SURB[1:])
    with pytest.raises(ValueError, match="long"):
        encode_reply(bytes(REPLY_BYTES + 1))
