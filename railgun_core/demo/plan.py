"""Who is in a demo, before anything runs: the processes, their places on loopback, their roles.

Where the system allows it, each has an address of its own: 127.n.0.1 peers, 127.250.0.1 the bootstrap peer,
127.250.0.2 the central server, 127.251.n.1 devices behind guards.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from railgun_core.demo.central import CentralServer
from railgun_core.demo.options import DemoOptions
from railgun_core.demo.peers import PeerProcess, many_addresses
from railgun_core.demo.traffic import DemoRoom

MAX_DEVICES = 4  # unless a room has more members; each costs a small machine a tenth of a core in packets made
SECURE_GB_MONTH = 175.0  # six packets a second each, both ways counted: loopback costs nothing


@dataclass(slots=True)
class Kill:
    """A relay that was killed, when, and the rooms it served."""

    peer: str
    at_s: float
    rooms: tuple[str, ...]


@dataclass(slots=True)
class Round:
    """Seats of a room's committee that were killed at once. Monotonic times; `back_s`: the first was started again."""

    room: str
    peers: tuple[str, ...]
    seats: int
    at_s: float
    back_s: float | None = None

    @property
    def whole(self) -> bool:
        """No seat was left."""
        return len(self.peers) == self.seats


@dataclass(slots=True)
class Network:
    """The processes of one demo."""

    options: DemoOptions
    folder: Path
    bootstrap: PeerProcess
    peers: list[PeerProcess]
    rng: Random
    devices: list[PeerProcess] = field(default_factory=list)  # members' own, in a secure demo; they serve nobody
    central: CentralServer | None = None
    rooms: list[DemoRoom] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)

    @property
    def alive(self) -> list[PeerProcess]:
        everybody = (*self.peers, *self.devices)
        return [p for p in everybody if p.process is not None and p.process.returncode is None]

    @property
    def people(self) -> list[PeerProcess]:
        """Who may be in rooms: never anybody who is to be killed."""
        if self.devices:
            return self.devices
        if self.options.kills:
            return self.peers[: self.options.members]
        return self.peers[: len(self.peers) - self.options.kill]

    @property
    def relays(self) -> list[PeerProcess]:
        """The peers that serve others."""
        return self.peers[len(self.peers) - self.options.relays :]


def plan(options: DemoOptions, folder: Path) -> Network:
    """All processes of a demo, none of them started."""
    apart = many_addresses()
    central = None
    if options.mode == "hybrid":
        host = "127.250.0.2" if apart else "127.0.0.1"
        central = CentralServer(folder / "central", host, free_port(host))
    shared = _shared(options, central, apart=apart)
    entry_host = "127.250.0.1" if apart else "127.0.0.1"
    entry = f"{entry_host}:{free_port(entry_host)}"
    bootstrap = PeerProcess("bootstrap", folder / "bootstrap", (*shared, "--listen", entry, "--roles", "bootstrap"))
    peers = []
    for number, roles in enumerate(roles_of_peers(options), 1):
        host = f"127.{number}.0.1" if apart else "127.0.0.1"
        arguments = (*shared, *roles, "--listen", f"{host}:0", "--bootstrap", entry)
        peers.append(PeerProcess(f"p{number}", folder / f"p{number}", arguments))
    network = Network(options, folder, bootstrap, peers, Random(options.seed), central=central)
    if options.secure:
        network.devices = [
            _device(network, number, shared, entry, apart=apart) for number in range(1, _devices(options) + 1)
        ]
    return network


def roles_of_peers(options: DemoOptions) -> list[tuple[str, ...]]:
    """The arguments that give each peer its roles: members first, then relays, of which every third keeps mail."""
    members = options.peers - options.relays
    found: list[tuple[str, ...]] = [("--roles", "none")] * members
    keepers = set(sorted(range(options.relays), key=lambda n: (n % 3 != 2, n))[: options.keepers])
    for number in range(options.relays):
        found.append(("--roles", "relay,mix,mailbox") if number in keepers else ())
    return found


def _shared(options: DemoOptions, central: CentralServer | None, *, apart: bool) -> tuple[str, ...]:
    found: tuple[str, ...] = ("--puzzle-bits", "0", "--lan", "off", "--epoch-s", str(options.epoch_s))
    found += ("--address-limits", "off", "--group-by", "network" if apart else "port")
    if options.transport is not None:
        found += ("--transport", options.transport)
    if central is not None:
        found += ("--mode", options.mode, "--central", central.place)
    return found


def _devices(options: DemoOptions) -> int:
    """As many devices as there are places in rooms, within reason."""
    return max(options.members, min(options.rooms * options.members, MAX_DEVICES))


def _device(network: Network, number: int, shared: tuple[str, ...], entry: str, *, apart: bool) -> PeerProcess:
    """A member's device that offers nothing to others, and meets entries and guards only."""
    host = f"127.251.{number}.1" if apart else "127.0.0.1"
    behind = ("--roles", "none", "--guards", "all", "--secure-gb-month", str(SECURE_GB_MONTH))
    arguments = (*shared, *behind, "--listen", f"{host}:0", "--bootstrap", entry)
    return PeerProcess(f"d{number}", network.folder / f"d{number}", arguments)


def free_port(host: str) -> int:
    """A port of an address that is free for TCP and UDP now."""
    with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        tcp.bind((host, 0))
        udp.bind(tcp.getsockname())
        return int(tcp.getsockname()[1])
