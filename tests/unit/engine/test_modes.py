"""Changing the mode of a running engine: what begins, what ends, what is kept for later, and what goes on untouched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from railgun_core.base.clock import Instant
from railgun_core.base.errors import UsageError
from railgun_core.base.ids import Tag
from railgun_core.config import Config, HostPort, load_config, save_options
from railgun_core.engine.modes import Modes
from railgun_core.events import CentralFollow, CentralKeep, CentralKept, CentralState, Effect, Event
from railgun_core.status import CentralStatus
from tests.unit.engine.machine import Machine

ENTRY = HostPort("127.0.0.1", 7_000)
SERVER = HostPort("127.0.0.1", 4_222)
KEEP = CentralKeep(7, Tag(bytes(32)), b"frame")


class Link:
    """A way to a server that writes down what it is asked."""

    def __init__(self, config: Config, tell: Callable[[Event], None]) -> None:
        self.config = config
        self.tell = tell
        self.running = False
        self.asked: list[CentralKeep | CentralFollow] = []
        self.woken = 0

    async def start(self) -> None:
        self.running = True

    async def stop(self) -> None:
        self.running = False

    def apply(self, effect: CentralKeep | CentralFollow) -> None:
        self.asked.append(effect)

    def status(self) -> CentralStatus:
        return CentralStatus(configured=True, up=self.running)

    def woke(self) -> None:
        self.woken += 1

    async def share(self, text: bytes) -> bool:
        return True


class Recorded:
    """An engine, its board, node, rooms and mail in one: only what modes touch."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.clock = Machine().clock()
        self.board = self.node = self.rooms = self.mail = self.entering = self.ledger = cast("Any", self)
        self.mode = ""
        self.central_modes: list[tuple[bool, bool]] = []
        self.entries: list[tuple[HostPort, ...]] = []
        self.told: list[Event] = []
        self.notices: list[str] = []
        self.links: list[Link] = []
        self.exposed: list[object] = []

    def central(self, what: object) -> None:
        self.exposed.append(what)

    def central_mode(self, on: bool, first: bool, now: Instant, out: list[Effect]) -> None:
        self.central_modes.append((on, first))

    async def keep_options(self, **changes: Any) -> None:
        save_options(self.config.data_dir, changes)
        self.config = replace(self.config, **changes)

    def use_entries(self, config: Config) -> None:
        self.entries.append(config.entries)

    def tell(self, event: Event) -> None:
        self.told.append(event)

    def carry_out(self, effects: list[Effect]) -> None:
        assert effects == []

    def notice(self, code: str, level: str = "info", detail: str = "") -> None:
        self.notices.append(code)

    def make(self, config: Config, tell: Callable[[Event], None]) -> Link:
        self.links.append(Link(config, tell))
        return self.links[-1]


async def begun(folder: Path, **options: Any) -> tuple[Recorded, Modes]:
    engine = Recorded(Config(data_dir=folder, bootstrap=(ENTRY,), **options))
    modes = Modes(cast("Any", engine), engine.make)
    await modes.start()
    return engine, modes


async def test_full_asks_no_entry_and_keeps_them_for_the_way_back(tmp_path: Path) -> None:
    engine, modes = await begun(tmp_path)
    await modes.change("full")
    assert (engine.mode, engine.entries, engine.notices) == ("full", [()], ["bootstrap-not-used"])
    assert engine.config.bootstrap == (ENTRY,)
    await modes.change("p2p")
    assert (engine.mode, engine.entries[-1]) == ("p2p", (ENTRY,))
    assert load_config(tmp_path).mode == "p2p"


async def test_hybrid_brings_the_server_at_once_and_leaving_it_ends_that(tmp_path: Path) -> None:
    engine, modes = await begun(tmp_path)
    modes.ask_central(KEEP)
    assert engine.told == [CentralKept(7, "not-hybrid")]
    assert engine.exposed == []
    await modes.change("hybrid", central=(SERVER,), central_first=True)
    (link,) = engine.links
    assert (link.running, engine.central_modes, modes.status().up) == (True, [(True, True)], True)
    modes.ask_central(KEEP)
    modes.woke()
    assert (link.asked, link.woken) == ([KEEP], 1)
    link.tell(CentralState(True))
    assert engine.exposed == [KEEP, CentralState(True)]
    assert engine.told[-1] == CentralState(True)
    assert await modes.share(b"figures")
    assert engine.entries == []  # hybrid enters as p2p does
    saved = load_config(tmp_path)
    assert (saved.mode, saved.central, saved.central_first) == ("hybrid", (SERVER,), True)
    await modes.change("p2p")
    assert (link.running, engine.central_modes[-1], modes.status()) == (False, (False, True), CentralStatus())
    assert not await modes.share(b"figures")
    assert load_config(tmp_path).central == (SERVER,)


async def test_another_server_or_order_replaces_the_link_and_the_same_mode_again_does_nothing(tmp_path: Path) -> None:
    engine, modes = await begun(tmp_path, mode="hybrid", central=(SERVER,))
    assert engine.central_modes == [(True, False)]
    await modes.change("hybrid")
    assert len(engine.links) == 1
    await modes.change(None, central_first=True)
    assert [link.running for link in engine.links] == [False, True]
    assert engine.central_modes[-1] == (True, True)
    await modes.close()
    assert [link.running for link in engine.links] == [False, False]


@pytest.mark.parametrize(
    ("mode", "central", "sentence"),
    [
        ("hybrid", None, "Mode hybrid needs a central server: name one with --central HOST:PORT."),
        ("full", (SERVER,), "A central server belongs to mode hybrid."),
        ("star", None, "--mode knows p2p, full, hybrid, not 'star'."),
    ],
)
async def test_what_makes_no_sense_changes_nothing_and_is_one_sentence(
    tmp_path: Path, mode: str, central: tuple[HostPort, ...] | None, sentence: str
) -> None:
    engine, modes = await begun(tmp_path)
    before = engine.config
    with pytest.raises(UsageError) as said:
        await modes.change(mode, central=central)
    assert said.value.detail == sentence
    assert engine.config is before
    assert not (tmp_path / "config.toml").exists()


async def test_starting_in_mode_full_with_entries_in_the_file_is_said(tmp_path: Path) -> None:
    engine, _ = await begun(tmp_path, mode="full")
    assert engine.notices == ["bootstrap-not-used"]
    assert engine.mode == "full"


async def test_a_change_that_comes_after_the_end_opens_no_link(tmp_path: Path) -> None:
    engine, modes = await begun(tmp_path)
    await modes.close()
    await modes.change("hybrid", central=(SERVER,))
    assert engine.links == []
    assert load_config(tmp_path).mode == "hybrid"  # the next start has it
