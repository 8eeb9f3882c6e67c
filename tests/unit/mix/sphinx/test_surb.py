"""Reply blocks: the answer arrives, only the maker reads it, and a touched one is never taken for words."""

from __future__ import annotations

import random

import pytest

from railgun_core.base.errors import MalformedFrame
from railgun_core.mix.sphinx import (
    PACKET_BYTES,
    PAYLOAD_BYTES,
    SLOTS,
    SURB_BYTES,
    SurbKeys,
    new_surb,
    open_reply,
    packet_from_surb,
)
from tests.unit.mix.sphinx.paths import make_path, walk


@pytest.mark.parametrize("length", range(1, SLOTS + 1))
def test_a_reply_comes_back_over_every_length_of_path(length: int, rng: random.Random) -> None:
    privates, path = make_path(length, rng=rng)
    surb, kept = new_surb(path, recipient=b"r" * 32, reply_id=b"i" * 16, rng=rng)
    assert len(surb) == SURB_BYTES
    first, packet = packet_from_surb(surb, b"stored by three")
    assert (first, len(packet)) == (path[0].node_id, PACKET_BYTES)
    last = walk(privates, packet)[-1]
    assert (last.recipient, last.reply_id) == (b"r" * 32, b"i" * 16)
    assert last.payload is not None
    assert len(last.payload) == PAYLOAD_BYTES + 32
    assert b"stored" not in last.payload
    again = SurbKeys.from_bytes(kept.to_bytes())
    assert again == kept
    assert open_reply(last.payload, again) == b"stored by three".ljust(PAYLOAD_BYTES, b"\x00")


def test_a_touched_reply_or_one_for_other_keys_is_refused(rng: random.Random) -> None:
    privates, path = make_path(3, rng=rng)
    surb, kept = new_surb(path, recipient=b"r" * 32, reply_id=b"i" * 16, rng=rng)
    _, others = new_surb(path, recipient=b"r" * 32, reply_id=b"i" * 16, rng=rng)
    _, packet = packet_from_surb(surb, b"yes")
    block = walk(privates, packet)[-1].payload
    assert block is not None
    for payload, keys in (
        (block, others),
        (block[:-1] + bytes([block[-1] ^ 1]), kept),
        (block[:-1], kept),
        (block, SurbKeys(kept.hops[:2], kept.payload)),
    ):
        with pytest.raises(MalformedFrame):
            open_reply(payload, keys)


def test_a_second_use_shows_the_same_tags(rng: random.Random) -> None:
    privates, path = make_path(3, rng=rng)
    surb, _ = new_surb(path, recipient=b"r" * 32, reply_id=b"i" * 16, rng=rng)
    tags = [[one.tag for one in walk(privates, packet_from_surb(surb, words)[1])] for words in (b"yes", b"no")]
    assert tags[0] == tags[1]


def test_wrong_sizes_are_refused(rng: random.Random) -> None:
    _, path = make_path(2, rng=rng)
    surb, kept = new_surb(path, recipient=b"r" * 32, reply_id=b"i" * 16, rng=rng)
    for wrong in (b"", surb[:-1], surb + b"\x00"):
        with pytest.raises(MalformedFrame):
            packet_from_surb(wrong, b"")
    for data in (b"", kept.payload, kept.to_bytes()[:-1]):
        with pytest.raises(MalformedFrame):
            SurbKeys.from_bytes(data)
    with pytest.raises(MalformedFrame):
        packet_from_surb(surb, bytes(PAYLOAD_BYTES + 1))
