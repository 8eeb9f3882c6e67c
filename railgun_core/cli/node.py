"""`railgun node`: the engine in this process. Its options are those of config.py, one flag each."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.cli.frame import Place, data_dir_option
from railgun_core.config import OPTIONS, Config, Form, HostPort, Option, limits_of, load_config, shown

if TYPE_CHECKING:
    from railgun_core.engine.engine import Engine
    from railgun_core.status import Notice

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

    try:
        config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFailure(f"The data directory cannot be made: {error.strerror}.", code="unwritable") from None

    for name in config.unknown_keys:
        click.echo(f"railgun: config.toml has {name!r}, which this version does not know; it is left alone.", err=True)
    return int(run(config, _OnTerminal(config)))


class _OnTerminal:
    """Says on stderr where the engine listens and how it gets on; what went wrong also where there is no terminal."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._alone = False

    def started(self, engine: Engine) -> None:
        if not sys.stderr.isatty():
            return
        config, ports = self._config, engine.ports
        place = HostPort(config.listen.host, ports.dht)
        quic = f", QUIC on UDP {ports.quic}" if ports.quic is not None else ""
        _say(f"peer {engine.node.identity.peer_id.hex()[:10]} listens at {place} (TCP and UDP{quic}).")
        if not config.bootstrap and not config.lan:
            _say(f"no --bootstrap was given; others may enter with: --bootstrap {place}")
        _say(f"data in {config.data_dir}. Ctrl-C ends it.")

    def noticed(self, notice: Notice) -> None:
        match notice.code:
            case "bootstrap-unreachable":
                self._alone = True
                _say("a bootstrap peer does not answer; the engine runs on and keeps trying.")
            case "joined" if self._alone or sys.stderr.isatty():
                self._alone = False
                _say("joined the network: the first peers answered.")
            case "bootstrap-not-used":
                _say("mode full asks no configured bootstrap peer; they are kept for another mode.")
            case "clock-wrong":
                _say(f"this machine's clock is wrong {notice.detail}: it relays for nobody until it is set right.")
            case "clock-right":
                _say("the clock is right again, and this node relays again.")
            case "disk-low":
                _say(f"the disk is nearly full ({notice.detail}); see: railgun doctor")
            case "database-repaired":
                _say(notice.detail)
            case "disk-full" | "unwritable" | "database-damaged" if notice.count == 1:
                _say("messages cannot be saved; see: railgun doctor")
            case _:
                pass


def _say(sentence: str) -> None:
    with contextlib.suppress(OSError):  # nobody reads any more: no reason to end the engine
        click.echo(f"railgun: {sentence}", err=True)
