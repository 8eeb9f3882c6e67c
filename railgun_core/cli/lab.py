"""The verbs that run a network or a measurement in processes of their own: demo, sim, bench.

Their reports are plain dicts whose field names stay (see the package of each). A report with lost, duplicated or
out-of-order messages, or one that says it failed, ends with exit status 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from railgun_core.bench.options import BenchIdleOptions, BenchMixOptions, BenchRelayOptions, BenchTransportOptions
from railgun_core.cli.chaos import run_chaos
from railgun_core.cli.frame import Place, common, data_dir_option, json_option, run_async
from railgun_core.cli.outcome import print_json
from railgun_core.cli.tables import pairs
from railgun_core.demo.options import MAILBOXES, SECURE_EPOCH_S, SIZES, DemoOptions, parse_sizes
from railgun_core.sim.faults import MINUTES
from railgun_core.sim.options import ChaosOptions, FlowOptions, Partition, SimOptions, parse_seeds
from railgun_core.wire.envelope import SizeClass

_DEMO, _SIM, _RELAY, _TRANSPORT = DemoOptions(), SimOptions(), BenchRelayOptions(), BenchTransportOptions()
_IDLE, _FLOW, _MIX = BenchIdleOptions(), FlowOptions(), BenchMixOptions()
_BAD_COUNTS = ("lost", "duplicated", "out_of_order")


@click.command()
@click.option("--peers", type=int, default=_DEMO.peers, show_default=True, help="Engines, each a process.")
@click.option("--rooms", type=int, default=_DEMO.rooms, show_default=True)
@click.option("--members", type=int, default=_DEMO.members, show_default=True, help="Members of each room.")
@click.option("--epoch-s", type=int, help=f"[default: {_DEMO.epoch_s}; {SECURE_EPOCH_S} with --secure]")
@click.option("--duration-s", type=float, default=_DEMO.duration_s, show_default=True)
@click.option("--rate", type=float, default=_DEMO.rate_per_s, show_default=True, help="Messages a second, in all.")
@click.option("--size", type=click.Choice(list(SIZES)), default="small", show_default=True, help="Envelope size.")
@click.option("--kill", type=int, default=_DEMO.kill, show_default=True, help="Relays to kill on the way.")
@click.option("--kills", type=int, default=_DEMO.kills, show_default=True, help="Rounds of kills; it ends with them.")
@click.option("--kill-size", metavar="1,2,4", default="1", show_default=True, help="Seats killed a round, in turn.")
@click.option("--mailboxes", type=int, help=f"Relays that keep mail too. [default: 0; {MAILBOXES} with --kills]")
@click.option("--mode", metavar="p2p|hybrid", default=_DEMO.mode, show_default=True, help="hybrid: with a NATS server.")
@click.option("--kill-central", is_flag=True, help="Kill the NATS server in the middle and start it again.")
@click.option("--transport", metavar="quic|tls", help="Only this one. [default: both, TLS first]")
@click.option("--secure", is_flag=True, help="Rooms through the mixnet; members are devices of their own.")
@click.option("--seed", type=int, default=_DEMO.seed, show_default=True)
@click.option("--app", is_flag=True, help="Open the tray on one of the peers and run until it quits.")
@click.option("--live", is_flag=True, help="Show a table while it runs.")
@click.option("--work-dir", type=click.Path(path_type=Path), help="Where the peers' data goes. [default: temporary]")
@common
def demo(place: Place, rate: float, size: str, kill_size: str, **given: Any) -> int:
    """Run a real network of engines on this machine, with rooms and traffic, and report on it."""
    if given["epoch_s"] is None:
        given["epoch_s"] = SECURE_EPOCH_S if given["secure"] else _DEMO.epoch_s
    sizes = parse_sizes(kill_size)
    options = DemoOptions(rate_per_s=rate, size=SIZES[size], kill_sizes=sizes, json=place.json, **given)
    from railgun_core.demo import run

    _quiet()
    return _report(place, run(options))


@click.command()
@click.option("--peers", type=int, default=_SIM.peers, show_default=True)
@click.option("--minutes", type=float, default=_SIM.minutes, show_default=True, help="Virtual minutes.")
@click.option("--seed", type=int, help="One seed. [default: 1]")
@click.option("--seeds", metavar="A..B", help="One run for each seed from A to B.")
@click.option("--loss", type=float, default=_SIM.loss, show_default=True, help="Share of chunks lost, 0 to 0.9.")
@click.option("--partition", metavar="START..END", help="Split the network in two, in virtual minutes.")
@click.option("--churn", type=float, default=_SIM.churn_per_hour, show_default=True, help="Share replaced an hour.")
@click.option("--rooms", type=int, default=_SIM.rooms, show_default=True)
@click.option("--members", type=int, default=_SIM.members, show_default=True)
@click.option("--rate", type=float, default=_SIM.rate_per_s, show_default=True, help="Messages a second, in all.")
@click.option("--secure", is_flag=True, help="Rooms through guards and mixes.")
@click.option("--clients", type=int, help="Instead of nodes: clients of a mixnet, watched by who sees all its wires.")
@click.option("--mixes", type=int, default=_FLOW.mixes, show_default=True, help="With --clients.")
@click.option("--packets-per-s", type=float, default=_FLOW.packets_per_s, show_default=True, help="Of each client.")
@click.option("--chaos", is_flag=True, help="Instead: everything that can go wrong, one small network for each seed.")
@click.option("--jobs", type=int, default=0, help="With --chaos: processes. [default: one for each core]")
@click.option("--trace", is_flag=True, help="With --chaos: the last events of the peers involved in a failure.")
@common
def sim(
    place: Place,
    chaos: bool,
    jobs: int,
    trace: bool,
    clients: int | None,
    mixes: int,
    packets_per_s: float,
    seed: int | None,
    seeds: str | None,
    partition: str | None,
    churn: float,
    rate: float,
    **given: Any,
) -> int:
    """Run many nodes in this process under a virtual clock: the same seed gives the same trace."""
    if seed is not None and seeds is not None:
        raise click.UsageError("Give --seed or --seeds, not both.")
    if chaos:
        wanted = parse_seeds(seeds or str(1 if seed is None else seed), most=1_000_000)
        _quiet()
        return run_chaos(place, ChaosOptions(wanted, given["minutes"] if _named("minutes") else MINUTES, jobs, trace))
    if clients is not None:
        return _report(place, _flow(clients, mixes, packets_per_s, seed, given))
    options = SimOptions(
        seeds=parse_seeds(seeds) if seeds is not None else parse_seeds(str(1 if seed is None else seed)),
        partition=Partition.parse(partition) if partition is not None else None,
        churn_per_hour=churn,
        rate_per_s=rate,
        json=place.json,
        **given,
    )
    from railgun_core.sim import run

    _quiet()
    return _report(place, run(options))


def _flow(clients: int, mixes: int, packets_per_s: float, seed: int | None, given: dict[str, Any]) -> dict[str, object]:
    from railgun_core.sim import flow

    seconds = given["minutes"] * 60 if _named("minutes") else _FLOW.seconds
    return flow(FlowOptions(clients, mixes, packets_per_s, seconds, 1 if seed is None else seed))


def _named(option: str) -> bool:
    """Whether an option of this command was given."""
    return click.get_current_context().get_parameter_source(option) is not ParameterSource.DEFAULT


@click.group()
@data_dir_option
@json_option
def bench() -> None:
    """Measurements on this machine. Rivals are measured in turn with ours, never from memory."""


@bench.command()
@click.option("--transport", metavar="quic,tls", help="Which ones. [default: both]")
@click.option("--size", type=click.Choice(list(SIZES)), default="medium", show_default=True)
@click.option("--fan-out", type=int, default=_RELAY.fan_out, show_default=True, help="Receivers.")
@click.option("--seconds", type=float, default=_RELAY.seconds, show_default=True, help="Of each run.")
@click.option("--rounds", type=int, default=_RELAY.rounds, show_default=True)
@click.option("--vs", metavar="bare,mosquitto,nats", help="Rivals to measure in turn, where installed.")
@common
def relay(place: Place, transport: str | None, size: str, vs: str | None, **given: Any) -> int:
    """Envelopes a second through one relay, and what they cost."""
    options = BenchRelayOptions(
        transports=_list(transport) or _RELAY.transports,
        size=SIZES[size],
        vs=_list(vs),
        json=place.json,
        **given,
    )
    from railgun_core.bench.relay import run

    _quiet()
    return _report(place, run(options))


@bench.command("transport")
@click.option("--transport", metavar="quic,tls", help="Which ones. [default: both]")
@click.option("--size", type=click.Choice(list(SIZES)), default="medium", show_default=True, help="Of an envelope.")
@click.option("--seconds", type=float, default=_TRANSPORT.seconds, show_default=True, help="Of each run.")
@click.option("--rounds", type=int, default=_TRANSPORT.rounds, show_default=True)
@common
def bench_transport(place: Place, transport: str | None, size: str, **given: Any) -> int:
    """CPU time a frame through each transport and through bare TCP."""
    options = BenchTransportOptions(
        transports=_list(transport) or _TRANSPORT.transports, size=SIZES[size], json=place.json, **given
    )
    from railgun_core.bench.transport import run

    _quiet()
    return _report(place, run(options))


@bench.command("idle")
@click.option("--peers", type=int, default=_IDLE.peers, show_default=True, help="Engines, each a process.")
@click.option("--rooms", type=int, default=_IDLE.rooms, show_default=True)
@click.option("--members", type=int, default=_IDLE.members, show_default=True, help="Members of each room.")
@click.option("--seconds", type=float, default=_IDLE.seconds, show_default=True, help="Watched for this long.")
@click.option("--settle-s", type=float, default=_IDLE.settle_s, show_default=True, help="To calm down before.")
@click.option("--epoch-s", type=int, default=_IDLE.epoch_s, show_default=True)
@common
def bench_idle(place: Place, **given: Any) -> int:
    """CPU share and memory of each engine in a network where nobody says anything."""
    options = BenchIdleOptions(json=place.json, **given)
    from railgun_core.bench.idle import run

    _quiet()
    return _report(place, run(options))


@bench.command("dht")
@click.option("--peers", type=click.IntRange(2, 2_000), default=100, show_default=True)
@click.option("--dead-share", type=click.FloatRange(0, 0.9), default=0.2, show_default=True, help="Of the contacts.")
@click.option("--rtt-ms", type=click.FloatRange(0, 2_000), default=80.0, show_default=True, help="Emulated round trip.")
@click.option("--lookups", type=click.IntRange(2, 100_000), default=200, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@common
def bench_dht(place: Place, **given: Any) -> int:
    """Time of a directory lookup with dead contacts and an emulated round trip."""
    from railgun_core.bench.dht import run

    _quiet()
    return _report(place, run_async(run(**given)))


@bench.command("store")
@click.option("--rows", type=click.IntRange(1, 10_000_000), default=5_000, show_default=True)
@click.option("--body-bytes", type=click.IntRange(0, 65_536), default=int(SizeClass.SMALL), show_default=True)
@common
def bench_store(place: Place, **given: Any) -> int:
    """Committed rows a second, each safe against power loss."""
    from railgun_core.bench.store import run

    _quiet()
    return _report(place, run_async(run(**given)))


@bench.command("mix")
@click.option("--rounds", type=int, default=_MIX.rounds, show_default=True, help="Each subject in turn, so many times.")
@click.option("--calls", type=int, default=_MIX.calls, show_default=True, help="Of each subject in a round.")
@common
def bench_mix(place: Place, **given: Any) -> int:
    """CPU time of a mix packet: making it, one hop of it, and the primitives a hop consists of."""
    options = BenchMixOptions(json=place.json, **given)
    from railgun_core.bench.mix import run

    _quiet()
    return _report(place, run(options))


def _list(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def _quiet() -> None:
    """Standard output belongs to the report."""
    from railgun_core.logs import silence

    silence()


def _report(place: Place, found: object) -> int:
    import msgspec

    plain_report: Any = msgspec.to_builtins(found)
    if place.json:
        print_json(plain_report)
    elif isinstance(plain_report, Mapping):
        click.echo(pairs(_flat(plain_report)))
    bad = _badness(plain_report)
    if bad:
        click.echo(f"railgun: the result is bad: {', '.join(bad)}.", err=True)
    return 1 if bad else 0


def _badness(report: object) -> list[str]:
    """What makes a report bad; looks into the runs of several seeds too."""
    if not isinstance(report, Mapping):
        return []
    bad = [f"{name} {report[name]}" for name in _BAD_COUNTS if isinstance(report.get(name), int) and report[name] > 0]
    if report.get("failed"):
        bad.append(f"failed: {report['failed']}")
    for run in report.get("runs", ()) if isinstance(report.get("runs"), list) else ():
        bad.extend(f"seed {run.get('seed')}: {what}" for what in _badness(run))
    return bad


def _flat(report: Mapping[str, Any], prefix: str = "") -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = []
    for name, value in report.items():
        if isinstance(value, Mapping):
            rows.extend(_flat(value, f"{prefix}{name}."))
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            for number, item in enumerate(value, 1):
                rows.extend(_flat(item, f"{prefix}{name}.{number}."))
        elif isinstance(value, list):
            rows.append((prefix + name, ", ".join(str(item) for item in value)))
        else:
            rows.append((prefix + name, round(value, 3) if isinstance(value, float) else value))
    return rows
