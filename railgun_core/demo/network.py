"""A demo from start to end: peers up, rooms made, messages sent, relays killed, everything counted, everything
ended."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from railgun_core.base.errors import EnvironmentFailure, UsageError
from railgun_core.demo.live import show_live
from railgun_core.demo.options import MIN_SECURE_PEERS, DemoOptions
from railgun_core.demo.peers import READY_S, PeerProcess, many_addresses, program
from railgun_core.demo.report import report
from railgun_core.demo.traffic import DemoRoom, Traffic
from railgun_core.local_api.messages import Invite, RoomCreate, RoomInfo, RoomJoin, RoomRef, RoomSecure
from railgun_core.status import DutyState, NodeStatus

STARTS_AT_ONCE = 4  # engines that boot side by side: more only makes each slower
SETTLE_S = 45.0
ONE_SEARCH, NEARLY_ALL = 16, 0.95
CALM_ABOVE_PEERS = 16
CALM_WITHIN_S, CALM_OVER_S, CALM_CORES = 120.0, 5.0, 0.6
MAX_DEVICES = 4  # unless a room has more members; each costs a small machine a tenth of a core in packets made
SECURE_GB_MONTH = 175.0  # six packets a second each, both ways counted: loopback costs nothing
SEAT_WITHIN_S = 10.0  # how long to wait for a victim to get a seat before it is killed without one


@dataclass(slots=True)
class Kill:
    """A relay that was killed, when, and the rooms it served."""

    peer: str
    at_s: float
    rooms: tuple[str, ...]


@dataclass(slots=True)
class Network:
    """The processes of one demo."""

    options: DemoOptions
    folder: Path
    bootstrap: PeerProcess
    peers: list[PeerProcess]
    rng: Random
    devices: list[PeerProcess] = field(default_factory=list)  # members' own, in a secure demo; they serve nobody
    rooms: list[DemoRoom] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)

    @property
    def alive(self) -> list[PeerProcess]:
        everybody = (*self.peers, *self.devices)
        return [p for p in everybody if p.process is not None and p.process.returncode is None]


async def play(options: DemoOptions) -> dict[str, object]:
    """Run a demo and report. Everything that was started is ended, whatever happens."""
    if options.members > options.peers - options.kill and options.rooms:
        raise UsageError("Killed relays host no members: --members may be --peers less --kill at most.")
    began_s = time.monotonic()
    async with running(options) as network:
        traffic = Traffic(network.rooms, size=options.size, rng=network.rng)
        try:
            traffic.follow()
            await _run(network, traffic)
            return await report(network, traffic, time.monotonic() - began_s)
        finally:
            await traffic.close()


@contextlib.asynccontextmanager
async def running(options: DemoOptions) -> AsyncIterator[Network]:
    """A network whose peers know each other and whose rooms are made; every process ends with the block."""
    folder = options.work_dir or Path(tempfile.mkdtemp(prefix="railgun-demo-"))
    network = _plan(options, folder)
    try:
        await _boot(network)
        if len(network.peers) > CALM_ABOVE_PEERS:
            await _calm_down(network)
        await _make_rooms(network)
        _say(options, f"{len(network.peers)} peers and {len(network.rooms)} rooms are up.")
        yield network
    finally:
        await asyncio.gather(*(peer.stop() for peer in (*network.devices, *network.peers, network.bootstrap)))
        if options.work_dir is None:
            shutil.rmtree(folder, ignore_errors=True)


def _plan(options: DemoOptions, folder: Path) -> Network:
    apart = many_addresses()
    shared: tuple[str, ...] = (
        "--puzzle-bits",
        "0",
        "--lan",
        "off",
        "--epoch-s",
        str(options.epoch_s),
        "--address-limits",
        "off",
    )
    shared += ("--group-by", "network" if apart else "port")
    if options.transport is not None:
        shared += ("--transport", options.transport)
    port = _free_port("127.250.0.1" if apart else "127.0.0.1")
    entry = f"127.250.0.1:{port}" if apart else f"127.0.0.1:{port}"
    bootstrap = PeerProcess("bootstrap", folder / "bootstrap", (*shared, "--listen", entry, "--roles", "bootstrap"))
    peers = []
    for number in range(1, options.peers + 1):
        host = f"127.{number}.0.1" if apart else "127.0.0.1"
        arguments = (*shared, "--listen", f"{host}:0", "--bootstrap", entry)
        peers.append(PeerProcess(f"p{number}", folder / f"p{number}", arguments))
    network = Network(options, folder, bootstrap, peers, Random(options.seed))
    if options.secure:
        network.devices = [
            _device(network, number, shared, entry, apart=apart) for number in range(1, _devices(options) + 1)
        ]
    return network


def _devices(options: DemoOptions) -> int:
    """As many devices as there are places in rooms, within reason."""
    return max(options.members, min(options.rooms * options.members, MAX_DEVICES))


def _device(network: Network, number: int, shared: tuple[str, ...], entry: str, *, apart: bool) -> PeerProcess:
    """A member's device that offers nothing to others, and meets entries and guards only."""
    host = f"127.251.{number}.1" if apart else "127.0.0.1"
    behind = ("--roles", "none", "--guards", "all", "--secure-gb-month", str(SECURE_GB_MONTH))
    arguments = (*shared, *behind, "--listen", f"{host}:0", "--bootstrap", entry)
    return PeerProcess(f"d{number}", network.folder / f"d{number}", arguments)


