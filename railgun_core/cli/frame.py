"""What all verbs share: which engine (`--data-dir`), how to print (`--json`), and one question to the engine."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    import msgspec

T = TypeVar("T")


@dataclass(slots=True)
class Place:
    """Which engine and which output: `--data-dir` and `--json`, before or after the verb (the later one counts)."""

    given: Path | None = None
    json: bool = False

    @property
    def data_dir(self) -> Path:
        """The data dir of the engine that is meant."""
        if self.given is None:
            from railgun_core.config import default_data_dir

            return default_data_dir()
        return self.given


def _set_data_dir(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    place = context.ensure_object(Place)
    if value is not None:
        place.given = value


def _set_json(context: click.Context, _: click.Parameter, value: bool) -> None:
    place = context.ensure_object(Place)
    place.json = place.json or value


data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    callback=_set_data_dir,
    expose_value=False,
    is_eager=True,
    metavar="D",
    help="Which engine: its data directory.",
)
json_option = click.option(
    "--json", is_flag=True, callback=_set_json, expose_value=False, help="Print one JSON object and nothing else."
)


def common(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the options that all have, and the Place as its first argument."""
    return data_dir_option(json_option(click.pass_obj(command)))


def run_async(job: Coroutine[Any, Any, T]) -> T:
    """Run one coroutine to its end in a fresh loop."""
    import asyncio  # a tenth of the start-up: not for --help

    return asyncio.run(job)


def ask(place: Place, verb: str, args: msgspec.Struct | None, result_type: type[T]) -> T:
    """One question to the engine."""
    from railgun_core.local_api.client import Client

    async def question() -> T:
        async with await Client.connect(place.data_dir) as client:
            return await client.call(verb, args, result_type)

    return run_async(question())
