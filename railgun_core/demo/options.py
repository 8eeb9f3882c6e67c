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
MODES = ("p2p", "hybrid")
MAX_KILL = 5  # the seats of a committee
LEFT_OVER = 3  # relays that live on when the most are killed: as many as a committee has standbys
MAILBOXES = 3  # of rounds of kills, unless told otherwise: as many as hold each day's mail
SIZES = {"small": SizeClass.SMALL, "medium": SizeClass.MEDIUM, "large": SizeClass.LARGE}


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """One demo run. `transport` None: as peers do by default, TLS first. `work_dir` None: a new temporary one.

    With `kills` it lasts as long as its rounds do, whatever `duration_s` says; its members serve nobody, so that every
    seat may be killed. `mailboxes` None: none, or MAILBOXES with kills.
    """

    peers: int = 8
    rooms: int = 2
    members: int = 3
    epoch_s: int = 60
    duration_s: float = 90.0
    rate_per_s: float = 4.0  # messages of the whole network
    size: SizeClass = SizeClass.SMALL
    kill: int = 0  # relays with a seat that are killed on the way (SIGKILL)
    kills: int = 0  # rounds: seats of a room's committee are killed at once, and started again some seconds later
    kill_sizes: tuple[int, ...] = (1,)  # seats a round, in turn
    mailboxes: int | None = None  # relays that keep mail too
    mode: str = "p2p"  # hybrid: with a central server, which is started too
    kill_central: bool = False  # kill that server in the middle and start it again
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
        _within("--kills", self.kills, 0, 100_000)
        _within("--mailboxes", self.keepers, 0, self.relays)
        _within("--seed", self.seed, 0, 2**63 - 1)
        self._check_kills()
        if self.mode not in MODES:
            raise UsageError(f"--mode must be one of {', '.join(MODES)}.")
        if self.kill_central and self.mode != "hybrid":
            raise UsageError("There is a central server in mode hybrid only: --kill-central needs --mode hybrid.")
        if self.transport is not None and self.transport not in TRANSPORTS:
            raise UsageError(f"--transport must be one of {', '.join(TRANSPORTS)}.")
        if self.secure and self.transport == "quic":
            raise UsageError("High security goes through tunnels, which carry TLS: --secure needs --transport tls.")
        if self.secure and self.peers < MIN_SECURE_PEERS:
            raise UsageError(f"--secure needs at least {MIN_SECURE_PEERS} --peers, or no packet finds three mixes.")
        if self.members > self.peers:
            raise UsageError(f"--members {self.members} needs at least as many --peers, and there are {self.peers}.")

    @property
    def relays(self) -> int:
        """Peers that relay: all, less the members where seats are killed in rounds."""
        return self.peers - (self.members if self.kills and not self.secure else 0)

    @property
    def keepers(self) -> int:
        """Relays that are mailboxes too."""
        if self.mailboxes is not None:
            return self.mailboxes
        return min(MAILBOXES, max(0, self.relays)) if self.kills else 0

    def _check_kills(self) -> None:
        if not self.kills:
            return
        if self.kill:
            raise UsageError("Give --kill or --kills, not both.")
        if not self.rooms:
            raise UsageError("--kills needs rooms: it is their committees that are killed.")
        if self.app or self.live:
            raise UsageError("--kills ends by itself: not with --app or --live.")
        for size in self.kill_sizes:
            _within("--kill-size", size, 1, MAX_KILL)
        # With a central server every relay may die at once: that is what the server is for.
        needed = max(self.kill_sizes) + (0 if self.mode == "hybrid" else LEFT_OVER)
        if self.relays < needed:
            raise UsageError(
                f"To kill {max(self.kill_sizes)} at once, --peers less --members must be {needed} or more, "
                f"not {self.relays}."
            )


def parse_sizes(text: str) -> tuple[int, ...]:
    """Seats a round, as the command line writes them: `1,2,4`. UsageError otherwise."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 3 for part in parts):
        raise UsageError(f"--kill-size must be numbers such as 1,2,4, not {text!r}.")
    return tuple(int(part) for part in parts)


def _within(flag: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UsageError(f"{flag} must be between {low:g} and {high:g}, not {value:g}.")
