"""Write tokens."""

from __future__ import annotations

import random

from railgun_core.base.clock import Instant
from railgun_core.base.keys import Identity
from railgun_core.discovery.write_tokens import WriteTokens

ME = Identity(b"\x01" * 32)
HERE = ("10.0.0.1", 4_000)
START = Instant(1_000.0, 1_700_000_000.0)


def test_a_token_belongs_to_one_address_and_one_key_for_ten_to_twenty_minutes() -> None:
    tokens = WriteTokens(random.Random(1), now_s=0.0)
    other = Identity(b"\x02" * 32).public_key
    token = tokens.issue(HERE, ME.public_key, now_s=1.0)
    assert tokens.valid(token, HERE, ME.public_key, now_s=2.0)
    assert not tokens.valid(token, ("10.0.0.1", 4_001), ME.public_key, now_s=2.0)
    assert not tokens.valid(token, HERE, other, now_s=2.0)
    assert not tokens.valid(b"", HERE, ME.public_key, now_s=2.0)
    assert tokens.valid(token, HERE, ME.public_key, now_s=700.0)
    assert not tokens.valid(token, HERE, ME.public_key, now_s=1_301.0)


def test_a_token_is_dead_after_a_long_sleep() -> None:
    tokens = WriteTokens(random.Random(1), now_s=0.0)
    token = tokens.issue(HERE, ME.public_key, now_s=1.0)
    assert not tokens.valid(token, HERE, ME.public_key, now_s=5_000.0)
