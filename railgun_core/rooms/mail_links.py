"""Links to mailboxes: one for each room, day and mailbox, each under a fresh pseudonym, so that none of them links.

Rooms behind guards reach their mailboxes through a guard, and use no mailbox that is one. A mailbox that does not
answer is replaced by the next standby of the day, and tried again ever more rarely.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from railgun_core.base.clock import Instant
from railgun_core.base.ids import DialId, LinkId, PeerId, RoomId, Tag
from railgun_core.base.keys import SEED_BYTES
from railgun_core.events import Effect, Hangup, Send
from railgun_core.rooms.lane import Lane
from railgun_core.rooms.room import Room, RoomContext
from railgun_core.wire.frames import Ping

BACKOFF_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
SILENT_S = 10.0  # asked, and nothing was heard for this long
DIAL_WITHIN_S = 1.5  # a link that takes longer no longer counts: a standby is asked beside it
IDLE_S = 15.0  # a link that nobody needs
PING_EVERY_S = 20.0  # on links that are kept for what may come
FOLLOW_SILENT_S = 50.0
ENOUGH = 2  # mailboxes that have to keep an envelope

DialPeer = Callable[[PeerId, bytes, LinkId | None, list[Effect]], DialId]


@dataclass(slots=True, eq=False)
class Box:
    """One mailbox, as a member of one room sees it on one day. Positions are in RoomMail; this is the link."""

    room: RoomId
    lane: Lane
    peer_id: PeerId
    dial: DialId
    heard_s: float
    used_s: float
    link: LinkId | None = None
    binding: bytes = field(default=b"", repr=False)
    waits: int = 0  # receipts that are still to come
    asks: bool = False  # COLLECT was sent, and what it brings is not complete
    wants: bool = False  # COLLECT is to be sent
    follow: bool = False  # what comes later is wanted too
    follows: bool = False  # and the mailbox was told so
    complete: bool = False  # everything that it had was taken in
    stuck: bool = False  # something had no room here: it is read again later
    reached: int = 0  # the position that it said last
    brought: bool = False  # envelopes came since then
    not_before_s: float = 0.0  # it asked to be left alone until then
    taken_bytes: int = 0
    garbage: int = 0
    pinged_s: float = 0.0

    @property
    def is_needed(self) -> bool:
        """Whether an answer is waited for."""
        return self.waits > 0 or self.asks or self.wants


@dataclass(frozen=True, slots=True)
class Targets:
    """The mailboxes to use now, and how many of them are enough."""

    mailboxes: tuple[PeerId, ...]
    enough: int


class MailLinks:
    """All links of this device to mailboxes."""

    def __init__(self, context: RoomContext, dial: DialPeer, guarded: Callable[[Room], bool]) -> None:
        self._context = context
        self._dial = dial
        self._guarded = guarded
        self._boxes: dict[tuple[RoomId, Tag, PeerId], Box] = {}
        self._dials: dict[DialId, Box] = {}
        self._links: dict[LinkId, Box] = {}
        self._failures: dict[tuple[RoomId, PeerId], tuple[int, float]] = {}

    # ------------------------------------------------------------ who

    def targets(self, room: Room, lane: Lane, now: Instant, *, shut: frozenset[PeerId] = frozenset()) -> Targets:
        """The seats of a mail tag, each that fails now, or is `shut`, replaced by a standby."""
        committee = self._context.view.mailboxes(lane.keys.tag, lane.epoch)
        usable = [peer_id for peer_id in self.usable(room, lane, now) if peer_id not in shut]
        working = [peer_id for peer_id in usable if not self._is_slow(room, lane, peer_id, now)]
        return Targets(tuple(working[: len(committee.members)]), min(ENOUGH, len(self._allowed(room, lane))))

    def usable(self, room: Room, lane: Lane, now: Instant) -> list[PeerId]:
        """All mailboxes of a tag that have not failed just now: the seats, then the standbys."""
        return [peer_id for peer_id in self._allowed(room, lane) if self.may_use(room, peer_id, now)]

    def _allowed(self, room: Room, lane: Lane) -> list[PeerId]:
        """A mailbox that is a guard of this device would learn whose mail it keeps."""
        shunned = self._context.carrier.guards if self._guarded(room) else frozenset[PeerId]()
        return [peer_id for peer_id in self.everyone(lane) if peer_id not in shunned]

    def everyone(self, lane: Lane) -> tuple[PeerId, ...]:
        """All mailboxes of a tag, failing or not: the seats and the standbys."""
        committee = self._context.view.mailboxes(lane.keys.tag, lane.epoch)
        return (*committee.members, *(holder.peer_id for holder in committee.standbys))

    def may_use(self, room: Room, peer_id: PeerId, now: Instant) -> bool:
        """Whether a mailbox has not failed just now."""
        return self._failures.get((room.id, peer_id), (0, 0.0))[1] <= now.mono_s

    def of_room(self, room: RoomId) -> list[Box]:
        """The links of a room."""
        return [box for key, box in self._boxes.items() if key[0] == room]

    def of_link(self, link: LinkId) -> Box | None:
        """Whose link this is."""
        return self._links.get(link)

    # ------------------------------------------------------------ links

    def find(self, room: Room, lane: Lane, peer_id: PeerId) -> Box | None:
        """The link to a mailbox, open or on its way."""
        return self._boxes.get((room.id, lane.keys.tag, peer_id))

    def box(self, room: Room, lane: Lane, peer_id: PeerId, now: Instant, out: list[Effect]) -> Box | None:
        """The link to a mailbox, dialled when there is none; None while there is no guard to dial through."""
        key = (room.id, lane.keys.tag, peer_id)
        found = self._boxes.get(key)
        if found is None:
            guarded = self._guarded(room)
            via = self._context.carrier.guard(now) if guarded else None
            if guarded and via is None:
                return None  # never past the guard
            dial = self._dial(peer_id, self._context.rng.randbytes(SEED_BYTES), via, out)
            found = self._boxes[key] = Box(room.id, lane, peer_id, dial, now.mono_s, now.mono_s)
            self._dials[dial] = found
        return found

    def link_up(self, link: LinkId, dial: DialId, binding: bytes, now: Instant, out: list[Effect]) -> Box | None:
        """A link that was dialled here is there; None when it was not, or is not needed any more."""
        box = self._dials.pop(dial, None)
        if box is None:
            return None
        if self._boxes.get((box.room, box.lane.keys.tag, box.peer_id)) is not box:
            out.append(Hangup(link))
            return None
        box.link, box.binding, box.heard_s, box.used_s = link, binding, now.mono_s, now.mono_s
        self._links[link] = box
        return box

    def owns_dial(self, dial: DialId) -> bool:
        """Whether a dial was begun here."""
        return dial in self._dials

    def dial_failed(self, dial: DialId, now: Instant) -> Box | None:
        """A dial brought nothing; the link that it was for."""
        box = self._dials.pop(dial, None)
        return None if box is None or not self._drop(box) else self._failed(box, now)

    def link_down(self, link: LinkId, now: Instant) -> Box | None:
        """A link has ended; whose it was. One that nobody needed is no failure."""
        box = self._links.pop(link, None)
        if box is None or not self._drop(box):
            return None
        return self._failed(box, now) if box.is_needed else box

    def fail(self, box: Box, now: Instant, out: list[Effect]) -> None:
        """A mailbox does not do what it should: leave it for a while."""
        self._failed(box, now)
        self.close(box, out)

    def answered(self, box: Box) -> None:
        """A mailbox did what it was asked: its failures are forgotten."""
        self._failures.pop((box.room, box.peer_id), None)

    def close(self, box: Box, out: list[Effect]) -> None:
        """End a link."""
        self._drop(box)
        self._dials.pop(box.dial, None)
        if box.link is not None:
            self._links.pop(box.link, None)
            out.append(Hangup(box.link))

    def close_room(self, room: RoomId, out: list[Effect]) -> None:
        """End all links of a room."""
        for box in self.of_room(room):
            self.close(box, out)

    def forget_failures(self) -> None:
        """Every mailbox may be tried at once."""
        self._failures.clear()

    def overdue(self, room: RoomId, now: Instant, out: list[Effect]) -> list[Box]:
        """Links on which an answer is overdue; those that nobody needs are closed here, those kept are pinged."""
        late: list[Box] = []
        for box in self.of_room(room):
            quiet_s = now.mono_s - max(box.heard_s, box.used_s)
            if box.is_needed:
                if quiet_s >= SILENT_S and box.link is not None:
                    late.append(box)
            elif box.follows and box.link is not None:
                if now.mono_s - box.heard_s >= FOLLOW_SILENT_S:
                    late.append(box)
                elif now.mono_s - max(box.heard_s, box.pinged_s) >= PING_EVERY_S:
                    box.pinged_s = now.mono_s
                    out.append(Send(box.link, (Ping(0).encode(),)))
            elif quiet_s >= IDLE_S:
                self.close(box, out)
        return late

    def _is_slow(self, room: Room, lane: Lane, peer_id: PeerId, now: Instant) -> bool:
        box = self.find(room, lane, peer_id)
        return box is not None and box.link is None and now.mono_s - box.used_s >= DIAL_WITHIN_S

    def _failed(self, box: Box, now: Instant) -> Box:
        count, _ = self._failures.get((box.room, box.peer_id), (0, 0.0))
        wait_s = BACKOFF_S[min(count, len(BACKOFF_S) - 1)]
        self._failures[box.room, box.peer_id] = (count + 1, now.mono_s + wait_s)
        return box

    def _drop(self, box: Box) -> bool:
        key = (box.room, box.lane.keys.tag, box.peer_id)
        if self._boxes.get(key) is not box:
            return False
        del self._boxes[key]
        return True
