"""The line under a control: how it stands, or in the colour of trouble why something was not done.

It always takes the height of a line, so that nothing jumps when it has something to say.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

from app.present_settings import Note

_LINE_PX = 17


class FieldNote(QLabel):
    """See the module. `about`: the control that a screen reader is told about a problem of."""

    def __init__(self, about: QWidget | None = None) -> None:
        super().__init__()
        self._about = about
        self.note = Note("")
        self.setObjectName("small")
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        self.setMinimumHeight(_LINE_PX)

    def show_note(self, note: Note) -> None:
        """Say this."""
        if note == self.note:
            return
        self.note = note
        self.setText(note.sentence)
        name = "problem" if note.bad else "small"
        if self.objectName() != name:
            self.setObjectName(name)
            self.style().polish(self)
        if self._about is not None:
            self._about.setAccessibleDescription(note.sentence if note.bad else "")
