"""The modes of one engine, changed while it runs: p2p, full, hybrid.

full: no configured entry is asked; those in config.toml are kept for later. hybrid: a central server is at hand when
committees and mailboxes fail, or first when a person wants so. Changing the mode closes no link: what works goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from railgun_core.base.errors import UsageError
from railgun_core.config import Config, HostPort
from railgun_core.engine.board import Board
from railgun_core.engine.clock import Clock
from railgun_core.engine.entering import Entering
from railgun_core.engine.ledger import EngineLedger
from railgun_core.engine.tasks import Tasks
from railgun_core.events import CentralBrought, CentralFollow, CentralKeep, CentralKept, CentralState, Effect, Event
from railgun_core.node import Node
from railgun_core.status import CentralStatus


class CentralLink(Protocol):
    """What of engine/central.py is used here."""

    async def start(self) -> None:
        """Begin to connect; never waits for the server."""

    async def stop(self) -> None:
        """End everything. Bounded."""

    def apply(self, effect: CentralKeep | CentralFollow) -> None:
        """Do what the node asks."""

    def status(self) -> CentralStatus:
        """As people see it."""

    def woke(self) -> None:
        """Connect anew."""

    async def share(self, text: bytes) -> bool:
        """Give the server one line of telemetry; whether it has it."""


class ModalEngine(Protocol):
    """What of the engine is needed here."""

    config: Config
    board: Board
    node: Node
    clock: Clock
    ledger: EngineLedger
    entering: Entering
    tasks: Tasks

    async def keep_options(self, **changes: object) -> None:
        """Change options now and for later starts."""

    def tell(self, event: Event) -> None:
        """An event for the node."""

    def carry_out(self, effects: list[Effect]) -> None:
        """Effects of a command that went to the node directly."""

    def notice(self, code: str, level: str = "info", detail: str = "") -> None:
        """Something for a person to know."""


def _central(config: Config, tell: Callable[[Event], None]) -> CentralLink:
    from railgun_core.engine.central import Central  # the NATS client: only who uses a server pays for it

    return Central(config, tell)


class Modes:
    """What depends on the mode. `make_central` opens the way to the server of hybrid mode."""

    def __init__(
        self, engine: ModalEngine, make_central: Callable[[Config, Callable[[Event], None]], CentralLink] = _central
    ) -> None:
        self._engine = engine
        self._make_central = make_central
        self._link: CentralLink | None = None
        self._changing = asyncio.Lock()
        self._is_closed = False

    async def start(self) -> None:
        """Begin in the configured mode; call it after the node has started."""
        config = self._engine.config
        self._engine.board.mode = config.mode
        if config.mode == "full" and config.bootstrap:
            self._engine.notice("bootstrap-not-used")
        if config.mode == "hybrid":
            await self._switch_on(config)

    async def close(self) -> None:
        """End the link to the server for good. Bounded."""
        self._is_closed = True
        await self._let_go()

    def status(self) -> CentralStatus:
        """The central server, as people see it."""
        return CentralStatus() if self._link is None else self._link.status()

    def woke(self) -> None:
        """This machine slept or has moved."""
        if self._link is not None:
            self._link.woke()

    async def share(self, text: bytes) -> bool:
        """Give the server one line of telemetry; whether it has it."""
        return self._link is not None and await self._link.share(text)

    def ask_central(self, effect: CentralKeep | CentralFollow) -> None:
        """What the node asks of the server. Without one it is told so at once."""
        if self._link is not None:
            self._engine.ledger.central(effect)
            self._link.apply(effect)
        elif isinstance(effect, CentralKeep):
            self._engine.tell(CentralKept(effect.ticket, "not-hybrid"))

    async def change(
        self, mode: str | None, *, central: tuple[HostPort, ...] | None = None, central_first: bool | None = None
    ) -> Config:
        """Change the mode now and for later starts; None: as it is. UsageError in one sentence: nothing has changed."""
        async with self._changing:
            old = self._engine.config
            new = replace(
                old,
                mode=old.mode if mode is None else mode,
                central=old.central if central is None else central,
                central_first=old.central_first if central_first is None else central_first,
            )
            if central and new.mode != "hybrid":
                raise UsageError("A central server belongs to mode hybrid.")
            await self._engine.keep_options(mode=new.mode, central=new.central, central_first=new.central_first)
            new = self._engine.config
            self._engine.board.mode = new.mode
            await self._become(old, new)
            return new

    async def _become(self, old: Config, new: Config) -> None:
        server = (new.central, new.central_first)
        if self._link is not None and (new.mode != "hybrid" or server != (old.central, old.central_first)):
            await self._switch_off(new)
        if new.mode == "hybrid" and self._link is None:
            await self._switch_on(new)
        if old.entries != new.entries:
            self._engine.entering.use_entries(new)
        if new.mode == "full" and new.bootstrap:
            self._engine.notice("bootstrap-not-used")

    async def _switch_on(self, config: Config) -> None:
        if self._is_closed:  # a change that the end of the engine has overtaken
            return
        self._link = self._make_central(config, self._heard)
        await self._link.start()
        self._tell_rooms(config, on=True)

    async def _switch_off(self, config: Config) -> None:
        await self._let_go()
        self._tell_rooms(config, on=False)

    async def _let_go(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.stop()

    def _heard(self, event: Event) -> None:
        if isinstance(event, CentralState | CentralBrought):
            self._engine.ledger.central(event)
        self._engine.tell(event)

    def _tell_rooms(self, config: Config, *, on: bool) -> None:
        out: list[Effect] = []
        mail = self._engine.node.rooms.mail
        mail.central_mode(on, config.central_first, self._engine.clock.instant(), out)
        self._engine.carry_out(out)
