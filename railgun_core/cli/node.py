"""`railgun node`: the engine in this process. Its options are those of config.py, one flag each."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import click

from railgun_core.cli.frame import Place, data_dir_option
from railgun_core.config import OPTIONS, Config, Form, Option, limits_of, load_config, shown

_MANY = (Form.HOST_PORTS, Form.CHOICES)


def _flag(option: Option) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    default = shown(option.default) or "none"
    limits = "" if option.low is None else f" {limits_of(option)}."
    return click.option(
        option.flag,
        option.name,
        multiple=option.form in _MANY,
        default=None,
        metavar=option.metavar,
        help=f"{option.help}{limits} [default: {default}]",
    )


def _all_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(OPTIONS):
        command = _flag(option)(command)
    return command


@click.command()
@data_dir_option
@_all_flags
@click.pass_obj
def node(place: Place, /, **given: object) -> int:
    """Run the engine in this process until it is told to end (SIGINT, SIGTERM).

    What is not given here comes from config.toml in the data directory, else from the default.
    """
    overrides = {name: value for name, value in given.items() if value not in (None, ())}
    return _run(load_config(place.data_dir, overrides))


def tray_or_node(place: Place) -> int:
    """The tray app where there is a display, else the engine alone."""
    try:
        # By name, because nothing in the core depends on the app: it may not even be installed.
        display = importlib.import_module("app.display")
        has_display = bool(display.has_display())
    except ImportError:
        has_display = False
    if not has_display:
        click.echo("railgun: no display, so the engine runs alone; Ctrl-C ends it.", err=True)
        return _run(load_config(place.data_dir))
    app: Any = importlib.import_module("app.__main__")
    return int(app.main(["--data-dir", str(place.data_dir)]) or 0)


def _run(config: Config) -> int:
    from railgun_core.local_api.service import run

    for name in config.unknown_keys:
        click.echo(f"railgun: config.toml has {name!r}, which this version does not know; it is left alone.", err=True)
    return int(run(config))
