"""What protects the chosen room: the switch for high security, the meter, members' safety numbers and removal.

Switching on shows its price and waits for a yes. Switching off waits ten seconds, in which it can be taken back: a
slip of the hand never sends a message unprotected, and a window that ends meanwhile leaves the room protected.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from PySide6.QtWidgets import QFrame, QWidget

from app.link import Link
from app.messages import tr
from app.pages.privacy_dialogs import MemberList, SafetyNumber, SecureRoom, confirm_removing
from app.present_privacy import price_view, safety_view
from app.present_rooms import RoomRow, member_rows
from app.theme import Theme
from app.widgets.anonymity_meter import AnonymityMeter
from app.widgets.parts import button, column, label, row, set_text
from railgun_core.local_api.messages import (
    MemberRef,
    Members,
    Price,
    PriceAsk,
    RoomInfo,
    RoomRef,
    RoomSecure,
    Safety,
)

UNDO_S = 10


class RoomSecurity(QWidget):
    """The strip above the conversation; the button `on` belongs into the head of the room."""

    def __init__(self, theme: Theme, link: Link, clock: Callable[[], float]) -> None:
        super().__init__()
        self._link = link
        self._clock = clock
        self._room: RoomRow | None = None
        self._switching_off: dict[str, asyncio.Task[None]] = {}
        self._left_s: dict[str, int] = {}
        self.undo_s = UNDO_S
        self.on = button(tr("High security…"), self.ask_for_price)
        self.off = button(tr("Switch off"), self.switch_off)
        self.meter = AnonymityMeter(theme, self.off)
        self._undo_text = label("", "bannerText", wrap=True)
        self.undo = button(tr("Undo"), self.keep_on, spoken=tr("Undo: keep high security on"))
        self.undo_bar = QFrame()
        self.undo_bar.setObjectName("banner")
        line = row(spacing=12)
        line.addWidget(self._undo_text, 1)
        line.addWidget(self.undo)
        line.setContentsMargins(14, 8, 8, 8)
        self.undo_bar.setLayout(line)
        self.undo_bar.setVisible(False)
        self.setLayout(column(self.meter, self.undo_bar, spacing=8))
        self.setVisible(False)

    def show_room(self, room: RoomRow | None) -> None:
        """Draw one room's protection."""
        self._room = room
        if room is None:
            return
        self.on.setVisible(room.meter is None)
        self.on.setAccessibleName(tr("High security for {name}", name=room.name))
        self.off.setAccessibleName(tr("Switch off high security for {name}", name=room.name))
        self.meter.show_meter(room.meter)
        self._show_undo()

    def _show_undo(self) -> None:
        room = self._room
        left_s = self._left_s.get(room.room) if room is not None else None
        self.undo_bar.setVisible(left_s is not None)
        self.off.setVisible(left_s is None)
        if left_s is not None:
            set_text(self._undo_text, tr("High security ends in {n} s. Until then everything stays hidden.", n=left_s))
        self.setVisible(left_s is not None or (room is not None and room.meter is not None))

    # The switch

    def ask_for_price(self) -> None:
        """Fetch the price of high security and show it, with the question."""
        if self._room is not None and self._room.meter is None:
            self._link.start(self._show_price(self._room))

    def switch_off(self) -> None:
        """Off in ten seconds, unless it is undone."""
        room = self._room
        if room is not None and room.meter is not None and room.room not in self._switching_off:
            task = self._link.start(self._switch_off(room.room), lambda: self._ended(room.room))
            self._switching_off[room.room] = task

    async def _show_price(self, room: RoomRow) -> None:
        price = await self._link.ask("room.price", PriceAsk(room.room), Price)
        if price is None:
            return
        dialog = SecureRoom(self, room.name)
        dialog.begin_at(price.gb_month)
        dialog.show_price(price_view(price))
        asking = _Latest(self._link)
        dialog.budget_chosen.connect(lambda gb: asking.start(self._price_again(dialog, room, gb)))
        dialog.accepted.connect(lambda: self._link.start(self._switch_on(room, dialog.gb_month)))
        dialog.finished.connect(lambda _result: asking.stop())
        dialog.open()

    async def _price_again(self, dialog: SecureRoom, room: RoomRow, gb_month: float) -> None:
        price = await self._link.ask("room.price", PriceAsk(room.room, gb_month), Price)
        if price is not None:
            dialog.show_price(price_view(price))

    async def _switch_on(self, room: RoomRow, gb_month: float | None) -> None:
        await self._link.ask("room.secure", RoomSecure(room.room, True, gb_month), RoomInfo)

    async def _switch_off(self, room: str) -> None:
        for left_s in range(self.undo_s, 0, -1):
            self._left_s[room] = left_s
            self._show_undo()
            await asyncio.sleep(1)
        await self._link.ask("room.secure", RoomSecure(room, False), RoomInfo)

    def _ended(self, room: str) -> None:
        self._switching_off.pop(room, None)
        self._left_s.pop(room, None)
        self._show_undo()

    def keep_on(self) -> None:
        """Take the switching off back."""
        task = self._switching_off.get(self._room.room) if self._room is not None else None
        if task is not None:
            task.cancel()

    # Members

    def show_members(self) -> None:
        """Fetch the members and show them."""
        if self._room is not None:
            self._link.start(self._members(self._room))

    async def _members(self, room: RoomRow) -> None:
        members = await self._link.ask("room.members", RoomRef(room.room), Members)
        if members is None:
            return
        dialog = MemberList(self.parentWidget() or self, room.name, member_rows(members, self._clock()))
        dialog.safety_asked.connect(lambda member: self._link.start(self._safety(dialog, room, member)))
        dialog.removal_asked.connect(lambda member, name: self._ask_to_remove(dialog, room, member, name=name))
        dialog.open()

    async def _safety(self, dialog: MemberList, room: RoomRow, member: str) -> None:
        found = await self._link.ask("room.safety", MemberRef(room.room, member), Safety)
        if found is not None:
            SafetyNumber(dialog, safety_view(found)).open()

    def _ask_to_remove(self, dialog: MemberList, room: RoomRow, member: str, *, name: str) -> None:
        confirm_removing(dialog, name, room.name, lambda: self._link.start(self._remove(dialog, room, member)))

    async def _remove(self, dialog: MemberList, room: RoomRow, member: str) -> None:
        if await self._link.ask("room.remove", MemberRef(room.room, member), RoomInfo) is not None:
            dialog.accept()
            await self._members(room)


class _Latest:
    """At most one question under way: a newer one replaces it."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._task: asyncio.Task[None] | None = None

    def start(self, job: Coroutine[object, object, None]) -> None:
        """Ask this instead of what was asked before."""
        self.stop()
        self._task = self._link.start(job)

    def stop(self) -> None:
        """Ask nothing any more."""
        if self._task is not None:
            self._task.cancel()
