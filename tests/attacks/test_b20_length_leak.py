"""B20: lengths and refusals that would tell of what is sealed.

Padding lies under the seal, so only who holds the room's key can make bad padding; to all others every harmed envelope
is a bad tag. What is left to show: three sizes on the wire, one error, and refusals that take as long for a full
envelope as for an empty one.
"""

from __future__ import annotations

import gc
import math
import random
import statistics
import time

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import MemberId, MsgId, PublicKey, TagHandle
from railgun_core.changes import Item, Membership
from railgun_core.ratchet.group import OutboundGroup
from railgun_core.rooms.content import (
    Entry,
    Form,
    Mood,
    SentItem,
    Sync,
    encode_item,
    encode_plain,
    encode_sync,
    size_for,
    split_message,
)
from railgun_core.wire.envelope import SizeClass, open_envelope, seal
from railgun_core.wire.frames import ENVELOPE_FRAME_SIZES, envelope_frame

ME = MemberId(b"me-mine!")
KEY = PublicKey(b"k" * 32)


def encrypted(item: Item, group: OutboundGroup) -> bytes:
    return encode_item(SentItem(ME, item.seq, 1, Form.GROUP, group.encrypt(encode_plain(item, top=True))))


def on_the_wire(content: bytes, key: bytes, rng: random.Random) -> bytes:
    envelope = seal(content, key, size=size_for(content), nonce=rng.randbytes(12))
    return envelope_frame(TagHandle(bytes(8)), expiry_s=1, msg_id=MsgId(bytes(16)), envelope=envelope)


def test_every_frame_on_the_wire_has_one_of_three_sizes(rng: random.Random) -> None:
    key, sizes, group = rng.randbytes(32), set(), OutboundGroup()
    for length in [0, 1, 100, *(rng.randrange(300_000) for _ in range(40))]:
        for item in split_message(rng.randbytes(length), 1, 5.0):
            sizes.add(len(on_the_wire(encrypted(item, group), key, rng)))
    for members in (0, 1, 5, 6, 200, 3_000):
        entries = tuple(Entry(ME, Membership.ACTIVE, 1) for _ in range(members))
        sizes.add(len(on_the_wire(encode_sync(Sync(KEY, Mood.HERE, 1, 2, entries, signature=bytes(64))), key, rng)))
    assert sizes == ENVELOPE_FRAME_SIZES
    assert len(sizes) == 3


def test_all_words_that_fit_a_medium_envelope_look_alike(rng: random.Random) -> None:
    key, group = rng.randbytes(32), OutboundGroup()
    for length in (0, 1, 2, 50, 195, 196, 3_900, 3_933):
        (item,) = split_message(bytes(length), 1, 5.0)
        frame = on_the_wire(encrypted(item, group), key, rng)
        assert len(frame) == 33 + SizeClass.MEDIUM
        assert abs(frame[33:].count(0) - 16) < 40  # 4,096 uniform bytes hold 16 zeros


def test_bad_padding_and_a_bad_tag_are_one_error(rng: random.Random) -> None:
    key = rng.randbytes(32)
    too_long = (500).to_bytes(4, "big") + bytes(224)
    bad_padding = bytes(12) + ChaCha20Poly1305(key).encrypt(bytes(12), too_long, None)
    bad_tag = bad_padding[:-1] + bytes((bad_padding[-1] ^ 1,))
    seen = set()
    for envelope in (bad_padding, bad_tag, bad_padding[:-1], b""):
        with pytest.raises(MalformedFrame) as refused:
            open_envelope(envelope, key)
        seen.add((type(refused.value), refused.value.code, refused.value.detail, refused.value.__cause__))
    assert len(seen) == 1


def _refusal_ns(envelope: bytes, key: bytes) -> int:
    start = time.perf_counter_ns()
    try:
        open_envelope(envelope, key)
    except MalformedFrame:
        return time.perf_counter_ns() - start
    raise AssertionError("a harmed envelope opened")


def _welch_t(one: list[int], other: list[int]) -> float:
    spread = statistics.variance(one) / len(one) + statistics.variance(other) / len(other)
    return (statistics.fmean(one) - statistics.fmean(other)) / math.sqrt(spread)


def _difference(harmed: list[bytes], key: bytes, trials: int, rng: random.Random) -> float:
    """Welch's t between the times of two refusals, tried in random order."""
    times: tuple[list[int], list[int]] = ([], [])
    gc.disable()
    try:
        for _ in range(trials):
            which = rng.randrange(2)
            times[which].append(_refusal_ns(harmed[which], key))
    finally:
        gc.enable()
    # What the machine did in between is cut off at one limit for both, so that it cannot make a difference.
    limit = sorted(times[0] + times[1])[int(0.9 * trials)]
    kept = [[ns for ns in side if ns <= limit] for side in times]
    return _welch_t(kept[0], kept[1])


def test_a_refusal_takes_as_long_for_a_full_envelope_as_for_an_empty_one(rng: random.Random, long_run: bool) -> None:
    key, trials = rng.randbytes(32), 100_000 if long_run else 4_000
    harmed = []
    for length in (0, SizeClass.MEDIUM.capacity):
        envelope = bytearray(seal(bytes(length), key, size=SizeClass.MEDIUM, nonce=rng.randbytes(12)))
        envelope[-1] ^= 1
        harmed.append(bytes(envelope))
    # A leak is there most of the time; a machine that was busy with something else in one round is not.
    rounds = [_difference(harmed, key, trials, rng) for _ in range(5)]
    assert abs(statistics.median(rounds)) < 4.5, rounds
