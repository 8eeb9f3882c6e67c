"""What can go wrong in a network, as plain values, and a plan of it that follows from a seed alone.

The list is that of Jepsen's nemesis and FoundationDB's simulator, as far as it applies to peers (security.md A18). A
plan says what happens to whom from when to when; it is carried out by strikes.py. Two of the list need a word: links
are ordered and reliable, so a lost chunk comes late instead of never; and copies and disorder do not happen within a
link, they come of several links to several relays, of hedging and of resending, in every run.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from random import Random


class FaultKind(enum.Enum):
    """What happens. The values are the names in reports."""

    HALVES = "partition in halves"
    RING = "partition in a ring"
    BRIDGE = "partition with a bridge"
    ONE_WAY = "one-way partition"
    SINGLE = "single node cut off"
    LOSS = "loss"
    DELAY = "delay"
    CLOG = "clog"
    PAUSE = "pause"
    KILL = "kill -9"
    OLD_STORE = "restart with an old store"
    CLOCK_SKEW = "clock skew"
    CLOCK_JUMP = "clock jump"
    CLOCK_STROBE = "clock strobe"
    DISK_FULL = "disk full"
    TORN_WRITE = "torn write"
    BIT_FLIP = "bit flip"
    SLOW_DISK = "slow disk"
    JOIN = "join"
    LEAVE = "leave"
    REMOVE = "remove"
    VERSION_SKEW = "version skew"
    SUSPEND = "suspend"
    ADDRESS_CHANGE = "address change"
    NAT_REBINDING = "NAT rebinding"
    LOOKUP_FAILS = "look-up fails"
    COMMITTEE_KILLED = "committee killed"
    CENTRAL_DOWN = "central server down"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault from `start_s` to `end_s`, virtual seconds. `amount`: how much, in the unit of its kind."""

    kind: FaultKind
    start_s: float
    end_s: float
    peers: tuple[int, ...] = ()
    room: int = 0
    amount: float = 0.0

    def __str__(self) -> str:
        where = f" peers {', '.join(map(str, self.peers))}" if self.peers else ""
        if self.kind in _OF_ROOMS:
            where += f" room {self.room}"
        much = f" {self.amount:.3g}" if self.amount else ""
        return f"{self.start_s:6.1f}..{self.end_s:6.1f} s {self.kind.value}{where}{much}"


