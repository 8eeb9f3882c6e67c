"""Two small shapes that rows paint: the pill chip with a word, and the epoch bar.

The epoch bar shows the part already served, the handover at its end in the warning colour, and a dot for now.
"""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QFont, QFontMetricsF, QPainter, QPen

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
    """The bar of one duty, vertically centred in `box`. In high contrast outline and hatching replace colours."""
    tokens = theme.tokens
    plain = theme.resolved is not Scheme.HIGH_CONTRAST
    bar = QRectF(box.left(), box.center().y() - _BAR_PX / 2, box.width(), _BAR_PX)
    handover, served = QRectF(bar), QRectF(bar)
    handover.setLeft(bar.left() + bar.width() * row.overlap_from)
    served.setWidth(bar.width() * row.served)
    warn = QColor(tokens.colour("warn"))
    warn.setAlpha(165)
    painter.save()
    painter.setPen(Qt.PenStyle.NoPen if plain else tokens.colour("line"))
    _pill(painter, bar, QBrush(tokens.colour("line" if plain else "surface")))
    painter.setPen(Qt.PenStyle.NoPen)
    _pill(painter, handover, QBrush(warn) if plain else QBrush(tokens.colour("line"), Qt.BrushStyle.Dense4Pattern))
    if row.served > 0.01:
        _pill(painter, served, QBrush(tokens.colour("muted" if row.chip_colour == "muted" else "accent")))
    if row.now is not None:
        painter.setBrush(tokens.colour("text"))
        painter.setPen(QPen(tokens.colour("surface"), 1 if plain else 2))
        at = min(bar.right() - 3, max(bar.left() + 3, bar.left() + bar.width() * row.now))
        painter.drawEllipse(QPointF(at, bar.center().y()), _DOT_PX / 2, _DOT_PX / 2)
    painter.restore()


def _pill(painter: QPainter, box: QRectF, brush: QBrush) -> None:
    painter.setBrush(brush)
    painter.drawRoundedRect(box, box.height() / 2, box.height() / 2)
