"""What a person does about privacy, carried out on one engine: the other side of local_api/privacy.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from railgun_core.base.clock import Instant
from railgun_core.base.errors import UsageError
from railgun_core.base.ids import MemberId, RoomId
from railgun_core.config import Config, save_options
from railgun_core.engine.clock import Clock
from railgun_core.engine.ledger import EngineLedger
from railgun_core.events import Effect
from railgun_core.mix.cover import rate_for
from railgun_core.mix.price import price
from railgun_core.node import Node
from railgun_core.rooms.room import Room
from railgun_core.status import Exposure, Price, Safety

TALK_PER_S = 0.02  # what somebody who writes says on average, with receipts: a thing in fifty seconds


class PrivateEngine(Protocol):
    """What of the engine is needed here."""

    config: Config
    clock: Clock
    node: Node
    ledger: EngineLedger

    def carry_out(self, effects: list[Effect]) -> None:
        """Effects of a command that went to the node directly."""

    async def settled(self) -> None:
        """Until everything the node wanted durable so far is."""


class Privacy:
    """High security, safety numbers, removal, opaque bytes and the ledger."""

    def __init__(self, engine: PrivateEngine) -> None:
        self._engine = engine

    def price(self, room: RoomId, gb_month: float | None, now: Instant) -> Price:
        """What high security costs at a budget; None: at the one that is set. Reads only."""
        budget = self._engine.config.secure_gb_month if gb_month is None else gb_month
        cost = price(rate_for(budget), TALK_PER_S)
        client = self._engine.node.mixnet.client
        why = client.lacks(now)
        if cost.p50_ms == float("inf"):
            why = "The budget is too small: messages would wait for ever."
        finite = cost.p50_ms != float("inf")
        return Price(
            room=room.hex(),
            added_ms_p50=round(cost.p50_ms) if finite else -1.0,
            added_ms_p95=round(cost.p95_ms) if finite else -1.0,
            gb_month=round(cost.gb_month, 1),
            mb_hour=round(cost.mb_hour, 1),
            packets_per_s=round(cost.packets_per_s, 3),
            mixes=client.anonymity(now).mixes,
            possible=not why,
            why=why,
        )

    async def secure(self, room: RoomId, *, on: bool, gb_month: float | None) -> None:
        """Switch high security. A budget that is named is kept for all high-security rooms and after a restart."""
        node, now, out = self._engine.node, self._engine.clock.instant(), list[Effect]()
        if gb_month is not None:
            if on and rate_for(gb_month) < 2 * TALK_PER_S:
                raise UsageError("That budget is too small: messages would wait for ever.", code="not-possible")
            save_options(self._engine.config.data_dir, {"secure_gb_month": gb_month})
            self._engine.config = replace(self._engine.config, secure_gb_month=gb_month)
            cover_per_s = node.config.mixnet.cover_per_s
            node.set_budgets(now, out, cover_per_s=cover_per_s, secure_per_s=rate_for(gb_month))
        node.rooms.secure(self._room(room), now, out, on=on)
        node.review_cover(now, out)
        self._engine.carry_out(out)
        await self._engine.settled()

    def safety(self, room: RoomId, member: MemberId) -> Safety:
        """The safety number of this person and that member. UsageError while its key is not known."""
        number = self._engine.node.rooms.safety(self._room(room), member)
        return Safety(room.hex(), member.hex(), number.digits, number.words, number.qr)

    async def remove(self, room: RoomId, member: MemberId) -> None:
        """Give those who stay a new root; the member opens nothing that is sent from then on."""
        out: list[Effect] = []
        self._engine.node.rooms.remove(self._room(room), member, self._engine.clock.instant(), out)
        self._engine.carry_out(out)
        await self._engine.settled()

    async def exposure(self, days_ago: int, now: Instant) -> Exposure:
        """The ledger of a day; without roles when nothing was written that day."""
        return await self._engine.ledger.exposure(days_ago, now)

    def send_opaque(self, room: RoomId, messages: Sequence[bytes], now: Instant, out: list[Effect]) -> tuple[int, int]:
        """Queue bytes that the caller encrypted, as Rooms.submit does: effects appended, first and last sequence."""
        return self._engine.node.rooms.submit(self._room(room), messages, now, out, opaque=True)

    def _room(self, room: RoomId) -> Room:
        return self._engine.node.rooms.rooms[room]