_OF_ROOMS = frozenset({FaultKind.JOIN, FaultKind.LEAVE, FaultKind.REMOVE, FaultKind.COMMITTEE_KILLED})


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole run: who is there, who is in which room, when who is away, and what goes wrong."""

    seed: int
    peers: int
    rooms: tuple[tuple[int, ...], ...]  # the members of each
    away: tuple[tuple[int, float, float], ...]  # a peer is down from then to then: it is online rarely
    faults: tuple[Fault, ...]
    heal_s: float  # when everything is well again
    hybrid: bool  # whether there is a central server
    midnight: bool  # whether a day ends on the way: mail is kept by days

    def __str__(self) -> str:
        extra = ("; hybrid" if self.hybrid else "") + ("; over midnight" if self.midnight else "")
        lines = [f"{self.peers} peers; rooms {'; '.join(map(str, self.rooms))}{extra}"]
        lines += [f"{start_s:6.1f}..{end_s:6.1f} s peer {peer} is offline" for peer, start_s, end_s in self.away]
        return "\n".join(lines + [str(fault) for fault in self.faults])


PEERS = (9, 12)
FAULTS = (6, 9)  # in MINUTES of trouble, and as many more as it lasts longer
MINUTES = 2.5
BEGIN_S = 15.0
LAST_BEGIN_S = 20.0  # before everything is well again
LASTS_S: dict[FaultKind, tuple[float, float]] = {
    FaultKind.HALVES: (5, 130),
    FaultKind.RING: (5, 90),
    FaultKind.BRIDGE: (5, 90),
    FaultKind.ONE_WAY: (5, 60),
    FaultKind.SINGLE: (5, 130),
    FaultKind.LOSS: (10, 120),
    FaultKind.DELAY: (10, 120),
    FaultKind.CLOG: (2, 20),
    FaultKind.PAUSE: (1, 60),
    FaultKind.KILL: (1, 60),
    FaultKind.OLD_STORE: (15, 90),
    FaultKind.CLOCK_SKEW: (20, 150),
    FaultKind.CLOCK_JUMP: (5, 60),
    FaultKind.CLOCK_STROBE: (5, 40),
    FaultKind.DISK_FULL: (3, 60),
    FaultKind.TORN_WRITE: (3, 30),
    FaultKind.BIT_FLIP: (3, 30),
    FaultKind.SLOW_DISK: (10, 90),
    FaultKind.VERSION_SKEW: (5, 40),
    FaultKind.SUSPEND: (5, 90),
    FaultKind.ADDRESS_CHANGE: (1, 1),
    FaultKind.NAT_REBINDING: (1, 1),
    FaultKind.LOOKUP_FAILS: (20, 120),
    FaultKind.COMMITTEE_KILLED: (5, 50),
    FaultKind.CENTRAL_DOWN: (5, 100),
}


def plan(seed: int, *, minutes: float = MINUTES) -> Plan:
    """The plan of a seed, with that much virtual time of trouble. Pure: the same arguments give the same plan."""
    rng = Random(f"chaos {seed}")
    peers = rng.randint(*PEERS)
    numbers = rng.sample(range(peers), 7)
    rooms = (tuple(numbers[:3]), tuple(numbers[3:]))
    if rng.random() < 0.4:  # somebody is in both
        rooms = (rooms[0], (rooms[0][0], *rooms[1][1:]))
    heal_s = minutes * 60
    count = round(rng.randint(*FAULTS) * max(1.0, minutes / MINUTES))
    kinds = rng.sample(list(FaultKind), min(count, len(FaultKind)))
    if FaultKind.REMOVE in kinds and FaultKind.JOIN in kinds:
        kinds.remove(FaultKind.JOIN)  # who joins by a root that is being given up is promised nothing
    faults = tuple(sorted((_fault(kind, peers, rooms, heal_s, rng) for kind in kinds), key=lambda fault: fault.start_s))
    hybrid = FaultKind.CENTRAL_DOWN in kinds or rng.random() < 0.1
    away = _absences(rooms[0][2], heal_s, rng)
    return Plan(seed, peers, rooms, away, faults, heal_s, hybrid=hybrid, midnight=rng.random() < 0.3)


def _absences(peer: int, heal_s: float, rng: Random) -> tuple[tuple[int, float, float], ...]:
    """A member that is online for a short while now and then."""
    if rng.random() < 0.5:
        return ()
    spans, at_s = [], BEGIN_S + rng.uniform(5, 30)
    while at_s < heal_s - LAST_BEGIN_S:
        back_s = min(heal_s, at_s + rng.uniform(30, 100))
        spans.append((peer, at_s, back_s))
        at_s = back_s + rng.uniform(8, 30)
    return tuple(spans)


def _fault(kind: FaultKind, peers: int, rooms: tuple[tuple[int, ...], ...], heal_s: float, rng: Random) -> Fault:
    start_s = rng.uniform(BEGIN_S, heal_s - LAST_BEGIN_S)
    end_s = min(heal_s, start_s + rng.uniform(*LASTS_S.get(kind, (1, 1))))
    room = rng.randrange(len(rooms))
    members = sorted({number for room_ in rooms for number in room_})
    one = members[rng.randrange(len(members))] if rng.random() < 0.7 else rng.randrange(peers)
    whom = _whom(kind, one, peers=peers, members=rooms[room], rng=rng)
    return Fault(kind, start_s, end_s, whom, room, _amount(kind, rng))


def _whom(kind: FaultKind, one: int, *, peers: int, members: tuple[int, ...], rng: Random) -> tuple[int, ...]:
    """Whom a fault meets: `one`, if its kind says nothing else. `members`: of the room that it is about."""
    match kind:
        case FaultKind.LOSS | FaultKind.DELAY | FaultKind.COMMITTEE_KILLED | FaultKind.CENTRAL_DOWN:
            return ()
        case FaultKind.HALVES:
            return _some(rng, peers, peers // 2)
        case FaultKind.RING:
            return tuple(rng.sample(range(peers), peers))
        case FaultKind.BRIDGE:
            return tuple(rng.sample(range(peers), peers // 2 + 1))  # the first one is the bridge
        case FaultKind.ONE_WAY:
            return _some(rng, peers, rng.randint(1, peers // 2))
        case FaultKind.CLOG:
            return _some(rng, peers, rng.randint(1, 4))
        case FaultKind.PAUSE | FaultKind.KILL:
            return _some(rng, peers, rng.randint(1, 3)) if rng.random() < 0.5 else (one,)
        case FaultKind.CLOCK_SKEW:
            return _some(rng, peers, max(1, peers // 5))
        case FaultKind.JOIN:
            return (rng.choice([number for number in range(peers) if number not in members]),)
        case FaultKind.LEAVE | FaultKind.REMOVE:
            return tuple(rng.sample(members, 2))  # the first one goes, the second one removes it
        case FaultKind.VERSION_SKEW | FaultKind.LOOKUP_FAILS:
            return _some(rng, peers, rng.randint(1, 3))
        case _:
            return (one,)


def _amount(kind: FaultKind, rng: Random) -> float:
    """How hard a fault is, in the unit of its kind."""
    match kind:
        case FaultKind.LOSS:
            return rng.uniform(0.05, 0.4)
        case FaultKind.DELAY:
            return rng.uniform(2, 20)
        case FaultKind.CLOCK_SKEW:
            return rng.choice((-1, 1)) * rng.uniform(0.5, 12)
        case FaultKind.CLOCK_JUMP:
            return rng.choice((-1, 1)) * rng.choice((5, 30, 100, 700, 4_000)) * rng.uniform(0.7, 1.3)
        case FaultKind.CLOCK_STROBE:
            return rng.choice((-1, 1)) * rng.uniform(1, 90)
        case FaultKind.SLOW_DISK:
            return rng.uniform(10, 500)
        case FaultKind.CENTRAL_DOWN:
            return float(rng.random() < 0.25)  # 1: it comes up without what it kept
        case _:
            return 0.0


def _some(rng: Random, peers: int, count: int) -> tuple[int, ...]:
    return tuple(sorted(rng.sample(range(peers), count)))
