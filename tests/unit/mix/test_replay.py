"""What a mix remembers of packets: exactly at first, then without ever forgetting one."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.errors import MalformedFrame
from railgun_core.mix.replay import EXACT_TAGS, TAG_BYTES, ReplayWindow


@given(st.lists(st.binary(min_size=TAG_BYTES, max_size=TAG_BYTES), max_size=40))
def test_a_tag_is_new_once(tags: list[bytes]) -> None:
    window = ReplayWindow()
    seen: set[bytes] = set()
    for tag in tags:
        assert window.add(tag) is (tag not in seen)
        seen.add(tag)
    assert window.tags == len(seen)


def test_no_tag_is_forgotten_when_the_exact_set_is_full(rng: random.Random) -> None:
    window = ReplayWindow()
    tags = [rng.randbytes(TAG_BYTES) for _ in range(EXACT_TAGS + 2_000)]
    assert all(window.add(tag) for tag in tags)
    assert not any(window.add(tag) for tag in tags)
    assert window.tags == len(tags)


def test_saved_tags_are_known_again(rng: random.Random) -> None:
    window, tags = ReplayWindow(), [rng.randbytes(TAG_BYTES) for _ in range(100)]
    window.restore(b"".join(tags))
    assert not any(window.add(tag) for tag in tags)
    assert window.add(rng.randbytes(TAG_BYTES))


def test_half_a_tag_is_refused() -> None:
    with pytest.raises(MalformedFrame):
        ReplayWindow().restore(bytes(17))
