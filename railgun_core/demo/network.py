"""A demo from start to end: peers up, rooms made, messages sent, relays killed, everything counted, everything
ended."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

from railgun_core.base.errors import EnvironmentFailure, UsageError
from railgun_core.demo.kills import kill_in_rounds, restart_central
from railgun_core.demo.live import show_live
from railgun_core.demo.options import MIN_SECURE_PEERS, DemoOptions
from railgun_core.demo.peers import READY_S, PeerProcess, program
from railgun_core.demo.plan import Kill, Network, plan
from railgun_core.demo.report import report, seats_now
from railgun_core.demo.traffic import DemoRoom, Traffic
from railgun_core.local_api.messages import Invite, RoomCreate, RoomInfo, RoomJoin, RoomRef, RoomSecure
from railgun_core.status import DutyState, NodeStatus

STARTS_AT_ONCE = 4  # engines that boot side by side: more only makes each slower
SETTLE_S, SETTLE_KILLS_S = 45.0, 120.0
ONE_SEARCH, NEARLY_ALL = 16, 0.95
CALM_ABOVE_PEERS = 16
CALM_WITHIN_S, CALM_OVER_S, CALM_CORES = 120.0, 5.0, 0.6
SEAT_WITHIN_S = 10.0  # how long to wait for a victim to get a seat before it is killed without one


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
    network = plan(options, folder)
    try:
        await _boot(network)
        if len(network.peers) > CALM_ABOVE_PEERS:
            await _calm_down(network)
        await _make_rooms(network)
        _say(options, f"{len(network.peers)} peers and {len(network.rooms)} rooms are up.")
        yield network
    finally:
        await asyncio.gather(*(peer.stop() for peer in (*network.devices, *network.peers, network.bootstrap)))
        if network.central is not None:
            await network.central.stop()
        if options.work_dir is None:
            shutil.rmtree(folder, ignore_errors=True)


async def _boot(network: Network) -> None:
    """Start all engines and wait until each knows all relays."""
    _say(network.options, f"Starting {len(network.peers)} peers …")
    if network.central is not None:
        await network.central.start()
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
            await asyncio.gather(*(_knows_most(peer, network.options.relays) for peer in network.peers))
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


async def _knows_most(peer: PeerProcess, relays: int) -> None:
    """Wait until a peer's view holds all relays; of more than one search shows, nearly all: the rest turn up."""
    relays = relays if relays <= ONE_SEARCH else int(NEARLY_ALL * relays)
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
    people = network.people
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
    lasts_s = None if endless or options.kills else options.duration_s
    killers = [asyncio.create_task(work) for work in _killers(network)]
    sender = asyncio.create_task(traffic.send_for(lasts_s, options.rate_per_s))
    try:
        if options.app:
            await _show_app(network.peers[0])
        elif options.live:
            await show_live(network.peers, traffic)
        elif options.kills:
            await asyncio.gather(*killers)
            await _end(sender)
        else:
            await sender
        if not endless:
            await traffic.settle(SETTLE_KILLS_S if options.kills else SETTLE_S)
            await asyncio.gather(*killers)
    finally:
        await _end(sender, *killers)


def _killers(network: Network) -> list[Coroutine[Any, Any, None]]:
    """What has to die in this demo, and when."""
    options = network.options
    if options.kills:
        return [kill_in_rounds(network, say=lambda text: _say(options, text))]
    found: list[Coroutine[Any, Any, None]] = [_kill_some(network)] if options.kill else []
    if options.kill_central:
        found.append(restart_central(network, after_s=options.duration_s / 3))
    return found


async def _end(*tasks: asyncio.Task[None]) -> None:
    """Cancel, and wait for the end."""
    for task in tasks:
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


__all__ = ["Network", "play", "running"]
