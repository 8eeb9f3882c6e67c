"""Own items on their way: queued, placed with relays, stored, and then confirmed by every member.

An item leaves the outbox when all expected members have confirmed it. Until then it can be asked for again,
also epochs later: it is sealed again and keeps its sequence, so that nobody gets it twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from railgun_core.base.ids import RoomId
from railgun_core.changes import Delivery, Item, OutboxMark, OutboxRange

RESEND_AFTER_S = 8.0  # until then a member that misses an item can still pull it from the committee
RESEND_AGAIN_S = 10.0
BACKLOG_AT_ONCE = 500


@dataclass(slots=True)
class Placement:
    """An item that relays were given in `epoch` and that no majority holds yet."""

    item: Item
    epoch: int
    at_s: float
    accepted: bool = False
    relays: set[bytes] = field(default_factory=set)


class Outbox:
    """The own stream of one room."""

    def __init__(self, room: RoomId, *, next_seq: int, first_kept: int) -> None:
        self.room = room
        self.next_seq = next_seq
        self.first_kept = first_kept
        self.queue: deque[Item] = deque()
        self.queued: set[int] = set()
        self.placed: dict[int, Placement] = {}
        self.stored: dict[int, tuple[int, float]] = {}  # seq -> epoch and time, not confirmed by all yet
        self.resent: dict[int, float] = {}
        self.tried_s: dict[int, float] = {}  # seq -> since when relays are asked to take it, and it is not stored
        self.held_s: dict[int, float] = {}  # seq -> until when a committee waits for another way
        self.backlog: deque[OutboxRange] = deque()  # unsent since before a restart, still to be read back
        self.fetching = False
        self._durable = next_seq - 1  # the newest own item that is in the store
        self._confirmed = 0  # everything up to here is confirmed by all who are waited for

    @property
    def last_seq(self) -> int:
        """The newest own item."""
        return self.next_seq - 1

    @property
    def waiting(self) -> int:
        """Items that are not stored yet."""
        return len(self.queue) + len(self.placed) + sum(span.last - span.first + 1 for span in self.backlog)

    def restore(self, ranges: Iterable[OutboxRange]) -> None:
        """Take the state of before a restart: what was not stored goes to the backlog, to be read back and sent."""
        for span in ranges:
            if span.delivery is Delivery.STORED:
                self.stored.update((seq, (span.epoch, 0.0)) for seq in range(span.first, span.last + 1))
                continue
            for first in range(span.first, span.last + 1, BACKLOG_AT_ONCE):
                last = min(span.last, first + BACKLOG_AT_ONCE - 1)
                self.backlog.append(OutboxRange(first, last, span.delivery, span.epoch))

    @property
    def unsaved(self) -> int:
        """Items that are not in the store yet: nothing leaves this device before it is."""
        return self.last_seq - self._durable

    @property
    def first_open(self) -> int:
        """The oldest item that not everybody has confirmed; the next one when there is none."""
        held = [*self.stored, *self.placed, *self.queued, *(span.first for span in self.backlog)]
        return min(held, default=self.next_seq)

    def begin_again(self, first: int) -> None:
        """A new stream from `first` on: everything in it goes out, whatever was known of the one before."""
        for held in (self.queue, self.queued, self.placed, self.stored, self.resent, self.tried_s, self.backlog):
            held.clear()
        self.first_kept, self._confirmed = first, first - 1
        for at in range(first, self.next_seq, BACKLOG_AT_ONCE):
            self.backlog.append(OutboxRange(at, min(self.last_seq, at + BACKLOG_AT_ONCE - 1), Delivery.QUEUED, 0))

    def is_open(self, seq: int) -> bool:
        """Whether an item is with relays or stored, and not confirmed by everybody."""
        return seq in self.placed or seq in self.stored

    def next_backlog(self) -> OutboxRange | None:
        """The next range to read back, while the queue is short and nothing is being read."""
        if self.fetching or len(self.queue) >= BACKLOG_AT_ONCE or not self.backlog:
            return None
        self.fetching = True
        return self.backlog.popleft()

    def add(self, items: Iterable[Item]) -> None:
        """Durable items that may leave now."""
        for item in items:
            self.queue.append(item)
            self.queued.add(item.seq)
            self._durable = item.seq

    def next(self) -> Item:
        """Take the next item out of the queue."""
        item = self.queue.popleft()
        self.queued.discard(item.seq)
        return item

    def may_go(self, now_s: float) -> bool:
        """Whether there is a next item, and it may go to a committee now."""
        return bool(self.queue) and self.held_for_s(now_s) <= 0.0

    def held_for_s(self, now_s: float) -> float:
        """How long the next item still waits for another way than a committee; not above 0: it does not."""
        return self.held_s.get(self.queue[0].seq, now_s) - now_s if self.queue else 0.0

    def place(self, item: Item, epoch: int, relay: bytes, now_s: float) -> None:
        """An item was given to a relay."""
        placement = self.placed.get(item.seq)
        if placement is None or placement.epoch != epoch:
            placement = self.placed[item.seq] = Placement(item, epoch, now_s)
        placement.relays.add(relay)
        placement.at_s = now_s
        self.tried_s.setdefault(item.seq, now_s)
        self.held_s.pop(item.seq, None)

    def accept(self, seqs: Iterable[int]) -> list[int]:
        """A relay has these; those that are news."""
        news = []
        for seq in seqs:
            placement = self.placed.get(seq)
            if placement is not None and not placement.accepted:
                placement.accepted = True
                if seq not in self.stored and seq > self._confirmed:  # one that goes out once more is further already
                    news.append(seq)
        return news

    def store(self, seqs: Iterable[int], epoch: int, now_s: float) -> list[int]:
        """A majority holds these; those that are news."""
        news = []
        for seq in seqs:
            self.tried_s.pop(seq, None)
            if self.placed.pop(seq, None) is not None and seq > self._confirmed:
                _, first_s = self.stored.get(seq, (epoch, now_s))  # mailboxes get it some time after that
                self.stored[seq] = (epoch, first_s)
                news.append(seq)
        return news

    def keep(self, seqs: Iterable[int], epoch: int, now_s: float) -> list[int]:
        """Mailboxes or a server hold these for whoever comes: they need no committee any more; those that are news."""
        waiting = {seq for seq in seqs if seq in self.placed or seq in self.queued}
        if not self.queued.isdisjoint(waiting):
            self.queue = deque(item for item in self.queue if item.seq not in waiting)
            self.queued -= waiting
        for seq in waiting:
            self.placed.pop(seq, None)
            self.tried_s.pop(seq, None)
            self.held_s.pop(seq, None)
        news = sorted(seq for seq in waiting if seq > self._confirmed and seq not in self.stored)
        self.stored.update((seq, (epoch, now_s)) for seq in news)
        return news

    def requeue(self, seqs: Iterable[int]) -> None:
        """Send these again, before anything newer."""
        self._queue_first(self.placed.pop(seq).item for seq in sorted(set(seqs)) if seq in self.placed)

    def confirm(self, upto: int) -> list[int]:
        """Every expected member has everything up to `upto`: those that are news leave, wherever they were.

        A member may have an item before a majority of the relays says so.
        """
        if upto <= self._confirmed:
            return []
        self._confirmed = upto
        done = {seq for held in (self.stored, self.placed, self.queued) for seq in held if seq <= upto}
        if not self.queued.isdisjoint(done):
            self.queue = deque(item for item in self.queue if item.seq > upto)
            self.queued -= done
        for seq in done:
            self.stored.pop(seq, None)
            self.placed.pop(seq, None)
        self.tried_s = {seq: at_s for seq, at_s in self.tried_s.items() if seq > upto}
        self.resent = {seq: at_s for seq, at_s in self.resent.items() if seq > upto}
        return sorted(done)

    def give_up_before(self, epoch: int) -> None:
        """Wait no longer for items that were stored before an epoch: whoever comes later asks for them by a sync."""
        for seq in [seq for seq, (stored_in, _) in self.stored.items() if stored_in < epoch]:
            del self.stored[seq]

    def lost_to(
        self, have: int, live_epochs: Iterable[int], now_s: float, limit: int, *, closed_below: int = 0
    ) -> list[int]:
        """Items above `have` that a member can no longer pull by itself, and that were not resent just now.

        `closed_below`: it was not given the keys of anything before this item.
        """
        live = set(live_epochs)
        found: list[int] = []
        end = self.backlog[0].first if self.backlog else self._durable + 1
        for seq in range(max(have + 1, self.first_kept), end):
            if seq in self.placed or seq in self.queued:
                continue
            epoch, stored_s = self.stored.get(seq, (-1, 0.0))
            if epoch in live and now_s - stored_s < RESEND_AFTER_S and seq >= closed_below:
                continue
            if now_s - self.resent.get(seq, -RESEND_AGAIN_S) >= RESEND_AGAIN_S:
                found.append(seq)
                if len(found) >= limit:
                    break
        return found

    def resend(self, items: Iterable[Item], now_s: float) -> None:
        """Items that were read back, unsent ones or such that go out once more: before what is queued already."""
        fresh = [item for item in items if item.seq not in self.placed and item.seq not in self.queued]
        self.resent.update((item.seq, now_s) for item in fresh)
        self._queue_first(fresh)

    def _queue_first(self, items: Iterable[Item]) -> None:
        batch = list(items)
        self.queue.extendleft(reversed(batch))
        self.queued.update(item.seq for item in batch)

    def marks(self, seqs: Iterable[int], delivery: Delivery, epoch: int) -> list[OutboxMark]:
        """Rows for the store: runs of consecutive sequences."""
        rows: list[OutboxMark] = []
        for seq in sorted(seqs):
            if rows and rows[-1].last == seq - 1:
                rows[-1] = OutboxMark(self.room, rows[-1].first, seq, delivery, epoch)
            else:
                rows.append(OutboxMark(self.room, seq, seq, delivery, epoch))
        return rows
