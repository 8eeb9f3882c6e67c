"""Open links by number: the node speaks of numbers, transports of links.

A link is known to the node from `LinkUp` to `LinkDown`. Frames that arrive before the node was told are kept,
because a transport may deliver them before its `dial` returns.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable

from railgun_core.base.ids import Group, LinkId, PublicKey
from railgun_core.transport.link import CloseReason, Link
from railgun_core.wire.frames import ENVELOPE_HEADER_BYTES, FrameBatch
from railgun_core.wire.kinds import FrameType
from railgun_core.wire.records import group_of

TUNNEL = "tunnel"


class LinkTable:
    """All links of one engine, and what went through them."""

    def __init__(
        self,
        *,
        on_frames: Callable[[LinkId, FrameBatch], None],
        on_closed: Callable[[LinkId, CloseReason], None],
    ) -> None:
        self._numbers = itertools.count(1)
        self._links: dict[LinkId, Link] = {}
        self._on_frames = on_frames
        self._on_closed = on_closed
        self._up_bytes = self._down_bytes = 0
        self.sizes: Counter[int] = Counter()
        self.packet_sizes: Counter[int] = Counter()  # of packets and cells; of every frame on a link to a guard
        self._guards: set[LinkId] = set()
        self.opened: Counter[str] = Counter()
        self.closed: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._links)

    def reserve(self) -> Handler:
        """A number for a link that is about to open."""
        return Handler(LinkId(next(self._numbers)), self)

    def get(self, number: LinkId) -> Link | None:
        return self._links.get(number)

    def with_key(self, key: PublicKey) -> int:
        """Open links with one peer."""
        return sum(link.remote_key == key for link in self._links.values())

    def by_transport(self) -> dict[str, int]:
        """Open links by transport."""
        return dict(Counter(link.transport for link in self._links.values()))

    def traffic(self) -> tuple[int, int]:
        """Bytes sent and received since start, ended links included. What tunnels carry counts on guards' links."""
        real = [link for link in self._links.values() if link.transport != TUNNEL]
        up = self._up_bytes + sum(link.bytes_sent for link in real)
        down = self._down_bytes + sum(link.bytes_received for link in real)
        return up, down

    def _opened(self, number: LinkId, link: Link) -> None:
        self._links[number] = link
        self.opened[link.transport] += 1

    def _frames(self, number: LinkId, batch: FrameBatch) -> None:
        data, bounds = batch.data, batch.bounds
        if data[4] >= FrameType.PACKET or number in self._guards:
            self._count_packets(number, data, bounds)
        elif len(bounds) > 2:
            self.sizes.update(
                stop - start - ENVELOPE_HEADER_BYTES
                for start, stop in itertools.pairwise(bounds)
                if data[start + 4] == FrameType.ENVELOPE
            )
        elif data[4] == FrameType.ENVELOPE:  # most reads that bring one frame bring a control frame
            self.sizes[bounds[1] - ENVELOPE_HEADER_BYTES] += 1
        self._on_frames(number, batch)

    def _count_packets(self, number: LinkId, data: bytes, bounds: list[int]) -> None:
        link = self._links.get(number)
        if link is not None and not link.inbound and data[4] == FrameType.CELL:
            self._guards.add(number)  # only guards send cells to who dialled them
        whole = number in self._guards
        self.packet_sizes.update(
            stop - start for start, stop in itertools.pairwise(bounds) if whole or data[start + 4] >= FrameType.PACKET
        )

    def _closed(self, number: LinkId, reason: CloseReason) -> None:
        link = self._links.pop(number, None)
        self._guards.discard(number)
        if link is not None:
            if link.transport != TUNNEL:
                self._up_bytes += link.bytes_sent
                self._down_bytes += link.bytes_received
            self.closed[reason.value] += 1
            self._on_closed(number, reason)


def group_of_link(link: Link, *, by_port: bool) -> Group | None:
    """The address group of a link's other side; None for links in memory, and where all peers share one address."""
    return group_of(link.remote_host, 0, by_port=False) if link.remote_host and not by_port else None


class Handler:
    """What a transport tells of one link."""

    __slots__ = ("_early", "_over", "_table", "number")

    def __init__(self, number: LinkId, table: LinkTable) -> None:
        self.number = number
        self._table = table
        self._early: list[FrameBatch] | None = []
        self._over: CloseReason | None = None

    def opened(self, link: Link) -> None:
        """The node is about to be told; call `released` once it was."""
        self._table._opened(self.number, link)

    def released(self) -> None:
        """The node knows the link: hand on what came early."""
        early, self._early = self._early or [], None
        for batch in early:
            self._table._frames(self.number, batch)
        if self._over is not None:
            self._table._closed(self.number, self._over)

    def frames(self, link: Link, batch: FrameBatch) -> None:
        if self._early is not None:
            self._early.append(batch)
        else:
            self._table._frames(self.number, batch)

    def credit(self, link: Link) -> None:
        """Nothing waits for credit: senders keep their own windows (see rooms/session.py)."""

    def closed(self, link: Link, reason: CloseReason) -> None:
        if self._early is not None:
            self._over = reason
        else:
            self._table._closed(self.number, reason)
