"""Keys of replies: used once, forgotten in time, never too many."""

from __future__ import annotations

from railgun_core.base.clock import Instant
from railgun_core.base.ids import PeerId
from railgun_core.mix.posts import KEYS_LIVE_S, MAX_KEYS, Awaited, Post, ReplyKeys
from railgun_core.mix.sphinx import SurbKeys

KEYS = SurbKeys((b"h" * 48,), b"p" * 64)


def awaited(now: Instant, post: Post | None = None) -> Awaited:
    return Awaited(KEYS, post, now.mono_s, 0.5, 9)


def test_keys_open_one_reply_only(now: Instant) -> None:
    keys = ReplyKeys()
    keys.add(b"a", awaited(now))
    assert keys.take(b"a") is not None
    assert keys.take(b"a") is None


def test_keys_are_forgotten_after_ten_minutes(now: Instant) -> None:
    keys = ReplyKeys()
    keys.add(b"old", awaited(now))
    keys.add(b"new", awaited(now.after(60)))
    keys.expire(now.after(KEYS_LIVE_S))
    assert keys.take(b"old") is None
    assert keys.take(b"new") is not None


def test_the_oldest_keys_go_when_there_are_too_many(now: Instant) -> None:
    keys = ReplyKeys()
    for n in range(MAX_KEYS + 1):
        keys.add(n.to_bytes(4, "big"), awaited(now))
    assert len(keys) == MAX_KEYS
    assert keys.take(bytes(4)) is None


def test_with_a_post_go_the_keys_of_all_its_tries(now: Instant) -> None:
    keys = ReplyKeys()
    post = Post(1, b"x", PeerId(b"p" * 32), lambda reply, now, out: None)
    for reply_id, whose in ((b"1", post), (b"2", None), (b"3", post)):
        keys.add(reply_id, awaited(now, whose))
    keys.forget(post)
    assert len(keys) == 1


def test_nothing_secret_shows(now: Instant) -> None:
    shown = repr(awaited(now, Post(1, b"words", PeerId(b"p" * 32), lambda reply, now, out: None)))
    assert "words" not in shown
    assert "hhh" not in shown
