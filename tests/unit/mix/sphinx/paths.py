"""Paths of hops whose private keys the tests hold."""

from __future__ import annotations

import random

from railgun_core.mix.sphinx import Hop, Unwrapped, public_key, unwrap


def make_path(length: int, *, rng: random.Random) -> tuple[list[bytes], list[Hop]]:
    """Private keys and hops; the delay of hop i is 10 i milliseconds."""
    privates = [rng.randbytes(32) for _ in range(length)]
    hops = [Hop(rng.randbytes(32), public_key(one), 10 * at) for at, one in enumerate(privates)]
    return privates, hops


def walk(privates: list[bytes], packet: bytes) -> list[Unwrapped]:
    """What each hop learns as the packet goes its way."""
    learned = []
    for private in privates:
        learned.append(unwrap(private, packet))
        packet = learned[-1].packet or b""
    return learned
