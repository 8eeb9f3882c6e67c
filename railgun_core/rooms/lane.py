"""A room's way through one epoch: its keys, its committee, and sessions with some of its relays.

A member opens sessions with three of the relays, in an order that rendezvous hashing over its pseudonym gives: the
first that answers pushes, the second announces, the third stands by. Fewer relays see a member's address than if it
met them all, and each relay pushes to its even share of the members.
"""

from __future__ import annotations

import hashlib

from railgun_core.base.ids import MsgId, PeerId, TagHandle, handle_of
from railgun_core.base.keys import Identity
from railgun_core.committee.rotation import Rotation
from railgun_core.committee.selection import Committee
from railgun_core.rooms.epoch_keys import EpochKeys
from railgun_core.rooms.session import RelaySession
from railgun_core.status import DutyState
from railgun_core.wire.frames import Slice

SESSIONS = 3
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
        self.greeted = False
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

    def open_sessions(self) -> list[RelaySession]:
        """Open sessions, best first."""
        ranked = {peer_id: rank for rank, peer_id in enumerate(self.order)}
        found = [session for session in self.sessions.values() if session.is_open]
        return sorted(found, key=lambda session: ranked.get(session.peer_id, len(ranked)))

    def to_dial(self, now_s: float) -> list[PeerId]:
        """The relays to dial now, so that SESSIONS of them are open or on their way."""
        chosen = [p for p in self.order if p in self.sessions]
        wanted = [p for p in self.order if p not in self.sessions and self.may_use(p, now_s)]
        return wanted[: max(0, SESSIONS - len(chosen))]

    def retry_s(self) -> float | None:
        """When a relay that failed may be dialled again, if sessions are lacking."""
        if len(self.sessions) >= SESSIONS:
            return None
        times = [self._failures[p][1] for p in self.order if p not in self.sessions and p in self._failures]
        return min(times, default=None)

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

    def outsiders(self) -> list[RelaySession]:
        """Sessions with relays that a newer committee does not have, once two others are open."""
        inside = set(self.order)
        strangers = [s for s in self.sessions.values() if s.peer_id not in inside]
        if strangers and sum(1 for s in self.sessions.values() if s.is_open and s.peer_id in inside) < 2:
            return []
        return strangers

    def wanted_slices(self) -> list[tuple[RelaySession, Slice]]:
        """Sessions whose slice should change: push from the best, ids from the next, silence from the others."""
        plan = (Slice.PUSH, Slice.ANNOUNCE)
        wanted: list[tuple[RelaySession, Slice]] = []
        for rank, session in enumerate(self.open_sessions()):
            slice_ = plan[rank] if rank < len(plan) else Slice.QUIET
            if session.slice is not slice_:
                wanted.append((session, slice_))
        return wanted
