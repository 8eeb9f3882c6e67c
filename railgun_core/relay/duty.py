"""One duty: a place in the committee of one tag for one epoch, with its spool and its sessions.

A duty knows its committee, not its room. It answers for durability: an envelope counts as stored when as many relays
hold it as are a majority of the seats, standbys that stand in for unreachable seats included. Each replica confirms by
count, so `frontier` is how far into `published` enough of them have come.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from railgun_core.base.clock import Instant
from railgun_core.base.ids import LinkId, MsgId, PeerId, Tag, handle_of
from railgun_core.changes import CommitteePut, DutyPut
from railgun_core.committee.rotation import Rotation
from railgun_core.committee.selection import Committee
from railgun_core.events import Effect, Send
from railgun_core.relay.sessions import MemberSession, ReplicaSession
from railgun_core.relay.spool import Spool
from railgun_core.status import DutyState
from railgun_core.wire.frames import ENVELOPE_FRAME_SIZES, IDS_PER_FRAME, Ack, Have, Slice
from railgun_core.wire.heads import Chain

IDS_PER_WANT = 48
WANT_BYTES = IDS_PER_WANT * max(ENVELOPE_FRAME_SIZES)  # stays below a link's queue
BUSY_S = 10.0  # after an envelope a duty counts as busy for so long


@dataclass(frozen=True, slots=True)
class RelayLimits:
    """What one relay grants. Rates are envelopes per second and session."""

    rate_per_s: int = 1_000
    burst: int = 4_000
    spool_bytes: int = 256 * 1024 * 1024  # all duties together
    duties: int = 500
    members_per_duty: int = 1_000
    announce_after_s: float = 0.3  # protocol.md 5.3
    opens_per_s: float = 20.0  # signatures of members checked, a link
    opens_burst: int = 100
    draws_per_s: float = 2.0  # tags without a duty that a member's link may name
    draws_burst: int = 32
    fellow_draws_per_s: float = 4.0  # the same of a fellow's; the burst is `duties`
    looks_per_s: float = 32_000.0  # relays looked at in draws for members, or fellows, or posts: 0.1 s of a second
    looks_burst: int = 64_000
    given_bytes_per_s: float = 16.0 * 1024 * 1024  # answers to PULL and WANT, a link
    keep_links: bool = False  # leave links to former fellows to their idle limit: a mix will want them again


class Duty:
    """The state of one duty. Created by the first valid session, gone when its rotation retires."""

    def __init__(
        self, committee: Committee, own: PeerId, rotation: Rotation, spool: Spool, now: Instant, *, until_s: float
    ) -> None:
        self.tag: Tag = committee.tag
        self.epoch = committee.epoch
        self.handle = handle_of(committee.tag)
        self.committee = committee
        self.own = own
        self.rotation = rotation
        self.spool = spool
        self.since_s = now.unix_s
        self.until_s = until_s  # Unix time at which it retires
        self.members: dict[LinkId, MemberSession] = {}
        self.pushed: tuple[MemberSession, ...] = ()
        self.announcing = False
        self.replicas: dict[PeerId, ReplicaSession] = {}
        self.published: list[MsgId] = []
        self.frontier = 0
        self.announce_to = 0  # position that is old enough to announce at the next timer
        self.announcement_due = False
        self.chain: Chain | None = None  # over the ids in their order of arrival
        self.envelopes = 0
        self.relayed_bytes = 0
        self.busy_until_s = 0.0  # monotonic
        self.promoted = 0  # so many standbys stand in for seats that this relay cannot reach
        self.missed_at_s: dict[PeerId, float] = {}  # seats without a session: from when on they are unreachable
        self.left: set[PeerId] = set()  # fellows that said goodbye: for them the epoch is over

    @property
    def seat(self) -> int:
        """This relay's place: seats first, then standbys; -1 when a newer view took it away."""
        seat = self.committee.seat_of(self.own)
        return -1 if seat is None else seat

    @property
    def seated(self) -> tuple[PeerId, ...]:
        """The other relays in the seats."""
        return tuple(peer_id for peer_id in self.committee.members if peer_id != self.own)

    @property
    def fellows(self) -> tuple[PeerId, ...]:
        """Those who should hold a copy: the other seats, and the standbys that stand in for unreachable ones."""
        promoted = (holder.peer_id for holder in self.committee.standbys[: self.promoted])
        return (*self.seated, *(peer_id for peer_id in promoted if peer_id != self.own))

    @property
    def stands_in(self) -> bool:
        """Whether this relay is a standby and promoted."""
        return 0 <= self.seat - len(self.committee.seats) < self.promoted

    def is_busy(self, now_s: float) -> bool:
        """Whether the epoch has begun and there were envelopes lately, or some wait for a majority."""
        if self.rotation.state not in (DutyState.SERVING, DutyState.OVERLAP):
            return False
        return now_s < self.busy_until_s or self.frontier < len(self.published)

    def open_replicas(self) -> list[ReplicaSession]:
        return [replica for replica in self.replicas.values() if replica.open]

    def refresh_slices(self) -> None:
        """Recompute who is pushed and announced to, after a session came, went or changed its slice."""
        self.pushed = tuple(s for s in self.members.values() if s.slice is Slice.PUSH)
        self.announcing = any(s.slice is Slice.ANNOUNCE for s in self.members.values())

    def advance_frontier(self) -> bool:
        """See how far a majority has come; whether it moved."""
        needed = self.committee.majority - 1
        if needed <= 0:
            reached = len(self.published)
        else:
            held = sorted((r.held for r in self.replicas.values() if r.open), reverse=True)
            reached = held[needed - 1] if len(held) >= needed else 0
        if reached <= self.frontier:
            return False
        self.frontier = reached
        return True

    def acks(self, sessions: Iterable[MemberSession]) -> list[Effect]:
        """Acks for the sessions whose counts have moved."""
        effects: list[Effect] = []
        for session in sessions:
            while session.marks and session.marks[0][1] <= self.frontier:
                session.stored = session.marks.popleft()[0]
            if session.acked != (session.taken, session.stored):
                session.acked = (session.taken, session.stored)
                ack = Ack(self.handle, session.taken, session.stored, self.held, len(self.committee.seats))
                effects.append(Send(session.link, (ack.encode(),)))
        return effects

    def waiting_sessions(self) -> list[MemberSession]:
        """Sessions with envelopes that are not stored yet."""
        return [session for session in self.members.values() if session.marks]

    def unconfirmed_frames(self) -> list[bytes]:
        """What this relay published and no majority has: for a replica that has just come (back)."""
        ids = dict.fromkeys(self.published[self.frontier :])
        return [frame for msg_id in ids for frame in self.spool.all_frames(msg_id)]

    def have(self, position: int) -> Have:
        """The ids held from `position` on, as many as go into a frame; none when there is nothing."""
        ids = self.spool.ids_since(position, IDS_PER_FRAME)
        return Have(self.handle, position + len(ids), tuple(ids))

    def announcements(self) -> list[Effect]:
        """Have frames for the sessions that announce, up to `announce_to`."""
        effects: list[Effect] = []
        for session in self.members.values():
            if session.slice is Slice.ANNOUNCE and session.announced < self.announce_to:
                ids = self.spool.order[session.announced : self.announce_to]
                session.announced = self.announce_to
                chunks = (tuple(ids[at : at + IDS_PER_FRAME]) for at in range(0, len(ids), IDS_PER_FRAME))
                haves = [Have(self.handle, self.announce_to, chunk).encode() for chunk in chunks]
                effects.append(Send(session.link, haves))
        return effects

    def wanted_frames(self, held: Collection[MsgId], *, most_bytes: int) -> list[bytes]:
        """The frames under these names, which are held; then what else has the names, as far as `most_bytes` go."""
        found = [frame for msg_id in held if (frame := self.spool.frame(msg_id)) is not None]
        left_bytes = most_bytes - sum(map(len, found))
        for frame in itertools.chain.from_iterable(map(self.spool.other_frames, held)):
            left_bytes -= len(frame)
            if left_bytes < 0:
                break
            found.append(frame)
        return found

    def evidence(self, records: tuple[bytes, ...], *, epoch_s: int, now: Instant) -> CommitteePut:
        """The row for the inspector: the records that the committee was drawn from."""
        committee = self.committee
        return CommitteePut(None, self.tag, self.epoch, epoch_s, now.unix_s, committee.size, records)

    def put(self) -> DutyPut:
        """The row for the store."""
        return DutyPut(
            tag=self.tag,
            epoch=self.epoch,
            seat=self.seat,
            committee_size=len(self.committee.seats),
            state=self.rotation.state.value,
            since_s=self.since_s,
            until_s=self.until_s,
            members=len(self.members),
            envelopes=self.envelopes,
            relayed_bytes=self.relayed_bytes,
        )

    @property
    def held(self) -> int:
        """How many copies there are of everything up to the frontier; those beyond a full committee do not count."""
        copies = 1 + sum(1 for r in self.replicas.values() if r.open and r.held >= self.frontier)
        return min(copies, len(self.committee.seats))
