"""The port through which the node finds relays. Implemented by the DHT, and by the simulator's model of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from railgun_core.base.ids import PeerId
from railgun_core.wire.records import Record


class Directory(Protocol):
    """What the engine asks of discovery. Every call has a deadline of its own and never raises PeerError."""

    async def publish(self, record: Record) -> int:
        """Store a record under its own key and, for relays, in its group's directory. How many copies stood."""

    async def relays_near(self, targets: Sequence[bytes]) -> tuple[Record, ...]:
        """The verified live relay records of the groups nearest to each 20-byte ring target."""

    async def mailboxes_near(self, places: Sequence[bytes]) -> tuple[Record, ...]:
        """The verified live records of all mailboxes of the groups nearest to each 20-byte ring place that have one."""

    async def find_peer(self, peer_id: PeerId) -> Record | None:
        """The newest live record of one peer."""

    async def announcements(self, tag: bytes) -> tuple[Record, ...]:
        """Live announcements under a tag."""

    @property
    def contacts(self) -> int:
        """How many peers answered recently."""

    def lookup_times_ms(self) -> tuple[float, ...]:
        """Durations of the most recent lookups, at most 1,000."""
