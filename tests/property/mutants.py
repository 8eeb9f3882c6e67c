"""Bytes that are nearly right: what every decoder has to survive.

Seeded, so a failure replays. Each mutant is a valid object with one to three small harms: bits turned, bytes set to an
extreme, spans cut out, doubled, moved in from another object, the end cut off or grown. Some are noise from the start.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

DEFAULT_COUNT = 10_000
LONG_FACTOR = 10
_EXTREMES = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)


def mutants(valid: Sequence[bytes], *, count: int, rng: random.Random) -> Iterator[bytes]:
    """`count` harmed copies of the objects in `valid`."""
    for _ in range(count):
        if rng.random() < 0.02:
            yield rng.randbytes(rng.randrange(0, 300))
            continue
        data = bytearray(rng.choice(valid))
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            _harm(data, valid, rng)
        yield bytes(data)


def every_prefix(data: bytes) -> Iterator[bytes]:
    """The object broken off after each of its bytes."""
    for length in range(len(data)):
        yield data[:length]


def _harm(data: bytearray, valid: Sequence[bytes], rng: random.Random) -> None:
    at = rng.randrange(len(data)) if data else 0
    span = rng.randrange(1, 9)
    match rng.randrange(8):
        case 0 | 1 if data:
            data[at] ^= 1 << rng.randrange(8)
        case 2 if data:
            data[at] = rng.choice(_EXTREMES)
        case 3 if data:
            data[at : at + span] = bytes((rng.choice(_EXTREMES),)) * span
        case 4:
            del data[at : at + span]
        case 5:
            data[at:at] = data[at : at + span] or rng.randbytes(span)
        case 6:
            other = rng.choice(valid)
            start = rng.randrange(len(other)) if other else 0
            data[at : at + span] = other[start : start + rng.randrange(1, 40)]
        case _:
            if rng.random() < 0.5:
                del data[at:]
            else:
                data += rng.randbytes(span)
