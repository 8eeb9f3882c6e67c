"""The sidebar: the brand and one button a page. Arrow keys move, Ctrl+1 and up jump."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QButtonGroup, QFrame, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from app.marks import paint_mark
from app.present import Shape
from app.theme import Theme
from app.widgets.parts import label, row

WIDTH_PX = 196
_ITEM_PX = 33


class _Brand(QWidget):
    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(18, 18)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        paint_mark(painter, QRectF(self.rect()), Shape.DOT, colour=self._theme.tokens.colour("accent"))
        painter.end()


class Navigation(QFrame):
    """`chosen` carries the page's number. The last `foot` pages stand at the bottom."""

    chosen = Signal(int)

    def __init__(self, theme: Theme, names: Sequence[str], *, foot: int) -> None:
        super().__init__()
        self.setObjectName("sidebar")
        self.setFixedWidth(WIDTH_PX)
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 18, 12, 12)
        layout.setSpacing(2)
        brand = row(_Brand(theme), label("Rail Gun Relay", "brand"), None, spacing=8)
        brand.setContentsMargins(11, 0, 0, 12)
        layout.addLayout(brand)
        for number, name in enumerate(names):
            if number == len(names) - foot:
                layout.addStretch(1)
            layout.addWidget(self._item(number, name))
        self._group.idClicked.connect(self.chosen.emit)

    def _item(self, number: int, name: str) -> QPushButton:
        item = QPushButton(name)
        item.setObjectName("nav")
        item.setCheckable(True)
        item.setFixedHeight(_ITEM_PX)
        item.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        item.setAccessibleName(name)
        item.setToolTip(f"Ctrl+{number + 1}")
        item.setCursor(Qt.CursorShape.PointingHandCursor)
        self._group.addButton(item, number)
        return item

    def choose(self, number: int) -> None:
        """Mark a page as shown."""
        item = self._group.button(number)
        if item is not None:
            item.setChecked(True)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Up and down go to the neighbouring page."""
        step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}.get(Qt.Key(event.key()), 0)
        target = self._group.button(self._group.checkedId() + step)
        if step and target is not None:
            target.setFocus()
            target.click()
            return
        super().keyPressEvent(event)
