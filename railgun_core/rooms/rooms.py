"""All rooms of this device: who gets which link, frame and deadline.

Routes only; what happens in a room is in room.py and its neighbours. Every lane dials with a pseudonym of its own,
so no relay can tell that two rooms, or two epochs of one, belong to one person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from railgun_core.base.clock import Instant
from railgun_core.base.errors import UsageError
from railgun_core.base.ids import DialId, LinkId, MemberId, PeerId, RoomId
from railgun_core.base.keys import SEED_BYTES, Identity
from railgun_core.base.rng import Rng
from railgun_core.base.timers import Timers
from railgun_core.changes import (
    RESTORED_BACKUP,
    Change,
    CommitteePut,
    Item,
    ItemsAdd,
    Membership,
    RoomPut,
    SettingPut,
    StoredRoom,
)
from railgun_core.committee.epoch import EpochClock
from railgun_core.committee.rotation import Rotation
from railgun_core.committee.selection import Committee
from railgun_core.committee.trust import Trust
from railgun_core.committee.view import RelayView
from railgun_core.events import Effect, Hangup, Noticed, Save, SaveSoon
from railgun_core.ratchet.safety import SafetyNumber, safety_number
from railgun_core.rooms import attend, device, keying, posting, publish, receive, removal, saying, sync
from railgun_core.rooms.content import Mood, split_message
from railgun_core.rooms.epoch_keys import epoch_keys, room_id_of
from railgun_core.rooms.inbox import Inbox
from railgun_core.rooms.keyring import Keyring
from railgun_core.rooms.lane import Lane
from railgun_core.rooms.lineage import Lineage
from railgun_core.rooms.mail_desk import MailDesk
from railgun_core.rooms.room import AWAIT_S, Carrier, Room, RoomContext, Timer, save
from railgun_core.rooms.session import RelaySession
from railgun_core.status import DutyState
from railgun_core.wire.frames import FrameBatch
from railgun_core.wire.records import Record

Place = tuple[Room, Lane, RelaySession]
NUDGE_AFTER_RESTART_S = 10.0
GUARD_RETRY_S = 1.0


class Rooms:
    """The rooms, and the links that belong to them. `dial` asks the node for a link under a pseudonym."""

    def __init__(
        self,
        *,
        view: RelayView,
        clock: EpochClock,
        committee_size: int,
        rng: Rng,
        dial: Callable[[PeerId, bytes, LinkId | None, list[Effect]], DialId],
        when_saved: Callable[[Callable[[Instant, list[Effect]], None]], int],
        carrier: Carrier,
        trust: Trust,
    ) -> None:
        self.rooms: dict[RoomId, Room] = {}
        self.timers: Timers[Timer] = Timers()
        self._dial = dial
        self._dials: dict[DialId, Place] = {}
        self._links: dict[LinkId, Place] = {}
        self.context = RoomContext(view, clock, committee_size, rng, self.timers, when_saved, carrier, trust)
        self.mail = MailDesk(self.context, self.rooms, dial=dial, guarded=self._is_guarded)

    # ------------------------------------------------------------ what a person does

    def create(self, name: str, root: bytes, now: Instant, out: list[Effect], *, joining: bool) -> Room:
        """A new room, or one that is joined by its root. UsageError when this device is in it already."""
        room_id = room_id_of(root)
        known = self.rooms.get(room_id) or next((r for r in self.rooms.values() if r.put.root == root), None)
        if known is not None:
            raise UsageError(f"you are in this room already, as {known.put.name}", code="already-joined")
        seed = self.context.rng.randbytes(SEED_BYTES)
        membership = Membership.JOINING if joining else Membership.ACTIVE
        put = RoomPut(room_id, name, root, seed, now.unix_s, membership)
        ring = Keyring.create(seed, now.unix_s)
        room = self.rooms[room_id] = Room(put, ring, next_seq=1, first_kept=1)
        self.mail.entered(room, now)
        save(self.context, (put, ring.account_put(room_id)), out)
        self._enter(room, now, out)
        return room

    def restore(
        self, stored: Iterable[StoredRoom], now: Instant, out: list[Effect], *, restored_backup: bool = False
    ) -> None:
        """Take the rooms of before a restart up again; as a new member of each when the store is an older one."""
        renewed: list[Change] = [SettingPut(RESTORED_BACKUP, None)] if restored_backup else []
        for saved in stored:
            if saved.room.membership is Membership.LEFT:
                continue
            seed, top_seq = saved.room.member_seed, saved.next_seq - 1
            ring = Keyring.restore(seed, saved.secrets, now.unix_s, top_seq=top_seq)
            lineage = Lineage.restore(saved.room.root, saved.secrets)
            room = Room(saved.room, ring, next_seq=saved.next_seq, first_kept=saved.first_kept, lineage=lineage)
            for member in saved.members:
                inbox = Inbox(member.member, baseline=member.baseline, have=member.have, since_s=now.unix_s)
                inbox.membership, inbox.heard_s = member.membership, member.heard_s
                inbox.secure = member.secure
                ring.fellow(member.member).key = member.key
                room.inboxes[member.member] = inbox
            room.outbox.restore(saved.outbox)
            room.mail.restore(saved.secrets, saved.room.created_s)
            device.restore(room, saved)
            if restored_backup:
                renewed += device.renew(room, self.context, now)
            self.rooms[room.id] = room
        if renewed:
            out.append(Save(self.context.when_saved(lambda then, effects: None), tuple(renewed)))
            out.append(Noticed("new-device-key"))
        for room in self.rooms.values():
            if room.outbox.stored:
                self.context.wake("nudge", room.id, now.mono_s + NUDGE_AFTER_RESTART_S)
            self.mail.entered(room, now)
            self._enter(room, now, out)

    def leave(self, room: Room, now: Instant, out: list[Effect]) -> None:
        """Say goodbye and close every session of a room; the conversation stays until it is forgotten."""
        sync.send_sync(room, self.context, now, out, Mood.LEAVING)
        save(self.context, (room.become(Membership.LEFT),), out)
        for lane in room.every_lane():
            self._close_lane(room, lane, out)
        del self.rooms[room.id]
        self.mail.left(room, now, out)

    def secure(self, room: Room, now: Instant, out: list[Effect], *, on: bool) -> None:
        """Send through mixes and receive through guards from now on, or no longer.

        Every session ends and is opened anew the other way, each under a fresh pseudonym: one that was seen with this
        device's address must not be seen behind a guard.
        """
        if room.secure == on:
            return
        room.put = replace(room.put, secure=on)
        save(self.context, (room.put,), out)
        for lane in room.every_lane():
            self._close_lane(room, lane, out)
        self.mail.left(room, now, out)
        self._enter(room, now, out)
        sync.plan_sync(room, self.context, now)

    def remove(self, room: Room, member: MemberId, now: Instant, out: list[Effect]) -> None:
        """Leave a member out: those who stay get a new root. UsageError when it is not there."""
        removal.remove(room, self.context, member, now, out)

    def safety(self, room: Room, member: MemberId) -> SafetyNumber:
        """What this person and a member compare. UsageError while the member's key has not been heard."""
        key = room.ring.fellow(member).key if member in room.inboxes else b""
        if not key:
            raise UsageError("nothing was heard of that member yet: try again when it is there", code="no-key-yet")
        return safety_number(room.ring.me.public_key, key)

    def submit(
        self, room: Room, bodies: Iterable[bytes], now: Instant, out: list[Effect], *, opaque: bool = False
    ) -> tuple[int, int]:
        """Queue messages: durable first, then sent. The first and last sequence they got.

        `opaque`: the bodies are ciphertext of the caller's own; they are signed here and not encrypted again.
        """
        items: list[Item] = []
        room.carries_opaque = room.carries_opaque or opaque
        first = room.outbox.next_seq
        for body in bodies:
            items += split_message(body, first + len(items), now.unix_s, opaque=opaque, medium_only=room.secure)
        room.outbox.next_seq = first + len(items)

        def saved(then: Instant, effects: list[Effect]) -> None:
            room.outbox.add(items)
            self.mail.submitted(room, items, then, effects)
            publish.pump(room, self.context, then, effects)

        rows = ItemsAdd(room.id, room.me, tuple(items), own=True)
        out.append(Save(self.context.when_saved(saved), (rows,)))
        return first, room.outbox.last_seq

    # ------------------------------------------------------------ what the network brings

    def link_up(self, link: LinkId, dial: DialId, binding: bytes, now: Instant, out: list[Effect]) -> bool:
        """A link that one of the rooms asked for; False when nobody did."""
        place = self._dials.pop(dial, None)
        if place is None:
            return self.mail.link_up(link, dial, binding, now, out)
        room, lane, session = place
        if lane.sessions.get(session.peer_id) is not session:
            out.append(Hangup(link))
            return True
        self._links[link] = place
        attend.link_up(self.context, lane, session, link, binding, now, out)
        self._ping_soon(room, now)
        return True

    def dial_failed(self, dial: DialId, now: Instant, out: list[Effect]) -> bool:
        """A dial of one of the rooms brought nothing; False when it was not one of theirs."""
        place = self._dials.pop(dial, None)
        if place is None:
            return self.mail.dial_failed(dial, now)
        self._lost(place, now, out)
        return True

    def link_down(self, link: LinkId, now: Instant, out: list[Effect]) -> None:
        """A link is gone."""
        place = self._links.pop(link, None)
        if place is not None:
            self._lost(place, now, out)
        else:
            self.mail.link_down(link, now)

    def frames(self, link: LinkId, batch: FrameBatch, now: Instant, out: list[Effect]) -> tuple[Record, ...]:
        """Everything one read completed on a link; relay records that came with it. MalformedFrame to close it."""
        place = self._links.get(link)
        if place is None:
            self.mail.frames(link, batch, now, out)
            return ()
        room, lane, session = place
        records, lost = attend.frames(room, self.context, lane, session, batch, now, out)
        if lost:
            self._links.pop(link, None)
            out.append(Hangup(link))
            self._lost(place, now, out)
        return records

    def view_changed(self, now: Instant, out: list[Effect]) -> None:
        """New relays are known: appoint the committees of live lanes again."""
        for room in self.rooms.values():
            for lane in room.every_lane():
                self._appoint(room, lane, now, out)
        self.mail.view_changed(now)

    def targets(self) -> list[tuple[bytes, int]]:
        """Tags and epochs whose committees should be looked up in the DHT: never those of guarded rooms."""
        rooms = [room for room in self.rooms.values() if not self._is_guarded(room)]
        return [(lane.keys.tag, lane.epoch) for room in rooms for lane in room.every_lane()]

    def dummy(self, now: Instant) -> tuple[PeerId, bytes] | None:
        """A cover post for one of the high-security rooms: the relay and the body; None while there is none."""
        secure = [room for room in self.rooms.values() if room.secure]
        if not secure:
            return None
        return posting.dummy(secure[self.context.rng.randrange(0, len(secure))], self.context, now)

    def woke(self, now: Instant, out: list[Effect]) -> None:
        """This device slept, or its address changed; its links are down already. Dial at once, whatever failed before.

        What was missed comes with the next sessions: each asks its relay what it holds, and says where this member is.
        """
        for room in list(self.rooms.values()):
            for lane in room.every_lane():
                lane.forget_failures()
                lane.failovers.clear()
                lane.greeted = False
            self._enter(room, now, out)
            for lane in room.every_lane():
                self._attend(room, lane, now, out)
        self.mail.woke(now, out)

    def fetched(self, room_id: RoomId, items: tuple[Item, ...], now: Instant, out: list[Effect]) -> None:
        """Own items that were read back."""
        room = self.rooms.get(room_id)
        if room is not None:
            if not self.mail.fetched(room, items, now, out):
                sync.resend_fetched(room, items, now)
                self.context.wake("mail", room.id, now.mono_s + 3.0)
            publish.pump(room, self.context, now, out)

    def tick(self, now: Instant, out: list[Effect]) -> None:
        """Do what is due."""
        for what, room_id, epoch in self.timers.pop_due(now.mono_s):
            room = self.rooms.get(room_id)
            if room is not None:
                self._wake(room, what, epoch, now, out)

    # ------------------------------------------------------------ inside

    def _wake(self, room: Room, what: str, epoch: int, now: Instant, out: list[Effect]) -> None:
        context = self.context
        match what:
            case "pump":
                publish.pump(room, context, now, out)
            case "retry":
                publish.retry(room, context, now, out)
            case "unheard":
                publish.give_unheard(room, context, now, out)
            case "sync":
                sync.send_sync(room, context, now, out)
            case "nudge":
                sync.nudge(room, context, now, out)
            case "keys":
                keying.hand_out(room, context, now, out, say=saying.say)
            case "lacks":
                sync.ask_for_keys(room, context, now, out)
            case "gaps":
                receive.close_gaps(room, context, now, out)
            case "ping":
                self._ping(room, now, out)
            case "mail":
                self.mail.look(room, now, out)
            case "lanes":
                self._enter(room, now, out)
            case "heads":
                saying.pass_heads_on(room, context, now, out)
            case "leave":
                self.view_changed(now, out)
            case _:
                for lane in room.every_lane():
                    if lane.epoch == epoch:
                        self._attend(room, lane, now, out)

    def _enter(self, room: Room, now: Instant, out: list[Effect]) -> None:
        """Open lanes for the live epochs, move the others on, and come back at the next turn."""
        context, clock = self.context, self.context.clock
        if not room.moving:
            for former in removal.tidy(room, self.context, now, out):
                for lane in list(former.lanes.values()):
                    self._end_lane(room, lane, out)
        if room.moving:  # its root is being changed: this is called again when it has been
            return
        self._open_lanes(room, now, out)
        newest = max(clock.live_epochs(now.unix_s))
        for lane in room.every_lane():
            if DutyState.OVERLAP in lane.rotation.advance(now.unix_s):
                within_s = context.rng.uniform(0.1, 0.6) * clock.overlap_s
                context.wake("heads", room.id, now.mono_s + within_s)
            if not lane.is_live or lane.epoch > newest:  # later than the next: the clock was ahead, and went back
                self._close_lane(room, lane, out)
            elif lane.open_sessions():
                attend.greet(room, self.context, lane, now, out)
        keying.tidy(room, self.context, now, out)
        room.outbox.give_up_before(clock.epoch_at(now.unix_s - AWAIT_S))
        sync.settle(room, now, out)
        publish.pump(room, self.context, now, out)
        turns = [t for lane in room.lanes.values() if (t := lane.rotation.next_turn_s()) is not None]
        turns.append(clock.prepare_s(max(room.lanes) + 1))
        jitter_s = self.context.rng.uniform(0.0, 0.4 * clock.overlap_s)
        in_s = max(0.0, min(turns) - now.unix_s)
        starts = any(abs(clock.prepare_s(max(room.lanes) + 1) - turn) < 1e-6 for turn in turns if turn == min(turns))
        self.timers.set(("lanes", room.id, 0), now.mono_s + in_s + (jitter_s if starts else 0.0))

    def _open_lanes(self, room: Room, now: Instant, out: list[Effect]) -> None:
        """A lane for every live epoch of the room's root, and of the roots it had that are still listened to."""
        roots = [(room.put.root, room.lanes), *((former.root, former.lanes) for former in room.lineage.formers)]
        for epoch in self.context.clock.live_epochs(now.unix_s):
            for root, lanes in roots:
                if epoch not in lanes:
                    pseudonym = Identity(self.context.rng.randbytes(SEED_BYTES))
                    lane = lanes[epoch] = Lane(epoch_keys(root, epoch), pseudonym, Rotation(epoch, self.context.clock))
                    self._appoint(room, lane, now, out)

    def _appoint(self, room: Room, lane: Lane, now: Instant, out: list[Effect]) -> None:
        context = self.context
        committee = context.view.committee(lane.keys.tag, lane.epoch, size=context.committee_size, clock=context.clock)
        if lane.appoint(committee, without=self._shunned(room, committee)) and committee.seats:
            evidence = CommitteePut(
                room=room.id,
                tag=lane.keys.tag,
                epoch=lane.epoch,
                epoch_s=context.clock.epoch_s,
                computed_s=now.unix_s,
                size=context.committee_size,
                records=context.view.evidence(committee),
            )
            out.append(SaveSoon((evidence,)))
        self._attend(room, lane, now, out)

    def _attend(self, room: Room, lane: Lane, now: Instant, out: list[Effect]) -> None:
        """Dial the relays that are lacking, and leave those that no longer belong."""
        wanted = lane.to_dial(now.mono_s)
        via = self.context.carrier.guard(now) if self._is_guarded(room) else None
        if wanted and via is None and self._is_guarded(room):
            self.timers.set_earlier(("attend", room.id, lane.epoch), now.mono_s + GUARD_RETRY_S)
            wanted = []  # never past the guard
        for peer_id in wanted:
            dial = self._dial(peer_id, lane.pseudonym.seed, via, out)
            session = RelaySession.begin(peer_id, dial, now.mono_s, tunnelled=via is not None)
            lane.sessions[peer_id] = session
            self._dials[dial] = (room, lane, session)
        for session in lane.outsiders():
            self._part(room, lane, session, out)
        review_s = lane.review_s(now.mono_s)
        if review_s is not None:
            self.timers.set_earlier(("attend", room.id, lane.epoch), max(review_s, now.mono_s + 0.05))

    def _part(self, room: Room, lane: Lane, session: RelaySession, out: list[Effect]) -> None:
        """Leave a relay that is not needed any more."""
        del lane.sessions[session.peer_id]
        publish.session_lost(room, session)
        if session.link is not None:
            self._links.pop(session.link, None)
            out.append(Hangup(session.link))

    def _lost(self, place: Place, now: Instant, out: list[Effect]) -> None:
        room, lane, session = place
        if lane.sessions.get(session.peer_id) is not session:
            return
        lane.failed(session.peer_id, now.mono_s)
        if not session.is_suspect:  # others have taken over from a suspect
            publish.given_up(room, lane, session, now, cause=session.cause)
        publish.session_lost(room, session)
        self.context.wake("mail", room.id, now.mono_s)
        if lane.is_live and room.id in self.rooms:
            attend.reslice(room, self.context, lane, now, out)
            self._attend(room, lane, now, out)
            publish.pump(room, self.context, now, out)
            publish.conclude(room, now, out)
            self._ping_soon(room, now)

    def _close_lane(self, room: Room, lane: Lane, out: list[Effect]) -> None:
        for lanes in (room.lanes, *(former.lanes for former in room.lineage.formers)):
            if lanes.get(lane.epoch) is lane:
                del lanes[lane.epoch]
        self._end_lane(room, lane, out)

    def _end_lane(self, room: Room, lane: Lane, out: list[Effect]) -> None:
        """Hang up; what a committee did not store before it went is placed again."""
        publish.lane_retired(room, lane)
        for session in lane.sessions.values():
            self._dials.pop(session.dial, None)
            if session.link is not None:
                self._links.pop(session.link, None)
                out.append(Hangup(session.link))
        lane.sessions.clear()

    def _ping_soon(self, room: Room, now: Instant) -> None:
        at_s = attend.next_look_s(room.every_lane(), now)
        if at_s is not None:
            self.timers.set_earlier(("ping", room.id, 0), at_s)

    def _ping(self, room: Room, now: Instant, out: list[Effect]) -> None:
        """Look at the heartbeats of a room, and of those that are due soon after."""
        cut_off = attend.is_cut_off((lane for other in self.rooms.values() for lane in other.every_lane()), now)
        for other in list(self.rooms.values()):
            if other is room or attend.is_due(other.every_lane(), now):
                self._look(other, now, out, cut_off=cut_off)

    def _look(self, room: Room, now: Instant, out: list[Effect], *, cut_off: bool) -> None:
        """See to what a room's heartbeats show."""
        self.timers.cancel(("ping", room.id, 0))
        for lane in room.every_lane():
            looked = attend.look(lane, now, out, cut_off=cut_off)
            for session in looked.gone:
                if session.link is not None:
                    self._links.pop(session.link, None)
                    out.append(Hangup(session.link))
                self._lost((room, lane, session), now, out)
            if looked.suspects:
                self.context.wake("mail", room.id, now.mono_s)
                attend.suspected(room, self.context, lane, looked.suspects, now, out)
            elif looked.settled:
                attend.reslice(room, self.context, lane, now, out)
            attend.judge(room, self.context, lane, now, out)
            for session in lane.surplus(now.mono_s):
                self._part(room, lane, session, out)
            if lane.is_live and lane.to_dial(now.mono_s):
                self._attend(room, lane, now, out)
        publish.conclude(room, now, out)
        self._ping_soon(room, now)

    def _shunned(self, room: Room, committee: Committee) -> frozenset[PeerId]:
        """Relays that this member does not use: convicted ones, and its guards, which know its address.

        A high-security room rather waits than use one; an ordinary room behind guards does when there is nobody else.
        """
        convicted = frozenset(self.context.convicted)
        if not self._is_guarded(room):
            return convicted
        guards = self.context.carrier.guards
        others = set(committee.members) - guards
        return guards | convicted if room.secure or others else convicted

    def _is_guarded(self, room: Room) -> bool:
        return room.secure or self.context.carrier.all_rooms
