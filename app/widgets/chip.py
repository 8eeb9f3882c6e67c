"""A pill with a word, as a widget. Where rows are painted, `drawn.paint_chip` does the same."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtGui import QFont, QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.theme import Theme
from app.widgets.drawn import CHIP_HEIGHT_PX, paint_chip


class Chip(QWidget):
    """One word in one colour token; empty words take no room."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._word = ""
        self._colour = "muted"
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def set_chip(self, word: str, colour: str) -> None:
        """Show another word."""
        if (word, colour) != (self._word, self._colour):
            self._word, self._colour = word, colour
            self.setAccessibleName(word)
            self.updateGeometry()
            self.update()

    def sizeHint(self) -> QSize:
        """As wide as the word asks."""
        if not self._word:
            return QSize(0, int(CHIP_HEIGHT_PX))
        metrics = QFontMetrics(self._theme.font(12, QFont.Weight.DemiBold))
        return QSize(metrics.horizontalAdvance(self._word) + 25, int(CHIP_HEIGHT_PX) + 1)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """The pill."""
        if self._word:
            painter = QPainter(self)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            paint_chip(painter, 0.0, self.height() / 2, word=self._word, colour=self._colour, theme=self._theme)
            painter.end()
