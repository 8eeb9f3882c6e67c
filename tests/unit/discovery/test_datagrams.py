"""The DHT's wire: one encoding per message, and MalformedFrame for everything else."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.keys import Identity
from railgun_core.discovery.datagrams import (
    MAX_DATAGRAM_BYTES,
    MIN_QUESTION_BYTES,
    Challenge,
    ContactInfo,
    FindGroups,
    FindNode,
    FindValue,
    Groups,
    Message,
    Nodes,
    Ping,
    Pong,
    Store,
    Stored,
    Values,
    decode_head,
    decode_message,
    encode_datagram,
    fitting,
)

ME = Identity(b"\x01" * 32)
TOKEN = b"t" * 16
KEY = b"k" * 20
CONTACTS = (ContactInfo(b"a" * 20, "10.0.0.1", 4_000), ContactInfo(b"b" * 20, "fd00::1", 65_535))
MESSAGES: list[Message] = [
    Ping(b""),
    Ping(TOKEN),
    FindNode(TOKEN, KEY),
    FindValue(b"", KEY, 3),
    FindGroups(TOKEN, KEY, 65_535),
    Store(TOKEN, KEY, b"r" * 1_000),
    Pong(TOKEN, ("fd00::2", 1)),
    Nodes(TOKEN, CONTACTS),
    Nodes(TOKEN, ()),
    Values(TOKEN, 9, 2, (b"r" * 300, b"s" * 400), CONTACTS),
    Groups(TOKEN, 40, 24, (KEY, b"l" * 20), CONTACTS),
    Stored(TOKEN, True),
    Challenge(TOKEN),
]


def encode(message: Message, at_least: int = MIN_QUESTION_BYTES) -> bytes:
    return encode_datagram(ME, message, request_id=b"requestx", time_ms=1_700_000_000_000, at_least=at_least)


def decode(raw: bytes) -> Message:
    return decode_message(raw, decode_head(raw))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
def test_every_message_comes_back_as_it_was(message: Message) -> None:
    raw = encode(message)
    head = decode_head(raw)
    assert decode(raw) == message
    assert (head.public_key, head.time_ms, head.request_id) == (ME.public_key, 1_700_000_000_000, b"requestx")
    assert len(raw) <= MAX_DATAGRAM_BYTES


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
def test_every_cut_and_every_appended_byte_is_refused(message: Message) -> None:
    raw = encode(message)
    for length in [*range(0, len(raw), 7), len(raw) - 1]:
        with pytest.raises(MalformedFrame):
            decode(raw[:length])
    with pytest.raises(MalformedFrame):
        decode(raw + b"\x00")


def test_questions_are_padded_and_answers_are_not() -> None:
    assert len(encode(Ping(b""), at_least=600)) == 600
    assert len(encode(Ping(b""), at_least=5_000)) == MAX_DATAGRAM_BYTES
    assert len(encode(Challenge(TOKEN), at_least=600)) < MIN_QUESTION_BYTES
    assert len(encode(Pong(TOKEN, ("fd00::2", 1)))) <= MIN_QUESTION_BYTES


def test_a_question_too_short_to_be_answered_is_refused() -> None:
    with pytest.raises(MalformedFrame):
        decode_head(encode(Ping(b""), at_least=0))


@pytest.mark.parametrize("host", ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::1", "::ffff:10.0.0.1"])
def test_addresses_that_no_node_can_have_are_refused(host: str) -> None:
    with pytest.raises(MalformedFrame):
        decode(encode(Nodes(TOKEN, (ContactInfo(b"a" * 20, host, 4_000),))))


def test_port_zero_is_refused() -> None:
    with pytest.raises(MalformedFrame):
        decode(encode(Nodes(TOKEN, (ContactInfo(b"a" * 20, "10.0.0.1", 0),))))


def test_an_answer_without_a_token_is_refused() -> None:
    with pytest.raises(MalformedFrame):
        decode(encode(Stored(b"", True)))


def test_a_contact_does_not_show_its_address() -> None:
    assert "10.0.0.1" not in repr(CONTACTS[0])


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(MESSAGES) - 1), st.integers(0), st.integers(0, 7))
def test_a_flipped_bit_anywhere_is_refused(which: int, where: int, bit: int) -> None:
    raw = bytearray(encode(MESSAGES[which]))
    raw[where % len(raw)] ^= 1 << bit
    with pytest.raises(MalformedFrame):
        decode(bytes(raw))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=1_300))
def test_noise_raises_malformed_frame_and_nothing_else(raw: bytes) -> None:
    with pytest.raises(MalformedFrame):
        decode(raw)


def test_signed_noise_raises_malformed_frame_or_decodes() -> None:
    """The sender may sign whatever it likes: bodies are as hostile as unsigned bytes."""
    rng = random.Random(1)
    for kind in (1, 2, 3, 4, 5, 17, 18, 19, 20, 21, 22):
        for _ in range(60):
            body = rng.randbytes(rng.randrange(40, 300))
            if rng.random() < 0.5:
                body = b"\x10" + body
            signed = bytes((1, kind)) + ME.public_key + bytes(8) + b"requestx" + body
            raw = signed + ME.sign("dht", signed)
            try:
                decode(raw)
            except MalformedFrame:
                continue


def test_fitting_counts_what_goes_into_a_budget() -> None:
    assert fitting(10, [4, 4, 4]) == 2
    assert fitting(12, [4, 4, 4]) == 3
    assert fitting(-1, [4]) == 0
    assert fitting(0, []) == 0
