"""B13: a member, or a relay, sends old envelopes again. Nobody reads a message twice.

Two walls, each tested alone: a relay pushes an id once in an epoch, also after a restart; and a member hands on a
(sender, sequence) once, whatever relays bring, also in a later epoch and after its own restart. Residual: replays cost
their sender's quota and the committee's links, no more.
"""

from __future__ import annotations

import random

from railgun_core.base.ids import LinkId
from railgun_core.changes import ReplayAdd
from railgun_core.sim.network import End
from railgun_core.sim.workload import Workload
from railgun_core.sim.world import World
from railgun_core.wire.frames import ENVELOPE_FRAME_SIZES
from tests.unit.relay.desk import Desk, envelope

REPLAYS = 50


def test_a_relay_pushes_each_of_1000_envelopes_once_through_50_replays_and_10_restarts(rng: random.Random) -> None:
    numbers = list(range(1_000))
    pushed: list[int] = []
    saved: tuple[ReplayAdd, ...] = ()
    desk = Desk()
    for number in range(REPLAYS):
        writer, reader = desk.member(), desk.member()
        rng.shuffle(numbers)
        writer.say(*(envelope(n) for n in numbers))
        pushed += reader.envelopes()
        writer.drop()
        reader.drop()
        if number % 5 == 4:
            desk.after(1.5)
            saved += desk.saved_ids()
            desk = Desk()
            desk.relay.restore(saved)
    assert sorted(pushed) == list(range(1_000))


def test_members_read_once_what_relays_send_again_in_every_epoch_and_after_restarts() -> None:
    world = World(peers=8, seed=13, loss=0.0, epoch_s=120)
    for peer in world.peers:
        world.start_peer(peer)
    world.run_until(5)
    workload = Workload(world, rooms=1, members=3, body_bytes=24)
    replayed = _replay_everything(world)
    for second in range(30, 400, 2):
        world.at(second, workload.send)
    for second in (100, 220, 340):
        victim = workload.rooms[0].members[0]
        world.at(second, lambda victim=victim: world.crash_peer(victim))  # type: ignore[misc]
        world.at(second + 20, lambda victim=victim: world.start_peer(victim))  # type: ignore[misc]
    world.run_until(560)
    assert len(replayed) > 1_000
    assert workload.duplicated == workload.out_of_order == 0
    assert not list(workload.missing())


def _replay_everything(world: World) -> list[LinkId]:
    """From now on every link brings each envelope three times: at once, and again a while later."""
    receive = world._receive
    count: list[LinkId] = []

    def twice(end: End, data: bytes) -> None:
        receive(end, data)
        if len(data) in ENVELOPE_FRAME_SIZES:
            count.append(end.link)
            receive(end, data)
            world.at(world.now_s + world.rng.uniform(1, 60), lambda: receive(end, data))

    world._receive = twice  # type: ignore[method-assign]
    return count
