"""The card of the mailbox: keep mail for others or not, how much room, and what becomes of what is there.

Nothing of others goes before its time without a question that says how much it is and for how long it would have been
kept. The engine asks; this card only puts its question to the person.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QFrame, QLineEdit, QMessageBox, QProgressBar, QPushButton

from app import messages
from app.link import Link
from app.messages import tr
from app.present_settings import MailView, Note, Question, closing_question, mail_view, room_of, shrinking_question
from app.widgets.field_note import FieldNote
from app.widgets.parts import INDENT, button, column, label, make_card, row, set_text
from railgun_core.local_api.messages import MailboxInfo, MailboxSet

_FIELD_PX = 110
_INSIDE = "mail-inside"


class MailCard(QFrame):
    """See the module. `clock`: what time it is, Unix seconds."""

    def __init__(self, link: Link, clock: Callable[[], float]) -> None:
        super().__init__()
        self._link = link
        self._clock = clock
        self._info: MailboxInfo | None = None
        self._view: MailView | None = None
        self.changes = 0
        self.on = QCheckBox(tr("Keep sealed mail for others on this disk"))
        self.on.setAccessibleDescription(tr(messages.MAILBOX_NOTE))
        self.on.clicked.connect(self.switch)
        self._words = label(tr(messages.MAILBOX_NOTE), "cardTitle", wrap=True)
        self._summary = label("", "", wrap=True)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setRange(0, 1000)
        self.drop = button(tr("Drop them now…"), self.ask_to_drop, "danger")
        self.room = QLineEdit()
        self.room.setFixedWidth(_FIELD_PX)
        self.room.setMaxLength(15)
        self.room.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.room.setAccessibleName(tr("Space for mail of others, in MB"))
        self.room.textEdited.connect(lambda _text: self._edited())
        self.room.returnPressed.connect(self.save_room)
        self.save = button(tr("Save"), self.save_room, spoken=tr("Save the space for mail"))
        self.save.setEnabled(False)
        self.note = FieldNote(self.room)
        self._build()

    def _build(self) -> None:
        self.drop.setVisible(False)
        field = row(
            label(tr("Space"), "cardTitle"), self.room, label(tr("MB"), "cardTitle"), self.save, None, self.drop
        )
        inner = column(self._words, self._summary, self._bar, column(field, self.note, spacing=4), spacing=10)
        inner.setContentsMargins(INDENT, 0, 0, 0)
        title = label(tr("Mail for people who are away"), "section")
        make_card(self, column(title, self.on, inner, spacing=8))

    # What is shown

    def show_info(self, info: MailboxInfo) -> None:
        """Draw what the engine says; what is being typed stays."""
        view = mail_view(info, self._clock())
        before, self._info, self._view = self._view, info, view
        self.on.setChecked(view.on)
        set_text(self._summary, view.summary)
        self._bar.setValue(round(view.part * 1000))
        self._bar.setAccessibleName(view.summary)
        self.drop.setVisible(view.emptying)
        if not self.room.isModified() and self.room.text() != view.room:
            self.room.setText(view.room)
        if not self.note.note.bad or (before is not None and (before.on, before.room) != (view.on, view.room)):
            self.note.show_note(view.note)
        self._show_button()

    def _show_button(self) -> None:
        same = self._view is None or self.room.text().split() == self._view.room.split()
        self.save.setEnabled(not same and bool(self.room.text().strip()))

    def _edited(self) -> None:
        if self._view is not None:
            self.note.show_note(self._view.note)
        self._show_button()

    # What a person asks for

    def switch(self, wanted: bool) -> None:
        """On or off; off with mail inside asks first."""
        self._change(MailboxSet(on=wanted))

    def save_room(self) -> None:
        """Another limit, or why not."""
        room_bytes, problem = room_of(self.room.text())
        if room_bytes is None:
            self._refused(problem)
        else:
            self._change(MailboxSet(limit_bytes=room_bytes))

    def ask_to_drop(self) -> None:
        """What is still handed out is dropped after a yes."""
        if self._info is not None:
            question = closing_question(self._info, self._clock())
            box = self._box(question)
            yes = _add(box, tr("Drop them now"), QMessageBox.ButtonRole.DestructiveRole)
            stay = _add(box, tr("Keep handing out"), QMessageBox.ButtonRole.RejectRole)
            self._open(box, stay, {yes: MailboxSet(on=False, kept="drop")})

    def _change(self, change: MailboxSet) -> None:
        self.changes += 1
        self._link.start(self._ask(change))

    async def _ask(self, change: MailboxSet) -> None:
        found = await self._link.attempt("mailbox.set", change, MailboxInfo)
        self.changes += 1
        if isinstance(found, MailboxInfo):
            if change.limit_bytes is not None:
                self.room.setModified(False)
            self.note.show_note(Note(""))
            self.show_info(found)
            return
        if self._view is not None:
            self.on.setChecked(self._view.on)
        info = await self._link.attempt("mailbox.get", None, MailboxInfo) if found.code == _INSIDE else None
        if isinstance(info, MailboxInfo):
            self.show_info(info)
            self._put_question(change, info)
        else:
            self._refused(found.sentence)

    def _refused(self, sentence: str) -> None:
        self.note.show_note(Note(sentence, bad=True))

    # The engine's question

    def _put_question(self, change: MailboxSet, info: MailboxInfo) -> None:
        closing = change.on is False
        question = (
            closing_question(info, self._clock()) if closing else shrinking_question(info, change.limit_bytes or 0)
        )
        box = self._box(question)
        answers: dict[QPushButton, MailboxSet] = {}
        if closing:
            keep = _add(box, tr("Hand out the rest"), QMessageBox.ButtonRole.AcceptRole)
            answers[keep] = MailboxSet(False, change.limit_bytes, "keep")
        drop = _add(box, tr("Drop now") if closing else tr("Drop the oldest"), QMessageBox.ButtonRole.DestructiveRole)
        answers[drop] = MailboxSet(change.on, change.limit_bytes, "drop")
        stay = _add(box, tr("Cancel"), QMessageBox.ButtonRole.RejectRole)
        self._open(box, stay, answers)

    def _box(self, question: Question) -> QMessageBox:
        box = QMessageBox(self)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setWindowTitle(tr("Mail for people who are away"))
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(question.title)
        box.setInformativeText(question.words)
        return box

    def _open(self, box: QMessageBox, stay: QPushButton, answers: dict[QPushButton, MailboxSet]) -> None:
        box.setDefaultButton(stay)
        box.setEscapeButton(stay)

        def answered(_result: int) -> None:
            for chosen, change in answers.items():
                if box.clickedButton() is chosen:
                    self._change(change)

        box.finished.connect(answered)
        box.open()


def _add(box: QMessageBox, words: str, role: QMessageBox.ButtonRole) -> QPushButton:
    result: QPushButton = box.addButton(words, role)
    if role is QMessageBox.ButtonRole.DestructiveRole:
        result.setObjectName("danger")
        result.style().polish(result)
    return result
