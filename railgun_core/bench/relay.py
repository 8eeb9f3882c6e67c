"""What one relay carries and what it costs: the whole engine, the bare floor under it, and brokers, in turns.

For each round and transport: engine, floor, then each rival, each in fresh processes with the same load (one publisher,
`fan_out` receivers, one window). CPU is that of the relaying process alone, over the measured time after a warm-up.
Medians of the rounds; `ratio_to_bare` is the median of the ratios within one round, because rounds differ more than
neighbours do.
"""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.bench.brokers import BROKERS, Broker, installed, running
from railgun_core.bench.options import BenchRelayOptions
from railgun_core.bench.relay_load import relay_load
from railgun_core.bench.relay_process import Child, cpu_s, loop_name, rss_mb
from railgun_core.bench.relay_rivals import rival_load
from railgun_core.bench.relay_subjects import bare_relay, engine_relay

WARM_UP_S = 0.7
START_WITHIN_S = 30.0
NOT_INSTALLED = "not installed"


@dataclass(frozen=True, slots=True)
class Run:
    """What one run showed."""

    seconds: float
    delivered: int
    fan_out: int
    cpu_s: float
    load_cpu_s: float  # of publisher and receivers together
    rss_mb: float
    spool_mb: float
    lost: int

    @property
    def deliveries_per_s(self) -> float:
        return self.delivered / self.seconds

    @property
    def cpu_us_per_delivery(self) -> float:
        return self.cpu_s / self.delivered * 1e6

    @property
    def cpu_us_per_envelope(self) -> float:
        return self.cpu_us_per_delivery * self.fan_out

    @property
    def busy(self) -> float:
        """Cores that the relaying process used: well below one means that something else was the limit."""
        return self.cpu_s / self.seconds

    @property
    def load_cpu_us_per_envelope(self) -> float:
        return self.load_cpu_s / self.delivered * self.fan_out * 1e6


@dataclass(slots=True)
class _Rounds:
    """The runs of one transport, and of what it is compared with in the same rounds."""

    engine: list[Run]
    bare: list[Run]


def run(options: BenchRelayOptions) -> dict[str, object]:
    """Measure; see the module. Takes about rounds x (2 x transports + rivals) x (seconds + 4)."""
    brokers = [name for name in options.vs if name in BROKERS]
    found = {name: _Rounds([], []) for name in options.transports}
    rivals: dict[str, list[Run]] = {name: [] for name in brokers}
    for _ in range(options.rounds):
        for transport, rounds in found.items():
            rounds.engine.append(_relay_run(options, engine_relay, transport))
            rounds.bare.append(_relay_run(options, bare_relay, transport))
        for name in brokers:
            if installed(BROKERS[name]):
                rivals[name].append(_rival_run(options, BROKERS[name]))
    results = [_result(options, transport, rounds, rivals) for transport, rounds in found.items()]
    return {
        "results": results,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "loop": loop_name(),
        "lost": sum(one.lost for rounds in found.values() for one in (*rounds.engine, *rounds.bare)),
    }


def _relay_run(options: BenchRelayOptions, subject: Callable[..., Awaitable[None]], transport: str) -> Run:
    with Child(subject, transport) as relay:
        place = relay.hear(within_s=START_WITHIN_S)
        with Child(relay_load, transport, place, int(options.size), options.fan_out) as load:
            load.hear(within_s=START_WITHIN_S)
            return _measure(options, relay.pid, load, held_bytes=lambda: int(relay.ask("held_bytes")))


def _rival_run(options: BenchRelayOptions, broker: Broker) -> Run:
    with running(broker) as served, Child(rival_load, served.access, int(options.size), options.fan_out) as load:
        load.hear(within_s=START_WITHIN_S)
        return _measure(options, served.pid, load, held_bytes=lambda: 0)


