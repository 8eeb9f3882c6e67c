"""The guard's side for clients: what is delivered to whom, and which relays there are.

A client that nobody else may know registers random recipient ids on its link; a packet whose last hop is here and that
names one of them leaves on that link in a DELIVERY cell. The guard learns nothing but the link. Ids live as long as
the link: a client draws new ones for each link, because an id that another link holds is never given away.
Everything is bounded: ids a link, ids in all, and cells of records a second. Stream cells are the rim's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from railgun_core.base.clock import Instant
from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import LinkId, PeerId
from railgun_core.base.ratelimit import TokenBucket
from railgun_core.events import Effect, Send, TunnelCell
from railgun_core.mix.cells import Delivery, pages, position_of, recipient_of
from railgun_core.wire.frames import Cell, CellKind
from railgun_core.wire.records import PeerBody, PeerRole, Record

LIST_FOR_S = 2.0  # the sorted list of relays serves all questions of so long


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """What one guard grants. `record_cells`: of relay records, at once; one cell holds about ten."""

    ids_per_link: int = 4
    ids: int = 10_000
    record_cells: int = 32
    record_cells_per_s: float = 1.0


@dataclass(slots=True)
class _Client:
    bucket: TokenBucket
    recipients: set[bytes] = field(default_factory=set)


class Gateway:
    """All clients of this guard. `records` gives the relay records this node knows."""

    def __init__(self, *, limits: GatewayLimits, records: Callable[[], Iterable[Record]]) -> None:
        self._limits = limits
        self._records = records
        self._clients: dict[LinkId, _Client] = {}
        self._links: dict[bytes, LinkId] = {}
        self._listed: list[bytes] = []
        self._listed_s: float | None = None
        self.delivered = 0
        self.undelivered = 0  # nobody was registered

    @property
    def registered(self) -> int:
        """Recipient ids in use."""
        return len(self._links)

    def cell(self, link: LinkId, cell: Cell, now: Instant, out: list[Effect]) -> None:
        """One cell of a client. MalformedFrame for what a client never sends: the link has to be closed."""
        match cell.kind:
            case CellKind.IDLE:
                pass
            case CellKind.REGISTER:
                self._register(link, recipient_of(cell.data), now)
            case CellKind.ASK_RECORDS:
                self._tell_records(link, position_of(cell.data), now, out)
            case CellKind.DELIVERY | CellKind.RECORDS:
                raise MalformedFrame("cell of a guard")
            case _:
                out.append(TunnelCell(link, cell))

    def deliver(self, recipient: bytes, reply_id: bytes, payload: bytes, now: Instant, out: list[Effect]) -> None:
        """Hand a payload to the client that holds this id; dropped and counted when nobody does."""
        link = self._links.get(recipient)
        if link is None:
            self.undelivered += 1
            return
        self.delivered += 1
        out.append(Send(link, (Delivery(recipient, reply_id, payload).cell().encode(),)))

    def link_down(self, link: LinkId) -> None:
        """A link has ended, and its ids with it."""
        client = self._clients.pop(link, None)
        for recipient in client.recipients if client else ():
            del self._links[recipient]

    def _client(self, link: LinkId, now: Instant) -> _Client:
        client = self._clients.get(link)
        if client is None:
            bucket = TokenBucket(self._limits.record_cells_per_s, self._limits.record_cells, now_s=now.mono_s)
            client = self._clients[link] = _Client(bucket)
        return client

    def _register(self, link: LinkId, recipient: bytes, now: Instant) -> None:
        client = self._client(link, now)
        if recipient in client.recipients:
            return
        if len(client.recipients) >= self._limits.ids_per_link:
            raise MalformedFrame("too many ids")
        if recipient in self._links or len(self._links) >= self._limits.ids:
            return  # said to nobody: an answer would tell which ids are in use
        client.recipients.add(recipient)
        self._links[recipient] = link

    def _tell_records(self, link: LinkId, position: int, now: Instant, out: list[Effect]) -> None:
        bucket = self._client(link, now).bucket
        granted = bucket.take(min(self._limits.record_cells, int(bucket.burst)), now.mono_s)
        if not granted:
            return
        answers = pages(self._live(now), position, cells=granted)
        bucket.give_back(granted - len(answers))
        out.append(Send(link, [answer.cell().encode() for answer in answers]))

    def _live(self, now: Instant) -> list[bytes]:
        """The newest live record of each relay, by peer id: a position means the same at the next question."""
        if self._listed_s is not None and now.mono_s < self._listed_s + LIST_FOR_S:
            return self._listed
        newest: dict[PeerId, Record] = {}
        for record in self._records():
            body = record.body
            if (
                not isinstance(body, PeerBody)
                or not body.roles & (PeerRole.RELAY | PeerRole.MAILBOX)
                or not record.is_live(now.unix_s)
            ):
                continue
            known = newest.get(record.peer_id)
            if known is None or known.sequence < record.sequence:
                newest[record.peer_id] = record
        self._listed, self._listed_s = [newest[peer_id].raw for peer_id in sorted(newest)], now.mono_s
        return self._listed
