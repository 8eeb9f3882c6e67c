"""The tree of verbs. Each is named here with its module and imported only when it is asked for (or for help)."""

from __future__ import annotations

import importlib
from typing import Any

import click

from railgun_core import __version__
from railgun_core.cli.frame import Place, data_dir_option, json_option

_VERBS = {
    "node": ("node", "Run the engine: relay, rooms and the local API."),
    "demo": ("lab", "Run a real network on this machine and report on it."),
    "status": ("look", "What this node is doing: state, duties, traffic, measured times."),
    "room": (
        "room",
        "Rooms: create, list, invite, join, leave, members, send, read, outbox, secure, price, safety…",
    ),
    "mode": ("mode", "How central the network is for this node: p2p, full or hybrid."),
    "mailbox": ("mailbox", "Keep mail for others who are away, or not: on, off, how much space."),
    "duties": ("look", "Where this node relays, now and before."),
    "peers": ("look", "The relays that this node knows."),
    "inspect": ("inspecting", "Recompute a committee from signed records and say who holds which seat, and why."),
    "exposure": ("exposing", "What others could have learned of you, from what was really used."),
    "telemetry": ("performing", "How relays performed for this device, and who gets to know."),
    "doctor": ("look", "Check that everything a relay needs is there."),
    "logs": ("look", "The newest lines of the engine's log."),
    "bench": ("lab", "Measure: relay, transport, idle, dht, store."),
    "sim": ("lab", "Many nodes in one process under a virtual clock."),
}


class ReaderGone(Exception):
    """Standard output was closed by whoever read it."""


class BrokenOff(Exception):
    """The person pressed Ctrl-C."""


class Verbs(click.Group):
    """A group that knows its verbs by name before their modules are loaded."""

    def invoke(self, ctx: click.Context) -> Any:
        """Click would answer these two with a status and a blank line of its own."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise ReaderGone from None
        except KeyboardInterrupt:
            raise BrokenOff from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return None
        command: Any = getattr(importlib.import_module(f"railgun_core.cli.{_VERBS[cmd_name][0]}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, text) for name, (_, text) in _VERBS.items()])


@click.group(
    cls=Verbs,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@data_dir_option
@json_option
@click.version_option(__version__, prog_name="railgun", message="%(prog)s %(version)s")
@click.pass_context
def railgun(context: click.Context) -> int:
    """Rail Gun Relay. Without a verb: the tray app, or the engine alone where there is no display."""
    context.ensure_object(Place)
    if context.invoked_subcommand is not None:
        return 0
    from railgun_core.cli.node import tray_or_node

    return tray_or_node(context.obj)
