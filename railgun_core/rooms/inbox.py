"""One sender's stream as it arrives: in order, once, without gaps.

`expected` is the next sequence to hand on, `committed` the last one that is durable. What comes early waits in
`ahead`, which is bounded: what does not fit is dropped and asked for again later. Before the baseline is known
nothing is handed on. `kept` is what is in a save already: rows that are written meanwhile must not say more.
"""

from __future__ import annotations

from railgun_core.base.ids import MemberId
from railgun_core.changes import Item, Membership

MAX_AHEAD = 4_096  # items; Room bounds their bytes


class Inbox:
    """What this member has of one other member."""

    __slots__ = (
        "ahead",
        "ahead_bytes",
        "asked_s",
        "asks",
        "baseline",
        "claim",
        "claim_s",
        "committed",
        "confirmed",
        "expected",
        "first",
        "heard_s",
        "kept",
        "last",
        "left_s",
        "member",
        "membership",
        "secure",
        "since_s",
    )

    def __init__(self, member: MemberId, *, baseline: int | None, have: int = 0, since_s: float = 0.0) -> None:
        self.member = member
        self.membership = Membership.ACTIVE
        self.baseline = baseline
        self.committed = max(have, baseline or 0)
        self.kept = self.committed
        self.expected = self.committed + 1
        self.ahead: dict[int, Item] = {}
        self.ahead_bytes = 0
        self.first = 1  # the oldest item its sender can still send
        self.last = 0  # the newest item its sender speaks of
        self.confirmed = 0  # what it has of our own stream, at its best
        self.claim = -1  # what it said last that it has of it, and since when it says so
        self.claim_s = 0.0
        self.since_s = since_s  # Unix time at which it came to be known here
        self.heard_s = 0.0
        self.secure = False  # it says that it sends through mixes
        self.left_s = 0.0
        self.asked_s = 0.0
        self.asks = 0

    @property
    def known(self) -> bool:
        """Whether it is known from where on to listen."""
        return self.baseline is not None

    def begin(self, baseline: int) -> list[Item]:
        """Start after `baseline`; what can be handed on. Older items are let go: a newcomer gets no past."""
        if self.known:
            return []
        self.baseline = self.committed = self.kept = baseline
        self.expected = baseline + 1
        self._drop_early(baseline)
        return self._ready()

    def skip_to(self, first: int) -> list[Item]:
        """The sender no longer has anything before `first`: give up on what lies before."""
        self.first = max(self.first, first)
        if not self.known or self.first <= self.expected:
            return []
        self._drop_early(self.first - 1)
        self.expected = self.first
        self.committed = max(self.committed, self.first - 1)
        self.kept = max(self.kept, self.first - 1)
        return self._ready()

    def receive(self, item: Item) -> list[Item]:
        """The items that can be handed on now, in order: none for a duplicate or an early one."""
        self.last = max(self.last, item.seq)
        if item.seq < self.expected and self.known:
            return []
        if item.seq in self.ahead:
            return []
        # The one that everything waits for is never dropped: it is what makes room.
        if len(self.ahead) >= MAX_AHEAD and item.seq != self.expected:
            return []
        self.ahead[item.seq] = item
        self.ahead_bytes += len(item.body)
        return self._ready()

    def holds(self, seq: int) -> bool:
        """Whether an item is here or was handed on."""
        return seq in self.ahead or (self.known and seq < self.expected)

    def missing(self, limit: int) -> list[int]:
        """The sequences that are lacking, oldest first."""
        if not self.known:
            return []
        found: list[int] = []
        for seq in range(self.expected, self.last + 1):
            if seq not in self.ahead:
                found.append(seq)
                if len(found) >= limit:
                    break
        return found

    def _drop_early(self, upto: int) -> None:
        self.ahead = {seq: item for seq, item in self.ahead.items() if seq > upto}
        self.ahead_bytes = sum(len(item.body) for item in self.ahead.values())

    def _ready(self) -> list[Item]:
        if not self.known:
            return []
        ready: list[Item] = []
        while (item := self.ahead.pop(self.expected, None)) is not None:
            ready.append(item)
            self.ahead_bytes -= len(item.body)
            self.expected += 1
        if ready:
            self.asks = 0
        return ready