def _free_port(host: str) -> int:
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


async def _boot(network: Network) -> None:
    """Start all engines and wait until each knows all relays."""
    _say(network.options, f"Starting {len(network.peers)} peers …")
    await network.bootstrap.start()
    await network.bootstrap.connect()
    gate = asyncio.Semaphore(STARTS_AT_ONCE)

    async def start(peer: PeerProcess) -> None:
        async with gate:
            await peer.start()
            await peer.connect()

    await asyncio.gather(*(start(peer) for peer in network.peers))
    try:
        async with asyncio.timeout(READY_S):
            await asyncio.gather(*(_knows_most(peer, len(network.peers)) for peer in network.peers))
    except TimeoutError:
        raise EnvironmentFailure("the peers did not all find each other in time", code="not-ready") from None
    if not network.devices:
        return
    _say(network.options, f"Starting {len(network.devices)} devices behind guards …")
    await asyncio.gather(*(start(device) for device in network.devices))
    try:
        async with asyncio.timeout(READY_S):
            await asyncio.gather(*(_is_guarded(device) for device in network.devices))
    except TimeoutError:
        raise EnvironmentFailure("a device found no guard or no mixes in time", code="not-ready") from None


async def _calm_down(network: Network) -> None:
    """Wait until a large network has found itself: until its processes together need little, or for CALM_WITHIN_S.

    In its first minute each of many peers looks for all others; on a small machine nothing else would be measured.
    """
    import psutil

    everybody = (network.bootstrap, *network.alive)
    processes = [psutil.Process(p.process.pid) for p in everybody if p.process is not None]

    def cpu_s() -> float:
        return sum(sum(process.cpu_times()[:2]) for process in processes)

    _say(network.options, "Waiting until the network is calm …")
    end_s, before_s = time.monotonic() + CALM_WITHIN_S, cpu_s()
    while time.monotonic() < end_s:
        await asyncio.sleep(CALM_OVER_S)
        now_s = cpu_s()
        if now_s - before_s < CALM_CORES * CALM_OVER_S:
            return
        before_s = now_s


async def _knows_most(peer: PeerProcess, peers: int) -> None:
    """Wait until a peer's view holds all relays; of more than one search shows, nearly all: the rest turn up."""
    relays = peers if peers <= ONE_SEARCH else int(NEARLY_ALL * peers)
    client = await peer.connect()
    async for status in client.stream("status.watch", None, NodeStatus):
        if status.relays >= relays:
            return


