"""Rooms: own rooms, inviting and joining, and the conversation of one room with its ticks.

The room shown is followed only while the page is seen. What is typed and not sent stays with its room.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QStackedWidget, QWidget

from app import messages
from app.link import Link
from app.messages import tr
from app.pages.page import Page
from app.pages.room_dialogs import InviteLink, JoinRoom, NewRoom, confirm_leaving
from app.pages.room_security import RoomSecurity
from app.present import Seen
from app.present_rooms import RoomRow, message_row, room_rows
from app.theme import Theme
from app.widgets.conversation import Conversation
from app.widgets.parts import GAP, banner, button, card, column, label, row, set_text
from app.widgets.room_list import RoomList
from railgun_core.local_api.messages import (
    Invite,
    Messages,
    RoomCreate,
    RoomInfo,
    RoomJoin,
    RoomRead,
    RoomRef,
    RoomSend,
    Sent,
)

_NEWEST = 300
_TICKS_EVERY_S = 1.0
_SEND_WAIT_S = 5.0
_LIST_PX, _NARROW_LIST_PX, _NARROW_PX = 264, 204, 780


class RoomsPage(Page):
    """The list on the left, one room on the right."""

    def __init__(self, theme: Theme, link: Link) -> None:
        super().__init__(scrolls=False)
        self._link = link
        self._now_s = 0.0
        self._rows: tuple[RoomRow, ...] = ()
        self._room: RoomRow | None = None
        self._wanted = ""  # a room that was just made or joined, to be chosen once it appears
        self._drafts: dict[str, str] = {}
        self._following: list[asyncio.Task[None]] = []
        self.list = RoomList(theme)
        self.list.currentRowChanged.connect(self._chosen)
        self.conversation = Conversation(theme)
        self.input = QLineEdit()
        self.input.setPlaceholderText(tr("Write a message"))
        self.input.setAccessibleName(tr("Message"))
        self.input.setMaxLength(32_000)
        self.input.returnPressed.connect(self.send)
        self.security = RoomSecurity(theme, link, lambda: self._now_s)
        self._note = label("", "tiny", wrap=True)
        self._sides = QStackedWidget()
        self._name, self._small = label("", "section"), label("", "small")
        self._no_rooms = label(tr(messages.NO_ROOMS), "cardTitle", wrap=True)
        self._no_messages = label(tr(messages.NO_MESSAGES), "cardTitle", wrap=True)
        self._waiting = label("", "small", wrap=True)
        self._way_text = label("", "bannerText", wrap=True)
        self.way = banner(self._way_text)
        self._build()

    def _build(self) -> None:
        self._sides.addWidget(self._nothing())
        self._sides.addWidget(self._one_room())
        self._waiting.setVisible(False)
        buttons = column(
            button(tr("New room"), self.ask_for_name, "primary"),
            button(tr("Join by link"), self.ask_for_link),
        )
        self._left = card(column(self._no_rooms, self.list, self._waiting, buttons))
        self._left.setFixedWidth(_LIST_PX)
        sides = QHBoxLayout()
        sides.setSpacing(GAP)
        sides.addWidget(self._left)
        sides.addWidget(self._sides, 1)
        self.body.addWidget(label(tr("Rooms"), "pageTitle"))
        self.body.addLayout(sides, 1)

    def _nothing(self) -> QWidget:
        words = label(tr("Choose a room on the left, or make one."), "cardTitle")
        words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        return card(column(None, words, None))

    def _one_room(self) -> QWidget:
        head = row(
            self._name,
            None,
            button(tr("Invite"), self.show_invite),
            button(tr("Members"), self.security.show_members),
            button(tr("Leave"), self.ask_to_leave, "danger"),
        )
        facts = row(self._small, None, self.security.on)
        self._send = button(tr("Send"), self.send, "primary")
        line = row(spacing=8)
        line.addWidget(self.input, 1)
        line.addWidget(self._send)
        layout = column(column(head, facts, spacing=6), self.way, self.security, self._no_messages, spacing=10)
        layout.addWidget(self.conversation, 1)
        layout.addLayout(line)
        layout.addWidget(self._note)
        return card(layout)

    # What is shown

    def resizeEvent(self, event: QResizeEvent) -> None:
        """In a narrow window the list gives way to the conversation."""
        super().resizeEvent(event)
        self._left.setFixedWidth(_NARROW_LIST_PX if self.width() < _NARROW_PX else _LIST_PX)

    def show_seen(self, seen: Seen, now_s: float) -> None:
        """The list of rooms and the head of the chosen one."""
        self._now_s = now_s
        status = seen.status
        rows = room_rows(status.rooms, status.anonymity) if status is not None else ()
        if rows != self._rows:
            self._rows = rows
            self._show_list()
        self._no_rooms.setVisible(not rows)
        self.list.setVisible(bool(rows))

    def _show_list(self) -> None:
        chosen = self._wanted or (self._room.room if self._room is not None else "")
        target = self.list.set_rows(self._rows, chosen=chosen)
        if any(shown.room == self._wanted for shown in self._rows):
            self._wanted = ""
        self._chosen(target)

    def _chosen(self, place: int) -> None:
        before, self._room = self._room, self._rows[place] if 0 <= place < len(self._rows) else None
        self._sides.setCurrentIndex(0 if self._room is None else 1)
        if self._room is not None:
            set_text(self._name, self._room.name)
            set_text(self._small, self._room.small)
            set_text(self._note, self._room.note)
            set_text(self._way_text, self._room.way)
            self.way.setVisible(bool(self._room.way))
        self.security.show_room(self._room)
        if (before.room if before else "") == (self._room.room if self._room else ""):
            return
        if before is not None:
            self._drafts[before.room] = self.input.text()
        self.input.setText(self._drafts.pop(self._room.room, "") if self._room is not None else "")
        self.conversation.messages.clear()
        self._follow()

    def entered(self) -> None:
        """Follow the chosen room again."""
        self._follow()

    def left(self) -> None:
        """Nobody reads: stop following."""
        self._stop_following()

    def _stop_following(self) -> None:
        for task in self._following:
            task.cancel()
        self._following = []

    def _follow(self) -> None:
        self._stop_following()
        if self._room is not None and self.isVisible():
            room = self._room.room
            self._following = [self._link.start(self._follow_room(room)), self._link.start(self._watch_ticks(room))]

    async def _follow_room(self, room: str) -> None:
        newest = await self._link.ask("room.read", RoomRead(room, count=_NEWEST), Messages)
        if newest is None:
            return
        self._take(room, newest)
        self._no_messages.setVisible(not self.conversation.messages.rows)
        async with aclosing(self._link.follow(room, newest.last)) as events:
            async for event in events:
                self._take(room, event)

    async def _watch_ticks(self, room: str) -> None:
        """Own messages move from queued to delivered after they were read; ask again until they have arrived."""
        while True:
            await asyncio.sleep(_TICKS_EVERY_S)
            oldest = self.conversation.messages.first_unsettled()
            if oldest is not None and self._link.connected:
                again = await self._link.ask("room.read", RoomRead(room, since=max(0, oldest - 1)), Messages)
                if again is not None:
                    self._take(room, again)

    def _take(self, room: str, event: Messages) -> None:
        if self._room is None or self._room.room != room:
            return
        self.conversation.put(message_row(message) for message in event.messages)
        self._no_messages.setVisible(not self.conversation.messages.rows)

    # What a person asks for

    def send(self) -> None:
        """Send the line. It leaves the input at once and comes back if the engine did not take it."""
        text = self.input.text().strip()
        if text and self._room is not None:
            self.input.clear()
            self._link.start(self._send_line(self._room.room, text))

    async def _send_line(self, room: str, text: str) -> None:
        line = RoomSend(room, (text.encode(),), wait="accepted", wait_s=_SEND_WAIT_S)
        if await self._link.ask("room.send", line, Sent) is None:
            if self._room is not None and self._room.room == room and not self.input.text():
                self.input.setText(text)
            else:
                self._drafts[room] = text

    def ask_for_name(self) -> NewRoom:
        """Open the dialog for a new room."""
        dialog = NewRoom(self)
        dialog.accepted.connect(lambda: self._link.start(self._create(dialog.input.text().strip())))
        dialog.open()
        return dialog

    async def _create(self, name: str) -> None:
        info = await self._link.ask("room.create", RoomCreate(name), RoomInfo)
        if info is not None:
            self._want(info)

    def ask_for_link(self) -> JoinRoom:
        """Open the dialog that takes an invite link."""
        dialog = JoinRoom(self)
        dialog.accepted.connect(lambda: self._link.start(self._join(dialog.input.text().strip())))
        dialog.open()
        return dialog

    async def _join(self, link: str) -> None:
        set_text(self._waiting, tr("Joining… waiting for a member to answer."))
        self._waiting.setVisible(True)
        try:
            info = await self._link.ask("room.join", RoomJoin(link), RoomInfo)
        finally:
            self._waiting.setVisible(False)
        if info is None:
            return
        self._want(info)
        if info.waiting:
            set_text(self._waiting, tr("You are in {name}. No member has answered yet.", name=info.name))
            self._waiting.setVisible(True)

    def _want(self, info: RoomInfo) -> None:
        self._wanted = info.room
        self._show_list()
        self.input.setFocus()

    def show_invite(self) -> None:
        """Fetch the invite link and show it."""
        if self._room is not None:
            self._link.start(self._invite(self._room))

    async def _invite(self, room: RoomRow) -> None:
        invite = await self._link.ask("room.invite", RoomRef(room.room), Invite)
        if invite is not None:
            InviteLink(self, room.name, invite.link).open()

    def ask_to_leave(self) -> None:
        """Leave after a yes."""
        if self._room is not None:
            room = self._room
            confirm_leaving(self, room.name, lambda: self._link.start(self._leave(room)))

    async def _leave(self, room: RoomRow) -> None:
        if await self._link.ask("room.leave", RoomRef(room.room), RoomInfo) is not None:
            self._drafts.pop(room.room, None)
