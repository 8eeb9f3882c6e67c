"""What the engine asks of a store. Implemented on SQLite, and in memory for the simulator; one contract suite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from railgun_core.base.ids import RoomId, Tag
from railgun_core.changes import (
    Change,
    CommitteePut,
    DutyPut,
    ExposurePut,
    Item,
    Message,
    PeerPut,
    StoredState,
    TrafficAdd,
)


class Store(Protocol):
    """All methods raise EnvironmentFailure (disk-full, database-damaged, unwritable) and nothing else."""

    async def load(self) -> StoredState:
        """What the node needs at start."""

    async def commit(self, changes: Sequence[Change]) -> None:
        """Apply in one transaction; on return it survives kill -9 and power loss (synchronous=FULL).

        Concurrent commits share a transaction (group commit), in the order of the calls.
        """

    def commit_soon(self, changes: Sequence[Change]) -> None:
        """Apply within a second or with the next commit: for what may be lost in a crash (counters, duties)."""

    async def own_items(self, room: RoomId, first: int, last: int) -> tuple[Item, ...]:
        """Own items first..last (inclusive) that are still kept, in order."""

    async def mail(self, tag: Tag, position: int, limit: int) -> tuple[tuple[int, bytes], ...]:
        """Envelope frames kept under a mail tag with their positions: from `position` on, at most `limit`, in order."""

    async def messages(
        self, room: RoomId, *, after: int, limit: int, max_bytes: int | None = None
    ) -> tuple[Message, ...]:
        """Whole messages whose position is above `after`, oldest first; own ones included.

        At most `limit`, and past the first only as many as keep their bodies within `max_bytes`.
        """

    async def latest_messages(self, room: RoomId, *, limit: int, max_bytes: int | None = None) -> tuple[Message, ...]:
        """The newest whole messages within the same bounds, oldest first."""

    async def committees(self, *, room: RoomId | None = None, tag: Tag | None = None) -> tuple[CommitteePut, ...]:
        """Saved committees of an own room or under a tag, oldest epoch first."""

    async def duties(self, *, limit: int) -> tuple[DutyPut, ...]:
        """Past and present duties, newest first."""

    async def traffic(self, *, since_hour: int) -> tuple[TrafficAdd, ...]:
        """Counters by hour, oldest first."""

    async def exposure(self, *, day: int) -> tuple[ExposurePut, ...]:
        """The exposure ledger of a day, by role and what."""

    async def peers(self, *, limit: int) -> tuple[PeerPut, ...]:
        """Most recently seen first."""

    async def settings(self) -> dict[str, str]:
        """All settings."""

    async def end_membership(self, room: RoomId) -> None:
        """Of a room that was left: what was said stays, but nothing of it is this person's stream any more.

        Who joins again has a new name and counts from one. Were the old stream still its own, items of the old one
        would be sent again under the new name. The room's secrets go: they open nothing of what is said from now on.
        """

    async def forget_room(self, room: RoomId) -> None:
        """Remove a room and everything in it, its secrets too."""

    async def prune(self, *, items_before_s: float, traffic_before_hour: int, committees_before_s: float) -> None:
        """Remove what is past its time. The exposure ledger goes with the counters of traffic, by whole days.

        Then empties the write-ahead log, so that replaced ratchet states are not kept in it.
        """

    async def close(self) -> None:
        """Write what is queued and close. Idempotent."""
