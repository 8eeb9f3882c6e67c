"""The relay: who may open a session, and what becomes of each frame.

Frames come in, effects go out; nothing here waits or reads a clock. A duty begins with the first valid OPEN for a tag
in whose committee this node sees itself, and ends when its rotation retires. A link that is lost takes only its
sessions with it: the envelopes stay until the duty ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from railgun_core.base.clock import Instant
from railgun_core.base.ids import LinkId, MsgId, PeerId, PublicKey, Tag, TagHandle, peer_id_of
from railgun_core.base.keys import Identity
from railgun_core.base.ratelimit import TokenBucket
from railgun_core.base.timers import Timers
from railgun_core.changes import CommitteePut, ReplayAdd, ReplayDrop
from railgun_core.committee.epoch import EpochClock
from railgun_core.committee.rotation import Rotation
from railgun_core.committee.selection import Committee
from railgun_core.committee.trust import Trust
from railgun_core.committee.view import RelayView
from railgun_core.events import Effect, Hangup, SaveSoon, Send
from railgun_core.relay.duty import Duty, RelayLimits
from railgun_core.relay.fellowship import BUSY_FOR_S, SEEK_EVERY_S, Fellowship, LinkState, Session
from railgun_core.relay.forward import from_member, from_post, from_replica
from railgun_core.relay.opening import refusal_of
from railgun_core.relay.posts import Answer, Posts, refusal_of_post
from railgun_core.relay.sessions import MemberSession, ReplicaSession
from railgun_core.relay.spool import Spool
from railgun_core.status import DutyState
from railgun_core.wire.frames import (
    Bye,
    Cell,
    ControlFrame,
    FrameBatch,
    Got,
    Have,
    Misdirected,
    Open,
    Opened,
    Packet,
    Ping,
    Pong,
    Pull,
    Refused,
    Role,
    Slice,
    Want,
    decode_control,
)
from railgun_core.wire.heads import Chain
from railgun_core.wire.kinds import FrameType, Refusal
from railgun_core.wire.mail import Collect, Deposit, Obituary
from railgun_core.wire.posts import Post, PostAnswer, PostStatus

SAVE_IDS_AFTER_S = 1.0
MAX_MISSING = 1_000_000  # ids that a fellow has and this relay lacks; a spool holds fewer


class Relay:
    """All duties of this node. `dial` asks the node for a link to a fellow relay; `other` gets the
    frames of the mixnet and of the mailbox."""

    def __init__(
        self,
        identity: Identity,
        *,
        view: RelayView,
        clock: EpochClock,
        committee_size: int,
        limits: RelayLimits,
        dial: Callable[[PeerId, list[Effect]], object],
        other: Callable[[LinkId, Packet | Cell | Deposit | Collect, Instant, list[Effect]], None],
        trust: Trust,
    ) -> None:
        self._identity, self._own = identity, identity.peer_id
        self._view = view
        self._clock = clock
        self._size = committee_size
        self._other = other
        self._links: dict[LinkId, LinkState] = {}
        self._remembered: dict[Tag, list[MsgId]] = {}
        self.limits = limits
        self.duties: dict[TagHandle, Duty] = {}
        self.rotations = 0
        self._retired_totals = (0, 0)
        self._held_bytes = 0  # in the spools of all duties
        self._posts = Posts(rate_per_s=limits.rate_per_s, burst=limits.burst)
        self.timers: Timers[tuple[str, TagHandle]] = Timers()
        self._fellowship = Fellowship(
            identity,
            view=view,
            links=self._links,
            duties=self.duties,
            timers=self.timers,
            dial=dial,
            trust=trust,
        )

    def restore(self, replay: Iterable[ReplayAdd]) -> None:
        """Take back the replay windows of before a restart."""
        for entry in replay:
            ids = (MsgId(entry.ids[at : at + 16]) for at in range(0, len(entry.ids), 16))
            self._remembered.setdefault(entry.tag, []).extend(ids)

    def carried(self) -> tuple[int, int]:
        """Envelopes taken in, and bytes sent on, since start."""
        envelopes, relayed_bytes = self._retired_totals
        envelopes += sum(duty.envelopes for duty in self.duties.values())
        return envelopes, relayed_bytes + sum(duty.relayed_bytes for duty in self.duties.values())

    # ------------------------------------------------------------ links

    def link_up(
        self, link: LinkId, remote_key: PublicKey, binding: bytes, now: Instant, out: list[Effect], *, inbound: bool
    ) -> None:
        """A link is open: an inbound one, or one that this relay dialled to a fellow."""
        self._links[link] = LinkState(remote_key, binding, inbound)
        if not inbound:
            self._fellowship.meet(link, peer_id_of(remote_key), now, out)
            for duty in self.duties.values():
                self._fellowship.seek(duty, now, out)

    def link_down(self, link: LinkId, now: Instant) -> None:
        """A link is gone with all its sessions."""
        state = self._links.pop(link, None)
        for duty, session in state.sessions.values() if state else ():
            self._forget(duty, session)
        self._fellowship.link_down(link, now)

    def dial_failed(self, peer_id: PeerId, now: Instant, out: list[Effect]) -> None:
        """A fellow relay cannot be reached; it is tried again while a duty needs it."""
        self._fellowship.dial_failed(peer_id, now, out)

    def woke(self, now: Instant, out: list[Effect]) -> None:
        """Every link was let go after a sleep or a move: fellows are dialled at once."""
        self._fellowship.woke(now, out)

    def cut_off(self, now: Instant) -> bool:
        """Whether it is this relay that lost its network, because most fellows fell silent at once."""
        return self._fellowship.cut_off(now)

    def _forget(self, duty: Duty, session: Session) -> None:
        if isinstance(session, MemberSession):
            if duty.members.get(session.link) is session:
                del duty.members[session.link]
                duty.refresh_slices()
        elif duty.replicas.get(session.peer_id) is session:
            del duty.replicas[session.peer_id]

    # ------------------------------------------------------------ frames

    def frames(self, link: LinkId, batch: FrameBatch, now: Instant, out: list[Effect]) -> None:
        """Everything one read completed on a link. MalformedFrame when the link has to be closed."""
        state = self._links.get(link)
        if state is None:
            return
        self._fellowship.heard(link, now, out)
        data, bounds, index = batch.data, batch.bounds, 0
        touched: dict[TagHandle, tuple[Duty, Session]] = {}
        while index < len(bounds) - 1:
            start = bounds[index]
            if data[start + 4] != FrameType.ENVELOPE:
                self._control(state, link, decode_control(data, start, bounds[index + 1]), now, out)
                index += 1
                continue
            handle = TagHandle(data[start + 5 : start + 13])
            found = state.sessions.get(handle)
            if found is None:
                out.append(Send(link, (Refused(handle, Refusal.NO_SESSION, 0).encode(),)))
                index += 1
                continue
            duty, session = touched[handle] = found
            before_bytes = duty.spool.held_bytes
            duty.spool.max_bytes = before_bytes + self.limits.spool_bytes - self._held_bytes
            if isinstance(session, MemberSession):
                index = from_member(duty, session, batch, index, now, out)
            else:
                index = from_replica(duty, session, batch, index, out)
            self._held_bytes += duty.spool.held_bytes - before_bytes
        for duty, session in touched.values():
            self._after_envelopes(duty, session, now, out)

    def _after_envelopes(self, duty: Duty, session: Session, now: Instant, out: list[Effect]) -> None:
        if isinstance(session, MemberSession):
            self._advance(duty, now, out)
            out += duty.acks((session,))
        else:
            out.append(Send(session.link, (Got(duty.handle, session.received).encode(),)))
            self._fellowship.ask_missing(duty, session, out)
        self._note_arrivals(duty, now)

    def _note_arrivals(self, duty: Duty, now: Instant) -> None:
        self._plan_announcement(duty, now)
        if now.mono_s - duty.arrived_s >= BUSY_FOR_S:
            self._fellowship.stir(now)
        duty.arrived_s = now.mono_s
        self.timers.set_earlier(("ids", duty.handle), now.mono_s + SAVE_IDS_AFTER_S)

    def _advance(self, duty: Duty, now: Instant, out: list[Effect]) -> None:
        """Tell whoever waits how far a majority has come."""
        if duty.advance_frontier():
            out += duty.acks(duty.waiting_sessions())
            self._posts.settle(duty, now, out)

    def _control(self, state: LinkState, link: LinkId, frame: ControlFrame, now: Instant, out: list[Effect]) -> None:
        if isinstance(frame, Open):
            self._open(state, link, frame, now, out)
            return
        if isinstance(frame, Packet | Cell | Deposit | Collect):
            self._other(link, frame, now, out)
            return
        if isinstance(frame, Ping):
            out.append(Send(link, (Pong(frame.nonce).encode(),)))
            return
        if isinstance(frame, Obituary):
            self._fellowship.obituary(link, frame, now, out)
            return
        handle = getattr(frame, "handle", None)
        found = state.sessions.get(handle) if handle is not None else None
        if found is None:
            return
        duty, session = found
        match frame:
            case Got():
                self._got(duty, session, frame.count, now, out)
            case Pull():
                out.append(Send(link, duty.haves(frame.position)))
            case Want():
                self._give(duty, session, frame, out)
            case Bye():
                del state.sessions[duty.handle]
                self._forget(duty, session)
            case Opened() if isinstance(session, ReplicaSession):
                self._fellowship.opened(duty, session, out)
            case Have() if isinstance(session, ReplicaSession):
                held = duty.spool.frames
                room = max(0, MAX_MISSING - len(session.missing))
                session.missing.extend([i for i in frame.ids if i not in held and i not in session.asked][:room])
                self._fellowship.ask_missing(duty, session, out)
            case Refused() | Misdirected() if isinstance(session, ReplicaSession):
                del state.sessions[duty.handle]
                self._forget(duty, session)
                self.timers.set_earlier(("fellows", duty.handle), now.mono_s + SEEK_EVERY_S)
            case _:
                pass

    # ------------------------------------------------------------ posts

    def posted(self, post: Post, answer: Answer, now: Instant, out: list[Effect]) -> None:
        """An envelope that came through the mixnet: taken in like a publication, answered once."""
        code = refusal_of_post(post, self._clock, now)
        duty = None if code is not None else self._duty_of(post, now, out)
        if duty is None:
            code = code or Refusal.NOT_SERVING
        elif not self._posts.admits(duty, now):
            code = Refusal.RATE
        else:
            before_bytes = duty.spool.held_bytes
            duty.spool.max_bytes = before_bytes + self.limits.spool_bytes - self._held_bytes
            if not from_post(duty, post.msg_id, post.frame, out):
                code = Refusal.FULL
            self._held_bytes += duty.spool.held_bytes - before_bytes
        if code is not None or duty is None:
            answer(PostAnswer(PostStatus.REFUSED, code), now, out)
            return
        self._advance(duty, now, out)
        self._posts.wait(duty, answer, now, out)
        self._note_arrivals(duty, now)

    def _duty_of(self, post: Post, now: Instant, out: list[Effect]) -> Duty | None:
        """The duty that a post is for; it begins here when this relay sees itself in the committee."""
        known = self.duties.get(TagHandle(post.tag[:8]))
        if known is not None:
            return known if (known.tag, known.epoch) == (post.tag, post.epoch) else None
        committee = self._view.committee(post.tag, post.epoch, size=self._size, clock=self._clock)
        if committee.seat_of(self._own) is None or len(self.duties) >= self.limits.duties:
            return None
        return self._begin(committee, now, out)

    # ------------------------------------------------------------ sessions

    def _open(self, state: LinkState, link: LinkId, frame: Open, now: Instant, out: list[Effect]) -> None:
        handle = TagHandle(frame.tag[:8])
        committee = self._view.committee(frame.tag, frame.epoch, size=self._size, clock=self._clock)
        known = self.duties.get(handle)
        code = refusal_of(frame, state.remote_key, state.binding, committee, self._clock, now)
        if code is None and known is None and len(self.duties) >= self.limits.duties:
            code = Refusal.FULL
        if code is None and known is not None and (known.tag != frame.tag or known.epoch != frame.epoch):
            code = Refusal.NOT_SERVING
        if code is not None:
            out.append(Send(link, (Refused(handle, code, 1_000).encode(),)))
            return
        if known is None and committee.seat_of(self._own) is None:
            records = self._view.committee_records(committee)
            out.append(Send(link, (Misdirected(handle, records).encode(),)))
            return
        duty = known or self._begin(committee, now, out)
        if frame.role is Role.RELAY:
            peer_id = peer_id_of(state.remote_key)
            self._fellowship.meet(link, peer_id, now, out)
            session = self._fellowship.replica(duty, link, peer_id)
            out.append(Send(link, (self._opened(duty),)))
            self._fellowship.opened(duty, session, out)
        else:
            self._open_member(duty, state, link, frame.slice, now, out)

    def _open_member(
        self, duty: Duty, state: LinkState, link: LinkId, slice_: Slice, now: Instant, out: list[Effect]
    ) -> None:
        session = duty.members.get(link)
        if session is None and len(duty.members) >= self.limits.members_per_duty:
            out.append(Send(link, (Refused(duty.handle, Refusal.FULL, 5_000).encode(),)))
            return
        if session is None:
            bucket = TokenBucket(self.limits.rate_per_s, self.limits.burst, now_s=now.mono_s)
            session = MemberSession(link, slice_, bucket, announced=duty.spool.position)
            duty.members[link] = session
            state.sessions[duty.handle] = (duty, session)
        session.slice = slice_
        duty.refresh_slices()
        out.append(Send(link, (self._opened(duty),)))

    def _opened(self, duty: Duty) -> bytes:
        seat = max(0, duty.seat)
        return Opened(duty.handle, seat, len(duty.committee.seats), self.limits.rate_per_s, self.limits.burst).encode()

    def _begin(self, committee: Committee, now: Instant, out: list[Effect]) -> Duty:
        remembered = self._remembered.pop(committee.tag, ())
        spool = Spool(max_bytes=self.limits.spool_bytes, remembered=remembered)
        until_s = self._clock.retire_s(committee.epoch)
        duty = Duty(committee, self._own, Rotation(committee.epoch, self._clock), spool, now, until_s=until_s)
        record = self._view.get(self._own)
        if record is not None:
            duty.chain = Chain(duty.tag, duty.epoch, record.not_before_s)
        self.duties[duty.handle] = duty
        duty.rotation.advance(now.unix_s)
        self._plan_turn(duty, now)
        out.append(SaveSoon((self._evidence(duty, now), duty.put())))
        self._fellowship.seek(duty, now, out)
        return duty

    def _evidence(self, duty: Duty, now: Instant) -> CommitteePut:
        return duty.evidence(self._view.evidence(duty.committee), epoch_s=self._clock.epoch_s, now=now)

    # ------------------------------------------------------------ what was carried

    def _got(self, duty: Duty, session: Session, count: int, now: Instant, out: list[Effect]) -> None:
        if isinstance(session, MemberSession):
            session.confirmed = min(count, session.delivered)
            return
        session.confirm(count)
        self._advance(duty, now, out)

    def _give(self, duty: Duty, session: Session, frame: Want, out: list[Effect]) -> None:
        frames = duty.wanted_frames(frame.ids)
        if not frames:
            return
        if isinstance(session, MemberSession):
            session.delivered += len(frames)
        else:
            session.sent += len(frames)
        duty.relayed_bytes += sum(map(len, frames))
        out.append(Send(session.link, frames))

    # ------------------------------------------------------------ time and view

    def tick(self, now: Instant, out: list[Effect]) -> None:
        """Do what is due."""
        for what, handle in self.timers.pop_due(now.mono_s):
            duty = self.duties.get(handle)
            if what == "look":
                self._fellowship.look(now, out)
            if duty is None:
                continue
            match what:
                case "announce":
                    self._announce(duty, now, out)
                case "fellows":
                    self._fellowship.seek(duty, now, out)
                case "ids":
                    self._save_ids(duty, out)
                case _:
                    self._turn(duty, now, out)

    def view_changed(self, now: Instant, out: list[Effect]) -> None:
        """New relays are known: draw the committees of live duties again."""
        for duty in list(self.duties.values()):
            committee = self._view.committee(duty.tag, duty.epoch, size=self._size, clock=self._clock)
            if committee.members == duty.committee.members and committee.standbys == duty.committee.standbys:
                continue
            duty.committee = committee
            out.append(SaveSoon((self._evidence(duty, now),)))
            self._fellowship.seek(duty, now, out)

    def targets(self) -> list[tuple[Tag, int]]:
        """The tags and epochs of live duties: whose committees should be looked up."""
        return [(duty.tag, duty.epoch) for duty in self.duties.values()]

    def _plan_announcement(self, duty: Duty, now: Instant) -> None:
        """Announce what is here now when it is old enough; what comes meanwhile has its own turn after that."""
        if duty.announcing and not duty.announcement_due and duty.announce_to < duty.spool.position:
            duty.announce_to = duty.spool.position
            duty.announcement_due = True
            self.timers.set(("announce", duty.handle), now.mono_s + self.limits.announce_after_s)

    def _announce(self, duty: Duty, now: Instant, out: list[Effect]) -> None:
        duty.announcement_due = False
        out += duty.announcements()
        self._plan_announcement(duty, now)

    def _save_ids(self, duty: Duty, out: list[Effect]) -> None:
        """What came in the last second: saved for the replay window, and signed for the members."""
        ids = duty.spool.unsaved_ids()
        if not ids:
            return
        out.append(SaveSoon((ReplayAdd(duty.tag, duty.epoch, b"".join(ids)),)))
        if duty.chain is not None:
            duty.chain.add(ids)
            head = duty.chain.sign(self._identity)
            listening = [s for s in duty.members.values() if s.slice is not Slice.QUIET]
            out += [Send(session.link, (head.encode(),)) for session in listening if head is not None]

    def _plan_turn(self, duty: Duty, now: Instant) -> None:
        turn_s = duty.rotation.next_turn_s()
        if turn_s is not None:
            self.timers.set(("turn", duty.handle), now.mono_s + max(0.0, turn_s - now.unix_s))

    def _turn(self, duty: Duty, now: Instant, out: list[Effect]) -> None:
        entered = duty.rotation.advance(now.unix_s)
        self.rotations += entered.count(DutyState.OVERLAP)
        self._plan_turn(duty, now)
        if entered:
            out.append(SaveSoon((duty.put(),)))
        if duty.rotation.state is DutyState.RETIRED:
            self._retire(duty, out)

    def _retire(self, duty: Duty, out: list[Effect]) -> None:
        del self.duties[duty.handle]
        self._posts.retire(duty)
        self._held_bytes -= duty.spool.held_bytes
        envelopes, relayed_bytes = self._retired_totals
        self._retired_totals = (envelopes + duty.envelopes, relayed_bytes + duty.relayed_bytes)
        sessions: list[Session] = [*duty.members.values(), *duty.replicas.values()]
        for session in sessions:
            state = self._links.get(session.link)
            if state is not None and state.sessions.pop(duty.handle, None) is not None:
                out.append(Send(session.link, (Bye(duty.handle).encode(),)))
        out.append(SaveSoon((ReplayDrop(duty.epoch),)))
        if self.limits.keep_links:
            return
        out += [Hangup(link) for link in self._fellowship.idle()]
