"""`railgun exposure`: what others could have learned of this device on one day, by the kind of peer.

Every line comes from the engine's ledger, which counts links and frames that were really used; this module only
gives the kinds of peers their names.
"""

from __future__ import annotations

from datetime import UTC, datetime

import click

from railgun_core.cli.frame import Place, ask, common
from railgun_core.cli.outcome import print_json
from railgun_core.cli.tables import counted, plain
from railgun_core.local_api.messages import Exposure, ExposureAsk, ExposureRole

_ROLES = {
    "bootstrap": "Starting points of the network",
    "dht-contact": "Peers of the directory",
    "relay-direct": "Relays of your rooms, reached directly",
    "relay-guarded": "Relays of your rooms, reached through a guard",
    "guard": "Guards",
    "fellow-relay": "Relays that served beside this one",
    "mix-neighbour": "Mixes beside this one",
    "central": "The central server",
}


@click.command()
@click.option("--days-ago", type=click.IntRange(0, 30), default=0, show_default=True, help="0: today (UTC).")
@common
def exposure(place: Place, days_ago: int) -> int:
    """What others could have learned of you today: by role, from the links and frames that were really used."""
    found = ask(place, "exposure", ExposureAsk(days_ago), Exposure)
    if place.json:
        print_json(found)
        return 0
    day = datetime.fromtimestamp(found.day_unix_s, UTC).strftime("%Y-%m-%d (UTC)")
    click.echo(f"What others saw on {day}")
    if not found.roles:
        click.echo("\nNothing: no link was open and nothing was asked for on this day.")
    for role in found.roles:
        click.echo("\n" + _role_text(role))
    return 0


def _role_text(role: ExposureRole) -> str:
    lines = [f"{_ROLES.get(role.role, plain(role.role))}: {counted(role.peers, 'peer')}"]
    lines += [f"  could learn      {plain(line)}" for line in role.learned]
    lines += [f"  could not learn  {plain(line)}" for line in role.not_learned]
    return "\n".join(lines)
