"""The envelopes a seat holds in memory until its epoch and overlap end, and the replay window over them.

Frames are kept as slices of the reads they came in, so taking one copies nothing. Ids are exact, never probabilistic.
The window outlives a restart (its ids are saved in batches), the frames do not: the other seats hold copies, and an id
that is known without its frame may be taken in again, but is not pushed a second time.
"""

from __future__ import annotations

from collections.abc import Iterable

from railgun_core.base.ids import MsgId

Slice = tuple[bytes, int, int]


class Spool:
    """Frames by id, in order of arrival. `position` counts arrivals."""

    __slots__ = ("_remembered", "_unsaved", "frames", "held_bytes", "max_bytes", "order")

    def __init__(self, *, max_bytes: int, remembered: Iterable[MsgId] = ()) -> None:
        self.frames: dict[MsgId, Slice] = {}
        self.order: list[MsgId] = []
        self.held_bytes = 0
        self.max_bytes = max_bytes
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

    def ids_since(self, position: int) -> list[MsgId]:
        """The ids that arrived from `position` on."""
        return self.order[position:]

    def frame(self, msg_id: MsgId) -> bytes | None:
        """A whole frame, or None when it is not held."""
        found = self.frames.get(msg_id)
        return None if found is None else found[0][found[1] : found[2]]

    def unsaved_ids(self) -> list[MsgId]:
        """The ids that arrived since the last call, for the store."""
        ids = self.order[self._unsaved :]
        self._unsaved = len(self.order)
        return ids