def _measure(options: BenchRelayOptions, pid: int, load: Child, *, held_bytes: Callable[[], int]) -> Run:
    """Warm up, measure, let everything arrive."""
    load.ask("start")
    load.ask("run", min(WARM_UP_S, options.seconds))
    first, first_cpu_s, first_load_s = load.ask("count"), cpu_s(pid), cpu_s(load.pid)
    load.ask("run", options.seconds, within_s=options.seconds + START_WITHIN_S)
    last, last_cpu_s, last_load_s = load.ask("count"), cpu_s(pid), cpu_s(load.pid)
    memory_mb, spool_mb = rss_mb(pid), held_bytes() / 1e6
    lost = int(load.ask("finish"))
    delivered = last.delivered - first.delivered
    if delivered <= 0 or last_cpu_s <= first_cpu_s:
        raise EnvironmentFailure("The run was too short to measure anything.", code="bench-failed")
    return Run(
        seconds=last.at_s - first.at_s,
        delivered=delivered,
        fan_out=options.fan_out,
        cpu_s=last_cpu_s - first_cpu_s,
        load_cpu_s=last_load_s - first_load_s,
        rss_mb=memory_mb,
        spool_mb=spool_mb,
        lost=lost,
    )


def _result(
    options: BenchRelayOptions, transport: str, rounds: _Rounds, rivals: dict[str, list[Run]]
) -> dict[str, object]:
    envelopes_per_s = [one.deliveries_per_s / options.fan_out for one in rounds.engine]
    costs = [one.cpu_us_per_envelope for one in rounds.engine]
    bare_costs = [one.cpu_us_per_envelope for one in rounds.bare]
    ratios = [cost / bare for cost, bare in zip(costs, bare_costs, strict=True)]
    named = {"bare": rounds.bare, **rivals}
    return {
        "transport": transport,
        "size": int(options.size),
        "fan_out": options.fan_out,
        "envelopes_per_s": round(_median(envelopes_per_s)),
        "deliveries_per_s": round(_median([one.deliveries_per_s for one in rounds.engine])),
        "cpu_us_per_envelope": _figure(costs),
        "cpu_us_per_delivery": _figure([one.cpu_us_per_delivery for one in rounds.engine]),
        "bare_cpu_us_per_envelope": _figure(bare_costs),
        "ratio_to_bare": _figure(ratios),
        **_machine(rounds.engine),
        "spool_mb": _figure([one.spool_mb for one in rounds.engine]),
        "spread": {
            "envelopes_per_s": _spread(envelopes_per_s),
            "cpu_us_per_envelope": _spread(costs),
            "bare_cpu_us_per_envelope": _spread(bare_costs),
            "ratio_to_bare": _spread(ratios),
        },
        "vs": {name: _compared(rounds.engine, named[name]) for name in options.vs},
    }


def _compared(ours: Sequence[Run], theirs: Sequence[Run]) -> dict[str, Any] | str:
    """Their figures and how many times theirs our deliveries are."""
    if not theirs:
        return NOT_INSTALLED
    ratios = [us.deliveries_per_s / them.deliveries_per_s for us, them in zip(ours, theirs, strict=True)]
    costs = [us.cpu_us_per_delivery / them.cpu_us_per_delivery for us, them in zip(ours, theirs, strict=True)]
    return {
        "deliveries_per_s": round(_median([one.deliveries_per_s for one in theirs])),
        "ratio": _figure(ratios),
        "cpu_us_per_delivery": _figure([one.cpu_us_per_delivery for one in theirs]),
        "cpu_ratio": _figure(costs),
        **_machine(theirs),
        "spread": {
            "deliveries_per_s": _spread([one.deliveries_per_s for one in theirs]),
            "ratio": _spread(ratios),
            "cpu_ratio": _spread(costs),
        },
    }


def _machine(runs: Sequence[Run]) -> dict[str, float]:
    return {
        "rss_mb": _figure([one.rss_mb for one in runs]),
        "busy": _figure([one.busy for one in runs]),
        "load_cpu_us_per_envelope": _figure([one.load_cpu_us_per_envelope for one in runs]),
    }


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)


def _figure(values: Sequence[float]) -> float:
    return round(_median(values), 2)


def _spread(values: Sequence[float]) -> list[float]:
    return [round(min(values), 2), round(max(values), 2)]
