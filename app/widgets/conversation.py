"""A conversation as a painted list: others left, you right, a tick with its word under each of your messages.

Ticks carry a word beside the glyph, because colour and strokes alone are easily missed. The list stays at its end when
it was there, and stays where the reader is when not.
"""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, QPointF, QRectF, QSize, QSizeF, Qt
from PySide6.QtGui import QPainter, QResizeEvent, QTextLayout, QTextOption
from PySide6.QtWidgets import QAbstractItemView, QListView, QStyledItemDelegate, QStyleOptionViewItem

from app.messages import tr
from app.present_rooms import MessageRow
from app.theme import Scheme, Theme

MAX_ROWS = 2_000
_PAD = 12.0
_FOOT_PX = 17.0
_Index = QModelIndex | QPersistentModelIndex


class ConversationModel(QAbstractListModel):
    """Messages by position. A message that comes again replaces itself: its tick has moved."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[MessageRow] = []
        self._places: dict[int, int] = {}

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """How many messages are held."""
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """The message as a sentence, or the row for the delegate."""
        if not index.isValid() or index.row() >= len(self.rows):
            return None
        row = self.rows[index.row()]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return ", ".join(part for part in (row.sender, row.text, row.at, row.delivery) if part)
        return row if role == Qt.ItemDataRole.UserRole else None

    def clear(self) -> None:
        """Another room."""
        self.beginResetModel()
        self.rows = []
        self._places = {}
        self.endResetModel()

    def put(self, rows: Iterable[MessageRow]) -> None:
        """Add new messages and replace known ones."""
        fresh: list[MessageRow] = []
        for row in rows:
            place = self._places.get(row.position)
            if place is None:
                fresh.append(row)
            elif self.rows[place] != row:
                self.rows[place] = row
                self.dataChanged.emit(self.index(place), self.index(place))
        if not fresh:
            return
        fresh.sort(key=lambda row: row.position)
        in_order = not self.rows or fresh[0].position > self.rows[-1].position
        if in_order and len(self.rows) + len(fresh) <= MAX_ROWS:
            self.beginInsertRows(QModelIndex(), len(self.rows), len(self.rows) + len(fresh) - 1)
            self.rows.extend(fresh)
            self._index()
            self.endInsertRows()
            return
        self.beginResetModel()
        self.rows = sorted([*self.rows, *fresh], key=lambda row: row.position)[-MAX_ROWS:]
        self._index()
        self.endResetModel()

    def first_unsettled(self) -> int | None:
        """The position of the oldest own message that is not delivered yet."""
        return next((row.position for row in self.rows if not row.settled), None)

    def _index(self) -> None:
        self._places = {row.position: place for place, row in enumerate(self.rows)}


class _BubbleDelegate(QStyledItemDelegate):
    def __init__(self, theme: Theme, view: QListView) -> None:
        super().__init__()
        self._theme = theme
        self._view = view

    def _laid_out(self, text: str) -> tuple[QTextLayout, QSizeF]:
        """The text in lines no wider than 68 % of the list: broken at words, and inside one only if it must be."""
        layout = QTextLayout(text.replace("\n", "\u2028"), self._theme.font(14))
        option = QTextOption()
        option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        layout.setTextOption(option)
        limit = max(80.0, self._view.viewport().width() * 0.68 - 2 * _PAD)
        width = height = 0.0
        layout.beginLayout()
        while (line := layout.createLine()).isValid():
            line.setLineWidth(limit)
            line.setPosition(QPointF(0, height))
            height += line.height()
            width = max(width, line.naturalTextWidth())
        layout.endLayout()
        return layout, QSizeF(width, height)

    def sizeHint(self, _option: QStyleOptionViewItem, index: _Index) -> QSize:
        row = index.data(Qt.ItemDataRole.UserRole)
        if not isinstance(row, MessageRow):
            return QSize()
        return QSize(120, int(self._laid_out(row.text)[1].height() + 2 * 7 + _FOOT_PX + 8))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        row = index.data(Qt.ItemDataRole.UserRole)
        if not isinstance(row, MessageRow):
            return
        theme, tokens = self._theme, self._theme.tokens
        box = QRectF(option.rect)
        layout, text = self._laid_out(row.text)
        bubble = QRectF(box.left() + 2, box.top() + 2, text.width() + 2 * _PAD, text.height() + 14)
        if row.me:
            bubble.moveRight(box.right() - 6)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        framed = theme.resolved is Scheme.HIGH_CONTRAST
        painter.setPen(tokens.colour("line") if framed else Qt.PenStyle.NoPen)
        painter.setBrush(tokens.colour("accent_soft" if row.me else "sunken"))
        painter.drawRoundedRect(bubble, 10, 10)
        painter.setPen(tokens.colour("text"))
        layout.draw(painter, bubble.topLeft() + QPointF(_PAD, 7))
        painter.setFont(theme.font(11))
        painter.setPen(tokens.colour("accent" if row.delivery == tr("delivered") else "muted"))
        foot = QRectF(box.left() + 6, bubble.bottom() + 1, box.width() - 16, _FOOT_PX)
        side = Qt.AlignmentFlag.AlignRight if row.me else Qt.AlignmentFlag.AlignLeft
        words = f"{row.at}  {row.tick} {row.delivery}" if row.me else f"{row.sender}  {row.at}"
        painter.drawText(foot, side | Qt.AlignmentFlag.AlignVCenter, words)
        painter.restore()


class Conversation(QListView):
    """The list."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.messages = ConversationModel()
        self._delegate = _BubbleDelegate(theme, self)
        self.setModel(self.messages)
        self.setItemDelegate(self._delegate)
        self.setAccessibleName(tr("Conversation"))
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        theme.changed.connect(self.viewport().update)

    def put(self, rows: Iterable[MessageRow]) -> None:
        """Add or replace messages and stay at the end if the reader was there."""
        bar = self.verticalScrollBar()
        at_end = bar.value() >= bar.maximum() - 8
        self.messages.put(rows)
        if at_end:
            self.scrollToBottom()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Wrap anew, and keep the end in view."""
        super().resizeEvent(event)
        self.scheduleDelayedItemsLayout()
        self.scrollToBottom()
