"""Content that is larger than the one envelope size of a high-security room: cut into pieces, put together again.

Big items from before a room was made a high-security one, long messages, and syncs of large rooms travel so. A piece
has a name of its own; a receiver keeps incomplete content in bounds, and what it lets go of is sent again.
"""

from __future__ import annotations

import hashlib

from railgun_core.base.ids import MsgId
from railgun_core.rooms.content import Piece, encode_piece, piece_room
from railgun_core.wire.envelope import SizeClass

MAX_BYTES = 16 * 1024 * 1024  # of incomplete content, a room


def cut(content: bytes, msg_id: MsgId) -> list[tuple[MsgId, bytes]]:
    """The content as envelope contents that fit a medium envelope, with their names: itself when it fits."""
    if len(content) <= SizeClass.MEDIUM.capacity:
        return [(msg_id, content)]
    step = piece_room(SizeClass.MEDIUM)
    parts = [content[at : at + step] for at in range(0, len(content), step)]
    return [(name_of(msg_id, n), encode_piece(Piece(msg_id, n, len(parts), part))) for n, part in enumerate(parts)]


def name_of(msg_id: MsgId, index: int) -> MsgId:
    """The name of a piece of the content with this name."""
    return MsgId(hashlib.blake2b(index.to_bytes(2, "big"), key=msg_id, digest_size=16).digest())


class Puzzle:
    """Incomplete content of one room, the oldest first."""

    __slots__ = ("_held", "held_bytes")

    def __init__(self) -> None:
        self._held: dict[tuple[MsgId, int], dict[int, bytes]] = {}
        self.held_bytes = 0

    def add(self, piece: Piece) -> bytes | None:
        """The whole content, once its last piece is here."""
        key = (piece.whole, piece.count)
        parts = self._held.setdefault(key, {})
        if piece.index not in parts:
            parts[piece.index] = piece.body
            self.held_bytes += len(piece.body)
        if len(parts) == piece.count:
            self._drop(key)
            return b"".join(parts[n] for n in range(piece.count))
        while self.held_bytes > MAX_BYTES:
            self._drop(next(iter(self._held)))
        return None

    def _drop(self, key: tuple[MsgId, int]) -> None:
        self.held_bytes -= sum(map(len, self._held.pop(key).values()))
