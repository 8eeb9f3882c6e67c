"""What `railgun bench relay`, `transport`, `idle` and `mix` are asked to measure, checked before anything starts."""

from __future__ import annotations

from dataclasses import dataclass

from railgun_core.base.errors import UsageError
from railgun_core.demo.options import DemoOptions
from railgun_core.wire.envelope import SizeClass

TRANSPORTS = ("quic", "tls")
RIVALS = ("bare", "mosquitto", "nats")
MAX_FAN_OUT = 99  # a relay takes 100 links from one address, and the publisher needs one


@dataclass(frozen=True, slots=True)
class BenchRelayOptions:
    """One relay, `fan_out` receivers; each transport and each rival in turn, `rounds` times (A B A B)."""

    transports: tuple[str, ...] = TRANSPORTS
    size: SizeClass = SizeClass.MEDIUM
    fan_out: int = 5
    seconds: float = 3.0
    rounds: int = 3
    vs: tuple[str, ...] = ()
    json: bool = False

    def __post_init__(self) -> None:
        _one_of("--transport", self.transports, TRANSPORTS)
        _one_of("--vs", self.vs, RIVALS)
        _bounded(self.seconds, self.rounds)
        if not 1 <= self.fan_out <= MAX_FAN_OUT:
            raise UsageError(f"--fan-out must be between 1 and {MAX_FAN_OUT}, not {self.fan_out}.")


@dataclass(frozen=True, slots=True)
class BenchTransportOptions:
    """Envelope frames through each transport and a bare TCP socket, in turn, `rounds` times."""

    transports: tuple[str, ...] = TRANSPORTS
    size: SizeClass = SizeClass.MEDIUM
    seconds: float = 2.0
    rounds: int = 3
    json: bool = False

    def __post_init__(self) -> None:
        _one_of("--transport", self.transports, TRANSPORTS)
        _bounded(self.seconds, self.rounds)


@dataclass(frozen=True, slots=True)
class BenchIdleOptions:
    """A network of `peers` processes with rooms and no messages, watched for `seconds`.

    `settle_s`: how long it may calm down before; the DHT's last look around comes half a minute after joining.
    `epoch_s`: as peers have it by default.
    """

    peers: int = 12
    rooms: int = 4
    members: int = 4
    seconds: float = 60.0
    settle_s: float = 40.0
    epoch_s: int = 600
    json: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.seconds <= 86_400:
            raise UsageError(f"--seconds must be between 1 and 86400, not {self.seconds:g}.")
        if not 0 <= self.settle_s <= 3_600:
            raise UsageError(f"--settle-s must be between 0 and 3600, not {self.settle_s:g}.")
        self.network()

    def network(self) -> DemoOptions:
        """The demo network that is watched. UsageError when it cannot be."""
        return DemoOptions(
            peers=self.peers, rooms=self.rooms, members=self.members, epoch_s=self.epoch_s, json=self.json
        )


@dataclass(frozen=True, slots=True)
class BenchMixOptions:
    """Mix packets made and unwrapped, in turn with the primitives inside, `rounds` times `calls`."""

    rounds: int = 40
    calls: int = 50
    json: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.rounds <= 10_000:
            raise UsageError(f"--rounds must be between 1 and 10,000, not {self.rounds}.")
        if not 1 <= self.calls <= 100_000:
            raise UsageError(f"--calls must be between 1 and 100,000, not {self.calls}.")


def _bounded(seconds: float, rounds: int) -> None:
    if not 0.1 <= seconds <= 600:
        raise UsageError(f"--seconds must be between 0.1 and 600, not {seconds:g}.")
    if not 1 <= rounds <= 1_000:
        raise UsageError(f"--rounds must be between 1 and 1,000, not {rounds}.")


def _one_of(flag: str, given: tuple[str, ...], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            raise UsageError(f"{flag} knows {', '.join(known)}, not {name!r}.")
