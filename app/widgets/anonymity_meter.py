"""The anonymity meter of a high-security room: shape and word first, the reason under it, five figures beside.

Colour only repeats what the shape says. It is one strip, so that it can stay above the conversation.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QLabel, QVBoxLayout, QWidget

from app.present import Shape
from app.present_privacy import Figure, MeterView
from app.theme import Theme
from app.widgets.parts import column, label, row, set_text
from app.widgets.state_mark import StateMark

FIGURES = 5
_MARK_PX = 40
_NARROW_PX = 430
_LEFT_OUT = (2, 3)  # figures that a narrow strip leaves to `railgun status`


class FigureLabel(QWidget):
    """A value with its caption below."""

    def __init__(self) -> None:
        super().__init__()
        self._value, self._caption = label("", "figure"), label("", "tiny", wrap=True)
        self._caption.setAlignment(Qt.AlignmentFlag.AlignTop)
        inner = column(self._value, self._caption, None, spacing=1)
        self.setLayout(inner)

    @property
    def value(self) -> str:
        """The value shown now."""
        return self._value.text()

    def show_figure(self, figure: Figure) -> None:
        """Draw one value."""
        set_text(self._value, figure.value)
        set_text(self._caption, figure.caption)
        self.setAccessibleName(f"{figure.caption}: {figure.value}")


class AnonymityMeter(QFrame):
    """See the module. Hidden while there is nothing to say; `beside` stands at the right of the words."""

    def __init__(self, theme: Theme, beside: QWidget) -> None:
        super().__init__()
        self.setObjectName("strip")
        self._mark = StateMark(theme, _MARK_PX)
        self._word: QLabel = label("", "section")
        self._sentence = label("", "small", wrap=True)
        self._figures = tuple(FigureLabel() for _ in range(FIGURES))
        head = row(self._mark, spacing=12)
        head.addLayout(column(None, self._word, self._sentence, None, spacing=1), 1)
        head.addWidget(beside)
        values = row(spacing=16)
        for figure in self._figures:
            values.addWidget(figure, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 10, 14, 10)
        layout.setSpacing(8)
        layout.addLayout(head)
        layout.addLayout(values)
        self.setVisible(False)

    @property
    def word(self) -> str:
        """The word shown now, for tests."""
        return self._word.text()

    def show_meter(self, view: MeterView | None) -> None:
        """Draw one room's meter, or nothing."""
        self.setVisible(view is not None)
        if view is None:
            return
        self.setAccessibleName(view.spoken)
        self._frame("alarm" if view.shape is Shape.EXCLAMATION else "strip")
        self._mark.set_state(view.shape, view.colour, view.word)
        set_text(self._word, view.word)
        set_text(self._sentence, view.sentence)
        for part, figure in zip(self._figures, view.figures, strict=True):
            part.show_figure(figure)

    def _frame(self, name: str) -> None:
        if self.objectName() != name:
            self.setObjectName(name)
            self.style().polish(self)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """In a narrow window fewer figures, so that words are not cut."""
        super().resizeEvent(event)
        for place in _LEFT_OUT:
            self._figures[place].setVisible(self.width() >= _NARROW_PX)
