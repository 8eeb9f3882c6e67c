"""Every option of an engine, declared once: name, type, unit, limits, default, help and flag.

From the fields of `Config` come the keys of `config.toml` in the data dir, the options of `railgun node`, the app's
form and the table of the documentation (`config_table`). Precedence: default < config.toml < what is given at start.
A key that this version does not know is kept in the file and reported in `Config.unknown_keys`, so that going back
and forth between versions loses nothing. A wrong value is a UsageError of one sentence, before anything starts.
"""
# ruff: noqa: RUF009 - the calls in the class body make dataclass fields

from __future__ import annotations

import dataclasses
import enum
import ipaddress
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from railgun_core.base.errors import EnvironmentFailure, UsageError

T = TypeVar("T")
FILE_NAME = "config.toml"
_WRITING = threading.Lock()  # one change is read, merged and written at a time


class Form(enum.Enum):
    """How a value is written."""

    WHOLE = "whole number"
    NUMBER = "number"
    SWITCH = "on or off"
    CHOICE = "one of"
    CHOICES = "list of"
    HOST_PORT = "HOST:PORT"
    HOST_PORTS = "list of HOST:PORT"


@dataclass(frozen=True, slots=True)
class Option:
    """The one declaration of an option. `flag` is its switch on the command line."""

    name: str
    form: Form
    help: str
    default: Any
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    flag: str = ""

    @property
    def metavar(self) -> str:
        """What stands for the value in help texts."""
        if self.form in (Form.HOST_PORT, Form.HOST_PORTS):
            return "HOST:PORT"
        if self.choices:
            return "|".join(self.choices) if self.form is Form.CHOICE else ",".join(self.choices)
        return "on|off" if self.form is Form.SWITCH else "N"


