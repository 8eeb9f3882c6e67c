"""What an engine counts and keeps tidy, every second, ten seconds and hour. A crash may lose what is written here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from railgun_core.base.clock import Instant
from railgun_core.base.ids import PeerId
from railgun_core.changes import PeerPut, TrafficAdd
from railgun_core.engine.board import Board
from railgun_core.engine.clock import Clock
from railgun_core.node import Node
from railgun_core.store.port import Store
from railgun_core.wire.records import Record

KEEP_ITEMS_S = 90 * 86_400
KEEP_COMMITTEES_S = 2 * 86_400
KEEP_TRAFFIC_H = 31 * 24
PEERS_KEPT = 200
DAY_S = 86_400


class Books:
    """Counters of one engine. `traffic`: bytes up and down since its start."""

    def __init__(
        self, board: Board, store: Store, node: Node, traffic: Callable[[], tuple[int, int]], *, clock: Clock
    ) -> None:
        self._board = board
        self._store = store
        self._node = node
        self._traffic = traffic
        self._clock = clock
        self._counted = (0, 0, 0, 0)
        self._day = 0.0
        self._relays = RelaysNoted()

    async def load(self, now: Instant) -> None:
        """Read back what was counted before this start."""
        self._day = now.unix_s // DAY_S
        hour = int(now.unix_s // 3600)
        for row in await self._store.traffic(since_hour=hour - KEEP_TRAFFIC_H):
            self._board.month_bytes += row.up_bytes + row.down_bytes
            if row.hour // 24 == hour // 24:
                self._board.today_bytes += row.up_bytes + row.down_bytes
                self._board.today_envelopes += row.envelopes

    def sample(self, now: Instant) -> None:
        """Once a second: rates."""
        self._board.sample(self._node, now, *self._traffic())

    async def flush(self) -> None:
        """Add what was counted since the last time to this hour, and remember the relays."""
        now = self._clock.instant()
        counted = (*self._traffic(), *self._node.relay.carried())
        up, down, envelopes, relayed = (new - old for new, old in zip(counted, self._counted, strict=True))
        self._counted = counted
        if now.unix_s // DAY_S != self._day:
            self._day = now.unix_s // DAY_S
            self._board.new_day()
        if up or down:
            self._store.commit_soon((TrafficAdd(int(now.unix_s // 3600), up, down, envelopes, relayed),))
        self._board.today_bytes += up + down
        self._board.month_bytes += up + down
        self._board.today_envelopes += envelopes
        if news := self._relays.news(self._node.view.records[:PEERS_KEPT], now.unix_s):
            self._store.commit_soon(news)

    async def prune(self) -> None:
        """Remove what is past its time."""
        unix_s = self._clock.instant().unix_s
        await self._store.prune(
            items_before_s=unix_s - KEEP_ITEMS_S,
            traffic_before_hour=int(unix_s // 3600) - KEEP_TRAFFIC_H,
            committees_before_s=unix_s - KEEP_COMMITTEES_S,
        )


class RelaysNoted:
    """Which relays the disk knows, and by which of their records: a quiet network costs no writing."""

    def __init__(self) -> None:
        self._sequences: dict[PeerId, int] = {}

    def news(self, records: Sequence[Record], unix_s: float) -> tuple[PeerPut, ...]:
        """Rows for the relays that are new, or renewed their record, since the last call."""
        fresh = [record for record in records if self._sequences.get(record.peer_id) != record.sequence]
        self._sequences = {record.peer_id: record.sequence for record in records}
        return tuple(PeerPut(record.peer_id, record.raw, unix_s) for record in fresh)
