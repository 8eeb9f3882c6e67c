"""Which packets have been here: no packet passes twice under one key.

The tags of a key are kept exactly up to EXACT_TAGS, then all of them move into a Bloom filter of 4 MiB. It never lets a
known tag pass. It takes a new one for known with P < 6e-7 up to a million tags; beyond that it stays as large
and errs more often (4e-4 at two millions): a flood costs the packets of that period, not memory and not safety.
Tags are keyed hashes and so uniform: their own bytes place their bits. Source: Bloom 1970; Kirsch and
Mitzenmacher 2008 for bits from few words, Dillinger and Manolios 2004 for the third word.
"""

from __future__ import annotations

import struct

from railgun_core.base.errors import MalformedFrame

TAG_BYTES = 16
EXACT_TAGS = 40_000  # about 5 MB; with two live keys and a filter below the 16 MB of threats.md B23
BLOOM_BITS = 1 << 25
BLOOM_HASHES = 12
_MASK = BLOOM_BITS - 1
_WORDS = struct.Struct(">III")


class ReplayWindow:
    """The tags seen under one key."""

    __slots__ = ("_bits", "_exact", "tags")

    def __init__(self) -> None:
        self._exact: set[bytes] = set()
        self._bits: bytearray | None = None
        self.tags = 0

    def add(self, tag: bytes) -> bool:
        """Note a tag; whether it is new. Below 1 us while exact, up to 10 us after."""
        if self._bits is not None:
            fresh = _mark(self._bits, tag)
        else:
            fresh = tag not in self._exact
            self._exact.add(tag)
            if len(self._exact) > EXACT_TAGS:
                self._spill()
        self.tags += fresh
        return fresh

    def restore(self, tags: bytes) -> None:
        """Take back saved tags, 16 bytes each, joined."""
        if len(tags) % TAG_BYTES:
            raise MalformedFrame("tags")
        for at in range(0, len(tags), TAG_BYTES):
            self.add(tags[at : at + TAG_BYTES])

    def _spill(self) -> None:
        bits = self._bits = bytearray(BLOOM_BITS // 8)
        for tag in self._exact:
            _mark(bits, tag)
        self._exact = set()


def _mark(bits: bytearray, tag: bytes) -> bool:
    """Set the bits of a tag; whether one of them was not set."""
    place, step, growth = _WORDS.unpack_from(tag)
    step |= 1
    fresh = False
    for _ in range(BLOOM_HASHES):
        index, bit = (place & _MASK) >> 3, 1 << (place & 7)
        byte = bits[index]
        if not byte & bit:
            bits[index] = byte | bit
            fresh = True
        place += step
        step += growth
    return fresh
