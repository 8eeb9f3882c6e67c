"""The other relays of one's committees: finding them, keeping copies with them, and replacing those that fall silent.

Every seat holds a copy. While k of the seats cannot be reached, the first k standbys are fellows as well: copies go
there, what they confirm counts, and they send theirs here, so that a majority stays a majority of the full committee
with four or all five seats gone. A standby with the duty does the same from its side. Nothing is taken back when a
seat returns: the standby's session stays until the duty ends, it is only not sought any more.
A suspicion is gentle: the link stays, what the suspect confirmed counts, and any frame from it ends the suspicion.
"""

from __future__ import annotations

from collections.abc import Callable

from railgun_core.base.clock import Instant
from railgun_core.base.heartbeat import PING_EVERY_S, Beat
from railgun_core.base.ids import LinkId, PeerId, TagHandle, peer_id_of
from railgun_core.base.timers import Timers
from railgun_core.committee.view import RelayView
from railgun_core.events import Effect, Hangup, Send
from railgun_core.relay.duty import IDS_PER_WANT, Duty
from railgun_core.relay.fellows import Fellows
from railgun_core.relay.links import LinkState
from railgun_core.relay.sessions import ReplicaSession
from railgun_core.relay.watches import Watch, Watches
from railgun_core.wire.frames import Have, Open, Ping, Pull, Role, Slice, Want

SEEK_EVERY_S = 2.0
AFTER_LOSS_S = 0.5  # then a lost fellow is dialled again
MISSED_AFTER_S = 1.0  # a seat whose session was lost counts as unreachable when it has none by then
FIRST_MISSED_AFTER_S = 3.0  # nobody has a session when a duty begins, and who refused is asked once more
MAX_MISSING = 1_000_000  # ids that a fellow has and this relay lacks; a spool holds fewer


