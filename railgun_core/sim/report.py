"""`railgun sim`: one run for each seed, and its figures."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

from railgun_core.sim.options import SimOptions
from railgun_core.sim.peer import SimPeer
from railgun_core.sim.workload import BODY_BYTES, Workload
from railgun_core.sim.world import World
from railgun_core.wire.envelope import SizeClass

EPOCH_S = 600
WARM_UP_S = 30.0
SECURE_AFTER_S = 12.0
SETTLE_S = 240.0  # after the last message: what is repaired late has to arrive as well
DOWN_S = (30.0, 300.0)

Json = dict[str, object]


def run(options: SimOptions, progress: Callable[[str], None] = lambda text: None) -> Json:
    """The figures of a run; of several runs under `runs`, with the sums beside them."""
    results = []
    for seed in options.seeds:
        results.append(run_seed(options, seed, progress))
        progress(f"seed {seed}: lost {results[-1]['lost']}, trace {str(results[-1]['trace_hash'])[:16]}")
    if len(results) == 1:
        return results[0]
    sums: Json = {name: sum(int(str(r[name])) for r in results) for name in ("lost", "duplicated", "out_of_order")}
    return {**sums, "runs": results}


def run_seed(options: SimOptions, seed: int, progress: Callable[[str], None]) -> Json:
    """One run. Virtual time passes as fast as the machine can compute it."""
    began_s = time.perf_counter()  # noqa: TID251 - how long the run took is the one thing that is not virtual
    world, workload = prepare(options, seed)
    end_s = options.minutes * 60
    for minute in range(1, int(options.minutes) + 1):
        world.run_until(minute * 60.0)
        if minute % 10 == 0:
            progress(f"minute {minute}: sent {workload.sent}, delivered {workload.delivered}")
    world.run_until(end_s + SETTLE_S)
    wall_s = time.perf_counter() - began_s  # noqa: TID251
    return _figures(options, seed, world, workload, wall_s)


def prepare(options: SimOptions, seed: int, *, body_bytes: int = BODY_BYTES[SizeClass.SMALL]) -> tuple[World, Workload]:
    """A world in which everything is planned and nothing has happened yet but that peers and rooms are there."""
    world = World(
        peers=options.peers, seed=seed, loss=options.loss, epoch_s=EPOCH_S, miss=options.loss, secure=options.secure
    )
    for peer in world.peers:
        world.start_peer(peer)
    world.run_until(5.0)
    workload = Workload(world, rooms=options.rooms, members=options.members, body_bytes=body_bytes)
    if options.secure:
        world.at(SECURE_AFTER_S, workload.secure)
    end_s = options.minutes * 60
    _plan_messages(world, workload, options, end_s)
    _plan_trouble(world, options, end_s)
    return world, workload


def _plan_messages(world: World, workload: Workload, options: SimOptions, end_s: float) -> None:
    if not options.rate_per_s or not options.rooms:
        return
    when_s = WARM_UP_S
    while (when_s := when_s + world.rng.expovariate(options.rate_per_s)) < end_s:
        world.at(when_s, workload.send)


def _plan_trouble(world: World, options: SimOptions, end_s: float) -> None:
    split = options.partition
    if split is not None:
        half = frozenset(world.rng.sample(range(options.peers), options.peers // 2))
        world.at(split.start_min * 60, lambda: setattr(world.network, "split", half))
        world.at(split.end_min * 60, lambda: setattr(world.network, "split", frozenset()))
    crashes = int(options.churn_per_hour * options.peers * options.minutes / 60)
    for _ in range(crashes):
        peer = world.peers[world.rng.randrange(0, options.peers)]
        when_s = world.rng.uniform(WARM_UP_S, end_s)
        world.at(when_s, lambda peer=peer: _crash(world, peer, end_s))  # type: ignore[misc]


def _crash(world: World, peer: SimPeer, end_s: float) -> None:
    if peer.node is not None:
        world.crash_peer(peer)
        back_s = min(end_s, world.now_s + world.rng.uniform(*DOWN_S))
        world.at(back_s, lambda: world.start_peer(peer))


def _figures(options: SimOptions, seed: int, world: World, workload: Workload, wall_s: float) -> Json:
    live = [peer.node for peer in world.peers if peer.node is not None]
    carried = [sum(duty.envelopes for duty in node.relay.duties.values()) for node in live]
    return {
        "peers": options.peers,
        "rooms": options.rooms,
        "members": options.members,
        "seed": seed,
        "virtual_minutes": options.minutes,
        "wall_s": round(wall_s, 2),
        "speed": round((options.minutes * 60 + SETTLE_S) / wall_s, 1),
        "events": world.events,
        "sent": workload.sent,
        "expected": workload.expected,
        "delivered": workload.delivered,
        "lost": workload.lost,
        "unconfirmed": workload.unconfirmed,
        "duplicated": workload.duplicated,
        "out_of_order": workload.out_of_order,
        "latency_ms": quantiles(workload.latency_ms),
        "ack_ms": quantiles(world.ack_ms),
        "rotations": world.rotations + sum(node.relay.rotations for node in live),
        "envelope_sizes": sorted(world.sizes),
        "bytes_relayed": world.relayed_bytes,
        "load": {
            "mean": round(statistics.fmean(carried), 2) if carried else 0.0,
            "p99": sorted(carried)[int(len(carried) * 0.99) - 1] if carried else 0,
            "max": max(carried, default=0),
        },
        "trace_hash": world.trace_hash,
    }


def quantiles(values: Sequence[float]) -> Json:
    """p50, p95 and p99, rounded; None without values."""
    if not values:
        return {"p50": None, "p95": None, "p99": None}
    ordered = sorted(values)
    return {f"p{q}": round(ordered[min(len(ordered) - 1, len(ordered) * q // 100)], 2) for q in (50, 95, 99)}
