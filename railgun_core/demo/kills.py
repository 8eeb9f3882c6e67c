"""Rounds of kills: seats of a room's committee die at once under load, and come back some seconds later.

A round draws a room and a moment, asks a member for the committee of now, sends SIGKILL to as many of its seats as the
round is for, and starts them again on the same data. Members are never killed: what they sent and read is the proof.
The figures are the members' own (failovers) and the demo's (what was stored when, and what arrived).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.demo.figures import quantiles
from railgun_core.demo.peers import PeerProcess
from railgun_core.demo.plan import Kill, Network, Round
from railgun_core.demo.report import seats_now
from railgun_core.demo.traffic import Attempt, DemoRoom
from railgun_core.local_api.messages import Counters
from railgun_core.status import NodeStatus

CALM_S = (1.5, 4.0)  # between rounds, after everybody is back
DEAD_S = (3.0, 6.0)
WHOLE_DEAD_S = (10.0, 14.0)  # with no seat left: long enough to see where messages are stored then
CENTRAL_DEAD_S = 6.0
SEATS_WITHIN_S = 60.0
SAY_EVERY = 10


async def kill_in_rounds(network: Network, *, say: Callable[[str], None]) -> None:
    """All rounds of a demo. EnvironmentFailure when a relay does not come back."""
    options, rng = network.options, network.rng
    names = {(await relay.status()).peer_id: relay for relay in network.relays}
    for number in range(options.kills):
        await asyncio.sleep(rng.uniform(*CALM_S))
        room = rng.choice(network.rooms)
        size = options.kill_sizes[number % len(options.kill_sizes)]
        victims, seats = await _victims(network, room, size, names)
        await _one_round(network, room, victims, seats, with_central=_is_its_turn(network, number))
        if (number + 1) % SAY_EVERY == 0 or number + 1 == options.kills:
            say(f"{number + 1} of {options.kills} rounds, {len(network.kills)} relays killed.")


async def restart_central(network: Network, *, after_s: float) -> None:
    """Kill the central server once, and start it again on its data."""
    await asyncio.sleep(after_s)
    if network.central is not None:
        await network.central.kill()
        await asyncio.sleep(CENTRAL_DEAD_S)
        await network.central.start()


def _is_its_turn(network: Network, number: int) -> bool:
    """Whether the central server dies in this round: in the middle of the demo, in a round with most seats dead."""
    options = network.options
    if network.central is None or not options.kill_central:
        return False
    largest = max(options.kill_sizes)
    rounds = [n for n in range(options.kills) if options.kill_sizes[n % len(options.kill_sizes)] == largest]
    return bool(rounds) and number == rounds[len(rounds) // 2]


async def _victims(
    network: Network, room: DemoRoom, size: int, names: dict[str, PeerProcess]
) -> tuple[list[PeerProcess], int]:
    """Who dies, and of how many seats. Waits for a committee with so many relays that live."""
    end_s = time.monotonic() + SEATS_WITHIN_S
    while True:
        seats = await seats_now(room, network.options.epoch_s)
        alive = [names[seat] for seat in seats if seat in names and names[seat] in network.alive]
        if len(alive) >= min(size, len(seats)) > 0:
            return network.rng.sample(alive, min(size, len(seats))), len(seats)
        if time.monotonic() > end_s:
            raise EnvironmentFailure(f"no committee of {room.name} with {size} living seats", code="not-ready")
        await asyncio.sleep(0.5)


async def _one_round(
    network: Network, room: DemoRoom, victims: list[PeerProcess], seats: int, *, with_central: bool
) -> None:
    rng = network.rng
    this = Round(room.name, tuple(victim.name for victim in victims), seats, time.monotonic())
    await asyncio.gather(*(victim.kill() for victim in victims))
    network.rounds.append(this)
    network.kills.extend(Kill(victim.name, this.at_s, (room.name,)) for victim in victims)
    await asyncio.sleep(rng.uniform(*(WHOLE_DEAD_S if this.whole else DEAD_S)))
    if with_central:
        await restart_central(network, after_s=0.0)
    this.back_s = time.monotonic()
    await asyncio.gather(*(_start_again(victim) for victim in victims))


async def _start_again(relay: PeerProcess) -> None:
    await relay.start()
    await relay.connect()


# ---------------------------------------------------------------- figures


def kill_figures(
    network: Network, attempts: Sequence[Attempt], *, statuses: Sequence[NodeStatus], counters: Sequence[Counters]
) -> dict[str, object]:
    """What the rounds showed. `statuses`, `counters`: of the members."""
    rounds = network.rounds
    whole = [this for this in rounds if this.whole]
    return {
        "rounds": len(rounds),
        "round_sizes": {str(size): count for size, count in sorted(Counter(len(r.peers) for r in rounds).items())},
        "failover_ms": failover_figures(statuses, counters),
        "stored_ms": quantiles([wait_ms(a) for a in attempts if a.stored_s is not None], (50, 95, 99, 100)),
        "stored_elsewhere_ms": elsewhere(whole, attempts),
    }


def wait_ms(attempt: Attempt) -> float:
    """From submission to storage."""
    assert attempt.stored_s is not None
    return (attempt.stored_s - attempt.at_s) * 1000


def failover_figures(statuses: Sequence[NodeStatus], counters: Sequence[Counters]) -> dict[str, object]:
    """All members' failovers together; `count` and `causes` as they counted them since they started."""
    causes: Counter[str] = Counter()
    for status in statuses:
        causes.update(status.failovers.causes)
    found = quantiles([ms for counter in counters for ms in counter.failover_ms], (50, 95, 99, 100))
    worst = max((s.failovers.worst for s in statuses if s.failovers.worst is not None), default=found["max"])
    count = sum(status.failovers.count for status in statuses)
    return {**found, "worst": worst, "count": count, "causes": dict(sorted(causes.items()))}


def elsewhere(rounds: Sequence[Round], attempts: Sequence[Attempt]) -> dict[str, object]:
    """What became of messages for which no seat was left: the time from the kill, or from their sending if that was
    later, until they were stored. `late`: stored only after a seat was started again; `never`: not at all."""
    waits, late, never = [], 0, 0
    for this in rounds:
        for attempt in attempts:
            back_s = this.back_s if this.back_s is not None else float("inf")
            pending = attempt.stored_s is None or attempt.stored_s > this.at_s
            if attempt.room != this.room or attempt.at_s >= back_s or not pending:
                continue
            if attempt.stored_s is None:
                never += 1
                continue
            waits.append((attempt.stored_s - max(this.at_s, attempt.at_s)) * 1000)
            late += attempt.stored_s > back_s
    return {**quantiles(waits, (50, 95, 100)), "messages": len(waits), "late": late, "never": never}
