"""The relays of a duty among themselves: links, replicas, signs of life, and standbys that step in.

Every seat should hold a copy. While k seats cannot be reached, the first k standbys that can be hold copies instead and
count towards the majority, so a committee goes on while three of its eight relays live. Whether a fellow can be reached
is this relay's own view and closes nothing: a suspect that speaks again is a fellow as before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from railgun_core.base.clock import Instant
from railgun_core.base.heartbeat import DEAD_AFTER_S, IDLE_EVERY_S, PING_EVERY_S, Beat, Heartbeat
from railgun_core.base.ids import LinkId, PeerId, PublicKey, TagHandle, peer_id_of
from railgun_core.base.keys import Identity
from railgun_core.base.timers import Timers
from railgun_core.committee.trust import Trust
from railgun_core.committee.view import RelayView
from railgun_core.events import Announce, Effect, Hangup, Noticed, Send
from railgun_core.relay.deaths import Deaths
from railgun_core.relay.duty import IDS_PER_WANT, Duty
from railgun_core.relay.fellows import Fellows
from railgun_core.relay.sessions import MemberSession, ReplicaSession
from railgun_core.status import DutyState
from railgun_core.wire.frames import Open, Ping, Pull, Role, Slice, Want
from railgun_core.wire.mail import Obituary
from railgun_core.wire.records import AnnouncementBody, Record, sign_record

SEEK_EVERY_S = 2.0
LOOKS_APART_S = 0.2  # links that were heard at different moments are looked at together
BUSY_FOR_S = 10.0  # after an envelope, pings to the fellows of a duty go out every second
NOBODY = TagHandle(bytes(8))  # names timers that belong to no duty
ANNOUNCED_LEAST_S = 60

Session = MemberSession | ReplicaSession


@dataclass(slots=True)
class LinkState:
    """A link, and the sessions on it."""

    remote_key: PublicKey
    binding: bytes
    inbound: bool
    sessions: dict[TagHandle, tuple[Duty, Session]] = field(default_factory=dict)


class Fellowship:
    """What one relay has to do with the others of its committees."""

    def __init__(
        self,
        identity: Identity,
        *,
        view: RelayView,
        links: dict[LinkId, LinkState],
        duties: dict[TagHandle, Duty],
        timers: Timers[tuple[str, TagHandle]],
        dial: Callable[[PeerId, list[Effect]], object],
        trust: Trust,
    ) -> None:
        self._identity = identity
        self._view = view
        self._links = links
        self._duties = duties
        self._timers = timers
        self._dial = dial
        self._trust = trust
        self._fellows = Fellows(identity.peer_id)
        self._hearts: dict[LinkId, Heartbeat] = {}
        self._deaths = Deaths(identity, view)

    # ------------------------------------------------------------ links

    def meet(self, link: LinkId, peer_id: PeerId, now: Instant, out: list[Effect]) -> None:
        """A link leads to a fellow."""
        spare = self._fellows.link_up(peer_id, link, dialled_by_me=not self._links[link].inbound)
        if spare is not None:
            out.append(Hangup(spare))
        self._hearts.setdefault(link, Heartbeat(now.mono_s, every_s=IDLE_EVERY_S))
        self.stir(now)
        self._review(now, out)

    def link_down(self, link: LinkId, now: Instant) -> None:
        """A link is gone."""
        heart = self._hearts.pop(link, None)
        peer_id = self._fellows.link_down(link, now.mono_s, None if heart is None else heart.heard_s)
        if peer_id is not None:
            self._plan_seek(peer_id, now.mono_s + 0.5)

    def dial_failed(self, peer_id: PeerId, now: Instant, out: list[Effect]) -> None:
        """A fellow cannot be reached; it is tried again while a duty needs it, and a standby steps in."""
        self._plan_seek(peer_id, self._fellows.dial_failed(peer_id, now.mono_s))
        self._review(now, out)

    def woke(self, now: Instant, out: list[Effect]) -> None:
        """Links were let go after a sleep or a move: dial at once."""
        self._fellows.try_again()
        for duty in self._duties.values():
            self.seek(duty, now, out)

    def idle(self) -> list[LinkId]:
        """Links that this side dialled and no duty needs any more."""
        needed = {peer_id for duty in self._duties.values() for peer_id in (*duty.fellows, *duty.replicas)}
        return self._fellows.idle(needed)

    # ------------------------------------------------------------ replicas

    def seek(self, duty: Duty, now: Instant, out: list[Effect]) -> None:
        """Open a session with every fellow that has none; dial where there is no link yet."""
        duty.absent = self._absent_of(duty, now)
        for peer_id in duty.fellows:
            if peer_id in duty.replicas:
                continue
            link = self._fellows.link(peer_id)
            if link is not None and link in self._links:
                self.replica(duty, link, peer_id)
                ask = Open(duty.tag, duty.epoch, Role.RELAY, Slice.QUIET, b"")
                out.append(Send(link, (ask.encode(),)))
            elif self._view.get(peer_id) is not None and self._fellows.dial(peer_id, now.mono_s):
                self._dial(peer_id, out)
        if any(peer_id not in duty.replicas for peer_id in (*duty.fellows, *duty.others_seated)):
            self._timers.set_earlier(("fellows", duty.handle), now.mono_s + SEEK_EVERY_S)

    def replica(self, duty: Duty, link: LinkId, peer_id: PeerId) -> ReplicaSession:
        """The session with a fellow, a new one when its link is another."""
        session = duty.replicas.get(peer_id)
        if session is None or session.link != link:
            session = duty.replicas[peer_id] = ReplicaSession(link, peer_id)
            self._links[link].sessions[duty.handle] = (duty, session)
        return session

    def opened(self, duty: Duty, session: ReplicaSession, out: list[Effect]) -> None:
        """Both sides agree: send what no majority has yet, and ask what the other one holds."""
        if session.open:
            return
        session.open = True
        frames = duty.unconfirmed_frames()
        session.sent += len(frames)
        session.marks.append((session.sent, len(duty.published)))
        if not frames:
            session.confirm(session.sent)
        out.append(Send(session.link, (*frames, Pull(duty.handle, 0).encode())))

    def ask_missing(self, duty: Duty, session: ReplicaSession, out: list[Effect]) -> None:
        """Want the next ids that a fellow holds and this relay lacks."""
        held = duty.spool.frames
        session.asked = {msg_id for msg_id in session.asked if msg_id not in held}
        if session.asked or not session.missing:
            return
        ids = [session.missing.popleft() for _ in range(min(IDS_PER_WANT, len(session.missing)))]
        wanted = tuple(msg_id for msg_id in ids if msg_id not in held)
        session.asked = set(wanted)
        if wanted:
            out.append(Send(session.link, (Want(duty.handle, wanted).encode(),)))

    # ------------------------------------------------------------ signs of life

    def heard(self, link: LinkId, now: Instant, out: list[Effect]) -> None:
        """Something arrived on a link: once a read."""
        heart = self._hearts.get(link)
        if heart is not None and heart.heard(now.mono_s):
            self._review(now, out)

    def stir(self, now: Instant) -> None:
        """A duty became busy, or has a new fellow: look at its links soon."""
        if self._hearts:
            self._timers.set_earlier(("look", NOBODY), now.mono_s + PING_EVERY_S)

    def look(self, now: Instant, out: list[Effect]) -> None:
        """Ping whoever is silent; review the committees when somebody is in doubt; give word of who stays silent."""
        used, busy = self._links_of(self._duties.values()), self._links_of(self._busy(now))
        cut_off, doubts = self.cut_off(now), False
        for link, heart in self._hearts.items():
            if link not in used:  # kept for packets: no duty depends on it
                heart.heard(now.mono_s)
                continue
            heart.every_s = PING_EVERY_S if link in busy or heart.unanswered else IDLE_EVERY_S
            was_suspect = heart.is_suspect
            match heart.look(now.mono_s):
                case Beat.PING | Beat.SUSPECT:
                    out.append(Send(link, (Ping(0).encode(),)))
                case Beat.DEAD if not cut_off:
                    out.append(Hangup(link))
            doubts = doubts or heart.is_suspect != was_suspect
        if doubts:
            self._review(now, out)
        if not cut_off:
            self._observe(now, out)
        if used:
            at_s = min(self._hearts[link].next_s() for link in used if link in self._hearts)
            self._timers.set(("look", NOBODY), max(at_s, now.mono_s + LOOKS_APART_S))

    def cut_off(self, now: Instant) -> bool:
        """Whether most fellows fell silent at once: then it is this relay that lost its network."""
        silent = sum(1 for heart in self._hearts.values() if heart.is_suspect)
        gone = self._fellows.lost(now.mono_s - DEAD_AFTER_S)
        known = len(self._hearts) + gone
        return known >= 2 and 2 * (silent + gone) > known

    def obituary(self, link: LinkId, word: Obituary, now: Instant, out: list[Effect]) -> None:
        """The word of a fellow about another. Whoever does not serve with this relay has no say."""
        state = self._links[link]
        observer = peer_id_of(state.remote_key)
        shared = [d for d in self._duties.values() if observer in d.roster and word.peer_id in d.roster]
        if shared and word.observer == observer and not self.cut_off(now) and self._deaths.heard(word, now):
            self._judge(word.peer_id, now, out)

    # ------------------------------------------------------------ inside

    def _absent_of(self, duty: Duty, now: Instant) -> frozenset[PeerId]:
        return frozenset(p for p in duty.roster if p != self._identity.peer_id and self._is_absent(p, now))

    def _is_absent(self, peer_id: PeerId, now: Instant) -> bool:
        link = self._fellows.link(peer_id)
        heart = None if link is None else self._hearts.get(link)
        return heart.is_suspect if heart is not None else self._fellows.is_absent(peer_id, now.mono_s)

    def _review(self, now: Instant, out: list[Effect]) -> None:
        """Who can be reached has changed: let standbys step in or back."""
        for duty in self._duties.values():
            if self._absent_of(duty, now) != duty.absent:
                self.seek(duty, now, out)

    def _plan_seek(self, peer_id: PeerId, at_s: float) -> None:
        for duty in self._duties.values():
            if peer_id in duty.roster:
                self._timers.set_earlier(("fellows", duty.handle), at_s)

    def _busy(self, now: Instant) -> list[Duty]:
        return [
            duty
            for duty in self._duties.values()
            if duty.rotation.state in (DutyState.SERVING, DutyState.OVERLAP)
            and (now.mono_s - duty.arrived_s < BUSY_FOR_S or duty.frontier < len(duty.published))
        ]

    def _links_of(self, duties: Iterable[Duty]) -> set[LinkId]:
        links = {replica.link for duty in duties for replica in duty.replicas.values()}
        return links & self._hearts.keys()

    def _observe(self, now: Instant, out: list[Effect]) -> None:
        for peer_id in {p for duty in self._duties.values() for p in duty.fellows}:
            alone_s = self._fellows.alone_since(peer_id)
            if alone_s is None or now.mono_s - alone_s < DEAD_AFTER_S:
                continue
            word = self._deaths.observe(peer_id, now.unix_s - (now.mono_s - alone_s), now)
            if word is not None:
                self._tell(word, out)
                self._judge(peer_id, now, out)

    def _tell(self, word: Obituary, out: list[Effect]) -> None:
        links = {
            replica.link
            for duty in self._duties.values()
            if word.peer_id in duty.roster
            for replica in duty.open_replicas()
        }
        out += [Send(link, (word.encode(),)) for link in sorted(links)]

    def _judge(self, peer_id: PeerId, now: Instant, out: list[Effect]) -> None:
        observers = self._deaths.died(peer_id, self._view.group)
        if not observers:
            return
        self._trust.died(peer_id, observers)
        out.append(Noticed("relay-died"))
        for duty in self._duties.values():
            if peer_id in duty.committee.members and duty.steps_in:
                out.append(Announce(self._announcement(duty, now)))

    def _announcement(self, duty: Duty, now: Instant) -> Record:
        roster = tuple(p for p in (self._identity.peer_id, *duty.fellows) if p not in duty.absent)
        body = AnnouncementBody(duty.tag, duty.epoch, duty.seat, min(0xFFFF, len(self._duties)), roster)
        unix_s = int(now.unix_s)
        until_s = max(unix_s + ANNOUNCED_LEAST_S, int(duty.until_s))
        return sign_record(
            self._identity, body, sequence=int(now.unix_s * 1000), not_before_s=unix_s, expires_s=until_s
        )
