"""The relays through which this device enters: three that stay the same for weeks.

Whoever enters through ever new relays meets a hostile one soon; whoever keeps three either is lucky for weeks or not at
all. So a guard is kept 30 to 60 days (drawn, so that exchanges do not coincide), over restarts, and when it does
not answer it is waited for. A fourth is tried only when all have been out of reach for ten minutes though news of other
relays still comes (so this device is not the one that is cut off), and one more at most a day. Guards stand in
distinct address groups. Source: protocol.md 5.4; Tor's guard specification for the idea.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from railgun_core.base.clock import Instant
from railgun_core.base.errors import MalformedFrame
from railgun_core.base.hashing import u64
from railgun_core.base.ids import Group, PeerId
from railgun_core.base.rng import Rng
from railgun_core.wire.codec import Reader, array8, blob8
from railgun_core.wire.records import AddressKind, PeerBody, PeerRole, Record

GUARDS = 3
DAY_S = 86_400.0
KEEP_S = (30 * DAY_S, 60 * DAY_S)
GONE_S = 7 * DAY_S  # without a record: it will not come back
UNREACHABLE_S = 600.0
BACKOFF_S = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0)
VERSION = 1
MAX_KEPT = 16  # an upper bound for what is read back


@dataclass(frozen=True, slots=True)
class GuardCandidate:
    """A relay that could be a guard, and when it signed what is known of it (Unix seconds)."""

    peer_id: PeerId
    group: Group
    signed_s: float


@dataclass(slots=True, eq=False)
class Guard:
    """One sticky entry. Times are Unix seconds; `failures` and `retry_s` (monotonic) are of this run only."""

    peer_id: PeerId
    group: Group
    since_s: float
    until_s: float
    missing_s: float = 0.0  # since when no record of it is known though others are; 0: it is there
    failures: int = 0
    retry_s: float = 0.0
    down_s: float | None = None  # monotonic: since when it does not answer


def guard_candidates(
    records: Iterable[Record], *, unix_s: float, by_port: bool, own: PeerId | None
) -> tuple[GuardCandidate, ...]:
    """The relays that can be guards: live, reachable by TLS, with a mix key, not this node; ordered by peer id."""
    found: dict[PeerId, GuardCandidate] = {}
    for record in records:
        body = record.body
        if not isinstance(body, PeerBody) or not record.is_live(unix_s) or record.peer_id == own:
            continue
        group = body.group(by_port=by_port)
        tls = any(address.kind is AddressKind.TLS for address in body.addresses)
        if group is not None and tls and body.roles & PeerRole.RELAY and len(body.mix_key) == 32:
            found[record.peer_id] = GuardCandidate(record.peer_id, group, record.sequence / 1000)
    return tuple(found[peer_id] for peer_id in sorted(found))


class GuardSet:
    """The guards of this device, in the order in which they are used."""

    def __init__(self) -> None:
        self.guards: list[Guard] = []
        self._tried: set[PeerId] = set()
        self._tried_day = 0
        self._extra_s = 0.0  # Unix: when the last one beyond three was chosen

    def review(self, candidates: Sequence[GuardCandidate], now: Instant, rng: Rng) -> bool:
        """Let go whose time is over or who is gone, fill up to three; whether anything changed that is to be saved."""
        there = {candidate.peer_id for candidate in candidates}
        for guard in self.guards:
            if guard.peer_id in there:
                guard.missing_s = 0.0
            elif there and not guard.missing_s:  # while nothing is known of anybody, nobody is missing
                guard.missing_s = now.unix_s
        kept = [g for g in self.guards if now.unix_s < g.until_s and not _is_gone(g, now)]
        changed = len(kept) != len(self.guards)
        self.guards = kept
        while len(self.guards) < GUARDS and self._choose(candidates, now, rng):
            changed = True
        if self._may_try_another(candidates, now) and self._choose(candidates, now, rng):
            self._extra_s, changed = now.unix_s, True
        return changed

    def to_dial(self, now: Instant) -> PeerId | None:
        """The first guard that may be tried now. A fourth is asked only while all three before it are out of reach."""
        for rank, guard in enumerate(self.guards):
            before = self.guards[:rank] if rank >= GUARDS else []
            if guard.retry_s <= now.mono_s and all(_out_of_reach(g, now) for g in before):
                return guard.peer_id
        return None

    def has(self, peer_id: PeerId) -> bool:
        """Whether a relay is one of them."""
        return any(guard.peer_id == peer_id for guard in self.guards)

    def next_s(self) -> float | None:
        """The monotonic time at which a guard may be tried again."""
        return min((guard.retry_s for guard in self.guards), default=None)

    def trying(self, peer_id: PeerId, now: Instant) -> None:
        """A guard is dialled: it learns this device's address."""
        day = int(now.unix_s // DAY_S)
        if day != self._tried_day:
            self._tried_day, self._tried = day, set()
        self._tried.add(peer_id)

    def tried_today(self, now: Instant) -> int:
        """How many relays this device has dialled as guards today (Unix days)."""
        return len(self._tried) if int(now.unix_s // DAY_S) == self._tried_day else 0

    def opened(self, peer_id: PeerId) -> None:
        """A link to a guard is open."""
        for guard in self.guards:
            if guard.peer_id == peer_id:
                guard.failures, guard.retry_s, guard.down_s = 0, 0.0, None

    def failed(self, peer_id: PeerId, now: Instant, rng: Rng) -> None:
        """A guard could not be reached, or its link ended: wait for it, longer each time, up to a minute."""
        for guard in self.guards:
            if guard.peer_id == peer_id:
                pause_s = BACKOFF_S[min(guard.failures, len(BACKOFF_S) - 1)]
                guard.retry_s = now.mono_s + pause_s * rng.uniform(0.8, 1.2)
                guard.failures += 1
                if guard.down_s is None:
                    guard.down_s = now.mono_s

    def to_secret(self) -> bytes:
        """The guards as bytes, for the store to keep under its key."""
        rows = [
            g.peer_id + u64(int(g.since_s)) + u64(int(g.until_s)) + u64(int(g.missing_s)) + blob8(g.group)
            for g in self.guards
        ]
        return bytes((VERSION,)) + u64(int(self._extra_s)) + array8(rows)

    @classmethod
    def from_secret(cls, secret: bytes) -> GuardSet:
        """The guards of before a restart. MalformedFrame."""
        reader, found = Reader(secret), cls()
        if reader.u8() != VERSION:
            raise MalformedFrame("guards")
        found._extra_s = float(reader.u64())
        for _ in range(reader.count(MAX_KEPT)):
            peer_id, since_s, until_s, missing_s = PeerId(reader.take(32)), reader.u64(), reader.u64(), reader.u64()
            group = Group(reader.blob8(8))
            found.guards.append(Guard(peer_id, group, float(since_s), float(until_s), float(missing_s)))
        reader.end()
        return found

    def _may_try_another(self, candidates: Sequence[GuardCandidate], now: Instant) -> bool:
        room = GUARDS <= len(self.guards) < MAX_KEPT
        if not room or now.unix_s - self._extra_s < DAY_S or not all(_out_of_reach(g, now) for g in self.guards):
            return False
        last_down_s = max(guard.down_s or 0.0 for guard in self.guards)
        news_s = max((candidate.signed_s for candidate in candidates), default=0.0)
        return news_s > now.unix_s - (now.mono_s - last_down_s)

    def _choose(self, candidates: Sequence[GuardCandidate], now: Instant, rng: Rng) -> bool:
        """Take one more, by group first, so that many relays in one place do not count more than one."""
        taken = {guard.group for guard in self.guards}
        groups = sorted({c.group for c in candidates}.difference(taken))
        if not groups:
            return False
        group = groups[rng.randrange(0, len(groups))]
        members = [c for c in candidates if c.group == group]
        chosen = members[rng.randrange(0, len(members))]
        until_s = now.unix_s + rng.uniform(*KEEP_S)
        self.guards.append(Guard(chosen.peer_id, group, now.unix_s, until_s))
        return True


def _is_gone(guard: Guard, now: Instant) -> bool:
    return guard.missing_s > 0 and now.unix_s - guard.missing_s >= GONE_S


def _out_of_reach(guard: Guard, now: Instant) -> bool:
    return guard.down_s is not None and now.mono_s - guard.down_s >= UNREACHABLE_S
