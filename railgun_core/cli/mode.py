"""`railgun mode`: how central the network is for this node, shown or changed while it runs."""

from __future__ import annotations

import click

from railgun_core.base.errors import UsageError
from railgun_core.cli.frame import Place, ask, common
from railgun_core.cli.look import central_state
from railgun_core.cli.outcome import print_json
from railgun_core.cli.tables import pairs
from railgun_core.local_api.messages import ModeInfo, ModeSet

_MEANS = {
    "p2p": "configured peers to enter through, nothing central after that",
    "full": "no configured peer at all: known peers, the local network and invites",
    "hybrid": "as p2p, and a central server when committees and mailboxes fail",
}


@click.command()
@click.argument("wanted", metavar="[p2p|full|hybrid]", required=False, type=click.Choice(list(_MEANS)))
@click.option("--central", metavar="HOST:PORT", multiple=True, help="The server of mode hybrid; several of a cluster.")
@click.option(
    "--central-first",
    type=click.Choice(["on", "off"]),
    help="In mode hybrid: the server before committees.",
)
@common
def mode(place: Place, wanted: str | None, central: tuple[str, ...], central_first: str | None) -> int:
    """Show the mode, or change it: at once, and for later starts. No link is closed by that."""
    if wanted is None and not central and central_first is None:
        found = ask(place, "mode.get", None, ModeInfo)
    else:
        if central and wanted not in (None, "hybrid"):
            raise UsageError("--central belongs to mode hybrid.")
        first = None if central_first is None else central_first == "on"
        found = ask(place, "mode.set", ModeSet(wanted, central or None, first), ModeInfo)
    if place.json:
        print_json(found)
    else:
        click.echo(pairs(mode_rows(found)))
    return 0


def mode_rows(found: ModeInfo) -> list[tuple[str, object]]:
    """What the mode is and what it leaves unused."""
    entries = ", ".join(found.bootstrap) or "none"
    if found.bootstrap and not found.bootstrap_used:
        entries += " (not used in this mode; kept for later)"
    rows: list[tuple[str, object]] = [("Mode", f"{found.mode}: {_MEANS.get(found.mode, '')}"), ("Bootstrap", entries)]
    if found.mode == "hybrid":
        order = "first" if found.central_first else "when committees and mailboxes fail"
        rows.append(("Central", f"{', '.join(found.central)}, {central_state(found.status)}; asked {order}"))
    elif found.central:
        rows.append(("Central", f"{', '.join(found.central)} (not used in this mode; kept for later)"))
    return rows
