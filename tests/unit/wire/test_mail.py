"""Frames of the mailbox: what is signed, by whom, and that neither can be taken for a post."""

from __future__ import annotations

from dataclasses import replace

import pytest

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import MsgId, PeerId, Tag
from railgun_core.base.keys import Identity
from railgun_core.wire.codec import Reader
from railgun_core.wire.mail import Deposit, Evicted, Obituary, sign_deposit, sign_evicted, sign_obituary
from railgun_core.wire.posts import Post, sign_post

KEY, OTHER = Identity(b"k" * 32), Identity(b"o" * 32)
MSG, TAG = MsgId(b"m" * 16), Tag(b"t" * 32)


def test_a_deposit_is_signed_whole_by_the_key_of_its_tag() -> None:
    deposit = sign_deposit(KEY, 20_833, 1_800_604_800, MSG, b"e" * 256)
    assert deposit.tag == KEY.public_key
    assert deposit.is_signed()
    assert Deposit.from_body(deposit.body) == deposit
    for changed in (
        replace(deposit, day=1),
        replace(deposit, expiry_s=1),
        replace(deposit, msg_id=MsgId(b"n" * 16)),
        replace(deposit, envelope=b"f" * 256),
        replace(deposit, tag=Tag(OTHER.public_key)),
    ):
        assert not changed.is_signed()


def test_a_post_is_no_deposit_and_a_deposit_no_post() -> None:
    post = sign_post(KEY, 20_833, 9, MSG, b"e" * 4_096)
    assert not Deposit.from_body(post.encode()).is_signed()
    deposit = sign_deposit(KEY, 20_833, 9, MSG, b"e" * 4_096)
    assert not Post(deposit.tag, 20_833, 9, MSG, deposit.signature, deposit.envelope).is_signed()


def test_a_deposit_of_another_size_is_refused() -> None:
    whole = sign_deposit(KEY, 1, 2, MSG, b"e" * 256).body
    for body in (whole[:-1], whole + b"x", whole[:100]):
        with pytest.raises(MalformedFrame):
            Deposit.from_body(body)


def test_an_eviction_is_the_signed_word_of_its_mailbox() -> None:
    notice = sign_evicted(KEY, TAG, 20_833, first=3, last=8, count=5, at_s=1_800_000_000)
    assert notice.is_signed()
    assert not replace(notice, count=4).is_signed()
    assert not replace(notice, key=OTHER.public_key).is_signed()


@pytest.mark.parametrize(("first", "last", "count"), [(8, 3, 1), (3, 8, 0), (3, 8, 7)])
def test_an_eviction_that_contradicts_itself_is_refused(first: int, last: int, count: int) -> None:
    notice = sign_evicted(KEY, TAG, 20_833, first=first, last=last, count=count, at_s=1)
    with pytest.raises(MalformedFrame):
        Evicted.decode(Reader(notice.encode()[5:]))


def test_an_obituary_names_its_observer_and_cannot_be_moved_to_another() -> None:
    word = sign_obituary(KEY, PeerId(b"p" * 32), sequence=9, silent_s=1_800_000_000, at_s=1_800_000_030)
    assert word.is_signed()
    assert word.observer == KEY.peer_id
    assert not replace(word, key=OTHER.public_key).is_signed()
    assert Obituary.decode(Reader(word.encode()[5:])) == word
