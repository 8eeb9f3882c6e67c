"""Duties as a painted list: tag, seat, epoch bar, chip, rate. Used by Home (to look at) and Duties (to choose from).

A delegate paints the rows, so a relay with hundreds of duties costs what is on screen. Screen readers get each row as a
sentence. The model keeps the selection when rows move: it goes with the duty, not with the line.
"""

from __future__ import annotations

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QFontMetricsF, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
)

from app.present import DutyRow
from app.theme import Theme
from app.widgets.drawn import paint_chip, paint_epoch_bar

ROW_PX = 27
TALL_ROW_PX = 56
_Index = QModelIndex | QPersistentModelIndex


class DutyModel(QAbstractListModel):
    """Rows as the presenter made them."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[DutyRow, ...] = ()

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """How many duties."""
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """The row as a sentence; the delegate takes the row itself."""
        if not index.isValid() or index.row() >= len(self.rows):
            return None
        row = self.rows[index.row()]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole, Qt.ItemDataRole.ToolTipRole):
            return row.spoken
        return row if role == Qt.ItemDataRole.UserRole else None

    def replace(self, rows: tuple[DutyRow, ...]) -> None:
        """Take new rows; the same duties in the same order only repaint."""
        same = [(row.tag, row.epoch) for row in rows] == [(row.tag, row.epoch) for row in self.rows]
        if same:
            if rows != self.rows and rows:
                self.rows = rows
                self.dataChanged.emit(self.index(0), self.index(len(rows) - 1))
            return
        self.beginResetModel()
        self.rows = rows
        self.endResetModel()


class _DutyDelegate(QStyledItemDelegate):
    def __init__(self, theme: Theme, *, tall: bool) -> None:
        super().__init__()
        self._theme = theme
        self._tall = tall

    def sizeHint(self, _option: QStyleOptionViewItem, _index: _Index) -> QSize:
        return QSize(520, TALL_ROW_PX if self._tall else ROW_PX)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        row = index.data(Qt.ItemDataRole.UserRole)
        if not isinstance(row, DutyRow):
            return
        tokens = self._theme.tokens
        box = QRectF(option.rect)
        state = option.state
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._tall:
            if state & QStyle.StateFlag.State_Selected:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(tokens.colour("accent_soft"))
                painter.drawRoundedRect(box.adjusted(0, 2, 0, -2), 8, 8)
            box.adjust(12, 0, -12, 0)
        line = QRectF(box)
        if self._tall:
            line.setHeight(box.height() * 0.6)
            line.translate(0, 2)
        self._cells(painter, line, row)
        if self._tall:
            self._second_line(painter, QRectF(box.left(), line.bottom() - 4, box.width(), box.height() * 0.36), row)
        painter.restore()

    def _second_line(self, painter: QPainter, below: QRectF, row: DutyRow) -> None:
        bar_px = min(220.0, max(96.0, below.width() * 0.24))
        bar = QRectF(below.left(), below.top(), bar_px, below.height())
        paint_epoch_bar(painter, bar, row, theme=self._theme)
        font = self._theme.font(12)
        painter.setFont(font)
        painter.setPen(self._theme.tokens.colour("muted"))
        below.setLeft(bar.right() + 12)
        shown = QFontMetricsF(font).elidedText(row.detail, Qt.TextElideMode.ElideRight, below.width())
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, shown)

    def _cells(self, painter: QPainter, line: QRectF, row: DutyRow) -> None:
        theme, tokens = self._theme, self._theme.tokens
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.setPen(tokens.colour("text"))
        painter.setFont(theme.font(12, mono=True))
        painter.drawText(line, Qt.AlignmentFlag.AlignLeft | middle, row.tag_text)
        painter.setPen(tokens.colour("muted"))
        painter.setFont(theme.font(14))
        role_at = line.left() + 112
        painter.drawText(QRectF(role_at, line.top(), 100, line.height()), Qt.AlignmentFlag.AlignLeft | middle, row.role)
        chip_at = role_at + (88 if self._tall else 106)  # the widest chip leaves room for the rate
        if not self._tall:
            bar_px = min(180.0, max(60.0, line.right() - chip_at - 226))
            paint_epoch_bar(painter, QRectF(chip_at, line.top(), bar_px, line.height()), row, theme=theme)
            chip_at += bar_px + 16
        paint_chip(painter, chip_at, line.center().y(), word=row.chip, colour=row.chip_colour, theme=theme)
        painter.setPen(tokens.colour("muted"))
        painter.setFont(theme.font(14))
        painter.drawText(line, Qt.AlignmentFlag.AlignRight | middle, row.rate)


class DutyList(QListView):
    """The list. `chosen` fires with the row a person selects; only lists made `choosable` take the focus."""

    chosen = Signal(object)  # DutyRow

    def __init__(self, theme: Theme, spoken: str, *, choosable: bool) -> None:
        super().__init__()
        self._model = DutyModel()
        self._choosable = choosable
        self._delegate = _DutyDelegate(theme, tall=choosable)
        self.setModel(self._model)
        self.setItemDelegate(self._delegate)
        self.setAccessibleName(spoken)
        self.setUniformItemSizes(True)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        if choosable:
            self.selectionModel().currentChanged.connect(self._current)
        else:
            self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
            self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        theme.changed.connect(self.viewport().update)

    @property
    def rows(self) -> tuple[DutyRow, ...]:
        """The rows shown."""
        return self._model.rows

    def set_rows(self, rows: tuple[DutyRow, ...]) -> None:
        """Show these rows and keep the selected duty selected."""
        current = self._model.data(self.currentIndex(), Qt.ItemDataRole.UserRole)
        self.selectionModel().blockSignals(True)
        self._model.replace(rows)
        if isinstance(current, DutyRow):
            for number, row in enumerate(rows):
                if (row.tag, row.epoch) == (current.tag, current.epoch):
                    self.setCurrentIndex(self._model.index(number))
        self.selectionModel().blockSignals(False)

    def _current(self, index: QModelIndex, _before: QModelIndex) -> None:
        row = self._model.data(index, Qt.ItemDataRole.UserRole)
        if isinstance(row, DutyRow):
            self.chosen.emit(row)