@dataclass(frozen=True, slots=True, order=True)
class HostPort:
    """A place to listen or to enter: a name or a numeric address, and a port (0: any free one)."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> HostPort:
        """`host:port`, `[v6]:port` or `:port` (all IPv4 addresses). UsageError otherwise."""
        head, colon, tail = text.strip().rpartition(":")
        host = head[1:-1] if head.startswith("[") and head.endswith("]") else head
        wrong_host = any(char.isspace() or char in "[]/@" for char in host) or (":" in host and head == host)
        if not colon or wrong_host or len(host) > 253 or not (tail.isascii() and tail.isdigit()) or int(tail) > 65_535:
            raise UsageError(f"{text!r} is no HOST:PORT.")
        return cls(host or "0.0.0.0", int(tail))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _option(default: T, form: Form, text: str, **more: Any) -> T:
    return field(default=default, metadata={"form": form, "help": text, **more})


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All options of one engine, checked. Make it with `load_config`, or directly in tests and demos."""

    data_dir: Path
    listen: HostPort = _option(
        HostPort("0.0.0.0", 0),
        Form.HOST_PORT,
        "Where other peers reach this one. Port 0: a free one at the first start, the same one after that.",
    )
    bootstrap: tuple[HostPort, ...] = _option(
        (), Form.HOST_PORTS, "A peer to enter the network through; may be given several times."
    )
    roles: tuple[str, ...] = _option(
        ("relay", "mix"),
        Form.CHOICES,
        "What this peer offers to others; none: it only uses the network.",
        choices=("relay", "mix", "mailbox", "bootstrap"),
        planned=("introducer", "turn"),
    )
    mode: str = _option(
        "p2p",
        Form.CHOICE,
        "p2p: bootstrap peers to enter, nothing central after. full: no configured bootstrap at all. "
        "hybrid: a central server too, when committees and mailboxes fail.",
        choices=("p2p", "full", "hybrid"),
    )
    central: tuple[HostPort, ...] = _option(
        (), Form.HOST_PORTS, "A NATS JetStream server for mode hybrid; several of one cluster may be given."
    )
    central_first: bool = _option(
        False, Form.SWITCH, "In mode hybrid: give messages to the central server first, and to committees if it fails."
    )
    central_replicas: int = _option(
        1, Form.WHOLE, "On how many servers of the cluster each envelope lies.", unit="servers", low=1, high=5
    )
    telemetry: str = _option(
        "local",
        Form.CHOICE,
        "How relays performed: kept on this device, or in mode hybrid also told to the central server, without a name.",
        choices=("local", "share"),
    )
    epoch_s: int = _option(
        600, Form.WHOLE, "How long a committee serves. The same in the whole network.", unit="s", low=2, high=86_400
    )
    overlap_s: int = _option(
        0, Form.WHOLE, "How long the old committee still serves; 0: a fifth of the epoch.", unit="s", low=0, high=43_200
    )
    committee_size: int = _option(5, Form.WHOLE, "Seats of a committee.", unit="seats", low=3, high=7)
    transports: tuple[str, ...] = _option(
        ("tls", "quic"),
        Form.CHOICES,
        "Transports to use, best first.",
        choices=("quic", "tls"),
        planned=("webrtc",),
        flag="--transport",
    )
    puzzle_bits: int = _option(
        14, Form.WHOLE, "Work in every peer's key. The same in the whole network.", unit="bits", low=0, high=32
    )
    group_by: str = _option(
        "network",
        Form.CHOICE,
        "What makes relays strangers to each other; port is for networks on one machine.",
        choices=("network", "port"),
    )
    lan: bool = _option(True, Form.SWITCH, "Look for peers in the local network.")
    address_limits: bool = _option(
        True, Form.SWITCH, "Limit contacts per address block; off only in a network of one's own."
    )
    session_rate_per_s: int = _option(
        1_000, Form.WHOLE, "Envelopes a second that one session may send for long.", unit="1/s", low=1, high=1_000_000
    )
    session_burst: int = _option(
        4_000, Form.WHOLE, "Envelopes that one session may send at once.", unit="envelopes", low=1, high=10_000_000
    )
    spool_bytes: int = _option(
        256 * 1024 * 1024,
        Form.WHOLE,
        "Memory for envelopes held for members, all duties together.",
        unit="bytes",
        low=1024 * 1024,
        high=64 * 1024**3,
    )
    mailbox_bytes: int = _option(
        1024**3,
        Form.WHOLE,
        "Disk for envelopes kept as a mailbox for members who are away.",
        unit="bytes",
        low=1024 * 1024,
        high=1024**4,
    )
    cover_gb_month: float = _option(
        1.0, Form.NUMBER, "Data for cover traffic while no room is high-security.", unit="GB/month", low=0, high=10_000
    )
    secure_gb_month: float = _option(
        30.0,
        Form.NUMBER,
        "Data for the one queue of packets while a room is high-security: more means sooner.",
        unit="GB/month",
        low=0.1,
        high=10_000,
    )
    guards: str = _option(
        "secure",
        Form.CHOICE,
        "Which rooms reach their relays through guards only: the high-security ones, or all.",
        choices=("secure", "all"),
    )
    log_level: str = _option("info", Form.CHOICE, "How much is logged.", choices=("debug", "info", "warning", "error"))
    unknown_keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for option in OPTIONS:
            object.__setattr__(self, option.name, _checked(option, getattr(self, option.name)))
        if self.overlap_s == 0:
            object.__setattr__(self, "overlap_s", max(1, self.epoch_s // 5))
        if 2 * self.overlap_s > self.epoch_s:
            raise UsageError(f"overlap_s may be half of epoch_s at most: {self.epoch_s // 2} s.")
        if self.mode == "hybrid" and not self.central:
            raise UsageError("Mode hybrid needs a central server: name one with --central HOST:PORT.")

    @property
    def entries(self) -> tuple[HostPort, ...]:
        """The bootstrap peers to use: in mode full those that are configured are kept for later and not asked."""
        return () if self.mode == "full" else self.bootstrap

    @property
    def quiet(self) -> bool:
        """Whether this peer meets entries and guards only: it offers nothing, and all its rooms go through guards."""
        return not self.roles and self.guards == "all"


def _declared() -> tuple[Option, ...]:
    found = []
    for item in dataclasses.fields(Config):
        if item.metadata:
            about = {key: value for key, value in item.metadata.items() if key != "planned"}
            about.setdefault("flag", "--" + item.name.replace("_", "-"))
            found.append(Option(name=item.name, default=item.default, **about))
    return tuple(found)


_PLANNED: dict[str, tuple[str, ...]] = {
    item.name: item.metadata.get("planned", ()) for item in dataclasses.fields(Config) if item.metadata
}
OPTIONS: tuple[Option, ...] = _declared()


def load_config(data_dir: Path, overrides: Mapping[str, object] | None = None) -> Config:
    """The options of the engine on `data_dir`. `overrides` may hold values or their text; None means not given.

    UsageError for a wrong value or an unknown override, EnvironmentFailure(unreadable) for a file that cannot be read.
    """
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    known = {option.name for option in OPTIONS}
    for name in given:
        if name not in known:
            raise UsageError(f"There is no option called {name}.")
    saved = _read(data_dir)
    unknown = tuple(sorted(name for name in saved if name not in known))
    values = {name: value for name, value in saved.items() if name in known} | given
    return Config(data_dir=data_dir, unknown_keys=unknown, **cast(dict[str, Any], values))


def save_options(data_dir: Path, changes: Mapping[str, object]) -> Config:
    """Write options to config.toml and give the result; None takes a key out. Comments in the file are not kept."""
    import tomli_w

    with _WRITING:
        merged = {**_read(data_dir), **changes}
        merged = {name: value for name, value in merged.items() if value is not None}
        known = {option.name: option for option in OPTIONS}
        for name in changes:
            if name not in known:
                raise UsageError(f"There is no option called {name}.")
        config = Config(data_dir=data_dir, **cast(dict[str, Any], {k: v for k, v in merged.items() if k in known}))
        plain = {name: _plain(value) if name in known else value for name, value in merged.items()}
        target = data_dir / FILE_NAME
        try:
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = target.with_suffix(".new")
            fresh.write_text(tomli_w.dumps(plain), encoding="utf-8")
            fresh.replace(target)
        except OSError as error:
            raise EnvironmentFailure(f"{FILE_NAME} cannot be written: {error.strerror}.", code="unwritable") from None
        return config


def config_table() -> str:
    """All options as a Markdown table, for the documentation."""
    rows = ["| config.toml | railgun node | default | limits | meaning |", "|---|---|---|---|---|"]
    for option in OPTIONS:
        default = shown(option.default) or "none"
        rows.append(f"| `{option.name}` | `{option.flag}` | {default} | {limits_of(option)} | {option.help} |")
    return "\n".join(rows) + "\n"


def limits_of(option: Option) -> str:
    """The values an option may have, in words."""
    if option.choices:
        return f"{option.form.value} {', '.join(option.choices)}"
    if option.low is None or option.high is None:
        return option.form.value
    return f"{_limit(option.low)} to {_limit(option.high)} {option.unit}".rstrip()


def _limit(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,g}"


def shown(value: object) -> str:
    """A value as a person would write it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return ",".join(str(item) for item in value) if isinstance(value, tuple) else str(value)


def _plain(value: object) -> object:
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, HostPort) else value


def _read(data_dir: Path) -> dict[str, object]:
    import tomllib

    try:
        with (data_dir / FILE_NAME).open("rb") as file:
            return tomllib.load(file)
    except (FileNotFoundError, NotADirectoryError):  # the engine says what is wrong with the directory
        return {}
    except OSError as error:
        raise EnvironmentFailure(f"{FILE_NAME} cannot be read: {error.strerror}.", code="unreadable") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{FILE_NAME} is not valid TOML: {error}.") from None


def _checked(option: Option, value: object) -> object:
    match option.form:
        case Form.WHOLE:
            return _whole(option, value)
        case Form.NUMBER:
            return _number(option, value)
        case Form.SWITCH:
            return _switch(option, value)
        case Form.CHOICE:
            return _chosen(option, value)
        case Form.CHOICES:
            return _several(option, value)
        case Form.HOST_PORT:
            return _numeric(option, _host_port(option, value))
        case Form.HOST_PORTS:
            return tuple(dict.fromkeys(_host_port(option, item) for item in _items(option, value)))


def _whole(option: Option, value: object) -> int:
    text = value.strip().replace("_", "") if isinstance(value, str) else value
    if isinstance(text, str) and text.lstrip("-").isascii() and text.lstrip("-").isdigit() and len(text) < 20:
        text = int(text)
    if not isinstance(text, int) or isinstance(text, bool):
        raise UsageError(f"{option.flag} must be a whole number, not {value!r}.")
    _within(option, text)
    return text


def _number(option: Option, value: object) -> float:
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"{option.flag} must be a number, not {value!r}.")
    _within(option, number)
    return number


def _within(option: Option, number: float) -> None:
    if option.low is not None and option.high is not None and not option.low <= number <= option.high:
        raise UsageError(f"{option.flag} must be {limits_of(option)}, not {number:g}.")


def _switch(option: Option, value: object) -> bool:
    word = {"on": True, "yes": True, "true": True, "off": False, "no": False, "false": False}
    if isinstance(value, str) and value.lower() in word:
        return word[value.lower()]
    if not isinstance(value, bool):
        raise UsageError(f"{option.flag} must be on or off, not {value!r}.")
    return value


def _chosen(option: Option, value: object) -> str:
    if value in _PLANNED[option.name]:
        raise UsageError(f"{option.flag} {value} is not in this version; it knows {', '.join(option.choices)}.")
    if not isinstance(value, str) or value not in option.choices:
        raise UsageError(f"{option.flag} knows {', '.join(option.choices)}, not {value!r}.")
    return value


def _several(option: Option, value: object) -> tuple[str, ...]:
    items = _items(option, value)
    if items == ["none"] and option.name == "roles":
        return ()
    chosen = tuple(dict.fromkeys(_chosen(option, item) for item in items))
    if not chosen and option.name != "roles":
        raise UsageError(f"{option.flag} needs at least one of {', '.join(option.choices)}.")
    return chosen


def _host_port(option: Option, value: object) -> HostPort:
    if isinstance(value, HostPort):
        return value
    if not isinstance(value, str):
        raise UsageError(f"{option.flag} must be HOST:PORT, not {value!r}.")
    try:
        return HostPort.parse(value)
    except UsageError as error:
        raise UsageError(f"{option.flag}: {error.detail}") from None


def _numeric(option: Option, place: HostPort) -> HostPort:
    """A place of this machine: sockets and the signed record need its number, and a name may mean several."""
    host = "127.0.0.1" if place.host == "localhost" else place.host
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise UsageError(f"{option.flag} needs a numeric address such as 127.0.0.1, not {place.host!r}.") from None
    return HostPort(host, place.port)


def _items(option: Option, value: object) -> list[object]:
    """A list, or text with commas, or several such texts (a flag that was given several times)."""
    if not isinstance(value, str | list | tuple):
        raise UsageError(f"{option.flag} must be a list, not {value!r}.")
    found: list[object] = []
    for item in [value] if isinstance(value, str) else value:
        parts = item.split(",") if isinstance(item, str) else [item]
        found.extend(part.strip() if isinstance(part, str) else part for part in parts if part != "")
    return found


def default_data_dir() -> Path:
    """Where an engine's data lies when nobody says otherwise: the platform's place for a program's data."""
    from platformdirs import user_data_path

    return user_data_path("railgun-relay", appauthor=False)
