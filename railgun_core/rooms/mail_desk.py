"""Mail of all rooms: what is left for members who are away, and what was left for this one.

Routes and keeps time. What is left for others is in mail_packing.py and mail_leaving.py, what is fetched in
mail_collecting.py, who is dialled in mail_links.py, the server of hybrid mode in central_way.py. One timer a room,
`mail`, looks at everything; whatever happens in between only brings it forward. A network without mailboxes and
without a server sets no timer at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from railgun_core.base.clock import Instant
from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import DialId, LinkId, RoomId, Tag
from railgun_core.changes import Item
from railgun_core.events import CentralBrought, CentralKept, Effect, Save, Send
from railgun_core.rooms import mail_collecting as collecting
from railgun_core.rooms import mail_packing as packing
from railgun_core.rooms import receive
from railgun_core.rooms.central_way import REST_S, CentralWay
from railgun_core.rooms.detour import Detour, NoDetour
from railgun_core.rooms.lane import Lane
from railgun_core.rooms.mail import CENTRAL, GONE_AFTER_S, KEEP_FORMERS, Keeper, day_of, mail_lane, oldest_day
from railgun_core.rooms.mail_leaving import Leaving
from railgun_core.rooms.mail_links import Box, DialPeer, MailLinks
from railgun_core.rooms.mail_parcels import CENTRAL_AFTER_S
from railgun_core.rooms.receive import Taken
from railgun_core.rooms.room import Room, RoomContext
from railgun_core.wire.frames import Bye, ControlFrame, FrameBatch, Misdirected, Ping, Pong, Refused, decode_control
from railgun_core.wire.kinds import FrameType
from railgun_core.wire.mail import Collected, Evicted, Receipt

LOOK_S = 0.5  # while something is on its way
FOLLOW_LOOK_S = 1.0
SAVE_EVERY_S = 1.0


class MailDesk:
    """See the module. `guarded`: whether a room's links go through guards."""

    def __init__(
        self,
        context: RoomContext,
        rooms: dict[RoomId, Room],
        *,
        dial: DialPeer,
        guarded: Callable[[Room], bool],
        detour: Detour | None = None,
    ) -> None:
        self._context = context
        self._rooms = rooms
        self._guarded = guarded
        self._rounds: dict[RoomId, collecting.Round] = {}
        self._central_lanes: dict[Tag, tuple[RoomId, Lane]] = {}
        self._followed_for: tuple[object, ...] = ()
        self.detour: Detour = detour or NoDetour()
        self.links = MailLinks(context, dial, guarded)
        self.central = CentralWay()
        self._leaving = Leaving(context, self.links, self.central, self.detour, guarded)

    # ------------------------------------------------------------ rooms

    def entered(self, room: Room, now: Instant) -> None:
        """A room is new here, or was taken up again after a restart."""
        room.mail.since_s = now.mono_s
        self._context.wake("mail", room.id, now.mono_s + LOOK_S)

    def left(self, room: Room, now: Instant, out: list[Effect]) -> None:
        """A room is left, or reaches its mailboxes another way from now on: its links end."""
        self.links.close_room(room.id, out)
        self._rounds.pop(room.id, None)
        self._leaving.forget(room.id)
        room.mail.told.clear()
        self._follow_central(now, out)
        self._context.wake("mail", room.id, now.mono_s)

    def submitted(self, room: Room, items: Iterable[Item], now: Instant, out: list[Effect]) -> None:
        """Own items are durable. Where the server comes first the committee waits for it, for a while."""
        if self._leaving.uses_central(room) and self.central.is_first_at(now.mono_s) and not room.joining:
            until_s = now.mono_s + CENTRAL_AFTER_S
            room.outbox.held_s.update((item.seq, until_s) for item in items)
            self._context.wake("pump", room.id, until_s)
            self.look(room, now, out)
        else:
            self._context.wake("mail", room.id, now.mono_s + GONE_AFTER_S)

    def fetched(self, room: Room, items: tuple[Item, ...], now: Instant, out: list[Effect]) -> bool:
        """Own items that were read back; whether it was for a deposit."""
        if room.mail.fetch is None:
            return False
        self._leaving.fetched(room, self._today(room, now), items, now, out)
        self._context.wake("mail", room.id, now.mono_s)
        return True

    def woke(self, now: Instant, out: list[Effect]) -> None:
        """This device was away: what was left for it is wanted now, whatever failed before."""
        self.links.forget_failures()
        for room in self._rooms.values():
            room.mail.collect_soon()
            self._context.wake("mail", room.id, now.mono_s)

    def view_changed(self, now: Instant) -> None:
        """Mailboxes may have come: look again where something waits for one."""
        for room in self._rooms.values():
            if self.links.everyone(self._today(room, now)):
                self._context.wake("mail", room.id, now.mono_s + LOOK_S)

    def targets(self, now: Instant) -> list[tuple[bytes, int]]:
        """Mail tags and days whose mailboxes should be looked up: never those of guarded rooms."""
        rooms = [room for room in self._rooms.values() if not self._guarded(room)]
        return [(lane.keys.tag, lane.epoch) for room in rooms for lane in self._live_lanes(room, now)]

    # ------------------------------------------------------------ links

    def link_up(self, link: LinkId, dial: DialId, binding: bytes, now: Instant, out: list[Effect]) -> bool:
        """A link that was dialled here; False when it was not."""
        if not self.links.owns_dial(dial):
            return False
        box = self.links.link_up(link, dial, binding, now, out)
        room = None if box is None else self._rooms.get(box.room)
        if box is not None and room is not None:
            collecting.ask(room, box, now, out)
            self._leaving.hand_out(room, now, out)
        return True

    def dial_failed(self, dial: DialId, now: Instant) -> bool:
        """A dial brought nothing; False when it was not begun here."""
        if not self.links.owns_dial(dial):
            return False
        self._gone(self.links.dial_failed(dial, now), now)
        return True

    def link_down(self, link: LinkId, now: Instant) -> bool:
        """A link has ended; False when it was none of these."""
        if self.links.of_link(link) is None:
            return False
        self._gone(self.links.link_down(link, now), now)
        return True

    def frames(self, link: LinkId, batch: FrameBatch, now: Instant, out: list[Effect]) -> bool:
        """Everything one read brought; False when the link is none of these. A mailbox that sends rubbish is left."""
        box = self.links.of_link(link)
        room = None if box is None else self._rooms.get(box.room)
        if box is None or room is None:
            return False
        box.heard_s = now.mono_s
        try:
            leave = self._read(room, box, batch, now, out)
        except MalformedFrame:
            leave = True
        if leave:
            self.links.fail(box, now, out)
            self._gone(box, now)
        self._context.wake("mail", room.id, now.mono_s + 0.01)
        return True

    def _read(self, room: Room, box: Box, batch: FrameBatch, now: Instant, out: list[Effect]) -> bool:
        """Whether the mailbox is to be left for a while."""
        sealed: list[bytes] = []
        kept: list[int] = []
        leave = False
        for index in range(len(batch)):
            start, stop = batch.bounds[index], batch.bounds[index + 1]
            if batch.data[start + 4] == FrameType.ENVELOPE:
                sealed.append(batch.data[start:stop])
                continue
            if sealed:
                collecting.envelopes(room, self._context, box, sealed, now, out)
                sealed = []
            frame = decode_control(batch.data, start, stop)
            leave = self._control(room, box, frame, kept, now, out) or leave
        if sealed:
            collecting.envelopes(room, self._context, box, sealed, now, out)
        self._leaving.items_kept(room, kept, Keeper.MAILBOX, box.lane.epoch, now, out)
        return leave

    def _control(
        self, room: Room, box: Box, frame: ControlFrame, kept: list[int], now: Instant, out: list[Effect]
    ) -> bool:
        match frame:
            case Receipt():
                box.waits = max(0, box.waits - 1)
                return self._leaving.receipt(room, box.lane, box.peer_id, frame, kept, now, out)
            case Collected():
                self.links.answered(box)
                return collecting.collected(room, box, frame, now, out)
            case Evicted():
                collecting.evicted(box, frame, self.links, room, now, out)
            case Refused():
                return collecting.refused(box, frame.code, frame.retry_after_ms / 1000, now)
            case Misdirected() | Bye():
                return True
            case Ping():
                assert box.link is not None
                out.append(Send(box.link, (Pong(frame.nonce).encode(),)))
            case _:
                pass
        return False

    def _gone(self, box: Box | None, now: Instant) -> None:
        """A link to a mailbox is no more: what it was given goes out again, elsewhere or later."""
        if box is not None:
            self._leaving.gone(box, now)
            self._context.wake("mail", box.room, now.mono_s)

    # ------------------------------------------------------------ the central server

    def central_state(self, up: bool, now: Instant, out: list[Effect]) -> None:
        """The server can be used from now on, or no longer."""
        self.central.up = up
        self._follow_central(now, out, anew=up)
        self._look_everywhere(now)

    def central_mode(self, enabled: bool, first: bool, now: Instant, out: list[Effect]) -> None:
        """Hybrid mode is on or off; `first`: the server comes before the committee."""
        self.central.enabled, self.central.first = enabled, first
        self.central.up = self.central.up and enabled
        self.central.resting.clear()
        self._follow_central(now, out, anew=True)
        self._look_everywhere(now)

    def central_kept(self, event: CentralKept, now: Instant, out: list[Effect]) -> None:
        """The server answered."""
        self._leaving.central_kept(event, self._rooms, now, out)

    def central_brought(self, event: CentralBrought, now: Instant, out: list[Effect]) -> None:
        """The server has something for a room."""
        room_id, lane = self._central_lanes.get(event.tag, (None, None))
        room = None if room_id is None else self._rooms.get(room_id)
        if room is None or lane is None:
            return
        if Taken.DROPPED in receive.kept(room, self._context, lane, event.frames, now, out):
            self.central.resting[event.tag] = now.mono_s + REST_S  # it is brought again from here
            self._follow_central(now, out, anew=True)
        else:
            room.mail.read(lane, CENTRAL, event.position)
        self._context.wake("mail", room.id, now.mono_s + SAVE_EVERY_S)

    def _follow_central(self, now: Instant, out: list[Effect], *, anew: bool = False) -> None:
        """Follow the mail of the last days of all rooms that show their addresses anyway."""
        rooms = (
            [room for room in self._rooms.values() if self._leaving.may_use_central(room)]
            if self.central.enabled
            else []
        )
        today = day_of(now.unix_s)
        key = (today, *((room.id, room.put.root) for room in rooms))
        if not anew and key == self._followed_for and not self.central.resting:
            return
        self._followed_for = key
        self._central_lanes = {
            lane.keys.tag: (room.id, lane)
            for room in rooms
            for day in range(oldest_day(now.unix_s), today + 1)
            for lane in self._lanes_of(room, day)
        }
        places = [(tag, self._rooms[r].mail.position(lane, CENTRAL)) for tag, (r, lane) in self._central_lanes.items()]
        self.central.follow(places, now, out, anew=anew)

    # ------------------------------------------------------------ the look

    def look(self, room: Room, now: Instant, out: list[Effect]) -> None:
        """Do what is due for a room, and plan the next look."""
        mail = room.mail
        if self.central.enabled:
            self.central.tidy(now)
            self._follow_central(now, out)
        if room.moving or room.joining:
            self._context.wake("mail", room.id, now.mono_s + 2.0)
            return
        mail.no_way_s = None if room.has_way else now.mono_s if mail.no_way_s is None else mail.no_way_s
        mail.forget_before(oldest_day(now.unix_s))
        if mail.own:
            mail.confirmed(room.outbox.first_open)
        today = self._today(room, now)
        for box in self.links.overdue(room.id, now, out):
            self.links.fail(box, now, out)
            self._gone(box, now)
        self._collect(room, today, now, out)
        self._leaving.look(room, today, now, out)
        self._save(room, now, out)
        self._plan(room, today, now)

    def _collect(self, room: Room, today: Lane, now: Instant, out: list[Effect]) -> None:
        mail = room.mail
        if not self.links.everyone(today):
            return
        mail.wanted = mail.wanted or now.mono_s >= mail.poll_s
        round_ = self._rounds.get(room.id)
        if round_ is None and mail.wanted and now.mono_s >= mail.not_before_s:
            mail.wanted = False
            round_ = self._rounds[room.id] = collecting.begin(room, self._context, now)
        if round_ is not None and collecting.walk(round_, room, self.links, now, out):
            del self._rounds[room.id]
            self._walked(room, round_, now)
        if mail.no_way_s is not None and now.mono_s - mail.no_way_s >= collecting.FOLLOW_AFTER_S:
            mail.follow_until_s = now.mono_s + collecting.STAY_S
            collecting.follow(room, today, self.links, now, out)
        for box in self.links.of_room(room.id):
            if box.follow and (box.lane is not today or now.mono_s >= mail.follow_until_s):
                box.follow = box.follows = False
                box.used_s = now.mono_s
            collecting.ask(room, box, now, out)

    def _walked(self, room: Room, round_: collecting.Round, now: Instant) -> None:
        mail = room.mail
        if round_.is_complete:
            mail.collected(round_.unix_s)
            mail.misses = 0
            mail.poll_s = now.mono_s + collecting.POLL_S * self._context.rng.uniform(0.8, 1.2)
        else:
            again_s = collecting.AGAIN_S[min(mail.misses, len(collecting.AGAIN_S) - 1)]
            mail.misses += 1
            mail.wanted, mail.not_before_s = True, now.mono_s + again_s

    def _save(self, room: Room, now: Instant, out: list[Effect]) -> None:
        """Save what is kept, and how far others' mail was read once all of it is durable."""
        mail = room.mail
        if mail.is_ahead and self._is_settled(room):
            mail.settle()
        if mail.dirty and now.mono_s - mail.saved_s >= SAVE_EVERY_S:
            mail.dirty, mail.saved_s = False, now.mono_s
            out.append(Save(self._context.when_saved(lambda then, effects: None), (mail.put(room.id),)))

    def _plan(self, room: Room, today: Lane, now: Instant) -> None:
        """When to look again."""
        mail, now_s = room.mail, now.mono_s
        times: list[float] = []
        if self.links.everyone(today) or self._leaving.uses_central(room):
            boxes = bool(self.links.targets(room, today, now).mailboxes)
            due_s = packing.next_s(room, now, boxes=boxes)
            times += [] if due_s is None else [due_s]
            times += [now_s + FOLLOW_LOOK_S] if mail.no_way_s is not None else []
            times.append(mail.not_before_s if mail.wanted else mail.poll_s)
        if self._leaving.is_busy(room.id) or room.id in self._rounds:
            times.append(now_s + LOOK_S)
        times += self.central.resting.values()
        if mail.dirty or mail.is_ahead:
            times.append(now_s + SAVE_EVERY_S)
        if self.links.of_room(room.id):
            times.append(now_s + 5.0)
        first_s = min(times, default=float("inf"))
        if first_s < float("inf"):
            self._context.wake("mail", room.id, max(first_s, now_s + LOOK_S))

    # ------------------------------------------------------------ small questions

    def _today(self, room: Room, now: Instant) -> Lane:
        return mail_lane(room.mail.lanes, room.put.root, day_of(now.unix_s), self._context.rng)

    def _lanes_of(self, room: Room, day: int) -> list[Lane]:
        rng = self._context.rng
        formers = room.lineage.formers[-KEEP_FORMERS:]
        former = [mail_lane(one.mail, one.root, day, rng) for one in formers]
        return [*former, mail_lane(room.mail.lanes, room.put.root, day, rng)]

    def _live_lanes(self, room: Room, now: Instant) -> list[Lane]:
        """Today's mail of a room, and what is being collected. A clock that was wrong may have left later days."""
        today = [self._today(room, now)] if room.mail.lanes else []
        round_ = self._rounds.get(room.id)
        walked = [] if round_ is None or round_.lane is None else [round_.lane]
        return list(dict.fromkeys((*today, *walked)))

    def _is_settled(self, room: Room) -> bool:
        """Whether everything that came is durable: nothing waits for keys, for pieces or for what lies before it."""
        waits = room.ring.waiting_items or room.puzzle.held_bytes or room.ahead_bytes
        return not waits and all(inbox.kept == inbox.committed for inbox in room.inboxes.values())

    def _look_everywhere(self, now: Instant) -> None:
        for room in self._rooms.values():
            self._context.wake("mail", room.id, now.mono_s)
