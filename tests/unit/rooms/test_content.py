"""Items, syncs and letters: round trips, strict bounds, signatures, and sizes that tell nothing about words."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import MemberId, Tag
from railgun_core.base.keys import Identity
from railgun_core.changes import Item, Membership
from railgun_core.ratchet.account import Bundle
from railgun_core.ratchet.group import OutboundGroup
from railgun_core.rooms.content import (
    MAX_MEMBERS,
    MAX_PARTS,
    Entry,
    Form,
    Kind,
    Letter,
    Letters,
    Mood,
    SentItem,
    Sync,
    body_room,
    decode_content,
    decode_plain,
    encode_item,
    encode_letters,
    encode_plain,
    encode_sync,
    is_authentic,
    opaque_item,
    open_opaque,
    signed_sync,
    size_for,
    split_letters,
    split_message,
)
from railgun_core.rooms.epoch_keys import member_id_of
from railgun_core.wire.envelope import SizeClass
from tests.property.mutants import every_prefix
from tests.property.samples import LETTERS, SENT_ITEMS, SYNCS, items

ME = Identity(b"\x05" * 32)
NAME = member_id_of(ME.public_key)
TAG = Tag(b"t" * 32)


def encrypted(item: Item) -> bytes:
    """An item as it travels, under a fresh ratchet."""
    payload = OutboundGroup().encrypt(encode_plain(item, top=True))
    return encode_item(SentItem(NAME, item.seq, 1, Form.GROUP, payload))


def signed(*entries: Entry, first: int = 1, last: int = 2) -> Sync:
    return signed_sync(Sync(ME.public_key, Mood.HERE, first, last, entries), ME, TAG)


@given(SENT_ITEMS)
def test_any_item_comes_back_as_it_was(sent: SentItem) -> None:
    assert decode_content(encode_item(sent)) == sent


@given(items(), st.booleans())
def test_what_is_encrypted_of_an_item_comes_back_as_it_was(item: Item, top: bool) -> None:
    assert decode_plain(encode_plain(item, top=top), item.seq, opaque=False) == (item, top)


@given(SYNCS)
def test_any_sync_comes_back_as_it_was(sync: Sync) -> None:
    assert decode_content(encode_sync(sync)) == sync


@given(LETTERS)
def test_any_letters_come_back_as_they_were(letters: Letters) -> None:
    assert decode_content(encode_letters(letters)) == letters


@given(st.integers(0, 10_000_000_000_000))
def test_an_item_that_is_passed_on_keeps_its_millisecond(sent_ms: int) -> None:
    once = encode_plain(Item(1, 0, 1, b"", sent_ms / 1000), top=False)
    item, _ = decode_plain(once, 1, opaque=False)
    assert encode_plain(item, top=False) == once


def test_a_sync_or_letters_broken_off_anywhere_or_with_trailing_bytes_are_refused() -> None:
    sync = encode_sync(signed(Entry(NAME, Membership.ACTIVE, 3)))
    letters = encode_letters(Letters(Kind.KEYS, ME.public_key, bytes(32), 1, (Letter(NAME, 0, b"x"),), bytes(64)))
    for whole in (sync, letters):
        for broken in (*every_prefix(whole), whole + b"\x00"):
            with pytest.raises(MalformedFrame):
                decode_content(broken)


@pytest.mark.parametrize(
    "item",
    [
        Item(1, 1, 1, b""),
        Item(1, 0, 0, b""),
        Item(1, 0, MAX_PARTS + 1, b""),
        Item(1, 0, 1, b"", float(1 << 52) / 1000 + 1),
    ],
)
def test_an_item_that_cannot_be_is_refused(item: Item) -> None:
    with pytest.raises(MalformedFrame):
        decode_plain(encode_plain(item, top=True), item.seq, opaque=False)


@pytest.mark.parametrize(("seq", "generation"), [(0, 1), (1 << 62, 1), (1, 0)])
def test_an_item_without_a_sequence_or_a_generation_is_refused(seq: int, generation: int) -> None:
    with pytest.raises(MalformedFrame):
        decode_content(encode_item(SentItem(NAME, seq, generation, Form.GROUP, b"")))


@pytest.mark.parametrize(
    "sync",
    [
        signed(first=1 << 62, last=0),
        signed(first=0, last=1 << 63),
        signed(Entry(NAME, Membership.ACTIVE, 1 << 62)),
    ],
)
def test_a_sync_with_counts_beyond_what_a_store_holds_is_refused(sync: Sync) -> None:
    with pytest.raises(MalformedFrame):
        decode_content(encode_sync(sync))


def test_unknown_kinds_moods_flags_memberships_forms_and_types_are_refused() -> None:
    sync = encode_sync(signed(Entry(NAME, Membership.ACTIVE, 3)))
    item = encode_item(SentItem(NAME, 1, 1, Form.GROUP, b"x"))
    letters = encode_letters(Letters(Kind.KEYS, ME.public_key, bytes(32), 1, (Letter(NAME, 0, b"x"),), bytes(64)))
    places: list[tuple[bytes, int, set[int]]] = [
        (sync, 0, {2, 5}),
        (sync, 33, set(Mood)),
        (sync, 34, {0, 1}),
        (sync, 53 + 8, set(Membership)),
        (item, 21, set(Form)),
        (letters, 71 + 8, {0, 1}),
    ]
    for whole, at, known in places:
        for value in set(range(256)) - {int(one) for one in known}:
            with pytest.raises(MalformedFrame):
                decode_content(whole[:at] + bytes((value,)) + whole[at + 1 :])


def test_a_sync_is_its_authors_for_one_lane_only() -> None:
    sync = signed(Entry(NAME, Membership.ACTIVE, 3))
    assert is_authentic(sync, TAG)
    assert not is_authentic(sync, Tag(b"u" * 32))
    assert not is_authentic(replace(sync, last=9), TAG)
    assert not is_authentic(replace(sync, key=Identity(b"\x06" * 32).public_key), TAG)


def test_an_opaque_item_is_its_senders_and_nobody_elses() -> None:
    item = Item(3, 0, 1, b"ciphertext of another messenger", 5.0, opaque=True)
    sent = opaque_item(ME, item, 4, top=True)
    assert open_opaque(sent, ME.public_key) == (item, True)
    for forged in (replace(sent, seq=4), replace(sent, payload=sent.payload[:-1]), replace(sent, payload=b"")):
        with pytest.raises(MalformedFrame):
            open_opaque(forged, ME.public_key)
    with pytest.raises(MalformedFrame):
        open_opaque(sent, Identity(b"\x06" * 32).public_key)


def test_a_sync_of_the_most_members_fits_a_large_envelope(rng: random.Random) -> None:
    entries = tuple(Entry(MemberId(n.to_bytes(8, "big")), Membership.ACTIVE, n) for n in range(MAX_MEMBERS))
    bundle = Bundle(rng.randbytes(32), rng.randbytes(32), tuple(rng.randbytes(32) for _ in range(16)))
    content = encode_sync(signed_sync(Sync(ME.public_key, Mood.HERE, 1, 2, entries, bundle=bundle), ME, TAG))
    assert len(content) <= SizeClass.LARGE.capacity < len(content) + 21
    assert size_for(content) is SizeClass.LARGE


@given(st.binary(max_size=1_000))
def test_words_never_travel_in_a_small_envelope(body: bytes) -> None:
    assert size_for(encrypted(Item(1, 0, 1, body))) is SizeClass.MEDIUM


def test_a_receipt_of_a_small_room_may_be_small() -> None:
    few = tuple(Entry(MemberId(bytes((n,)) * 8), Membership.ACTIVE, n) for n in range(5))
    assert size_for(encode_sync(signed(*few))) is SizeClass.SMALL


@pytest.mark.parametrize("length", [0, 1, 3_933, 3_934, 65_373, 65_374, 200_000])
def test_a_message_is_split_and_put_together_again(length: int, rng: random.Random) -> None:
    body = rng.randbytes(length)
    pieces = split_message(body, 10, 5.0)
    assert b"".join(piece.body for piece in pieces) == body
    assert [piece.seq for piece in pieces] == [10 + n for n in range(len(pieces))]
    assert [(piece.part, piece.parts) for piece in pieces] == [(n, len(pieces)) for n in range(len(pieces))]
    assert (len(pieces) == 1) is (length <= 65_373)
    for piece in pieces:
        for content in (encrypted(piece), encode_item(opaque_item(ME, piece, 1, top=True))):
            assert len(content) <= size_for(content).capacity


def test_an_item_fits_its_class_also_as_the_last_of_a_long_generation() -> None:
    group = OutboundGroup()
    for _ in range(300):
        payload = group.encrypt(b"")
    for size in (SizeClass.MEDIUM, SizeClass.LARGE):
        payload = group.encrypt(encode_plain(Item(1, 0, 1, bytes(body_room(size)), 5.0), top=True))
        content = encode_item(SentItem(NAME, 1 << 61, 0xFFFFFFFF, Form.GROUP, payload))
        assert len(content) <= size.capacity
        assert size_for(content) is size


def test_the_longest_message_has_no_more_parts_than_a_reader_takes() -> None:
    """4 MB is what the local API takes; 16,000,000 bytes is what the content can carry."""
    for length in (4 * 1024 * 1024, 16_000_000):
        last = split_message(bytes(length), 1, 0.0)[-1]
        assert decode_plain(encode_plain(last, top=True), last.seq, opaque=False) == (last, True)


def test_letters_are_cut_into_medium_envelopes() -> None:
    letters = [Letter(MemberId(n.to_bytes(8, "big")), 0, bytes(300 + n)) for n in range(100)]
    runs = split_letters(letters)
    assert [letter for run in runs for letter in run] == letters
    for run in runs:
        content = encode_letters(Letters(Kind.KEYS, ME.public_key, bytes(32), 1, run, bytes(64)))
        assert len(content) <= SizeClass.MEDIUM.capacity
        assert size_for(content) is SizeClass.MEDIUM
    assert len(runs) < 12
