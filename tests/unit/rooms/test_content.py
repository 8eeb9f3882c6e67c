"""Items and syncs: round trips, strict bounds, and sizes that tell nothing about words."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import MemberId
from railgun_core.changes import Item, Membership
from railgun_core.rooms.content import (
    MAX_MEMBERS,
    MAX_PARTS,
    Entry,
    Mood,
    SentItem,
    Sync,
    decode_content,
    encode_item,
    encode_sync,
    size_for,
    split_message,
)
from railgun_core.wire.envelope import SizeClass
from tests.property.mutants import every_prefix
from tests.property.samples import MEMBERS, SYNCS, items

ME = MemberId(b"me-mine!")


@given(MEMBERS, items())
def test_any_item_comes_back_as_it_was(sender: MemberId, item: Item) -> None:
    assert decode_content(encode_item(sender, item)) == SentItem(sender, item)


@given(SYNCS)
def test_any_sync_comes_back_as_it_was(sync: Sync) -> None:
    assert decode_content(encode_sync(sync)) == sync


@given(st.integers(0, 10_000_000_000_000))
def test_an_item_that_is_passed_on_keeps_its_millisecond(sent_ms: int) -> None:
    once = encode_item(ME, Item(1, 0, 1, b"", sent_ms / 1000))
    read = decode_content(once)
    assert isinstance(read, SentItem)
    assert encode_item(ME, read.item) == once


def test_an_item_broken_off_in_its_head_is_refused_and_in_its_body_is_shorter() -> None:
    whole = encode_item(ME, Item(1, 0, 1, b"hello", 5.0))
    for prefix in every_prefix(whole):
        if len(prefix) < 29:
            with pytest.raises(MalformedFrame):
                decode_content(prefix)
        else:
            assert isinstance(decode_content(prefix), SentItem)


def test_a_sync_broken_off_anywhere_or_with_trailing_bytes_is_refused() -> None:
    whole = encode_sync(Sync(ME, Mood.HERE, 1, 2, (Entry(ME, Membership.ACTIVE, 3),)))
    for broken in (*every_prefix(whole), whole + b"\x00"):
        with pytest.raises(MalformedFrame):
            decode_content(broken)


@pytest.mark.parametrize(
    "item",
    [
        Item(0, 0, 1, b""),
        Item(1 << 62, 0, 1, b""),
        Item(1, 1, 1, b""),
        Item(1, 0, 0, b""),
        Item(1, 0, MAX_PARTS + 1, b""),
        Item(1, 0, 1, b"", float(1 << 52) / 1000 + 1),
    ],
)
def test_an_item_that_cannot_be_is_refused(item: Item) -> None:
    with pytest.raises(MalformedFrame):
        decode_content(encode_item(ME, item))


@pytest.mark.parametrize(
    "sync",
    [
        Sync(ME, Mood.HERE, 1 << 62, 0, ()),
        Sync(ME, Mood.HERE, 0, 1 << 63, ()),
        Sync(ME, Mood.HERE, 0, 0, (Entry(ME, Membership.ACTIVE, 1 << 62),)),
    ],
)
def test_a_sync_with_counts_beyond_what_a_store_holds_is_refused(sync: Sync) -> None:
    with pytest.raises(MalformedFrame):
        decode_content(encode_sync(sync))


def test_unknown_kinds_moods_and_memberships_are_refused() -> None:
    sync = encode_sync(Sync(ME, Mood.HERE, 1, 2, (Entry(ME, Membership.ACTIVE, 3),)))
    for at, known in ((0, {1, 2}), (9, set(Mood)), (28 + 8, set(Membership))):
        for value in set(range(256)) - {int(one) for one in known}:
            with pytest.raises(MalformedFrame):
                decode_content(sync[:at] + bytes((value,)) + sync[at + 1 :])


def test_a_sync_of_the_most_members_fits_a_large_envelope(rng: random.Random) -> None:
    entries = tuple(Entry(MemberId(n.to_bytes(8, "big")), Membership.ACTIVE, n) for n in range(MAX_MEMBERS))
    content = encode_sync(Sync(ME, Mood.HERE, 1, 2, entries))
    assert len(content) <= SizeClass.LARGE.capacity < len(content) + 17
    assert size_for(content) is SizeClass.LARGE


@given(st.binary(max_size=1_000))
def test_words_never_travel_in_a_small_envelope(body: bytes) -> None:
    assert size_for(encode_item(ME, Item(1, 0, 1, body))) is SizeClass.MEDIUM


def test_a_receipt_may_be_small() -> None:
    assert size_for(encode_sync(Sync(ME, Mood.HERE, 1, 2, ()))) is SizeClass.SMALL


@pytest.mark.parametrize("length", [0, 1, 4_035, 4_036, 65_475, 65_476, 200_000])
def test_a_message_is_split_and_put_together_again(length: int, rng: random.Random) -> None:
    body = rng.randbytes(length)
    pieces = split_message(body, 10, 5.0)
    assert b"".join(piece.body for piece in pieces) == body
    assert [piece.seq for piece in pieces] == [10 + n for n in range(len(pieces))]
    assert [(piece.part, piece.parts) for piece in pieces] == [(n, len(pieces)) for n in range(len(pieces))]
    assert (len(pieces) == 1) is (length <= 65_475)
    for piece in pieces:
        size = size_for(encode_item(ME, piece))
        assert len(encode_item(ME, piece)) <= size.capacity


def test_the_longest_message_has_no_more_parts_than_a_reader_takes() -> None:
    """4 MB is what the local API takes; 16,000,000 bytes is what the content can carry."""
    for length in (4 * 1024 * 1024, 16_000_000):
        pieces = split_message(bytes(length), 1, 0.0)
        assert isinstance(decode_content(encode_item(ME, pieces[-1])), SentItem)
