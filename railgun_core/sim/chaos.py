"""One seed of chaos: a small network, a plan of faults, a while for it to heal, and what the checkers found.

Two and a half minutes of trouble with epochs of 50 s, then as long as it takes until everything owed is there, at
most SETTLE_S. A result is a value: the same seed gives the same one on every machine and under every hash seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random

from railgun_core.sim.checkers import MOST_TOLD, Checkers, Violation
from railgun_core.sim.crowd import Crowd
from railgun_core.sim.faults import BEGIN_S, MINUTES, Plan, plan
from railgun_core.sim.strikes import Strikes
from railgun_core.sim.world import START_UNIX_S, World

EPOCH_S = 50
READY_S = 5.0
BEFORE_MIDNIGHT_S = 20_834 * 86_400 - 100.0
SETTLE_S = 240.0
SAMPLE_EVERY_S = 20.0
SIZES_EVERY_S = 100.0
LOOK_EVERY_S = 10.0
BURST_EVERY_S, BURST_S, MOST_AT_ONCE = 14.0, 5.0, 9
FORGETS = 0.5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one seed. `settled_s`: how long after everything was well until all was there."""

    seed: int
    violations: tuple[Violation, ...]
    happened: Mapping[str, int]
    sent: int
    refused: int
    read: int
    lost_stores: int
    excused: int
    settled_s: float
    events: int
    trace_hash: str
    explained: str = ""  # of a failure: the plan and what was broken


class Run:
    """One seed, step by step; tests reach in between."""

    def __init__(self, what: Plan, *, trace: bool = False) -> None:
        self.plan = what
        self.world = World(
            peers=what.peers,
            seed=what.seed,
            loss=0.0,
            epoch_s=EPOCH_S,
            mailboxes=True,
            hybrid=what.hybrid,
            start_unix_s=BEFORE_MIDNIGHT_S if what.midnight else START_UNIX_S,
        )
        self.world.forgets = FORGETS
        if trace:
            self.world.log = {}
        for peer in self.world.peers:
            self.world.start_peer(peer)
        self.world.run_until(READY_S)
        self.crowd = Crowd(self.world, what.rooms, Random(f"crowd {what.seed}"))
        self.checkers = Checkers(self.world, self.crowd)
        self.checkers.watch()
        self.strikes = Strikes(self.world, self.crowd, self.checkers, what)
        self.world.on_error = self.strikes.raised
        self.strikes.schedule()
        self._plan_words()

    def _plan_words(self) -> None:
        """People talk in bursts: between them the network is quiet, and its links too."""
        rng, when_s = Random(f"words {self.plan.seed}"), BEGIN_S / 2
        while when_s < self.plan.heal_s:
            room = rng.randrange(len(self.plan.rooms))
            for _ in range(rng.randint(1, MOST_AT_ONCE)):
                at_s = min(self.plan.heal_s, when_s + rng.uniform(0.0, BURST_S))
                self.world.at(at_s, lambda room=room: self.crowd.speak(room))  # type: ignore[misc]
            when_s += rng.expovariate(1 / BURST_EVERY_S)

    def play(self) -> Outcome:
        """To the end."""
        world = self.world
        while world.now_s < self.plan.heal_s:
            world.run_until(min(self.plan.heal_s, world.now_s + SAMPLE_EVERY_S))
            self.checkers.sample(sizes=int(world.now_s) % SIZES_EVERY_S < SAMPLE_EVERY_S)
        while world.now_s < self.plan.heal_s + SETTLE_S:
            world.run_until(world.now_s + LOOK_EVERY_S)
            if self.is_settled():
                break
        settled_s = world.now_s - self.plan.heal_s
        self.checkers.finish()
        return self._outcome(settled_s)

    def is_settled(self) -> bool:
        """Whether everything owed is there, and everybody knows."""
        return next(self.crowd.missing(), None) is None and next(self.crowd.unconfirmed(), None) is None

    def _outcome(self, settled_s: float) -> Outcome:
        crowd, world = self.crowd, self.world
        stays = (*crowd.stays.values(), *crowd.over)
        return Outcome(
            seed=self.plan.seed,
            violations=tuple(self.checkers.violations),
            happened={kind.value: count for kind, count in self.strikes.happened.items()},
            sent=crowd.sent,
            refused=crowd.refused,
            read=sum(len(crowd.heads(stay)) for stay in crowd.stays.values()),
            lost_stores=sum(stay.ended == "lost" for stay in stays),
            excused=self.checkers.excused,
            settled_s=settled_s,
            events=world.events,
            trace_hash=world.trace_hash,
        )


def play_seed(seed: int, minutes: float = MINUTES, *, trace: bool = False) -> Outcome:
    """One seed. `minutes`: virtual, of trouble. `trace`: tell the last events of those involved."""
    run = Run(plan(seed, minutes=minutes), trace=trace)
    outcome = run.play()
    if not outcome.violations and not trace:
        return outcome
    lines = [f"seed {seed}: rules broken: {len(outcome.violations)}", str(run.plan)]
    lines += [str(violation) for violation in outcome.violations[:MOST_TOLD]]
    involved = {peer for violation in outcome.violations for peer in violation.peers}
    for number in sorted(involved) if run.world.log is not None else ():
        lines += ["", f"the last events of peer {number}:", *(run.world.log or {}).get(number, ())]
    return replace(outcome, explained="\n".join(lines))
