"""Two small shapes that rows paint: the pill chip with a word, and the epoch bar.

The epoch bar shows the part already served, the handover at its end in the warning colour, and a dot for now.
"""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen

from app.present import DutyRow
from app.theme import Scheme, Theme

CHIP_HEIGHT_PX = 19.0
_BAR_PX = 6.0
_DOT_PX = 8.0


def paint_chip(painter: QPainter, left: float, middle: float, *, word: str, colour: str, theme: Theme) -> float:
    """A pill with a word, its left edge and vertical middle given. The width it took."""
    font = theme.font(12, QFont.Weight.DemiBold)
    width = QFontMetricsF(font).horizontalAdvance(word) + 24
    box = QRectF(left, middle - CHIP_HEIGHT_PX / 2, width, CHIP_HEIGHT_PX)
    painter.setBrush(theme.tokens.soft(colour))
    painter.setPen(theme.tokens.colour("line") if theme.resolved is Scheme.HIGH_CONTRAST else Qt.PenStyle.NoPen)
    painter.drawRoundedRect(box, CHIP_HEIGHT_PX / 2, CHIP_HEIGHT_PX / 2)
    painter.setPen(theme.tokens.colour(colour))
    painter.setFont(font)
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, word)
    return width


def paint_epoch_bar(painter: QPainter, box: QRectF, row: DutyRow, *, theme: Theme) -> None:
    """The bar of one duty, vertically centred in `box`."""
    tokens = theme.tokens
    bar = QRectF(box.left(), box.center().y() - _BAR_PX / 2, box.width(), _BAR_PX)
    painter.save()
    painter.setPen(Qt.PenStyle.NoPen)
    _pill(painter, bar, tokens.colour("line"))
    handover = QRectF(bar)
    handover.setLeft(bar.left() + bar.width() * row.overlap_from)
    warn = QColor(tokens.colour("warn"))
    warn.setAlpha(165)
    _pill(painter, handover, warn)
    if row.served > 0.01:
        served = QRectF(bar)
        served.setWidth(bar.width() * row.served)
        _pill(painter, served, tokens.colour("muted" if row.chip_colour == "muted" else "accent"))
    if row.now is not None:
        painter.setBrush(tokens.colour("text"))
        painter.setPen(QPen(tokens.colour("surface"), 1))
        at = min(bar.right() - 3, max(bar.left() + 3, bar.left() + bar.width() * row.now))
        painter.drawEllipse(QPointF(at, bar.center().y()), _DOT_PX / 2, _DOT_PX / 2)
    painter.restore()


def _pill(painter: QPainter, box: QRectF, colour: QColor) -> None:
    painter.setBrush(colour)
    painter.drawRoundedRect(box, box.height() / 2, box.height() / 2)
