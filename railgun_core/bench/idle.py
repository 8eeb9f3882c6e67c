"""`railgun bench idle`: what a peer costs while nobody says anything.

Boots the demo's network with its rooms and sends no message. Once all sessions are open and the network has had time
to calm down, the connections to the peers are closed, so that asking is not measured, and the system is asked what
each process used: CPU time over the quiet interval, resident memory at its end. A rotation that falls into the
interval is part of what an idle peer does; how many did is said.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.bench.options import BenchIdleOptions
from railgun_core.demo.network import Network, running
from railgun_core.demo.peers import PeerProcess
from railgun_core.rooms.lane import SESSIONS
from railgun_core.status import NodeStatus, RoomStatus

OPEN_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process has used so far."""

    cpu_s: float
    rss_bytes: int
    threads: int


def run(options: BenchIdleOptions) -> dict[str, object]:
    """Measure and report; the processes are ended whatever happens."""
    return asyncio.run(measure(options))


async def measure(options: BenchIdleOptions) -> dict[str, object]:
    """Boot, wait until it is quiet, measure. EnvironmentFailure when the sessions do not open."""
    async with running(options.network()) as network:
        await _all_open(network)
        await asyncio.sleep(options.settle_s)
        states = [(await peer.status()).state.value for peer in network.peers]
        for peer in (*network.peers, network.bootstrap):
            await peer.disconnect()
        processes = [psutil.Process(peer.process.pid) for peer in network.peers if peer.process is not None]
        began_s, epoch = time.monotonic(), int(time.time() // options.epoch_s)
        before = [usage_of(process) for process in processes]
        await asyncio.sleep(options.seconds)
        after = [usage_of(process) for process in processes]
        span_s = time.monotonic() - began_s
        return {
            "peers": options.peers,
            "rooms": options.rooms,
            "members": options.members,
            "epoch_s": options.epoch_s,
            "seconds": round(span_s, 1),
            "rotations": int(time.time() // options.epoch_s) - epoch,
            "relaying": states.count("relaying"),
            "cpu_share_percent": spread(
                [(end.cpu_s - start.cpu_s) / span_s * 100 for start, end in zip(before, after, strict=True)]
            ),
            "rss_mb": spread([usage.rss_bytes / 2**20 for usage in after]),
            "threads": spread([float(usage.threads) for usage in after]),
        }


def usage_of(process: psutil.Process) -> Usage:
    """What the system says of a process. EnvironmentFailure when it has ended."""
    try:
        with process.oneshot():
            times = process.cpu_times()
            return Usage(times.user + times.system, process.memory_info().rss, process.num_threads())
    except psutil.Error:
        raise EnvironmentFailure("a peer ended while it was measured", code="peer-ended") from None


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median by nearest rank, and maximum."""
    ordered = sorted(values)
    return {"p50": round(ordered[len(ordered) // 2], 2), "max": round(ordered[-1], 2)}


async def _all_open(network: Network) -> None:
    """Wait until every member of every room has its sessions."""
    try:
        async with asyncio.timeout(OPEN_WITHIN_S):
            await asyncio.gather(*(_attends(peer) for peer in network.peers))
    except TimeoutError:
        raise EnvironmentFailure("the rooms' sessions did not open in time", code="not-ready") from None


async def _attends(peer: PeerProcess) -> None:
    client = await peer.connect()
    async with contextlib.aclosing(client.stream("status.watch", None, NodeStatus)) as statuses:
        async for status in statuses:
            if all(_is_attended(room) for room in status.rooms):
                return


def _is_attended(room: RoomStatus) -> bool:
    wanted = min(SESSIONS, room.committee_size)
    return 0 < wanted <= room.relays_open and not room.queued
