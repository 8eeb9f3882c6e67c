"""A room's way through one epoch: its keys, its committee, and sessions with some of its relays.

A member opens sessions with three of the relays, in an order that rendezvous hashing over its pseudonym gives: the
first that answers pushes, the second announces, the third stands by. Fewer relays see a member's address than if it
met them all, and each relay pushes to its even share of the members. Relays that do not answer are not given up at
once: others are opened beside them and come first, and who has been silent stays behind for a while, so that a relay
that comes and goes does not take the room with it each time. The same goes for relays that keep things back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from railgun_core.base.heartbeat import IDLE_EVERY_S
from railgun_core.base.ids import MsgId, PeerId, TagHandle, handle_of
from railgun_core.base.keys import Identity
from railgun_core.committee.rotation import Rotation
from railgun_core.committee.selection import Committee
from railgun_core.rooms.epoch_keys import EpochKeys
from railgun_core.rooms.esteem import Esteem, Hearsay
from railgun_core.rooms.failover import Failovers
from railgun_core.rooms.heads import HeadBook
from railgun_core.rooms.session import RelaySession
from railgun_core.status import DutyState
from railgun_core.wire.frames import Slice

SESSIONS = 3
ANSWER_WITHIN_S = 1.5  # a dial that takes longer no longer counts: others are dialled beside it
CALM_S = 30.0  # how long a relay that was silent stays behind the others, and more sessions than needed are kept
PROBE_EVERY_S = 3.0  # while nothing comes: then a relay that stands by is asked what it holds
ENDING_S = 5.0  # before an epoch's end: relays whose clocks run ahead say goodbye already
BACKOFF_S = (0.3, 1.0, 2.0, 4.0, 8.0, 15.0)


class Lane:
    """One room in one epoch."""

    def __init__(self, keys: EpochKeys, pseudonym: Identity, rotation: Rotation) -> None:
        self.keys = keys
        self.epoch = keys.epoch
        self.handle: TagHandle = handle_of(keys.tag)
        self.pseudonym = pseudonym
        self.rotation = rotation
        self.committee: Committee | None = None
        self.order: tuple[PeerId, ...] = ()
        self.sessions: dict[PeerId, RelaySession] = {}
        self.seen: set[MsgId] = set()
        self.unproved: dict[MsgId, bytes] = {}  # names in `seen` that nothing proves, and what came under them
        self.greeted = False
        self.failovers = Failovers()
        self.heads = HeadBook()
        self.esteem = Esteem()
        self.hearsay = Hearsay()
        self.mute: set[PeerId] = set()  # what these took of this member seems to have reached nobody
        self.probe_s = float("-inf")  # when to ask a relay that stands by what it holds
        self.troubled_s = float("-inf")  # when a relay was last in doubt
        self.unsettled = False  # a suspect gave signs of life: look at the slices again
        self._failures: dict[PeerId, tuple[int, float]] = {}

    @property
    def is_live(self) -> bool:
        """Whether its committee still serves."""
        return self.rotation.state is not DutyState.RETIRED

    def appoint(self, committee: Committee, *, without: frozenset[PeerId] = frozenset()) -> bool:
        """Take a committee; whether it differs from the one before. Relays in `without` are not used by this member."""
        before = self.committee
        self.committee = committee
        self.order = tuple(peer_id for peer_id in self._rendezvous(committee) if peer_id not in without)
        return before is None or (before.members, before.standbys) != (committee.members, committee.standbys)

    def _rendezvous(self, committee: Committee) -> tuple[PeerId, ...]:
        key = self.pseudonym.public_key

        def ticket(peer_id: PeerId) -> bytes:
            return hashlib.blake2b(peer_id, key=key, digest_size=16).digest()

        return (*sorted(committee.members, key=ticket), *(holder.peer_id for holder in committee.standbys))

    @property
    def is_working(self) -> bool:
        """Whether messages go through it now: it serves, or is in overlap."""
        return self.rotation.state in (DutyState.SERVING, DutyState.OVERLAP)

    def is_ending(self, unix_s: float) -> bool:
        """Whether its relays may be leaving in good order."""
        turn_s = self.rotation.next_turn_s()
        return self.rotation.state is DutyState.OVERLAP and turn_s is not None and turn_s - unix_s < ENDING_S

    @property
    def is_pushed(self) -> bool:
        """Whether a relay that is not suspect has confirmed that it pushes."""
        return any(s.slice is Slice.PUSH and not s.opens and not s.is_suspect for s in self._open())

    @property
    def is_stuck(self) -> bool:
        """Whether the relay that was asked to push does not answer, and another one may."""
        asked = any(s.slice is Slice.PUSH and s.opens and s.heart.unanswered for s in self._open())
        return asked and any(not session.standing for session in self._open())

    def open_sessions(self) -> list[RelaySession]:
        """Open sessions, best first: behind the sound ones those in doubt, those that keep things back, suspects."""
        return self._ranked(lambda s: (self._standing(s), s.peer_id in self.mute, self.esteem.level(s.peer_id)))

    def turn_away(self) -> None:
        """Publish through another relay from now on; when all have had their turn, begin anew.

        A relay can pass on other bytes under the same names, and others name them in good faith: that a relay took
        something, and that another one heard of it, does not say that anybody can read it. Only members say that.
        """
        sessions = self.open_sessions()
        if sessions:
            self.mute.add(sessions[0].peer_id)
        if self.mute.issuperset(session.peer_id for session in sessions):
            self.mute.clear()

    def sound_sessions(self) -> list[RelaySession]:
        """Open sessions whose relays are not suspect, best first."""
        return [session for session in self.open_sessions() if not session.is_suspect]

    def to_dial(self, now_s: float) -> list[PeerId]:
        """The relays to dial now, so that SESSIONS of them answer or may still do."""
        lacking = SESSIONS - self._counted(now_s)
        if lacking <= 0:
            return []
        found = [p for p in self.order if p not in self.sessions and self.may_use(p, now_s)]
        return sorted(found, key=lambda p: p in self.esteem.poor)[:lacking]

    def _standing(self, session: RelaySession) -> int:
        """That of the session; 2 for a relay that keeps things back, 3 for suspects."""
        if session.is_suspect:
            return 3
        return 2 if session.peer_id in self.esteem.poor else session.standing

    def _ranked(self, standing: Callable[[RelaySession], tuple[int, ...]]) -> list[RelaySession]:
        ranks = {peer_id: rank for rank, peer_id in enumerate(self.order)}
        return sorted(self._open(), key=lambda session: (standing(session), ranks.get(session.peer_id, len(ranks))))

    def _open(self) -> list[RelaySession]:
        return [session for session in self.sessions.values() if session.is_open]

    def _counted(self, now_s: float) -> int:
        """Sessions that are open or may soon be. When all that are used are in doubt, doubtful ones do not count."""
        used = [session for session in self._open() if session.in_use]
        worried = bool(used) and all(session.is_doubtful(now_s) for session in used)
        count = 0
        for session in self.sessions.values():
            if session.peer_id not in self.order:
                continue
            if not session.is_open:
                count += now_s - session.begun_s < ANSWER_WITHIN_S
            else:
                count += self._standing(session) < 2 and not (worried and session.is_doubtful(now_s))
        return count

    def review_s(self, now_s: float) -> float | None:
        """When to look again whether relays have to be dialled: a back-off ends, or a dial was given long enough."""
        spare = [p for p in self.order if p not in self.sessions]
        if not spare:
            return None
        begun = [s.begun_s + ANSWER_WITHIN_S for s in self.sessions.values() if not s.is_open]
        times = [at_s for at_s in begun if at_s > now_s]
        if self._counted(now_s) < SESSIONS:
            times += [self._failures[p][1] for p in spare if p in self._failures]
        return min(times, default=None)

    def surplus(self, now_s: float) -> list[RelaySession]:
        """Sessions beyond those needed, once all is well for a while: silent ones, from the last on."""
        ranked = self.open_sessions()
        if len(ranked) <= SESSIONS or now_s - self.troubled_s < CALM_S:
            return []
        if any(session.standing or session.opens for session in ranked):
            return []
        return [session for session in ranked[SESSIONS:] if not session.in_use]

    def failed(self, peer_id: PeerId, now_s: float) -> RelaySession | None:
        """A relay did not answer, refused or vanished: others come first for a while."""
        self.avoid(peer_id, now_s)
        return self.sessions.pop(peer_id, None)

    def avoid(self, peer_id: PeerId, now_s: float) -> None:
        """Posts to a relay were refused or not answered: others come first for a while. Its session stays."""
        count, _ = self._failures.get(peer_id, (0, 0.0))
        self._failures[peer_id] = (count + 1, now_s + BACKOFF_S[min(count, len(BACKOFF_S) - 1)])

    def may_use(self, peer_id: PeerId, now_s: float) -> bool:
        """Whether a relay has not failed just now."""
        return self._failures.get(peer_id, (0, 0.0))[1] <= now_s

    def answered(self, peer_id: PeerId) -> None:
        """A relay opened a session: its earlier failures are forgotten."""
        self._failures.pop(peer_id, None)

    def forget_failures(self) -> None:
        """Every relay may be dialled at once, and dials that were begun count for nothing."""
        self._failures.clear()
        for peer_id in [peer_id for peer_id, session in self.sessions.items() if session.link is None]:
            del self.sessions[peer_id]

    def outsiders(self) -> list[RelaySession]:
        """Sessions with relays that a newer committee does not have, once two others are open."""
        inside = set(self.order)
        strangers = [s for s in self.sessions.values() if s.peer_id not in inside]
        if strangers and sum(1 for s in self.sound_sessions() if s.peer_id in inside) < 2:
            return []
        return strangers

    def wanted_slices(self) -> list[tuple[RelaySession, Slice]]:
        """Sessions whose slice should change: push from the best, ids from the next, silence from the others.

        A relay that pushes keeps doing so until it is suspect or keeps things back, and one in doubt, or that was just
        asked to push and does not answer, is given nothing. Nothing moves while all are suspect: which comes back,
        nobody knows.
        """
        ranked = self._ranked(self._unfit)
        if ranked and ranked[0].is_suspect:
            return []
        plan = (Slice.PUSH, Slice.ANNOUNCE)
        wanted: list[tuple[RelaySession, Slice]] = []
        for rank, session in enumerate(ranked):
            slice_ = plan[rank] if rank < len(plan) else Slice.QUIET
            if session.slice is not slice_:
                wanted.append((session, slice_))
        return wanted

    def _unfit(self, session: RelaySession) -> tuple[int, int]:
        """How little a relay is fit for pushing. One that does it is, until it is suspect or keeps things back."""
        standing = self._standing(session)
        if standing < 2 and session.slice is Slice.PUSH and not session.opens:
            return 0, 0
        return standing, self.esteem.level(session.peer_id)

    def heard(self, now_s: float) -> None:
        """Something of another member came: as long as that goes on nobody who stands by has to be asked."""
        self.probe_s = now_s + PROBE_EVERY_S

    def to_probe(self, now_s: float) -> RelaySession | None:
        """A relay that stands by, when nothing came for a while: it would say what those in use keep back.

        Its answer is a sign of life as well, so it needs no pings meanwhile.
        """
        if now_s < self.probe_s:
            return None
        found = next((s for s in self.open_sessions() if s.slice is Slice.QUIET and self._standing(s) < 2), None)
        self.probe_s = now_s + (IDLE_EVERY_S if found is not None and found.tunnelled else PROBE_EVERY_S)
        return found

    def in_use(self) -> dict[PeerId, float]:
        """The relays that have confirmed that they push or announce, suspects left out; and since when they do."""
        used = [s for s in self._open() if s.slice is not Slice.QUIET and not s.opens and not s.is_suspect]
        return {session.peer_id: session.used_s for session in used}
