"""The card of the mode: which ways messages may take, what each tells whom, and the server of the third.

A choice counts at once. What the engine says goes before what was clicked: a choice it refuses jumps back, and the
reason stands under it.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QButtonGroup, QFrame, QGridLayout, QLineEdit, QPushButton, QRadioButton, QVBoxLayout

from app import messages
from app.link import Link, Refusal
from app.messages import tr
from app.present_settings import ModeView, Note, mode_view, servers_of
from app.widgets.field_note import FieldNote
from app.widgets.parts import INDENT, button, column, label, make_card, row
from railgun_core.local_api.messages import ModeInfo, ModeSet


class ModeCard(QFrame):
    """See the module."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link
        self._view: ModeView | None = None
        self.changes = 0  # begun and ended: an answer that was asked for before is old
        self.choices: dict[str, QRadioButton] = {}
        self.starts = FieldNote()
        self._group = QButtonGroup(self)
        lines = column(
            label(tr("Ways your messages may take"), "section"),
            label(tr("Changes count at once. No link is closed, and nothing is lost."), "cardTitle", wrap=True),
            spacing=4,
        )
        body = column(lines, spacing=14)
        for mode, (name, what, tells) in messages.MODES.items():
            body.addLayout(self._choice(mode, tr(name), tr(what), tr(tells)))
        body.addLayout(self._server())
        make_card(self, body)

    def _choice(self, mode: str, name: str, what: str, tells: str) -> QVBoxLayout:
        choice = self.choices[mode] = QRadioButton(name)
        choice.setAccessibleDescription(f"{what} {tells}")
        choice.clicked.connect(lambda: self.choose(mode))
        self._group.addButton(choice)
        words = column(label(what, "", wrap=True), label(tells, "cardTitle", wrap=True), spacing=2)
        if mode == "p2p":
            words.addWidget(self.starts)
        words.setContentsMargins(INDENT, 0, 0, 0)
        return column(choice, words, spacing=3)

    def _server(self) -> QGridLayout:
        self.server = QLineEdit()
        self.server.setAccessibleName(tr("Address of the server"))
        self.server.setPlaceholderText("server.example.org:4222")
        self.server.setMaxLength(400)
        self.server.textEdited.connect(self._edited)
        self.server.returnPressed.connect(self.use_server)
        self.use = button(tr("Use server"), self.use_server)
        self.use.setEnabled(False)
        self.note = FieldNote(self.server)
        self.last = self._order(tr("When relays and mailboxes fail"), first=False)
        self.first = self._order(tr("First, before relays"), first=True)
        orders = QButtonGroup(self)
        for one in (self.last, self.first):
            orders.addButton(one)
        grid = QGridLayout()
        grid.setContentsMargins(INDENT, 0, 0, 0)
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(1, 1)
        line = row(self.server, self.use)
        line.setStretch(0, 1)
        grid.addWidget(label(tr("Server"), "cardTitle"), 0, 0)
        grid.addLayout(line, 0, 1)
        grid.addWidget(self.note, 1, 1)
        grid.addWidget(label(tr("Asked"), "cardTitle"), 2, 0)
        grid.addLayout(row(self.last, self.first, None, spacing=4), 2, 1)
        return grid

    def _order(self, name: str, *, first: bool) -> QPushButton:
        spoken = tr("The server is asked: {when}", when=name)
        choice = button(name, lambda: self.choose_order(first=first), "tab", spoken=spoken)
        choice.setCheckable(True)
        return choice

    # What is shown

    def show_info(self, info: ModeInfo) -> None:
        """Draw what the engine says; what is being typed stays."""
        view = mode_view(info)
        before, self._view = self._view, view
        self._restore()
        self.starts.show_note(Note(view.starts))
        if not self.server.isModified() and self.server.text() != view.servers:
            self.server.setText(view.servers)
        if not self.note.note.bad or (before is not None and before != view):
            self.note.show_note(view.note)
        self._show_button()

    def _restore(self) -> None:
        """The marks stand where the engine says."""
        if self._view is not None and self._view.mode in self.choices:
            self.choices[self._view.mode].setChecked(True)
            (self.first if self._view.central_first else self.last).setChecked(True)

    def _show_button(self) -> None:
        view, typed = self._view, bool(self.server.text().strip())
        differs = view is not None and (view.mode != "hybrid" or self.server.text().strip() != view.servers)
        self.use.setEnabled(typed and differs)

    def _edited(self) -> None:
        if self._view is not None:
            self.note.show_note(self._view.note)
        self._show_button()

    # What a person asks for

    def choose(self, mode: str) -> None:
        """Another mode; the one with a server takes what is in the field."""
        if mode == "hybrid":
            self.use_server()
        else:
            self._change(ModeSet(mode))

    def use_server(self) -> None:
        """Use the servers in the field, or say what is wrong with them."""
        servers, problem = servers_of(self.server.text())
        if problem:
            self._restore()
            self.note.show_note(Note(problem, bad=True))
            self.server.setFocus(Qt.FocusReason.OtherFocusReason)
        else:
            self._change(ModeSet("hybrid", servers))

    def choose_order(self, *, first: bool) -> None:
        """The server before the relays, or after."""
        if self._view is not None and self._view.central_first != first:
            self._change(ModeSet(central_first=first))

    def _change(self, change: ModeSet) -> None:
        self.changes += 1
        self._link.start(self._ask(change))

    async def _ask(self, change: ModeSet) -> None:
        found = await self._link.attempt("mode.set", change, ModeInfo)
        self.changes += 1
        if isinstance(found, Refusal):
            self._restore()
            self.note.show_note(Note(found.sentence, bad=True))
            return
        if change.central is not None:
            self.server.setModified(False)
        self.note.show_note(Note(""))
        self.show_info(found)
