"""A QR code as a widget, painted from segno's matrix."""

from __future__ import annotations

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

QUIET_MODULES = 4  # the border that scanners need


class QrCode(QWidget):
    """A text as a QR code, dark on light in every palette: scanners want it so."""

    def __init__(self, text: str, spoken: str, *, side_px: int) -> None:
        super().__init__()
        import segno  # only who looks at one pays for it

        self._lines = tuple(bytes(line) for line in segno.make(text, error="m", micro=False).matrix)
        self.setAccessibleName(spoken)
        side = len(self._lines) + 2 * QUIET_MODULES
        module_px = max(2, side_px // side)
        self.setFixedSize(module_px * side, module_px * side)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Whole pixels a module, so that the edges are sharp."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(Qt.GlobalColor.white))
        module = self.width() // (len(self._lines) + 2 * QUIET_MODULES)
        dark = QColor(Qt.GlobalColor.black)
        for y, line in enumerate(self._lines):
            for x, set_ in enumerate(line):
                if set_:
                    painter.fillRect(
                        QRect((x + QUIET_MODULES) * module, (y + QUIET_MODULES) * module, module, module), dark
                    )
        painter.end()
