"""A member's session with one relay of a committee.

Counts mirror the relay's: the n-th envelope sent here is the n-th the relay counts. `untaken` holds what the relay has
not taken yet, `unstored` what it took and no majority holds yet, both in the order of sending. A relay that is silent
is a suspect: its session and its counts stay, because what it says late is still true.
"""

from __future__ import annotations

import enum
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from railgun_core.base.heartbeat import IDLE_EVERY_S, Beat, Heartbeat
from railgun_core.base.ids import DialId, LinkId, MsgId, PeerId
from railgun_core.rooms.failover import Cause
from railgun_core.wire.frames import Ack, Slice

RTO_MIN_S, RTO_MAX_S = 0.25, 1.2  # protocol.md 6.1
PING_SLACK_S = 0.5  # a first ping goes out so much early when this device is awake anyway; the next ones keep the pace
WINDOW_BYTES = 1024 * 1024  # sent and not yet taken; a quarter of what closes a link


class Phase(enum.Enum):
    """Where a session is."""

    DIALLING = "dialling"
    OPENING = "opening"
    OPEN = "open"


MAX_LACKING = 200_000  # ids; more than a relay pushes to anybody in an epoch


@dataclass(slots=True, eq=False)
class Sent:
    """One envelope on its way. `seq` None for syncs, which nobody waits for."""

    msg_id: MsgId
    seq: int | None
    size: int
    at_s: float
    refused: bool = False


