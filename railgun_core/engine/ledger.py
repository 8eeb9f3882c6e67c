"""The exposure ledger of one engine: from links, frames and look-ups to figures, and from figures to the page.

Told by the engine what it dials, sends and gets. Only links that this engine opened count: who connects to it found its
address in the public record. The first byte of a frame says as what the other side is used: cells and packets go to
guards (and between mixes), all else to relays. Cells of tunnels do not come past here; but on a guard's link all is of
one size, so they are counted from its bytes. Cost on the hot path: one look into a dict per call for links that are
not ours, one byte per frame for those of own rooms; bytes are read from the links when the figures are saved.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from railgun_core.base.clock import Instant
from railgun_core.base.ids import LinkId
from railgun_core.events import CentralBrought, CentralFollow, CentralKeep, CentralState, Dial
from railgun_core.exposure import DAY_S, ExposedTo, Figure, Ledger, by_role, words
from railgun_core.status import Exposure, ExposureRole
from railgun_core.store.port import Store
from railgun_core.transport.link import Link
from railgun_core.wire.frames import PACKET_BYTES, FrameBatch
from railgun_core.wire.kinds import LENGTH, FrameType

_TYPE_AT: Final = 4
_BODY_AT: Final = 5
_TAG_BYTES: Final = 32
_ONE_SIZE_BYTES: Final = _BODY_AT + PACKET_BYTES  # every frame on the link to a guard
_OF_ROOMS: Final = (ExposedTo.RELAY_DIRECT, ExposedTo.RELAY_GUARDED)
_GIVES: Final = frozenset({FrameType.ENVELOPE, FrameType.DEPOSIT})
_NAMES_A_TAG: Final = frozenset({FrameType.OPEN, FrameType.DEPOSIT, FrameType.COLLECT})  # as the first of their fields
_OF_GUARDS: Final = frozenset({FrameType.PACKET, FrameType.CELL})


@dataclass(slots=True, eq=False)
class _Watched:
    """A link this engine opened. `role` None: nothing was sent on it yet."""

    link: Link
    peer: bytes
    own_room: bool  # opened under a throw-away key
    guarded: bool
    role: ExposedTo | None = None
    sent_bytes: int = 0
    received_bytes: int = 0
    packets: int = 0
    cells: int = 0

    def meant_for(self, kind: int) -> ExposedTo:
        """As what the other side is used by a frame of this type."""
        if self.guarded:
            return ExposedTo.RELAY_GUARDED
        if self.own_room:
            return ExposedTo.GUARD if kind in _OF_GUARDS else ExposedTo.RELAY_DIRECT
        return ExposedTo.MIX_NEIGHBOUR if kind == FrameType.PACKET else ExposedTo.FELLOW_RELAY


class EngineLedger:
    """Counts for one engine. `salt`: 16 to 64 random bytes, new at each start."""

    def __init__(self, store: Store, *, salt: bytes, now: Instant) -> None:
        self._store = store
        self._ledger = Ledger(day=_day(now), salt=salt)
        self._open: dict[LinkId, _Watched] = {}

    async def load(self) -> None:
        """Go on from what was saved today. Call it once, before anything is counted."""
        self._ledger.restore(await self._store.exposure(day=self._ledger.day))

    # ------------------------------------------------------------ what happens

    def dialling(self, effect: Dial) -> None:
        """A Dial begins: a guard that is asked for a tunnel knows what for, also when it comes to nothing."""
        if effect.via is not None:
            self._ledger.add(ExposedTo.GUARD, Figure.TUNNELS)

    def dialled(self, effect: Dial, number: LinkId, link: Link) -> None:
        """A Dial brought this link. Call it before the node is told, or its first frames are missed."""
        self._open[number] = _Watched(
            link, effect.record.peer_id, own_room=effect.seed is not None, guarded=effect.via is not None
        )

    def link_closed(self, number: LinkId) -> None:
        """A link has ended; any link may be named."""
        watched = self._open.pop(number, None)
        if watched is not None:
            self._role_of(watched)
            self._count_bytes(watched)

    def sent(self, number: LinkId, chunks: Sequence[bytes | memoryview]) -> None:
        """Frames were queued on a link; any link may be named."""
        watched = self._open.get(number)
        if watched is None or not chunks:
            return
        role = self._role_of(watched, kind=chunks[0][_TYPE_AT])
        if watched.own_room:
            for chunk in chunks:
                self._count_own(watched, role, chunk)
        elif role is ExposedTo.MIX_NEIGHBOUR:
            self._ledger.add(role, Figure.PACKETS, len(chunks))

    def received(self, number: LinkId, batch: FrameBatch) -> None:
        """Frames came on a link; any link may be named."""
        watched = self._open.get(number)
        if watched is None or watched.role not in _OF_ROOMS:
            return
        kinds = [batch.data[start + _TYPE_AT] for start in batch.bounds[:-1]]
        self._ledger.add(watched.role, Figure.DELIVERED, kinds.count(FrameType.ENVELOPE))

    def looked_up(self, targets: Iterable[bytes], contacts: Iterable[bytes]) -> None:
        """Relays near these ring targets were sought; `contacts` as in `contacts_met`. With none, nobody was asked."""
        if self.contacts_met(contacts):
            self._ledger.add(ExposedTo.DHT_CONTACT, Figure.LOOKUPS)
            for target in targets:
                self._ledger.add_distinct(ExposedTo.DHT_CONTACT, Figure.PLACES, target)

    def contacts_met(self, contacts: Iterable[bytes]) -> int:
        """Ids of the contacts in the DHT's table: each has answered a signed question of this device. How many."""
        count = 0
        for contact in contacts:
            count += 1
            self._ledger.add_distinct(ExposedTo.DHT_CONTACT, Figure.PEERS, contact)
        return count

    def bootstrap_asked(self, entries: Iterable[tuple[str, int]], *, targets: Iterable[bytes] = ()) -> None:
        """These entries were asked to let this device in, or (a quiet client's) for the relays near `targets`."""
        for host, port in entries:
            self._ledger.add_distinct(ExposedTo.BOOTSTRAP, Figure.PEERS, f"{host} {port}".encode())
        for target in targets:
            self._ledger.add_distinct(ExposedTo.BOOTSTRAP, Figure.PLACES, target)

    def central(self, what: CentralState | CentralFollow | CentralKeep | CentralBrought) -> None:
        """What happens between this device and the central server of hybrid mode."""
        role = ExposedTo.CENTRAL
        match what:
            case CentralState():
                if what.up:
                    self._ledger.link_opened(role, b"central")
            case CentralFollow():
                for tag, _ in what.tags:
                    self._ledger.add_distinct(role, Figure.TAGS, tag)
            case CentralKeep():
                self._ledger.add(role, Figure.PUBLISHED)
            case CentralBrought():
                self._ledger.add(role, Figure.DELIVERED, len(what.frames))

    # ------------------------------------------------------------ saving and showing

    def flush(self, now: Instant) -> None:
        """Save what changed; every ten seconds and before the store is closed. What is lost in a crash is that much."""
        for watched in self._open.values():
            self._count_bytes(watched)
        if self._ledger.roll(_day(now)):
            for watched in self._open.values():
                if watched.role is not None:
                    self._ledger.link_opened(watched.role, watched.peer)
        if puts := self._ledger.changed():
            self._store.commit_soon(puts)

    async def exposure(self, days_ago: int, now: Instant) -> Exposure:
        """The page of a day. Without roles if nothing was counted, or it is longer ago than is kept."""
        self.flush(now)
        day = _day(now) - days_ago
        today = day == self._ledger.day
        figures = self._ledger.counts() if today else by_role(await self._store.exposure(day=day))
        return Exposure(float(day * DAY_S), tuple(_page(ExposedTo(role), figures[role]) for role in figures))

    # ------------------------------------------------------------ inside

    def _role_of(self, watched: _Watched, *, kind: int = 0) -> ExposedTo:
        """The role in this use. A link used in two roles, as a relay and as a mix, counts in both."""
        role = watched.meant_for(kind) if kind or watched.role is None else watched.role
        if role is not watched.role:
            if watched.role is not None:
                self._count_bytes(watched)
            watched.role = role
            self._ledger.link_opened(role, watched.peer)
        return role

    def _count_own(self, watched: _Watched, role: ExposedTo, chunk: bytes | memoryview) -> None:
        """Frames that a room or the mixnet client of this device sends."""
        at = 0
        while at + _BODY_AT <= len(chunk):
            kind = chunk[at + _TYPE_AT]
            if kind in _GIVES:
                self._ledger.add(role, Figure.PUBLISHED)
            if kind in _NAMES_A_TAG:
                tag = bytes(chunk[at + _BODY_AT : at + _BODY_AT + _TAG_BYTES])
                self._ledger.add_distinct(role, Figure.TAGS, tag)
            if kind == FrameType.PACKET:
                watched.packets += 1
                self._ledger.add(role, Figure.PACKETS)
            at += LENGTH.size + LENGTH.unpack_from(chunk, at)[0]

    def _count_bytes(self, watched: _Watched) -> None:
        if watched.role is None:
            return
        up, down = watched.link.bytes_sent, watched.link.bytes_received
        self._ledger.add(watched.role, Figure.BYTES_SENT, up - watched.sent_bytes)
        self._ledger.add(watched.role, Figure.BYTES_RECEIVED, down - watched.received_bytes)
        watched.sent_bytes, watched.received_bytes = up, down
        if watched.role is ExposedTo.GUARD:
            cells = up // _ONE_SIZE_BYTES + down // _ONE_SIZE_BYTES - watched.packets
            self._ledger.add(ExposedTo.GUARD, Figure.CELLS, cells - watched.cells)
            watched.cells = max(cells, watched.cells)


def _day(now: Instant) -> int:
    return int(now.unix_s // DAY_S)


def _page(role: ExposedTo, counts: dict[str, int]) -> ExposureRole:
    learned, not_learned = words(role, counts)
    return ExposureRole(role, counts.get(Figure.PEERS, 0), learned, not_learned, counts)
