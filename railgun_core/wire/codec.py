"""A bounded reader and writer for small binary objects.

Used for everything that is not on the hot path: control frames, records, invites, room content. Every
read checks what is left, and `Reader.end()` refuses trailing bytes, so each object has one encoding.
"""

from __future__ import annotations

from collections.abc import Sequence

from railgun_core.base.errors import MalformedFrame


class Reader:
    """Reads fields from `data` in order. Every method raises MalformedFrame when bytes are missing."""

    __slots__ = ("_at", "_data", "_end")

    def __init__(self, data: bytes, at: int = 0, end: int | None = None) -> None:
        self._data = data
        self._at = at
        self._end = len(data) if end is None else end

    def take(self, length: int) -> bytes:
        """The next `length` bytes."""
        start, stop = self._at, self._at + length
        if stop > self._end:
            raise MalformedFrame("truncated")
        self._at = stop
        return self._data[start:stop]

    def u8(self) -> int:
        return self.take(1)[0]

    def u16(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def u64(self) -> int:
        return int.from_bytes(self.take(8), "big")

    def flag(self) -> bool:
        """A byte that is 0 or 1, nothing else."""
        value = self.u8()
        if value > 1:
            raise MalformedFrame("flag")
        return value == 1

    def count(self, limit: int) -> int:
        """A one-byte count of at most `limit`."""
        value = self.u8()
        if value > limit:
            raise MalformedFrame("count")
        return value

    def blob8(self, limit: int = 255) -> bytes:
        """Bytes behind a one-byte length."""
        return self.take(self.count(limit))

    def blob16(self, limit: int = 65_535) -> bytes:
        """Bytes behind a two-byte length."""
        length = self.u16()
        if length > limit:
            raise MalformedFrame("length")
        return self.take(length)

    def text8(self, limit: int = 255) -> str:
        """UTF-8 behind a one-byte length."""
        try:
            return self.blob8(limit).decode("utf-8")
        except UnicodeDecodeError:
            raise MalformedFrame("text") from None

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(self._end - self._at)

    def end(self) -> None:
        """Refuse trailing bytes."""
        if self._at != self._end:
            raise MalformedFrame("trailing bytes")


def blob8(value: bytes) -> bytes:
    """A one-byte length and the bytes."""
    return len(value).to_bytes(1, "big") + value


def blob16(value: bytes) -> bytes:
    """A two-byte length and the bytes."""
    return len(value).to_bytes(2, "big") + value


def u16(value: int) -> bytes:
    return value.to_bytes(2, "big")


def u32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def array8(items: Sequence[bytes]) -> bytes:
    """A one-byte count and the items, one after the other."""
    return len(items).to_bytes(1, "big") + b"".join(items)
