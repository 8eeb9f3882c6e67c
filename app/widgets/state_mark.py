"""The state's glyph on a disc of its quiet colour, as on the state card."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.marks import paint_mark
from app.present import Shape
from app.theme import Theme

SIZE_PX = 56


class StateMark(QWidget):
    """Draws one shape in one colour token."""

    def __init__(self, theme: Theme, size_px: int = SIZE_PX) -> None:
        super().__init__()
        self._theme = theme
        self._size_px = size_px
        self._shape = Shape.RING
        self._colour = "accent"
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """A square."""
        return QSize(self._size_px, self._size_px)

    @property
    def shape(self) -> Shape:
        """The shape drawn now."""
        return self._shape

    def set_state(self, shape: Shape, colour: str, spoken: str) -> None:
        """Draw another state."""
        self.setAccessibleName(spoken)
        if (shape, colour) != (self._shape, self._colour):
            self._shape, self._colour = shape, colour
            self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """The disc, then the glyph at 57 % of it."""
        tokens = self._theme.tokens
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(tokens.soft(self._colour))
        painter.setPen(tokens.colour("line") if tokens.soft(self._colour) == tokens.colour("bg") else Qt.PenStyle.NoPen)
        painter.drawEllipse(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5))
        side = self._size_px * 0.54
        at = (self._size_px - side) / 2
        paint_mark(painter, QRectF(at, at, side, side), self._shape, colour=tokens.colour(self._colour))
        painter.end()
