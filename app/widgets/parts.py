"""Cards, labels and buttons with the names the stylesheet knows. Nothing here has a state of its own."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QBoxLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

GAP = 16
PAD = 18
INDENT = 26  # words under a mark and its words stand under the words


def label(text: str = "", name: str = "", *, wrap: bool = False) -> QLabel:
    """A text in one of the stylesheet's kinds. Plain text always: what comes from others is never markup."""
    result = QLabel(text)
    result.setTextFormat(Qt.TextFormat.PlainText)
    if name:
        result.setObjectName(name)
    if wrap:
        result.setWordWrap(True)
        result.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
    return result


def button(text: str, act: Callable[[], object], name: str = "", *, spoken: str = "") -> QPushButton:
    """A button with a name for screen readers."""
    result = QPushButton(text)
    if name:
        result.setObjectName(name)
    result.setAccessibleName(spoken or text)
    result.setCursor(Qt.CursorShape.PointingHandCursor)
    result.setAutoDefault(False)
    result.clicked.connect(lambda: act())
    return result


def card(layout: QLayout | None = None) -> QFrame:
    """A quiet ground with a border."""
    frame = QFrame()
    make_card(frame, layout if layout is not None else QVBoxLayout())
    return frame


def make_card(frame: QFrame, layout: QLayout) -> None:
    """Give a frame the ground and the border of a card."""
    frame.setObjectName("card")
    layout.setContentsMargins(PAD, PAD - 3, PAD, PAD - 3)
    frame.setLayout(layout)


def banner(text: QLabel) -> QFrame:
    """A warning in a box of its own, not seen until it is shown. `text`: a label of the kind bannerText."""
    frame = QFrame()
    frame.setObjectName("banner")
    inner = row(text)
    inner.setContentsMargins(14, 8, 14, 8)
    frame.setLayout(inner)
    frame.setVisible(False)
    return frame


def row(*parts: QWidget | QLayout | None, spacing: int = 8) -> QHBoxLayout:
    """Parts beside each other; None is a stretch."""
    layout = QHBoxLayout()
    _fill(layout, parts, spacing)
    return layout


def column(*parts: QWidget | QLayout | None, spacing: int = 8) -> QVBoxLayout:
    """Parts below each other; None is a stretch."""
    layout = QVBoxLayout()
    _fill(layout, parts, spacing)
    return layout


def _fill(layout: QBoxLayout, parts: tuple[QWidget | QLayout | None, ...], spacing: int) -> None:
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(spacing)
    for part in parts:
        if part is None:
            layout.addStretch(1)
        elif isinstance(part, QLayout):
            layout.addLayout(part)
        else:
            layout.addWidget(part)


def set_text(target: QLabel | QPushButton, text: str) -> None:
    """Set a text only when it differs: a repaint and a layout less for each of four statuses a second."""
    if target.text() != text:
        target.setText(text)
