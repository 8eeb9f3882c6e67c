"""Own rooms as a painted list: name, one small line, how many messages are new, and high security's glyph."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetricsF, QPainter
from PySide6.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem, QStyle, QStyledItemDelegate
from PySide6.QtWidgets import QStyleOptionViewItem as Option

from app.marks import paint_mark
from app.messages import tr
from app.present_rooms import RoomRow
from app.theme import Scheme, Theme

_ROW_PX = 52
_GLYPH_PX = 14.0


class _RoomDelegate(QStyledItemDelegate):
    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme

    def sizeHint(self, _option: Option, _index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(120, _ROW_PX)

    def paint(self, painter: QPainter, option: Option, index: QModelIndex | QPersistentModelIndex) -> None:
        row = index.data(Qt.ItemDataRole.UserRole)
        if not isinstance(row, RoomRow):
            return
        theme, tokens = self._theme, self._theme.tokens
        box = QRectF(option.rect).adjusted(0, 2, 0, -2)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.setPen(tokens.colour("line") if theme.resolved is Scheme.HIGH_CONTRAST else Qt.PenStyle.NoPen)
            painter.setBrush(tokens.colour("accent_soft"))
            painter.drawRoundedRect(box, 8, 8)
        box.adjust(10, 6, -10, -6)
        words = QRectF(box)
        if row.unread:
            words.setRight(self._paint_unread(painter, box, row.unread) - 6)
        if row.meter is not None:
            glyph = QRectF(words.right() - _GLYPH_PX, words.top() + 2, _GLYPH_PX, _GLYPH_PX)
            paint_mark(painter, glyph, row.meter.shape, colour=tokens.colour(row.meter.colour))
            words.setRight(glyph.left() - 6)
        upper, lower = QRectF(words), QRectF(box)
        upper.setHeight(box.height() * 0.54)
        lower.setTop(upper.bottom())
        self._line(painter, upper, row.name, font=theme.font(14, QFont.Weight.Medium), token="text")
        self._line(painter, lower, row.small, font=theme.font(12), token="muted")
        painter.restore()

    def _line(self, painter: QPainter, box: QRectF, text: str, *, font: QFont, token: str) -> None:
        painter.setFont(font)
        painter.setPen(self._theme.tokens.colour(token))
        shown = QFontMetricsF(font).elidedText(text, Qt.TextElideMode.ElideRight, box.width())
        painter.drawText(box, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, shown)

    def _paint_unread(self, painter: QPainter, box: QRectF, unread: int) -> float:
        font = self._theme.font(11, QFont.Weight.DemiBold)
        text = str(unread) if unread < 1_000 else "999+"
        width = max(18.0, QFontMetricsF(font).horizontalAdvance(text) + 11)
        pill = QRectF(box.right() - width, box.top() + 1, width, 18)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._theme.tokens.colour("accent"))
        painter.drawRoundedRect(pill, 9, 9)
        painter.setPen(self._theme.tokens.colour("on_accent"))
        painter.setFont(font)
        painter.drawText(pill, Qt.AlignmentFlag.AlignCenter, text)
        return pill.left()


class RoomList(QListWidget):
    """The list. The chosen room stays chosen when names or numbers change."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._delegate = _RoomDelegate(theme)
        self.setItemDelegate(self._delegate)
        self.setAccessibleName(tr("Your rooms"))
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        theme.changed.connect(self.viewport().update)

    def set_rows(self, rows: tuple[RoomRow, ...], *, chosen: str) -> int:
        """Show these rooms, choose `chosen` (else the first) without a signal; the chosen place or -1."""
        self.blockSignals(True)
        while self.count() > len(rows):
            self.takeItem(self.count() - 1)
        while self.count() < len(rows):
            self.addItem(QListWidgetItem())
        for place, row in enumerate(rows):
            item = self.item(place)
            item.setText(row.spoken)
            item.setData(Qt.ItemDataRole.UserRole, row)
        places = [place for place, row in enumerate(rows) if row.room == chosen]
        target = places[0] if places else (0 if rows else -1)
        self.setCurrentRow(target)
        self.blockSignals(False)
        return target
