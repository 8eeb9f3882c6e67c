"""The last minute of traffic, both directions, drawn by QPainter.

It repaints only when it is told to and can be seen; while hidden it costs nothing. The scale is the next round rate
above the highest value, and never below 1 kbit/s, so that an idle line lies flat instead of showing noise as mountains.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QLinearGradient, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from app import figures
from app.last_minute import LastMinute, Rates
from app.messages import tr
from app.theme import Scheme, Theme

_FOOT_PX = 20
_HEAD_PX = 4
_LINES = 4


def scale_bps(highest: float) -> float:
    """The top of the scale: 1, 1.5, 2, 3, 5 or 7.5 times a power of ten, at least 1 kbit/s."""
    if highest <= 1_000:
        return 1_000.0
    power = 10.0 ** math.floor(math.log10(highest))
    return next((step * power for step in (1.0, 1.5, 2.0, 3.0, 5.0, 7.5) if step * power >= highest), 10 * power)


class Sparkline(QWidget):
    """Draws a LastMinute. `clock` gives unix seconds."""

    def __init__(self, theme: Theme, minute: LastMinute, clock: Callable[[], float]) -> None:
        super().__init__()
        self._theme = theme
        self._minute = minute
        self._clock = clock
        self.paints = 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(96)
        self.setAccessibleName(tr("Traffic of the last minute"))

    def sizeHint(self) -> QSize:
        """Wide; the layout gives the rest."""
        return QSize(640, 96)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Grid, the two areas, the two lines, the words below."""
        self.paints += 1
        tokens = self._theme.tokens
        points = self._minute.points(self._clock())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(0, _HEAD_PX, self.width(), self.height() - _FOOT_PX - _HEAD_PX)
        known = [point for point in points if point is not None]
        top = scale_bps(max((max(p.up_bps, p.down_bps) for p in known), default=0.0) * 1.08)
        self._grid(painter, area, top)
        down_style = Qt.PenStyle.DashLine if self._theme.resolved is Scheme.HIGH_CONTRAST else Qt.PenStyle.SolidLine
        up = self._curve(points, area, top, lambda rates: rates.up_bps)
        down = self._curve(points, area, top, lambda rates: rates.down_bps)
        self._fill(painter, up, area, tokens.colour("accent"))
        self._fill(painter, down, area, tokens.colour("down"))
        self._stroke(painter, down, QPen(tokens.colour("down"), 2, down_style))
        self._stroke(painter, up, QPen(tokens.colour("accent"), 2))
        painter.end()

    def _grid(self, painter: QPainter, area: QRectF, top: float) -> None:
        tokens = self._theme.tokens
        painter.setPen(QPen(tokens.colour("line"), 1))
        for index in range(_LINES):
            y = round(area.top() + area.height() * index / (_LINES - 1)) + 0.5
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
        painter.setPen(tokens.colour("muted"))
        painter.setFont(self._theme.font(11))
        foot = QRectF(0, self.height() - _FOOT_PX + 4, self.width(), _FOOT_PX - 4)
        painter.drawText(foot, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, tr("60 s ago"))
        painter.drawText(foot, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, tr("now"))
        middle = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(foot, middle, tr("full height {rate}", rate=figures.rate(top)))

    def _curve(
        self, points: Sequence[Rates | None], area: QRectF, top: float, value: Callable[[Rates], float]
    ) -> list[QPointF]:
        step = area.width() / max(1, len(points) - 1)
        height = area.height() - 1
        return [
            QPointF(area.left() + step * index, area.bottom() - height * min(1.0, value(point) / top))
            for index, point in enumerate(points)
            if point is not None
        ]

    def _fill(self, painter: QPainter, curve: list[QPointF], area: QRectF, colour: QColor) -> None:
        if len(curve) < 2:
            return
        path = QPainterPath(QPointF(curve[0].x(), area.bottom()))
        for point in curve:
            path.lineTo(point)
        path.lineTo(QPointF(curve[-1].x(), area.bottom()))
        gradient = QLinearGradient(area.topLeft(), area.bottomLeft())
        strong, weak = QColor(colour), QColor(colour)
        strong.setAlpha(56)
        weak.setAlpha(4)
        gradient.setColorAt(0, strong)
        gradient.setColorAt(1, weak)
        painter.fillPath(path, gradient)

    def _stroke(self, painter: QPainter, curve: list[QPointF], pen: QPen) -> None:
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(curve)