async def _is_guarded(device: PeerProcess) -> None:
    """Wait until a device has a guard and knows mixes."""
    client = await device.connect()
    async for status in client.stream("status.watch", None, NodeStatus):
        if status.anonymity.guards and status.anonymity.mixes >= MIN_SECURE_PEERS - 2:
            return


async def _make_rooms(network: Network) -> None:
    """Rooms among the peers that will not be killed."""
    options = network.options
    people = network.devices or network.peers[: len(network.peers) - options.kill]
    for number in range(1, options.rooms + 1):
        members = _members(network, people, number)
        name = f"room-{number}"
        owner = await members[0].connect()
        await owner.call("room.create", RoomCreate(name), RoomInfo)
        invite = await owner.call("room.invite", RoomRef(name), Invite)
        joined = await asyncio.gather(
            *[
                (await member.connect()).call("room.join", RoomJoin(invite.link, wait_s=30.0), RoomInfo)
                for member in members[1:]
            ]
        )
        if any(info.waiting for info in joined):
            raise EnvironmentFailure("a member was not welcomed in time", code="not-ready")
        if options.secure:
            for member in members:
                await (await member.connect()).call("room.secure", RoomSecure(name, on=True), RoomInfo)
        network.rooms.append(DemoRoom(name, members))


def _members(network: Network, people: list[PeerProcess], number: int) -> list[PeerProcess]:
    """Who is in a room: anybody; of devices the next ones, so that each is in few rooms."""
    size = network.options.members
    if not network.devices:
        return network.rng.sample(people, size)
    first = (number - 1) * size
    return [people[(first + n) % len(people)] for n in range(size)]


async def _run(network: Network, traffic: Traffic) -> None:
    options = network.options
    endless = options.app or options.live
    killer = asyncio.create_task(_kill_some(network)) if options.kill else None
    sender = asyncio.create_task(traffic.send_for(None if endless else options.duration_s, options.rate_per_s))
    try:
        if options.app:
            await _show_app(network.peers[0])
        elif options.live:
            await show_live(network.peers, traffic)
        else:
            await sender
            await traffic.settle(SETTLE_S)
        if killer is not None and not endless:
            await killer
    finally:
        for task in (sender, killer):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task


async def _kill_some(network: Network) -> None:
    """SIGKILL the last `kill` peers in the middle third of the run, each while it holds a seat if it gets one."""
    options = network.options
    began_s = time.monotonic()
    for index, victim in enumerate(network.peers[len(network.peers) - options.kill :]):
        due_s = began_s + options.duration_s * (1 + (index + network.rng.random()) / options.kill) / 3
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        rooms = await _rooms_served(network, victim)
        network.kills.append(Kill(victim.name, time.monotonic(), rooms))
        await victim.kill()


async def _rooms_served(network: Network, victim: PeerProcess) -> tuple[str, ...]:
    """The rooms in whose committee a victim sits, once it sits in one."""
    from railgun_core.demo.report import seats_now

    end_s = time.monotonic() + SEAT_WITHIN_S
    while True:
        duties = (await victim.status()).duties
        serving = any(d.state is DutyState.SERVING and d.seat is not None for d in duties)
        if serving or time.monotonic() > end_s:
            peer_id = (await victim.status()).peer_id
            return tuple([r.name for r in network.rooms if peer_id in await seats_now(r, network.options.epoch_s)])
        await asyncio.sleep(0.5)


async def _show_app(peer: PeerProcess) -> None:
    """The tray app on one of the peers, until it quits."""
    process = await asyncio.create_subprocess_exec(*program(), "--data-dir", str(peer.data_dir))
    try:
        await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


def _say(options: DemoOptions, text: str) -> None:
    if not options.json:
        print(text, file=sys.stderr, flush=True)
