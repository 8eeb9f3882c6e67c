"""Relays that vanish under load: nothing is lost or doubled, and everybody reads on within five seconds.

The seats that crash are never members of the room, and their links do not end: the others only hear nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from railgun_core.events import Effect, Measured
from railgun_core.sim.workload import Workload
from railgun_core.sim.world import SimPeer, World
from railgun_core.wire.frames import Slice

WITHIN_MS = 5_000.0  # protocol.md 9 and 12
CRASH_S = 140.0  # nothing goes to a second committee any more, as in the overlap
STOP_S = 152.0
RATE_PER_S = 6.0


@dataclass
class Watched:
    """A world with one busy room, and every failover that its members measured."""

    world: World
    workload: Workload
    failovers: list[Measured] = field(default_factory=list)

    @property
    def members(self) -> list[SimPeer]:
        return self.workload.rooms[0].members

    def seats(self) -> list[SimPeer]:
        """The seats of the room's committee that are no members of it."""
        world, member = self.world, self.members[0]
        assert member.node is not None
        room = member.node.rooms.rooms[self.workload.rooms[0].room]
        committee = room.lanes[world.clock.epoch_at(world.now.unix_s)].committee
        assert committee is not None
        seats = [p for p in world.peers if p.identity.peer_id in committee.members and p not in self.members]
        return sorted(seats, key=self._pushed_to)

    def _pushed_to(self, seat: SimPeer) -> int:
        """Minus how many members it pushes to."""
        epoch, room = self.world.clock.epoch_at(self.world.now.unix_s), self.workload.rooms[0].room
        lanes = [member.node.rooms.rooms[room].lanes[epoch] for member in self.members if member.node is not None]
        sessions = [lane.sessions.get(seat.identity.peer_id) for lane in lanes]
        return -sum(session is not None and session.slice is Slice.PUSH for session in sessions)


def watched(seed: int, *, peers: int = 24, members: int = 3) -> Watched:
    world = World(peers=peers, seed=seed, loss=0.0, epoch_s=600)
    for peer in world.peers:
        world.start_peer(peer)
    world.run_until(5.0)
    found = Watched(world, Workload(world, rooms=1, members=members, body_bytes=24))
    carry_out = world.apply

    def apply(peer: SimPeer, effects: list[Effect]) -> None:
        found.failovers += [e for e in effects if isinstance(e, Measured) and e.what == "failover"]
        carry_out(peer, effects)

    world.apply = apply  # type: ignore[method-assign]
    when_s = CRASH_S - 20.0
    while (when_s := when_s + world.rng.expovariate(RATE_PER_S)) < STOP_S:
        world.at(when_s, found.workload.send)
    return found


def crash(seed: int, count: int, *, last_s: float = STOP_S + 30.0) -> Watched | None:
    """A world in which `count` seats crash at once, the most used ones; None when too many of them are members."""
    found = watched(seed)
    found.world.run_until(CRASH_S)
    seats = found.seats()
    if len(seats) < count:
        return None
    assert found.failovers == [], "before anything failed"
    for peer in seats[:count]:
        found.world.crash_peer(peer)
    found.world.run_until(last_s)
    return found


@pytest.mark.parametrize("count", [1, 2, 4])
def test_seats_that_vanish_hold_nobody_up_for_five_seconds(count: int, long_run: bool) -> None:
    played, failovers, wanted = 0, list[Measured](), 60 if long_run else 2
    for seed in range(100, 200):
        found = crash(seed, count)
        if found is None:
            continue
        workload = found.workload
        counts = (workload.lost, workload.duplicated, workload.out_of_order)
        assert counts == (0, 0, 0), f"seed {seed}"
        assert workload.delivered == workload.expected > 100
        assert max(workload.latency_ms) < WITHIN_MS, f"seed {seed}: {max(workload.latency_ms):.0f} ms"
        failovers += found.failovers
        played += 1
        if played == wanted:
            break
    assert failovers, "somebody used the relays that crashed"
    slow = sorted(failover.ms for failover in failovers)
    assert slow[int(len(slow) * 0.99)] < WITHIN_MS, slow[-5:]
