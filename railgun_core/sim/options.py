"""What `railgun sim` is asked to do, checked before anything starts.

`partition` is a span of virtual minutes in which the network is split in two halves: START..END.
`churn_per_hour` is the share of peers that leave and are replaced in an hour; 0.3 is what volunteer networks show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from railgun_core.base.errors import UsageError


@dataclass(frozen=True, slots=True)
class Partition:
    """The network is split from `start_min` to `end_min`, in virtual minutes."""

    start_min: float
    end_min: float

    @classmethod
    def parse(cls, text: str) -> Partition:
        """`10..20`. UsageError otherwise."""
        left, dots, right = text.partition("..")
        try:
            start_min, end_min = float(left), float(right)
        except ValueError:
            raise UsageError("--partition must look like 10..20, in minutes.") from None
        if not dots or not 0 <= start_min < end_min < float("inf"):
            raise UsageError("--partition must look like 10..20, in minutes.")
        return cls(start_min, end_min)


def parse_seeds(text: str, *, most: int = 10_000) -> range:
    """`1..20` or `7`: at most so many seeds, lowest first. UsageError otherwise."""
    left, dots, right = text.partition("..")
    try:
        first = int(left)
        last = int(right) if dots else first
    except ValueError:
        raise UsageError("--seeds must look like 1..20.") from None
    if not 0 <= first <= last < 2**63 or last - first >= most:
        raise UsageError(f"--seeds must look like 1..20, at most {most:,} of them.")
    return range(first, last + 1)


@dataclass(frozen=True, slots=True)
class ChaosOptions:
    """Many seeds of chaos. `minutes`: virtual, of trouble in each; `jobs`: processes, 0 for as many as cores."""

    seeds: range
    minutes: float
    jobs: int = 0
    trace: bool = False

    def __post_init__(self) -> None:
        _within("--minutes", self.minutes, 1, 1_000)
        _within("--jobs", self.jobs, 0, 1_024)


@dataclass(frozen=True, slots=True)
class SimOptions:
    """One simulation for each seed."""

    peers: int = 50
    minutes: float = 30.0  # virtual
    seeds: Sequence[int] = (1,)
    loss: float = 0.0  # share of links' chunks that are lost and sent again, 0..1
    partition: Partition | None = None
    churn_per_hour: float = 0.0
    rooms: int = 4
    members: int = 4
    rate_per_s: float = 1.0  # messages of the whole network
    secure: bool = False  # rooms are high-security: through guards and mixes
    json: bool = False

    def __post_init__(self) -> None:
        _within("--peers", self.peers, 1, 20_000)
        _within("--minutes", self.minutes, 0.1, 100_000)
        _within("--loss", self.loss, 0, 0.9)
        _within("--churn", self.churn_per_hour, 0, 10)
        _within("--rooms", self.rooms, 0, 10_000)
        _within("--members", self.members, 1, 1_000)
        _within("--rate", self.rate_per_s, 0, 10_000)
        if not self.seeds:
            raise UsageError("--seeds names no seed.")
        if self.members > self.peers:
            raise UsageError(f"--members {self.members} needs at least as many --peers, and there are {self.peers}.")


def _within(flag: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UsageError(f"{flag} must be between {low:g} and {high:g}, not {value:g}.")


@dataclass(frozen=True, slots=True)
class FlowOptions:
    """One run of the mixnet under load. `packets_per_s` is each client's; `seconds` are virtual, after the warm-up."""

    clients: int = 1_000
    mixes: int = 30
    packets_per_s: float = 0.5
    seconds: float = 30.0
    seed: int = 1
    targets: int = 400  # packets that the observer follows

    def __post_init__(self) -> None:
        _within("--clients", self.clients, 1, 100_000)
        _within("--mixes", self.mixes, 3, 10_000)
        _within("--packets-per-s", self.packets_per_s, 0.001, 100)
        _within("--minutes", self.seconds / 60, 0.1, 100)
        if self.clients * self.packets_per_s * self.seconds < self.targets:
            raise UsageError("Too few packets to follow: more --clients, --packets-per-s or --minutes.")
