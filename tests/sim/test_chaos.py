"""Chaos: a hundred seeds of everything that can go wrong, and the proof that no checker is blind.

Each failure names its seed and the one command that plays it again. The long form plays many more.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import pytest

from railgun_core.changes import Change, Delivery, ItemsAdd
from railgun_core.cli.chaos import command_of
from railgun_core.events import Effect, Moved, Save
from railgun_core.sim.chaos import Outcome, Run, play_seed
from railgun_core.sim.faults import MINUTES, Fault, FaultKind, Plan, plan
from railgun_core.sim.peer import SimPeer

SEEDS = range(1, 101)
LONG_SEEDS = range(1, 2_001)
AT_LEAST = 3  # of every kind of fault, over the seeds of one run
QUIET = Plan(
    seed=7, peers=9, rooms=((0, 1, 2), (3, 4, 5, 6)), away=(), faults=(), heal_s=75.0, hybrid=False, midnight=False
)


def played(seeds: Sequence[int]) -> Iterator[Outcome]:
    """Seeds on two processes."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(play_seed, seeds, chunksize=5)


@pytest.mark.deadline(1_500)
def test_whatever_goes_wrong_every_promise_is_kept(long_run: bool) -> None:
    faults: Counter[str] = Counter()
    read = 0
    for outcome in played(LONG_SEEDS if long_run else SEEDS):
        assert not outcome.violations, f"{outcome.explained}\nagain: {command_of(outcome.seed, MINUTES)} --trace"
        faults.update(outcome.happened)
        read += outcome.read
    assert read > 100 * len(SEEDS)
    rare = {kind.value: faults[kind.value] for kind in FaultKind if faults[kind.value] < AT_LEAST}
    assert not rare, f"too rare to show anything: {rare}"


def test_the_same_seed_gives_the_same_plan_and_the_same_trace() -> None:
    assert plan(3) == plan(3) != plan(4)
    small = replace(plan(3), heal_s=40.0, faults=tuple(f for f in plan(3).faults if f.end_s <= 40.0))
    first, second = Run(small).play(), Run(small).play()
    assert first == second
    assert first.events > 1_000


def test_every_fault_of_a_plan_lies_within_its_time_and_names_peers_that_exist() -> None:
    for seed in range(300):
        what = plan(seed)
        for fault in what.faults:
            assert 0 < fault.start_s <= fault.end_s <= what.heal_s
            assert set(fault.peers) <= set(range(what.peers))
            assert str(fault)


# ---------------------------------------------------------------- no checker is blind


def rules(run: Run) -> set[str]:
    """The rules that a run broke."""
    return {violation.rule for violation in run.play().violations}


def other_items(change: Change) -> bool:
    return isinstance(change, ItemsAdd) and not change.own


def forging(run: Run, peer: int, forge: Callable[[ItemsAdd], Sequence[ItemsAdd]]) -> None:
    """From now on one peer's disk holds something else than what its node saved."""
    store = run.world.peers[peer].store
    commit = store.commit

    def forged(change: Change) -> Sequence[Change]:
        return forge(change) if isinstance(change, ItemsAdd) and not change.own else [change]

    async def commit_forged(changes: Sequence[Change]) -> None:
        await commit([one for change in changes for one in forged(change)])

    store.commit = commit_forged  # type: ignore[method-assign]


def test_nothing_is_blamed_on_a_quiet_network() -> None:
    run = Run(QUIET)
    outcome = run.play()
    assert outcome.violations == ()
    assert outcome.read > 20
    assert run.checkers.delivered > 10


def test_a_lost_item_is_seen() -> None:
    run, lost = Run(QUIET), list[int]()

    def once(change: ItemsAdd) -> list[ItemsAdd]:
        if lost:
            return [change]
        lost.append(change.items[0].seq)
        return [replace(change, items=change.items[1:])]

    forging(run, 4, once)
    assert "nothing lost" in rules(run)
    assert lost


def test_an_item_that_is_there_twice_is_seen() -> None:
    run, seqs = Run(QUIET), iter(range(1_000_000, 2_000_000))
    forging(run, 4, lambda add: [add, replace(add, items=tuple(replace(i, seq=next(seqs)) for i in add.items))])
    assert "exactly once" in rules(run)


def test_items_in_another_order_are_seen() -> None:
    run, held = Run(QUIET), dict[bytes, ItemsAdd]()

    def swapped(add: ItemsAdd) -> list[ItemsAdd]:
        before = held.pop(add.sender, None)
        if before is None:
            held[add.sender] = add
            return []
        return [add, before]

    forging(run, 4, swapped)
    assert "exactly once" in rules(run)


