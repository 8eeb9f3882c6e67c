"""`railgun telemetry`: how relays performed for this device on one day, and whether anybody else gets to know.

The engine counts on the links that its rooms opened; this module only draws what it says. Times are classes, so a cell
says "to 200 ms", and the slowest class has no upper edge.
"""

from __future__ import annotations

from datetime import UTC, datetime

import click

from railgun_core.cli.frame import Place, ask, common
from railgun_core.cli.outcome import print_json
from railgun_core.cli.tables import plain, table
from railgun_core.local_api.messages import RelayPerformance, TelemetryAsk, TelemetryDay, TelemetrySet

_HEAD = ("Relay", "Attempts", "Stored", "Failures", "Not reached", "Ack p50", "Ack p95")
_OPEN_CLASS_MS = 3_200
_SLOWER_THAN_MS = 1_600


@click.command()
@click.argument("wanted", metavar="[local|share]", required=False, type=click.Choice(["local", "share"]))
@click.option("--days-ago", type=click.IntRange(0, 30), default=0, show_default=True, help="0: today (UTC).")
@common
def telemetry(place: Place, wanted: str | None, days_ago: int) -> int:
    """How relays performed for this device on one day, and whether that stays here. `share`, `local`: change that."""
    if wanted is not None:
        ask(place, "telemetry.set", TelemetrySet(wanted == "share"), TelemetryDay)
    found = ask(place, "telemetry", TelemetryAsk(days_ago), TelemetryDay)
    if place.json:
        print_json(found)
        return 0
    click.echo(f"How relays performed for this device on {_day(found.day_unix_s)} (UTC)\n")
    click.echo(table(_HEAD, map(_row, found.relays), none="Nothing: no room of this device used a relay on this day."))
    click.echo("\n" + whereabouts(found))
    return 0


def whereabouts(found: TelemetryDay) -> str:
    """Who gets to know, in sentences."""
    if found.goes == "nowhere":
        return "This stays on this device."
    if found.goes == "not-hybrid":
        return (
            f"This stays on this device: it would be shared in mode hybrid only, and the mode is {plain(found.mode)}."
        )
    newest = "nothing yet" if found.told_unix_s is None else _day(found.told_unix_s)
    return (
        "Yesterday's sums over all relays go to the central server, rounded, with no name of a relay or of this"
        " device.\nThe server sees the address they come from. "
        f"Newest day it was told: {newest}. Keep it here: railgun telemetry local"
    )


def _row(one: RelayPerformance) -> tuple[str, ...]:
    counts = (one.attempts, one.stored, one.failures, one.unreached)
    return (one.relay, *(f"{count:,}" for count in counts), _class(one.ack_p50_ms), _class(one.ack_p95_ms))


def _class(edge_ms: int | None) -> str:
    if edge_ms is None:
        return "none"
    return f"over {_SLOWER_THAN_MS:,} ms" if edge_ms >= _OPEN_CLASS_MS else f"to {edge_ms:,} ms"


def _day(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d")
