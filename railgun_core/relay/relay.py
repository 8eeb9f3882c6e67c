"""The relay: who may open a session, and what becomes of each frame.

Frames come in, effects go out; nothing here waits or reads a clock. What a frame is about is decided here, what follows
in its own place: duties.py begins and ends duties, forward.py carries envelopes, fellowship.py keeps copies with the
other relays, deaths.py hears of those that died. A link that is lost takes only its sessions with it: the envelopes
stay until the duty ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from railgun_core.base.clock import Instant
from railgun_core.base.ids import LinkId, PeerId, PublicKey, Tag, TagHandle, peer_id_of
from railgun_core.base.keys import Identity
from railgun_core.base.ratelimit import TokenBucket
from railgun_core.base.timers import Timers
from railgun_core.changes import ReplayAdd
from railgun_core.committee.epoch import EpochClock
from railgun_core.committee.selection import Committee
from railgun_core.committee.trust import Trust
from railgun_core.committee.view import RelayView
from railgun_core.events import Effect, Hangup, Send
from railgun_core.relay.deaths import Deaths
from railgun_core.relay.draws import Asker, Draws
from railgun_core.relay.duties import Duties
from railgun_core.relay.duty import BUSY_S, Duty, RelayLimits
from railgun_core.relay.fellowship import Fellowship
from railgun_core.relay.forward import from_member, from_post, from_replica
from railgun_core.relay.giving import Giving
from railgun_core.relay.links import LinkState, Session
from railgun_core.relay.opening import is_in_roster, refusal_of
from railgun_core.relay.posts import Answer, Posts, refusal_of_post
from railgun_core.relay.sessions import MemberSession, ReplicaSession
from railgun_core.relay.watches import Watches
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
from railgun_core.wire.kinds import FrameType, Refusal
from railgun_core.wire.mail import Collect, Deposit, Obituary
from railgun_core.wire.posts import Post, PostAnswer, PostStatus

LATER_MS = 1_000  # when to ask again, where only time can help


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
        own = identity.peer_id
        self._own = own
        self._view = view
        self._clock = clock
        self._other = other
        self._links: dict[LinkId, LinkState] = {}
        self._posts = Posts(rate_per_s=limits.rate_per_s, burst=limits.burst)
        self.limits = limits
        self.timers: Timers[tuple[str, bytes]] = Timers()  # named after a duty's handle, a fellow's id or a link
        self._duties = Duties(
            identity, view=view, clock=clock, committee_size=committee_size, limits=limits, timers=self.timers
        )
        self.duties = self._duties.live
        self._giving = Giving(self._links, self.timers, limits)
        self._draws = Draws(view, limits)
        self._watches = Watches()
        self._deaths = Deaths(identity, view=view, watches=self._watches, trust=trust)
        self._fellowship = Fellowship(
            own,
            view=view,
            links=self._links,
            duties=self.duties,
            watches=self._watches,
            timers=self.timers,
            dial=dial,
            died=self._deaths.observe,
        )

    @property
    def rotations(self) -> int:
        """How many duties came to the end of their epoch since start."""
        return self._duties.rotations

    def restore(self, replay: Iterable[ReplayAdd]) -> None:
        """Take back the replay windows of before a restart."""
        self._duties.restore(replay)

    def carried(self) -> tuple[int, int]:
        """Envelopes taken in, and bytes sent on, since start."""
        return self._duties.carried()

    # ------------------------------------------------------------ links

    def link_up(
        self, link: LinkId, remote_key: PublicKey, binding: bytes, now: Instant, out: list[Effect], *, inbound: bool
    ) -> None:
        """A link is open: an inbound one, or one that this relay dialled to a fellow."""
        self._links[link] = LinkState(remote_key, binding, inbound)
        if not inbound:
            self._fellowship.dialled(link, peer_id_of(remote_key), now, out)

    def link_down(self, link: LinkId, now: Instant) -> None:
        """A link is gone with all its sessions."""
        state = self._links.pop(link, None)
        self._fellowship.link_down(link, now)
        for duty, session in state.sessions.values() if state else ():
            if isinstance(session, ReplicaSession):
                self._fellowship.lost(duty, session, now)
            else:
                self._forget(duty, session)

    def dial_failed(self, peer_id: PeerId, now: Instant, out: list[Effect]) -> None:
        """A fellow relay cannot be reached; it is tried again while a duty needs it, and a standby stands in."""
        self._fellowship.dial_failed(peer_id, now, out)

    def woke(self, now: Instant, out: list[Effect]) -> None:
        """This machine slept or moved, and its links were dropped: fellows are dialled anew at once.

        Turns are planned again: the monotonic clock may have stood still while epochs went by.
        """
        self._duties.replan(now)
        self._fellowship.woke(now, out)

    def cut_off(self, now: Instant) -> bool:
        """Whether fewer than half of at least two fellow relays answer: then the loss is this node's own."""
        return self._watches.is_cut_off(now.mono_s)

    def _forget(self, duty: Duty, session: MemberSession) -> None:
        if duty.members.get(session.link) is session:
            del duty.members[session.link]
            duty.refresh_slices()

    # ------------------------------------------------------------ frames

    def frames(self, link: LinkId, batch: FrameBatch, now: Instant, out: list[Effect]) -> None:
        """Everything one read completed on a link. MalformedFrame when the link has to be closed."""
        state = self._links.get(link)
        if state is None:
            return
        if state.beat is not None and state.beat.heard(now.mono_s) and state.fellow is not None:
            self._fellowship.heard_again(state.fellow, now, out)
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
            before_bytes = self._duties.grant_room(duty)
            if isinstance(session, MemberSession):
                index = from_member(duty, session, batch, index, now, out)
            else:
                index = from_replica(duty, session, batch, index, out)
            self._duties.held_bytes += duty.spool.held_bytes - before_bytes
        for duty, session in touched.values():
            self._after_envelopes(duty, session, now, out)
        if state.owing:
            self._giving.give(link, state, now, out)

    def _after_envelopes(self, duty: Duty, session: Session, now: Instant, out: list[Effect]) -> None:
        if isinstance(session, MemberSession):
            self._advance(duty, now, out)
            out += duty.acks((session,))
        else:
            if session.open:
                out.append(Send(session.link, (Got(duty.handle, session.received).encode(),)))
            self._fellowship.ask_missing(duty, session, out)
        self._note_arrivals(duty, now)

    def _note_arrivals(self, duty: Duty, now: Instant) -> None:
        was_busy, duty.busy_until_s = now.mono_s < duty.busy_until_s, now.mono_s + BUSY_S
        if not was_busy:
            self._fellowship.quicken(duty)
        self._duties.arrived(duty, now)

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
            if state.fellow is not None:
                self._deaths.told(state.fellow, frame, now, out)
            return
        handle = getattr(frame, "handle", None)
        found = state.sessions.get(handle) if handle is not None else None
        if found is None:
            return
        duty, session = found
        match frame:
            case Got():
                self._got(duty, session, frame.count, now, out)
            case Pull() | Want():
                self._giving.asked(state, duty, session, frame)
            case Bye():
                del state.sessions[duty.handle]
                if isinstance(session, ReplicaSession):
                    self._fellowship.left(duty, session)
                else:
                    self._forget(duty, session)
            case Opened() if isinstance(session, ReplicaSession):
                self._fellowship.opened(duty, session, now, out)
            case Have() if isinstance(session, ReplicaSession):
                self._fellowship.has(duty, session, frame, out)
            case Refused() | Misdirected() if isinstance(session, ReplicaSession):
                del state.sessions[duty.handle]
                self._fellowship.refused(duty, session, now)
            case _:
                pass

    # ------------------------------------------------------------ posts

    def posted(self, post: Post, answer: Answer, now: Instant, out: list[Effect]) -> None:
        """An envelope that came through the mixnet: taken in like a publication, answered once."""
        found = refusal_of_post(post, self._clock, now) or self._duty_of(post, now, out)
        code = found if isinstance(found, Refusal) else self._take_in(found, post, now, out)
        if code is not None or isinstance(found, Refusal):
            answer(PostAnswer(PostStatus.REFUSED, code), now, out)
            return
        self._advance(found, now, out)
        self._posts.wait(found, answer, now, out)
        self._note_arrivals(found, now)

    def _take_in(self, duty: Duty, post: Post, now: Instant, out: list[Effect]) -> Refusal | None:
        if not self._posts.admits(duty, now):
            return Refusal.RATE
        before_bytes = self._duties.grant_room(duty)
        taken = from_post(duty, post.msg_id, post.frame, out)
        self._duties.held_bytes += duty.spool.held_bytes - before_bytes
        return None if taken else Refusal.FULL

    def _duty_of(self, post: Post, now: Instant, out: list[Effect]) -> Duty | Refusal:
        """The duty that a post is for; it begins here when this relay sees itself in the committee."""
        known = self.duties.get(TagHandle(post.tag[:8]))
        if known is not None:
            return known if (known.tag, known.epoch) == (post.tag, post.epoch) else Refusal.NOT_SERVING
        if self._duties.is_full():
            return Refusal.NOT_SERVING
        if self._draws.draw_wait_ms(Asker.POST, None, now) is not None:
            return Refusal.RATE
        committee = self._duties.committee(post.tag, post.epoch)
        if committee.seat_of(self._own) is None:
            return Refusal.NOT_SERVING
        return self._begin(committee, now, out)

    # ------------------------------------------------------------ sessions

    def _open(self, state: LinkState, link: LinkId, frame: Open, now: Instant, out: list[Effect]) -> None:
        handle = TagHandle(frame.tag[:8])
        known = self.duties.get(handle)
        no = self._refusal(state, frame, known, now)
        if no is not None:
            out.append(Send(link, (Refused(handle, *no).encode(),)))
            return
        committee = known.committee if known is not None else self._duties.committee(frame.tag, frame.epoch)
        if frame.role is Role.RELAY and not is_in_roster(state.remote_key, committee):
            out.append(Send(link, (Refused(handle, Refusal.NOT_SERVING, LATER_MS).encode(),)))
            return
        if known is None and committee.seat_of(self._own) is None:
            records = self._view.committee_records(committee)
            out.append(Send(link, (Misdirected(handle, records).encode(),)))
            return
        duty = known or self._begin(committee, now, out)
        if frame.role is Role.RELAY:
            self._fellowship.asked(duty, link, self._opened(duty), now, out)
        else:
            self._open_member(duty, state, link, frame.slice, now, out)

    def _refusal(self, state: LinkState, frame: Open, known: Duty | None, now: Instant) -> tuple[Refusal, int] | None:
        """Why not, and when to ask again, ms; or None. What is dear comes last, and is granted so often a second."""
        is_member = frame.role is Role.MEMBER
        wait_ms = self._draws.signature_wait_ms(state, now) if is_member else None
        if wait_ms is not None:
            return Refusal.RATE, wait_ms
        code = refusal_of(frame, state.binding, self._clock, now)
        if code is None and known is None and not is_member and self._view.get(peer_id_of(state.remote_key)) is None:
            code = Refusal.NOT_SERVING  # in no committee that this relay could draw
        if code is None and known is None and self._duties.is_full():
            code = Refusal.FULL
        if code is None and known is not None and (known.tag != frame.tag or known.epoch != frame.epoch):
            code = Refusal.NOT_SERVING
        if code is not None:
            return code, LATER_MS
        asker = Asker.MEMBER if is_member else Asker.FELLOW
        wait_ms = self._draws.draw_wait_ms(asker, state, now) if known is None else None
        return None if wait_ms is None else (Refusal.RATE, wait_ms)

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
        duty = self._duties.begin(committee, now, out)
        self._fellowship.begin(duty, now, out)
        return duty

    # ------------------------------------------------------------ copies

    def _got(self, duty: Duty, session: Session, count: int, now: Instant, out: list[Effect]) -> None:
        if isinstance(session, MemberSession):
            session.confirmed = min(count, session.delivered)
            return
        session.confirm(count)
        self._advance(duty, now, out)

    # ------------------------------------------------------------ time and view

    def tick(self, now: Instant, out: list[Effect]) -> None:
        """Do what is due."""
        for what, name in self.timers.pop_due(now.mono_s):
            if what == "beat":
                self._fellowship.beat(PeerId(name), now, out)
                continue
            if what == "give":
                self._giving.due(name, now, out)
                continue
            duty = self.duties.get(TagHandle(name))
            if duty is None:
                continue
            match what:
                case "announce":
                    self._duties.announce(duty, now, out)
                case "fellows":
                    self._fellowship.seek(duty, now, out)
                case "review":
                    self._fellowship.review(duty, now, out)
                case "ids":
                    self._duties.save_ids(duty, out)
                case _:
                    if self._duties.turn(duty, now, out):
                        self._retire(duty, now, out)

    def view_changed(self, now: Instant, out: list[Effect]) -> None:
        """New relays are known: draw the committees of live duties again."""
        for duty in self._duties.redraw(now, out):
            self._fellowship.committee_changed(duty, now, out)

    def targets(self) -> list[tuple[Tag, int]]:
        """The tags and epochs of live duties: whose committees should be looked up."""
        return [(duty.tag, duty.epoch) for duty in self.duties.values()]

    def _retire(self, duty: Duty, now: Instant, out: list[Effect]) -> None:
        self._posts.retire(duty)
        self._fellowship.retire(duty, now)
        sessions: list[Session] = [*duty.members.values(), *duty.replicas.values()]
        for session in sessions:
            state = self._links.get(session.link)
            if state is not None and state.sessions.pop(duty.handle, None) is not None:
                out.append(Send(session.link, (Bye(duty.handle).encode(),)))
        self._duties.retire(duty, out)
        if not self.limits.keep_links:
            out += [Hangup(link) for link in self._fellowship.spare_links()]