def test_an_item_that_is_called_delivered_too_early_is_seen() -> None:
    run = Run(QUIET)
    carry_out = run.world._carry_out

    def early(peer: SimPeer, effect: Effect) -> None:
        if isinstance(effect, Moved) and effect.delivery is Delivery.STORED:
            carry_out(peer, replace(effect, delivery=Delivery.DELIVERED))
        carry_out(peer, effect)

    run.world._carry_out = early  # type: ignore[method-assign]
    assert "no false delivered" in rules(run)


def test_words_that_reach_a_removed_member_are_seen() -> None:
    gone = Fault(FaultKind.REMOVE, 20.0, 21.0, peers=(4, 3), room=1)
    run = Run(replace(QUIET, faults=(gone,)))
    run.world.run_until(60.0)
    assert run.strikes.happened[FaultKind.REMOVE] == 1
    ghost, room = run.world.peers[4], run.crowd.ids[1]
    run.crowd.say(run.crowd.stays[1, 3])
    spoken = max(run.crowd.said, key=lambda head: run.crowd.said[head].at_s)
    run.world.run_until(62.0)
    sender = run.world.peers[3]
    assert sender.node is not None
    me = sender.node.rooms.rooms[room].me
    items = asyncio.run(sender.store.own_items(room, 1, 10_000))
    item = next(i for i in items if spoken in i.body)
    asyncio.run(ghost.store.commit([ItemsAdd(room, me, (item,), own=False)]))
    assert "removed is removed" in rules(run)


def test_a_node_that_raises_is_seen_and_started_again() -> None:
    run = Run(QUIET)
    run.world.run_until(20.0)
    node = run.world.peers[3].node
    assert node is not None
    node.relay.tick = None  # type: ignore[method-assign, assignment]
    outcome = run.play()
    assert "no escape" in {violation.rule for violation in outcome.violations}
    assert run.world.peers[3].node not in (None, node)


def test_memory_that_grows_is_seen() -> None:
    run = Run(QUIET)
    run.world.run_until(20.0)
    node = run.world.peers[3].node
    assert node is not None
    node.relay._duties._remembered.update({bytes((n // 256, n % 256)): [] for n in range(5_000)})  # type: ignore[misc]
    assert "bounded" in rules(run)


def test_a_duty_that_does_not_end_is_seen() -> None:
    run = Run(replace(QUIET, heal_s=170.0))
    for peer in run.world.peers:
        assert peer.node is not None
        peer.node.relay._retire = lambda duty, now, out: None  # type: ignore[method-assign]
    assert "an end" in rules(run)


def test_an_item_that_is_never_called_delivered_is_seen() -> None:
    run = Run(QUIET)
    carry_out = run.world._carry_out

    def silent(peer: SimPeer, effect: Effect) -> None:
        if peer.number == 1 and isinstance(effect, Save) and any(map(other_items, effect.changes)):
            return  # it never becomes durable there, so it is never confirmed
        carry_out(peer, effect)

    run.world._carry_out = silent  # type: ignore[method-assign]
    assert {"said in the end", "nothing lost"} <= rules(run)


# ---------------------------------------------------------------- found by chaos, kept


def test_a_clock_that_was_ahead_and_went_back_does_not_hold_a_member_in_an_epoch_to_come() -> None:
    """Seed 42: a member with its own relay published to itself, in an epoch that nobody else was in."""
    jump = Fault(FaultKind.CLOCK_JUMP, 20.0, 60.0, peers=(3,), amount=497.0)
    outcome = Run(replace(QUIET, faults=(jump,))).play()
    assert outcome.violations == ()
    assert outcome.settled_s < 150.0


def test_a_member_with_a_new_key_that_its_remover_has_not_met_is_told_the_new_root() -> None:
    """Seed 85: it was told under the key it no longer had, and stayed alone under the old root."""
    faults = (
        Fault(FaultKind.OLD_STORE, 25.0, 45.0, peers=(6,)),
        Fault(FaultKind.SINGLE, 40.0, 75.0, peers=(3,)),
        Fault(FaultKind.REMOVE, 65.0, 66.0, peers=(4, 3), room=1),
    )
    run = Run(replace(QUIET, faults=faults))
    assert run.play().violations == ()
    assert len(run.strikes.happened) == 3


def test_a_seed_gives_the_same_trace_in_another_process() -> None:
    """Whose order of hashing differs."""
    (there,) = played([5])
    assert there == play_seed(5)