@dataclass(slots=True, eq=False)
class RelaySession:
    """One relay, as a member of one room sees it in one epoch."""

    peer_id: PeerId
    dial: DialId
    begun_s: float
    heart: Heartbeat = field(repr=False)
    tunnelled: bool = False
    pace_s: float = IDLE_EVERY_S  # how often its relay is asked for a sign of life
    phase: Phase = Phase.DIALLING
    link: LinkId | None = None
    binding: bytes = field(default=b"", repr=False)
    slice: Slice = Slice.QUIET
    opens: int = 0  # OPEN frames without an answer yet: the slice holds once there is none
    cause: Cause = Cause.CLOSED  # why it ends, when it does
    suspected_s: float | None = None  # on trial since then, also after signs of life
    used_s: float = 0.0  # since when it is in use; before, its silence was nobody's loss
    taken: int = 0
    stored: int = 0
    in_flight_bytes: int = 0
    untaken: deque[Sent] = field(default_factory=deque)
    unstored: deque[Sent] = field(default_factory=deque)
    allowance: float = 0.0
    allowance_s: float = 0.0
    rate_per_s: float = 1.0
    burst: float = 1.0
    received: int = 0
    position: int = 0  # up to which it has told what it holds
    probed_s: float | None = None  # since when it owes an answer to that question
    lacking: deque[MsgId] = field(default_factory=deque)
    wanted: dict[MsgId, float] = field(default_factory=dict)
    srtt_s: float = 0.3
    rttvar_s: float = 0.1

    @classmethod
    def begin(cls, peer_id: PeerId, dial: DialId, now_s: float, *, tunnelled: bool) -> RelaySession:
        """A session whose relay is being dialled. `tunnelled`: through a guard."""
        return cls(peer_id, dial, now_s, Heartbeat(now_s, every_s=IDLE_EVERY_S), tunnelled)

    @property
    def is_open(self) -> bool:
        return self.phase is Phase.OPEN

    @property
    def is_suspect(self) -> bool:
        """Whether it is open and its relay left three pings unanswered."""
        return self.phase is Phase.OPEN and self.heart.is_suspect

    def beat(self, at_s: float, pace_s: float) -> Beat:
        """What its heart needs, asked every `pace_s` from now on."""
        beat = self._look(at_s)  # at its old pace first: a change of pace is no absence
        if self.pace_s != pace_s:
            self.pace_s = pace_s
            beat = self._look(at_s) if beat is Beat.QUIET else beat
        return beat

    def _look(self, at_s: float) -> Beat:
        is_first = self.heart.asked_s <= self.heart.heard_s
        self.heart.every_s = self.pace_s - PING_SLACK_S if is_first else self.pace_s
        return self.heart.look(at_s)

    def beat_s(self) -> float:
        """When its heart has to be looked at."""
        return max(self.heart.heard_s, self.heart.asked_s) + self.pace_s

    @property
    def in_use(self) -> bool:
        """Whether the room hears through it, or has sent what is not stored yet."""
        return self.slice is not Slice.QUIET or bool(self.untaken or self.unstored)

    @property
    def standing(self) -> int:
        """0 sound, 1 doubtful or on trial, 2 suspect: others come first."""
        if self.heart.is_suspect:
            return 2
        return 1 if self.suspected_s is not None or self.heart.unanswered else 0

    def is_slow(self, now_s: float) -> bool:
        """Whether an envelope waits longer for its answer than answers take."""
        return bool(self.untaken) and now_s - self.untaken[0].at_s >= self.rto_s

    def is_doubtful(self, now_s: float) -> bool:
        """Whether a ping was not answered, or an envelope waits and nothing at all is heard."""
        if self.heart.unanswered:
            return True
        return bool(self.untaken) and now_s - max(self.untaken[0].at_s, self.heart.heard_s) >= RTO_MAX_S

    @property
    def rto_s(self) -> float:
        """How long to wait for an answer before trying another relay (RFC 6298, other bounds)."""
        return min(RTO_MAX_S, max(RTO_MIN_S, self.srtt_s + 4 * self.rttvar_s))

    def grant(self, rate_per_s: int, burst: int, now_s: float) -> None:
        """The relay's quota; a fresh session may use the burst."""
        self.rate_per_s, self.burst = max(1.0, float(rate_per_s)), max(1.0, float(burst))
        self.allowance, self.allowance_s = self.burst, now_s

    def may_send(self, now_s: float) -> bool:
        """Whether window and quota have room for one more envelope."""
        self.allowance = min(self.burst, self.allowance + (now_s - self.allowance_s) * self.rate_per_s)
        self.allowance_s = now_s
        return self.is_open and self.in_flight_bytes < WINDOW_BYTES and self.allowance >= 1.0

    def wait_s(self) -> float:
        """How long until the quota has room again."""
        return max(0.0, (1.0 - self.allowance) / self.rate_per_s)

    def sent(self, envelope: Sent) -> None:
        """Note an envelope that leaves now."""
        if not self.in_use:
            self.used_s = envelope.at_s
        self.untaken.append(envelope)
        self.in_flight_bytes += envelope.size
        self.allowance -= 1.0

    def acked(self, ack: Ack, now_s: float) -> tuple[list[Sent], list[Sent]]:
        """What the relay has newly taken, and what a majority newly holds; refused envelopes are left out."""
        taken = self._pop(self.untaken, ack.taken - self.taken)
        self.taken += len(taken)
        if taken:
            self._measure(now_s - taken[-1].at_s)
        self.in_flight_bytes -= sum(envelope.size for envelope in taken)
        self.unstored.extend(taken)
        stored = self._pop(self.unstored, min(ack.stored, self.taken) - self.stored)
        self.stored += len(stored)
        return [e for e in taken if not e.refused], [e for e in stored if not e.refused]

    def refuse(self, ids: Iterable[MsgId]) -> list[int]:
        """The relay said no to these, each once: their items. A refusal comes before the count that includes it.

        By place and not by id: an item that goes out again has the same id, and is not refused with its first try.
        """
        wanted = Counter(ids)
        seqs = []
        for envelope in self.untaken:
            if not envelope.refused and wanted[envelope.msg_id] > 0:
                wanted[envelope.msg_id] -= 1
                envelope.refused = True
                if envelope.seq is not None:
                    seqs.append(envelope.seq)
        return seqs

    def pending_seqs(self) -> list[int]:
        """The items that are with this relay and not stored."""
        pending = (*self.unstored, *self.untaken)
        return [e.seq for e in pending if e.seq is not None and not e.refused]

    def lack(self, ids: Iterable[MsgId]) -> None:
        """Ids this relay has and the member lacks."""
        known = set(self.lacking)
        fresh = [msg_id for msg_id in ids if msg_id not in known and msg_id not in self.wanted]
        self.lacking.extend(fresh[: max(0, MAX_LACKING - len(known))])

    def _measure(self, rtt_s: float) -> None:
        self.rttvar_s = 0.75 * self.rttvar_s + 0.25 * abs(self.srtt_s - rtt_s)
        self.srtt_s = 0.875 * self.srtt_s + 0.125 * rtt_s

    @staticmethod
    def _pop(queue: deque[Sent], count: int) -> list[Sent]:
        return [queue.popleft() for _ in range(max(0, min(count, len(queue))))]
