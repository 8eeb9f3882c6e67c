"""What every page is: a scrolled column on the quiet ground that takes whole views and asks for acts by a signal."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from app.present import Act, Seen
from app.widgets.parts import GAP


class Page(QWidget):
    """Base of the pages. `acted` carries what a button asked for; the window decides."""

    acted = Signal(Act)

    def __init__(self, *, scrolls: bool) -> None:
        super().__init__()
        self.setObjectName("page")
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        self.body = QVBoxLayout()
        self.body.setContentsMargins(28, 24, 28, 24)
        self.body.setSpacing(GAP)
        if not scrolls:
            outer.addLayout(self.body)
            return
        inner = QWidget()
        inner.setObjectName("scrolled")
        inner.setLayout(self.body)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(inner)
        outer.addWidget(area)

    def show_seen(self, seen: Seen, now_s: float) -> None:
        """Draw this. Called on each status and once a second, only while the page can be seen."""
        raise NotImplementedError

    def entered(self) -> None:
        """The page came into view."""

    def left(self) -> None:
        """The page went out of view."""

    def escape(self) -> bool:
        """Esc was pressed: close what is open on the page. False if there was nothing."""
        return False
