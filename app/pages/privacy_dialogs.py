"""The dialogs about protection: what high security costs, a safety number, who is in a room and who is removed.

They open and answer by signals; nothing ever waits inside one.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QGridLayout,
    QLabel,
    QMessageBox,
    QPushButton,
    QScrollArea,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from app import messages
from app.messages import tr
from app.present_privacy import BUDGETS_GB, PriceView, SafetyView, nearest_budget
from app.present_rooms import MemberRow
from app.widgets.anonymity_meter import FigureLabel
from app.widgets.parts import button, column, label, row, set_text
from app.widgets.qr_code import QrCode

_ASK_AFTER_MS = 150
_QR_PX = 196
_COLUMN_PX = 248
_SHOWN_MEMBERS = 200


class SecureRoom(QDialog):
    """The price of high security, with a budget to choose. `accepted` is the answer yes."""

    budget_chosen = Signal(float)  # GB a month: ask for the price again

    def __init__(self, parent: QWidget, name: str) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("High security"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.figures = tuple(FigureLabel() for _ in range(4))
        self.state = label("", "bannerText", wrap=True)
        self._state_box = QFrame()
        self._state_box.setLayout(column(self.state))
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, len(BUDGETS_GB) - 1)
        self.slider.setPageStep(2)
        self._budget = label("", "section")
        self.slider.valueChanged.connect(self._moved)
        self._again = QTimer(self)
        self._again.setSingleShot(True)
        self._again.setInterval(_ASK_AFTER_MS)
        self._again.timeout.connect(lambda: self.budget_chosen.emit(self._chosen))
        self._chosen: float | None = None
        self.yes = button(tr("Switch on"), self.accept, "primary")
        self.yes.setEnabled(False)
        no = button(tr("Cancel"), self.reject)
        layout = column(label(tr("High security for {name}", name=name), "section"), self._price(), self._state_box)
        layout.addLayout(column(row(label(tr("Budget"), "cardTitle"), None, self._budget), self.slider, spacing=6))
        layout.addLayout(_two_lists())
        layout.addLayout(row(None, no, self.yes))
        layout.setContentsMargins(20, 18, 20, 18)
        layout.setSpacing(14)
        self.setLayout(layout)
        self.setMinimumWidth(560)

    def _price(self) -> QFrame:
        frame = QFrame()
        frame.setObjectName("strip")
        line = row(spacing=16)
        for figure in self.figures:
            line.addWidget(figure, 1)
        line.setContentsMargins(14, 12, 14, 10)
        frame.setLayout(line)
        return frame

    @property
    def gb_month(self) -> float | None:
        """The budget that was chosen; None while it is the one that is set already."""
        return self._chosen

    def _moved(self, place: int) -> None:
        self._chosen = BUDGETS_GB[place]
        self._show_budget(self._chosen)
        self.yes.setEnabled(False)  # nobody agrees to a price that is not shown
        self._again.start()

    def _show_budget(self, gb_month: float) -> None:
        words = tr("{n} GB a month", n=f"{gb_month:g}")
        set_text(self._budget, words)
        self.slider.setAccessibleName(tr("Budget: {words}", words=words))

    def begin_at(self, gb_month: float) -> None:
        """Put the slider where the budget stands now, without asking again."""
        self.slider.blockSignals(True)
        self.slider.setValue(nearest_budget(gb_month))
        self.slider.blockSignals(False)
        self._show_budget(gb_month)

    def show_price(self, view: PriceView) -> None:
        """Draw one price."""
        for part, figure in zip(self.figures, view.figures, strict=True):
            part.show_figure(figure)
        set_text(self.state, view.state)
        name = "banner" if view.warns else "strip"
        if self._state_box.objectName() != name:
            self._state_box.setObjectName(name)
            self._state_box.style().polish(self._state_box)
        layout = self._state_box.layout()
        if layout is not None:
            layout.setContentsMargins(14, 8, 14, 8)
        self.yes.setEnabled(view.possible)


def _two_lists() -> QGridLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(24)
    sides = ((tr("What it protects"), messages.SECURE_PROTECTS), (tr("What it does not"), messages.SECURE_DOES_NOT))
    for place, (title, lines) in enumerate(sides):
        grid.setColumnStretch(place, 1)
        points = [_fixed(label("• " + tr(line), "small", wrap=True)) for line in lines]
        grid.addLayout(column(label(title, "cardTitle"), *points, None, spacing=6), 0, place)
    return grid


def _fixed(point: QLabel) -> QLabel:
    """As high as its words need at the column's width: a dialog's own layout does not ask wrapped labels for that."""
    point.ensurePolished()
    point.setFixedSize(_COLUMN_PX, point.heightForWidth(_COLUMN_PX))
    return point


class SafetyNumber(QDialog):
    """One safety number: digits, words, and a picture to scan."""

    def __init__(self, parent: QWidget, view: SafetyView) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Safety number"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setObjectName("page")
        digits = [_selectable(line, "digits") for line in view.digits]
        words = [_selectable(line, "") for line in view.words]
        picture = QrCode(view.qr, tr("The safety number as a picture to scan"), side_px=_QR_PX)
        text = column(*digits, label("", "tiny"), *words, None, spacing=4)
        title = label(tr("You and {member}", member=view.member), "section")
        body = row(spacing=20)
        body.addWidget(picture, 0, Qt.AlignmentFlag.AlignTop)
        body.addLayout(text, 1)
        self._copy = button(tr("Copy digits"), lambda: self._copied(" ".join(view.digits)))
        close = button(tr("Close"), self.accept, "primary")
        close.setDefault(True)
        layout = column(title, label(tr(messages.SAFETY_NOTE), "cardTitle", wrap=True), body)
        layout.addLayout(row(None, self._copy, close))
        layout.setContentsMargins(20, 18, 20, 18)
        layout.setSpacing(14)
        self.setLayout(layout)
        self.setMinimumWidth(620)

    def _copied(self, digits: str) -> None:
        QGuiApplication.clipboard().setText(" ".join(digits.split()))
        self._copy.setText(tr("Copied"))


def _selectable(text: str, name: str) -> QWidget:
    line = label(text, name)
    line.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return line


class MemberList(QDialog):
    """Who is in a room, as seen from here, and what can be done about each."""

    safety_asked = Signal(str)  # a member's id
    removal_asked = Signal(str, str)  # a member's id and the name shown

    def __init__(self, parent: QWidget, name: str, members: tuple[MemberRow, ...]) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Members"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        inner = QWidget()
        inner.setObjectName("scrolled")
        lines = QVBoxLayout(inner)
        lines.setContentsMargins(0, 0, 8, 0)
        lines.setSpacing(8)
        for member in members[:_SHOWN_MEMBERS]:
            lines.addLayout(self._line(member))
        lines.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(inner)
        area.setMinimumHeight(min(360, inner.sizeHint().height() + 4))
        close = button(tr("Close"), self.accept)
        close.setDefault(True)
        layout = column(label(tr("Members of {name}", name=name), "section"), area, row(None, close))
        layout.setContentsMargins(20, 18, 20, 18)
        layout.setSpacing(12)
        self.setLayout(layout)
        self.setMinimumWidth(560)

    def _line(self, member: MemberRow) -> QVBoxLayout:
        words = column(label(member.name, "mono"), label(member.small, "small"), spacing=1)
        line = row(words, None, spacing=8)
        if member.member:
            spoken = tr("Safety number of {name}", name=member.name)
            line.addWidget(button(tr("Safety number"), lambda: self.safety_asked.emit(member.member), spoken=spoken))
            gone = tr("Remove {name} from the room", name=member.name)
            ask = lambda: self.removal_asked.emit(member.member, member.name)  # noqa: E731
            line.addWidget(button(tr("Remove"), ask, "danger", spoken=gone))
        return column(line)


def confirm_removing(parent: QWidget, member: str, room: str, remove: Callable[[], object]) -> QMessageBox:
    """Ask before a member is removed; `remove` runs on yes."""
    box = QMessageBox(parent)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setWindowTitle(tr("Remove from the room"))
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(tr("Remove {member} from {room}?", member=member, room=room))
    box.setInformativeText(
        tr(
            "The others get new keys. {member} opens nothing that is sent from then on, keeps what it has already, and "
            "comes back only by a new invite.",
            member=member,
        )
    )
    yes: QPushButton = box.addButton(tr("Remove"), QMessageBox.ButtonRole.DestructiveRole)
    yes.setObjectName("danger")
    keep = box.addButton(tr("Keep"), QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(keep)
    box.setEscapeButton(keep)
    box.finished.connect(lambda _result: remove() if box.clickedButton() is yes else None)
    box.open()
    return box
