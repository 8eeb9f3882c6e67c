"""Keeping mail for others, switched while the engine runs: on, off, how much room, and what becomes of what is there.

Who stops keeping mail goes on announcing the role until the last of what it promised has expired: members find a
mailbox by its record alone. It takes nothing new meanwhile; senders go to the next one. Only where a single other
mailbox is left the role goes at once: senders would wait for a second yes, and the other one has the same mail.
Source: protocol.md 6.5.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Protocol

from railgun_core.base.errors import UsageError
from railgun_core.base.ids import Group
from railgun_core.config import OPTIONS, Config
from railgun_core.engine.board import Board
from railgun_core.engine.clock import Clock
from railgun_core.engine.network import node_config
from railgun_core.events import Effect
from railgun_core.node import Node
from railgun_core.wire.records import PeerBody, PeerRole

ROLE = "mailbox"
MB = 1_000_000
_ROOM = next(option for option in OPTIONS if option.name == "mailbox_bytes")


class KeepingEngine(Protocol):
    """What of the engine is needed here."""

    config: Config
    board: Board
    clock: Clock
    node: Node

    async def keep_options(self, **changes: object) -> None:
        """Change options now and for later starts."""

    def carry_out(self, effects: list[Effect]) -> None:
        """Effects of a command that went to the node directly."""

    async def settled(self) -> None:
        """Until everything the node wanted durable so far is."""

    def say_what_is_so(self) -> None:
        """Renew the record if what it says is no longer so."""


class Keeping:
    """The mailbox of one engine, as its owner wants it."""

    def __init__(self, engine: KeepingEngine) -> None:
        self._engine = engine
        self._changing = asyncio.Lock()

    @property
    def is_on(self) -> bool:
        """Whether mail of others is taken."""
        return ROLE in self._engine.config.roles

    def offers(self) -> tuple[str, ...]:
        """The roles to announce: those that are set, and this one while something is still to be handed out."""
        config = self._engine.config
        ends = self._engine.node.mailbox.is_emptying and not self.is_on and not config.quiet
        return (*config.roles, ROLE) if ends and not self._leaves_one() else config.roles

    def _leaves_one(self) -> bool:
        """Whether the other mailboxes that are known stand in one address group."""
        view, own, groups = self._engine.node.view, self._engine.node.identity.peer_id, set[Group | None]()
        for record in view.records:
            if record.peer_id != own and isinstance(record.body, PeerBody) and PeerRole.MAILBOX in record.body.roles:
                groups.add(view.group(record.peer_id))
                if len(groups) > 1:
                    return False
        return len(groups) == 1

    async def change(self, on: bool | None = None, *, limit_bytes: int | None = None, kept: str = "") -> None:
        """Change it now and for later starts; None: as it is.

        `kept`: what becomes of what is kept already, when that matters: `keep` it until it expires, `drop` it.
        UsageError in one sentence, of the code `mail-inside` when that was not said: nothing has changed then.
        """
        async with self._changing:
            config, mailbox = self._engine.config, self._engine.node.mailbox
            wanted = self.is_on if on is None else on
            room_bytes = config.mailbox_bytes if limit_bytes is None else limit_bytes
            _check_room(room_bytes)
            if kept not in ("", "keep", "drop"):
                raise UsageError("What is kept already can be kept or dropped: say keep or drop.", code="usage")
            self._check_kind(wanted)
            if mailbox.status().envelopes:
                self._check_inside(wanted, room_bytes, kept)
            roles = tuple(role for role in config.roles if role != ROLE) + ((ROLE,) if wanted else ())
            await self._engine.keep_options(roles=roles, mailbox_bytes=room_bytes)
            self._engine.board.roles = self._engine.config.roles
            await self._apply(drop=kept == "drop" and not wanted)

    async def _apply(self, *, drop: bool) -> None:
        engine, out = self._engine, list[Effect]()
        engine.node.set_mailbox(node_config(engine.config).mailbox, engine.clock.instant(), out)
        engine.carry_out(out)
        if drop:
            await engine.settled()  # what is on its way to the disk is dropped as well
            out = []
            engine.node.mailbox.empty(engine.clock.instant(), out)
            engine.carry_out(out)
        engine.say_what_is_so()

    def _check_kind(self, wanted: bool) -> None:
        """Some things are decided when an engine starts: whether it opens links to others, and under which key."""
        node, roles = self._engine.node, self._engine.config.roles
        if wanted and not node.serves and not node.mixnet.mix.published_key:
            raise UsageError(
                "This peer was started to serve nobody, and keeps mail for nobody: start it with a role first, as in"
                " railgun node --roles mailbox.",
                code="serves-nobody",
            )
        if not wanted and self.is_on and roles == (ROLE,) and self._engine.config.guards == "all":
            raise UsageError(
                "Without this role the peer would have to hide from everybody, which begins at a start: end it, and"
                " start it with railgun node --roles none.",
                code="serves-nobody",
            )

    def _check_inside(self, wanted: bool, room_bytes: int, kept: str) -> None:
        """Mail of others goes before its time only when somebody said so."""
        mailbox = self._engine.node.mailbox
        status, last_s = mailbox.status(), mailbox.last_expiry_s
        if wanted and status.used_bytes > room_bytes and kept != "drop":
            raise UsageError(
                f"{status.used_bytes / MB:,.0f} MB of others' mail are kept here: with less space the oldest of it"
                " would go before its time. Give more, or say that it may be dropped.",
                code="mail-inside",
            )
        if self.is_on and not wanted and not kept:
            one = status.envelopes == 1
            count = "1 envelope of others is" if one else f"{status.envelopes:,} envelopes of others are"
            until = f"{datetime.fromtimestamp(last_s or 0, UTC):%Y-%m-%d %H:%M} UTC"
            raise UsageError(
                f"{count} kept here, the last until {until}. Say whether to hand them out until they"
                " expire, or to drop them now.",
                code="mail-inside",
            )


def _check_room(room_bytes: int) -> None:
    low, high = int(_ROOM.low or 0), int(_ROOM.high or 0)
    if not low <= room_bytes <= high:
        raise UsageError(f"Space for mail can be {-(-low // MB):,} MB to {high // MB:,} MB.", code="bad-limit")
