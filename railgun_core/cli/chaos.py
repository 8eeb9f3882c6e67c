"""`railgun sim --chaos`: many seeds on all cores, and for each that fails the one command that plays it again.

Each seed is a value and needs nothing of the others, so processes share nothing. Progress goes to standard error;
standard output has the report. Exit status 1 when any seed fails.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field

import click

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.cli.frame import Place
from railgun_core.cli.outcome import print_json
from railgun_core.cli.tables import pairs
from railgun_core.sim.chaos import Outcome, play_seed
from railgun_core.sim.faults import MINUTES
from railgun_core.sim.options import ChaosOptions

SEEDS_PER_TASK = 4
TASKS_AHEAD = 3  # for each process: enough to keep it busy, few enough for a million seeds
STUCK_AFTER_S = 900.0  # without an answer from any process
PROGRESS_EVERY_S = 5.0


@dataclass(slots=True)
class Tally:
    """What has come of the seeds so far."""

    seeds: int = 0
    sent: int = 0
    refused: int = 0
    read: int = 0
    lost_stores: int = 0
    excused: int = 0
    events: int = 0
    slowest_s: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    failures: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one seed in."""
        self.seeds += 1
        self.sent += outcome.sent
        self.refused += outcome.refused
        self.read += outcome.read
        self.lost_stores += outcome.lost_stores
        self.excused += outcome.excused
        self.events += outcome.events
        self.slowest_s = max(self.slowest_s, outcome.settled_s)
        self.faults.update(outcome.happened)
        if outcome.violations:
            self.failures.append(outcome)
            self.rules.update({violation.rule for violation in outcome.violations})


def run_chaos(place: Place, options: ChaosOptions) -> int:
    """All seeds, and the report. The exit status."""
    began_s = shown_s = time.perf_counter()
    tally = Tally()
    for outcome in _outcomes(options):
        tally.add(outcome)
        now_s = time.perf_counter()
        if now_s - shown_s >= PROGRESS_EVERY_S:
            shown_s = now_s
            rate = tally.seeds / (now_s - began_s) * 60
            click.echo(
                f"{tally.seeds} of {len(options.seeds)} seeds, {len(tally.failures)} failed, {rate:.0f} a minute",
                err=True,
            )
        if outcome.explained and not place.json:
            click.echo(f"{outcome.explained}\nagain: {command_of(outcome.seed, options.minutes)} --trace\n")
    wall_s = time.perf_counter() - began_s
    _show(place, options, tally, wall_s)
    return 1 if tally.failures else 0


def command_of(seed: int, minutes: float) -> str:
    """What plays a seed again."""
    much = "" if minutes == MINUTES else f" --minutes {minutes:g}"
    return f"railgun sim --chaos --seeds {seed}..{seed}{much}"


def _outcomes(options: ChaosOptions) -> Iterator[Outcome]:
    """Of every seed, as they end."""
    jobs = min(options.jobs or os.cpu_count() or 1, len(options.seeds))
    if jobs == 1:
        for seed in options.seeds:
            yield play_seed(seed, options.minutes, trace=options.trace)
        return
    tasks = iter(range(0, len(options.seeds), SEEDS_PER_TASK))
    executor = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"))
    try:
        running: set[Future[list[Outcome]]] = set()
        while True:
            for at in itertools.islice(tasks, jobs * TASKS_AHEAD - len(running)):
                seeds = list(options.seeds[at : at + SEEDS_PER_TASK])
                running.add(executor.submit(_play, seeds, options.minutes, options.trace))
            if not running:
                return
            done, running = wait(running, timeout=STUCK_AFTER_S, return_when=FIRST_COMPLETED)
            if not done:
                raise EnvironmentFailure("No seed has ended for a quarter of an hour.", code="stuck")
            yield from _ended(done)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _ended(done: Iterable[Future[list[Outcome]]]) -> Iterator[Outcome]:
    for future in done:
        yield from future.result()


def _play(seeds: list[int], minutes: float, trace: bool) -> list[Outcome]:
    return [play_seed(seed, minutes, trace=trace) for seed in seeds]


def _show(place: Place, options: ChaosOptions, tally: Tally, wall_s: float) -> None:
    failures = sorted(tally.failures, key=lambda outcome: outcome.seed)
    report: dict[str, object] = {
        "seeds": tally.seeds,
        "failed": len(failures),
        "virtual_minutes": options.minutes,
        "wall_s": round(wall_s, 1),
        "seeds_per_min": round(tally.seeds / wall_s * 60, 1),
        "events": tally.events,
        "sent": tally.sent,
        "refused": tally.refused,
        "read": tally.read,
        "lost_stores": tally.lost_stores,
        "second_copies_after_a_new_key": tally.excused,
        "slowest_to_settle_s": tally.slowest_s,
        "broken": dict(sorted(tally.rules.items())),
        "faults": dict(sorted(tally.faults.items())),
    }
    if place.json:
        told = [
            {
                "seed": outcome.seed,
                "command": command_of(outcome.seed, options.minutes),
                "explained": outcome.explained.splitlines(),
            }
            for outcome in failures
        ]
        print_json({**report, "failures": told})
        return
    rows = [(name, value) for name, value in report.items() if not isinstance(value, dict)]
    for name in ("broken", "faults"):
        found = report[name]
        assert isinstance(found, dict)
        rows += [(f"{name}.{key}", value) for key, value in found.items()]
    click.echo(pairs(rows))