class Fellowship:
    """Links, copies and signs of life among the relays of all common duties.

    `links` and `duties` are the relay's own; `died` hears of a fellow that gave no sign of life for thirty seconds.
    """

    def __init__(
        self,
        own: PeerId,
        *,
        view: RelayView,
        links: dict[LinkId, LinkState],
        duties: dict[TagHandle, Duty],
        watches: Watches,
        timers: Timers[tuple[str, bytes]],
        dial: Callable[[PeerId, list[Effect]], object],
        died: Callable[[Watch, Instant, list[Effect]], None],
    ) -> None:
        self._own = own
        self._view = view
        self._links = links
        self._duties = duties
        self._watches = watches
        self._timers = timers
        self._dial = dial
        self._died = died
        self._fellows = Fellows(own)

    # ------------------------------------------------------------ links

    def met(self, link: LinkId, peer_id: PeerId, now: Instant, out: list[Effect]) -> bool:
        """This link leads to a relay. Whether it is the one to use; of two that crossed only one is."""
        state = self._links[link]
        state.fellow = peer_id
        known = self._fellows.link(peer_id)
        if known not in (None, link) and self._watches.is_suspect(peer_id):
            self._fellows.link_down(known, now.mono_s)  # it started anew and its old link is dead, only nobody said so
            out.append(Hangup(known))
        spare = self._fellows.link_up(peer_id, link, dialled_by_me=not state.inbound)
        if spare is not None:
            out.append(Hangup(spare))
        watch = self._watches.get(peer_id)
        if watch is not None:
            state.beat = watch.beat
            if watch.meet(now.mono_s):
                self.heard_again(peer_id, now, out)
        return self._fellows.link(peer_id) == link

    def dialled(self, link: LinkId, peer_id: PeerId, now: Instant, out: list[Effect]) -> None:
        """A link that this relay dialled is open: ask for the sessions that it is for."""
        in_use = self.met(link, peer_id, now, out)
        watch = self._watches.get(peer_id)
        for duty in list(watch.duties.values()) if watch is not None else ():
            if in_use:
                duty.replicas.pop(peer_id, None)  # it was on a link that goes now
            self.seek(duty, now, out)

    def link_down(self, link: LinkId, now: Instant) -> None:
        """A link has ended. Its sessions are ended one by one with `lost`."""
        self._fellows.link_down(link, now.mono_s)

    def dial_failed(self, peer_id: PeerId, now: Instant, out: list[Effect]) -> None:
        """A fellow cannot be reached; it is tried again while a duty needs it, and replaced meanwhile."""
        retry_s = self._fellows.dial_failed(peer_id, now.mono_s)
        watch = self._watches.get(peer_id)
        for duty in list(watch.duties.values()) if watch is not None else ():
            self._timers.set_earlier(("fellows", duty.handle), retry_s)
            if peer_id in duty.missed_at_s:
                duty.missed_at_s[peer_id] = now.mono_s
                self.review(duty, now, out)

    def spare_links(self) -> list[LinkId]:
        """Links that this relay dialled and no duty needs any more."""
        return self._fellows.idle({watch.peer_id for watch in self._watches.all()})

    # ------------------------------------------------------------ duties

    def begin(self, duty: Duty, now: Instant, out: list[Effect]) -> None:
        """A duty has begun: find the others."""
        for peer_id in duty.seated:
            patience_s = 0.0 if self._fellows.is_waiting(peer_id, now.mono_s) else FIRST_MISSED_AFTER_S
            self._miss(duty, peer_id, now.mono_s + patience_s)
        self.seek(duty, now, out)

    def committee_changed(self, duty: Duty, now: Instant, out: list[Effect]) -> None:
        """The duty's committee was drawn anew."""
        duty.missed_at_s = {p: at_s for p, at_s in duty.missed_at_s.items() if p in duty.seated}
        for peer_id in duty.seated:
            replica = duty.replicas.get(peer_id)
            if peer_id not in duty.left and (replica is None or not replica.open):
                self._miss(duty, peer_id, duty.missed_at_s.get(peer_id, now.mono_s + FIRST_MISSED_AFTER_S))
        self.review(duty, now, out)
        self.seek(duty, now, out)
        self._unwatch(duty, now, keep=(*duty.fellows, *duty.replicas))

    def retire(self, duty: Duty, now: Instant) -> None:
        """A duty is over."""
        self._unwatch(duty, now, keep=())

    def quicken(self, duty: Duty) -> None:
        """A quiet duty has envelopes again: from now on its fellows are asked for a sign of life each second."""
        for peer_id in duty.replicas:
            self._quicken(peer_id)

    def _quicken(self, peer_id: PeerId) -> None:
        watch = self._watches.get(peer_id)
        if watch is not None and watch.beat.every_s > PING_EVERY_S:
            watch.beat.every_s = PING_EVERY_S
            self._timers.set_earlier(("beat", peer_id), watch.beat.next_s())

    def review(self, duty: Duty, now: Instant, out: list[Effect]) -> None:
        """Count the seats that cannot be reached; as many standbys are fellows."""
        missed = sum(1 for peer_id in duty.seated if self._is_missed(duty, peer_id, now.mono_s))
        promoted, duty.promoted = duty.promoted, min(missed, len(duty.committee.standbys))
        later = [at_s for at_s in duty.missed_at_s.values() if at_s > now.mono_s]
        if later:
            self._timers.set_earlier(("review", duty.handle), min(later))
        if duty.promoted > promoted:
            self.seek(duty, now, out)

    def seek(self, duty: Duty, now: Instant, out: list[Effect]) -> None:
        """Open a session with every fellow that has none; dial where there is no link yet."""
        for peer_id in duty.fellows:
            self._watch(duty, peer_id, now)
            if peer_id in duty.replicas or peer_id in duty.left:
                continue
            link = self._fellows.link(peer_id)
            if link is not None and link in self._links:
                self._replica(duty, link, peer_id, now)
                ask = Open(duty.tag, duty.epoch, Role.RELAY, Slice.QUIET, b"")
                out.append(Send(link, (ask.encode(),)))
            elif self._view.get(peer_id) is not None and self._fellows.dial(peer_id, now.mono_s):
                self._dial(peer_id, out)
        if any(peer_id not in duty.replicas and peer_id not in duty.left for peer_id in duty.fellows):
            self._timers.set_earlier(("fellows", duty.handle), now.mono_s + SEEK_EVERY_S)

    def woke(self, now: Instant, out: list[Effect]) -> None:
        """This machine slept or moved and its links were dropped: dial all fellows anew, at once."""
        self._fellows.forgive()
        self._watches.restart(now.mono_s)
        for duty in list(self._duties.values()):
            for peer_id in duty.missed_at_s:
                self._miss(duty, peer_id, now.mono_s + FIRST_MISSED_AFTER_S)
            self.review(duty, now, out)
            self.seek(duty, now, out)

    # ------------------------------------------------------------ sessions

    def asked(self, duty: Duty, link: LinkId, answer: bytes, now: Instant, out: list[Effect]) -> None:
        """A fellow asks for a session.

        Who asks counts from zero. So does this side then, unless it has just asked as well: a session that is open
        here and forgotten there would never be confirmed again.
        """
        peer_id = peer_id_of(self._links[link].remote_key)
        if not self.met(link, peer_id, now, out):
            return  # the other link has the session, this one is being hung up
        session = duty.replicas.get(peer_id)
        if session is None or session.link != link or session.open:
            session = self._replica(duty, link, peer_id, now)
        out.append(Send(link, (answer,)))
        self.opened(duty, session, now, out)

    def _replica(self, duty: Duty, link: LinkId, peer_id: PeerId, now: Instant) -> ReplicaSession:
        """A new session with a fellow; it is open when both have said so."""
        session = duty.replicas[peer_id] = ReplicaSession(link, peer_id)
        self._links[link].sessions[duty.handle] = (duty, session)
        self._watch(duty, peer_id, now)
        if peer_id in duty.seated and peer_id not in duty.missed_at_s:
            self._miss(duty, peer_id, now.mono_s + MISSED_AFTER_S)
        return session

    def opened(self, duty: Duty, session: ReplicaSession, now: Instant, out: list[Effect]) -> None:
        """Both sides agree: send what no majority has yet, and ask what the other one holds."""
        if session.open:
            return
        session.open = True
        duty.left.discard(session.peer_id)
        frames = duty.unconfirmed_frames()
        session.sent += len(frames)
        session.marks.append((session.sent, len(duty.published)))
        if not frames:
            session.confirm(session.sent)
        out.append(Send(session.link, (*frames, Pull(duty.handle, 0).encode())))
        if duty.is_busy(now.mono_s):
            self._quicken(session.peer_id)
        if duty.missed_at_s.pop(session.peer_id, None) is not None:
            self.review(duty, now, out)

    def lost(self, duty: Duty, session: ReplicaSession, now: Instant) -> None:
        """A session ended with its link."""
        if duty.replicas.get(session.peer_id) is not session:
            return
        del duty.replicas[session.peer_id]
        self._timers.set_earlier(("fellows", duty.handle), now.mono_s + AFTER_LOSS_S)
        if session.peer_id in duty.seated:
            at_s = now.mono_s + MISSED_AFTER_S
            self._miss(duty, session.peer_id, min(at_s, duty.missed_at_s.get(session.peer_id, at_s)))

    def refused(self, duty: Duty, session: ReplicaSession, now: Instant) -> None:
        """A fellow does not want the session: it is asked again, and replaced meanwhile if that lasts."""
        if duty.replicas.get(session.peer_id) is not session:
            return
        del duty.replicas[session.peer_id]
        self._timers.set_earlier(("fellows", duty.handle), now.mono_s + SEEK_EVERY_S)
        if session.peer_id in duty.seated:
            self._miss(duty, session.peer_id, now.mono_s + FIRST_MISSED_AFTER_S)

    def left(self, duty: Duty, session: ReplicaSession) -> None:
        """A fellow said goodbye: its clock retired the duty, nothing is wrong with it."""
        if duty.replicas.get(session.peer_id) is session:
            del duty.replicas[session.peer_id]
            duty.left.add(session.peer_id)
            duty.missed_at_s.pop(session.peer_id, None)

    def has(self, duty: Duty, session: ReplicaSession, frame: Have, out: list[Effect]) -> None:
        """What a fellow holds: ask for what this relay lacks."""
        held = duty.spool.frames
        room = max(0, MAX_MISSING - len(session.missing))
        session.missing.extend([i for i in frame.ids if i not in held and i not in session.asked][:room])
        self.ask_missing(duty, session, out)

    def ask_missing(self, duty: Duty, session: ReplicaSession, out: list[Effect]) -> None:
        """Ask for the next few, once those asked for are here."""
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

    def beat(self, peer_id: PeerId, now: Instant, out: list[Effect]) -> None:
        """Time to look whether a fellow is alive."""
        watch = self._watches.get(peer_id)
        if watch is None:
            return
        was_suspect = watch.beat.is_suspect
        link = self._fellows.link(peer_id)
        said, again_s = self._watches.look(watch, now.mono_s, linked=link is not None)
        self._timers.set(("beat", peer_id), again_s)
        if said in (Beat.PING, Beat.SUSPECT) and link is not None:
            out.append(Send(link, (Ping(0).encode(),)))
        if watch.beat.is_suspect != was_suspect:
            self._review_all(watch, now, out)
        if said is Beat.DEAD:
            self._died(watch, now, out)
            if link is not None and not self._watches.is_cut_off(now.mono_s):
                out.append(Hangup(link))  # whatever it leads to: a new dial may find the peer

    def heard_again(self, peer_id: PeerId, now: Instant, out: list[Effect]) -> None:
        """A suspect gave a sign of life."""
        watch = self._watches.get(peer_id)
        if watch is not None:
            self._review_all(watch, now, out)

    def _review_all(self, watch: Watch, now: Instant, out: list[Effect]) -> None:
        for duty in list(watch.duties.values()):
            self.review(duty, now, out)

    def _is_missed(self, duty: Duty, peer_id: PeerId, now_s: float) -> bool:
        at_s = duty.missed_at_s.get(peer_id)
        return (at_s is not None and now_s >= at_s) or self._watches.is_suspect(peer_id)

    def _miss(self, duty: Duty, peer_id: PeerId, at_s: float) -> None:
        """This seat is unreachable from `at_s` on unless a session with it opens before."""
        duty.missed_at_s[peer_id] = at_s
        self._timers.set_earlier(("review", duty.handle), at_s)

    def _watch(self, duty: Duty, peer_id: PeerId, now: Instant) -> None:
        watch = self._watches.add(duty, peer_id, now.mono_s)
        if watch is None:
            return
        link = self._fellows.link(peer_id)
        state = None if link is None else self._links.get(link)
        if state is not None:
            state.beat = watch.beat
            watch.meet(now.mono_s)
        self._timers.set(("beat", peer_id), watch.beat.next_s())

    def _unwatch(self, duty: Duty, now: Instant, *, keep: tuple[PeerId, ...]) -> None:
        for peer_id in self._watches.remove(duty, now.mono_s, keep=keep):
            self._timers.cancel(("beat", peer_id))
            link = self._fellows.link(peer_id)
            state = None if link is None else self._links.get(link)
            if state is not None:
                state.beat = None
