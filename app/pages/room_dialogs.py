"""The dialogs of the page Rooms. They open and answer by signals; nothing ever waits inside one.

A link is never followed without a person confirming it: joining makes this peer visible to a room's members.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QLineEdit, QMessageBox, QPlainTextEdit, QPushButton, QWidget

from app import messages
from app.messages import tr
from app.widgets.parts import button, column, label, row
from app.widgets.qr_code import QrCode

LINK_START = "railgun://join/"
_QR_PX = 300


class Ask(QDialog):
    """A dialog with a title, words, one input and two buttons. `accepted` is the answer yes."""

    def __init__(self, parent: QWidget, title: str, words: str, yes: str) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.input = QLineEdit()
        self.input.setAccessibleName(title)
        self.problem = label("", "small", wrap=True)
        self.yes = button(yes, self.accept, "primary")
        self.yes.setDefault(True)
        self.yes.setEnabled(False)
        self.input.textChanged.connect(lambda text: self.yes.setEnabled(self.good(text)))
        no = button(tr("Cancel"), self.reject)
        layout = column(label(title, "section"), label(words, "cardTitle", wrap=True), self.input, self.problem)
        layout.addLayout(row(None, no, self.yes))
        layout.setContentsMargins(20, 18, 20, 18)
        layout.setSpacing(12)
        self.setLayout(layout)
        self.setMinimumWidth(440)

    def good(self, text: str) -> bool:
        """May this be answered with yes?"""
        return bool(text.strip())


class NewRoom(Ask):
    """Name a room."""

    def __init__(self, parent: QWidget) -> None:
        words = tr("Give the room a name. Only its members see it; relays never do.")
        super().__init__(parent, tr("New room"), words, tr("Create"))
        self.input.setMaxLength(64)


class JoinRoom(Ask):
    """Paste a link and confirm."""

    def __init__(self, parent: QWidget) -> None:
        words = tr(
            "Paste the invite link. When you join, the members of the room see that a new member is there, and their "
            "messages start to arrive here. Join only if you trust who sent it."
        )
        super().__init__(parent, tr("Join a room"), words, tr("Join this room"))
        self.input.setPlaceholderText(f"{LINK_START}…")
        pasted = QGuiApplication.clipboard().text().strip()
        if pasted.startswith(LINK_START) and len(pasted) < 4_096:
            self.input.setText(pasted)

    def good(self, text: str) -> bool:
        """Only links of our own scheme."""
        right = text.strip().startswith(LINK_START)
        self.problem.setText("" if right or not text.strip() else tr("This is no invite link."))
        return right


class InviteLink(QDialog):
    """The link, to copy or to scan."""

    def __init__(self, parent: QWidget, name: str, link: str) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Invite"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        picture = row(None, QrCode(link, tr("The invite link as a picture to scan"), side_px=_QR_PX), None)
        text = QPlainTextEdit(link)
        text.setReadOnly(True)
        text.setTabChangesFocus(True)
        text.setFixedHeight(74)
        text.setAccessibleName(tr("Invite link"))
        self._copy = button(tr("Copy link"), lambda: self._copied(link), "primary")
        self._copy.setDefault(True)
        self._copy.setFocus()
        close = button(tr("Close"), self.accept)
        title = label(tr("Invite to {name}", name=name), "section")
        layout = column(title, label(tr(messages.INVITE_NOTE), "cardTitle", wrap=True), picture, text)
        layout.addLayout(row(None, close, self._copy))
        layout.setContentsMargins(20, 18, 20, 18)
        layout.setSpacing(12)
        self.setLayout(layout)
        self.setMinimumWidth(440)

    def _copied(self, link: str) -> None:
        QGuiApplication.clipboard().setText(link)
        self._copy.setText(tr("Copied"))


def confirm_leaving(parent: QWidget, name: str, leave: Callable[[], object]) -> QMessageBox:
    """Ask before a room is left; `leave` runs on yes."""
    box = QMessageBox(parent)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setWindowTitle(tr("Leave the room"))
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(tr("Leave {name}?", name=name))
    box.setInformativeText(tr("The other members are told. To come back you need a new invite link."))
    yes: QPushButton = box.addButton(tr("Leave"), QMessageBox.ButtonRole.DestructiveRole)
    stay = box.addButton(tr("Stay"), QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(stay)
    box.setEscapeButton(stay)
    box.finished.connect(lambda _result: leave() if box.clickedButton() is yes else None)
    box.open()
    return box
