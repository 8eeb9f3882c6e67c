"""The envelopes a seat holds in memory until its epoch and overlap end, and the replay window over them.

Frames are kept as slices of the reads they came in, so taking one copies nothing. Where little of a read is kept they
are copies: at least half of what a spool keeps alive is charged for. Ids are exact, never probabilistic.
A name proves nothing: members can guess each other's, and relays see them. So other bytes under a name that is held
are kept beside the first, and who is told that its envelope is held can rely on these very bytes.
The window outlives a restart (its ids are saved in batches), the frames do not: the other seats hold copies, and an id
that is known without its frame may be taken in again, but is not pushed a second time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from railgun_core.base.ids import MsgId
from railgun_core.wire.frames import ENVELOPE_HEADER_BYTES

Slice = tuple[bytes, int, int]
OTHERS_AT_ONCE = 4  # of one name, for one question
_NONE: deque[Slice] = deque()


class Spool:
    """Frames by id, in order of arrival; the first of each. `position` counts arrivals."""

    __slots__ = ("_others", "_remembered", "_unsaved", "frames", "held_bytes", "max_bytes", "order")

    def __init__(self, *, max_bytes: int, remembered: Iterable[MsgId] = ()) -> None:
        self.frames: dict[MsgId, Slice] = {}
        self.order: list[MsgId] = []
        self.held_bytes = 0
        self.max_bytes = max_bytes
        self._others: dict[MsgId, deque[Slice]] = {}
        self._remembered = set(remembered)
        self._unsaved = 0

    @property
    def position(self) -> int:
        """How many envelopes have arrived."""
        return len(self.order)

    def was_pushed_before(self, msg_id: MsgId) -> bool:
        """Whether the id was seen before a restart."""
        return msg_id in self._remembered

    @property
    def remembers(self) -> bool:
        """Whether there are ids from before a restart."""
        return bool(self._remembered)

    def ids_since(self, position: int, most: int) -> list[MsgId]:
        """The first `most` ids that arrived from `position` on."""
        return self.order[position : position + most]

    def holds(self, msg_id: MsgId, data: bytes, start: int, stop: int) -> bool:
        """Whether these bytes are held under a name that is; when they expire they may say as they like."""
        body = data[start + ENVELOPE_HEADER_BYTES : stop]
        held = (self.frames[msg_id], *self._others.get(msg_id, ()))
        return any(body == there[first + ENVELOPE_HEADER_BYTES : last] for there, first, last in held)

    def hold_beside(self, msg_id: MsgId, piece: Slice) -> None:
        """Hold other bytes under a name that is held."""
        self._others.setdefault(msg_id, deque()).append(piece)

    def copy_out(self, data: bytes, mark: int) -> None:
        """Keep of one read only what arrived in it since `mark`: as slices these pieces would keep all of it."""
        for msg_id in dict.fromkeys(self.order[mark:]):
            if self.frames[msg_id][0] is data:
                self.frames[msg_id] = _copied(self.frames[msg_id])
            others = self._others.get(msg_id, _NONE)
            for at in range(-1, -1 - len(others), -1):
                if others[at][0] is not data:
                    break  # the latest are the last
                others[at] = _copied(others[at])

    def frame(self, msg_id: MsgId) -> bytes | None:
        """A whole frame, the first under its name, or None when none is held."""
        found = self.frames.get(msg_id)
        return None if found is None else found[0][found[1] : found[2]]

    def size(self, msg_id: MsgId) -> int:
        """How many bytes the first frame under a name has that is held."""
        _, start, stop = self.frames[msg_id]
        return stop - start

    def all_frames(self, msg_id: MsgId) -> list[bytes]:
        """All frames under a name."""
        first = self.frame(msg_id)
        others = [data[start:stop] for data, start, stop in self._others.get(msg_id, ())]
        return [] if first is None else [first, *others]

    def other_frames(self, msg_id: MsgId) -> list[bytes]:
        """The next few frames besides the first under a name: who asks again and again is given all of them."""
        others = self._others.get(msg_id)
        if others is None:
            return []
        found = [data[start:stop] for data, start, stop in list(others)[:OTHERS_AT_ONCE]]
        others.rotate(-len(found))
        return found

    def unsaved_ids(self) -> list[MsgId]:
        """The ids that arrived since the last call, for the store."""
        ids = self.order[self._unsaved :]
        self._unsaved = len(self.order)
        return ids


def _copied(piece: Slice) -> Slice:
    data, start, stop = piece
    return data[start:stop], 0, stop - start
