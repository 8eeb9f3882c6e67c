"""What `railgun demo` is asked to do, checked before anything starts.

The defaults are a network that shows two rotations on a small machine; every value is bounded, because each peer is
a process with its own memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from railgun_core.base.errors import UsageError
from railgun_core.wire.envelope import SizeClass

MIN_SECURE_PEERS = 8
SECURE_EPOCH_S = 120  # many peers hand over at once: more rarely, so that a small machine has time for packets
TRANSPORTS = ("quic", "tls")
SIZES = {"small": SizeClass.SMALL, "medium": SizeClass.MEDIUM, "large": SizeClass.LARGE}


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """One demo run. `transport` None: as peers do by default, TLS first. `work_dir` None: a new temporary one."""

    peers: int = 8
    rooms: int = 2
    members: int = 3
    epoch_s: int = 60
    duration_s: float = 90.0
    rate_per_s: float = 4.0  # messages of the whole network
    size: SizeClass = SizeClass.SMALL
    kill: int = 0  # relays with a seat that are killed on the way (SIGKILL)
    transport: str | None = None
    secure: bool = False  # members are devices of their own behind guards; rooms send through mixes
    seed: int = 1
    json: bool = False
    app: bool = False  # open the tray on one of the peers and run until it quits
    live: bool = False  # a table on the terminal while it runs
    work_dir: Path | None = None

    def __post_init__(self) -> None:
        _within("--peers", self.peers, 1, 200)
        _within("--rooms", self.rooms, 0, 1_000)
        _within("--members", self.members, 1, 200)
        _within("--epoch-s", self.epoch_s, 5, 86_400)
        _within("--duration-s", self.duration_s, 1, 7 * 86_400)
        _within("--rate", self.rate_per_s, 0, 10_000)
        _within("--kill", self.kill, 0, max(0, self.peers - 1))
        _within("--seed", self.seed, 0, 2**63 - 1)
        if self.transport is not None and self.transport not in TRANSPORTS:
            raise UsageError(f"--transport must be one of {', '.join(TRANSPORTS)}.")
        if self.secure and self.transport == "quic":
            raise UsageError("High security goes through tunnels, which carry TLS: --secure needs --transport tls.")
        if self.secure and self.peers < MIN_SECURE_PEERS:
            raise UsageError(f"--secure needs at least {MIN_SECURE_PEERS} --peers, or no packet finds three mixes.")
        if self.members > self.peers:
            raise UsageError(f"--members {self.members} needs at least as many --peers, and there are {self.peers}.")


def _within(flag: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UsageError(f"{flag} must be between {low:g} and {high:g}, not {value:g}.")
