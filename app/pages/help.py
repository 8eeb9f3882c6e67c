"""Help: what a relay can and cannot see, keys, and what to copy when something is wrong."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QWidget

from app import messages
from app.messages import tr
from app.pages.page import Page
from app.present import Act, Seen
from app.widgets.parts import GAP, button, card, column, label, row, set_text


class HelpPage(Page):
    """The last page."""

    def __init__(self) -> None:
        super().__init__(scrolls=True)
        self.body.addWidget(label(tr("Help"), "pageTitle"))
        sides = QGridLayout()
        sides.setSpacing(GAP)
        sides.addWidget(_list_card(tr("What a relay can see"), messages.RELAY_SEES), 0, 0)
        sides.addWidget(_list_card(tr("What a relay cannot see"), messages.RELAY_CANNOT_SEE), 0, 1)
        sides.setColumnStretch(0, 1)
        sides.setColumnStretch(1, 1)
        self.body.addLayout(sides)
        text = label(tr(messages.RELAY_IS_NOT), "", wrap=True)
        self.body.addWidget(card(column(label(tr("What it is not"), "section"), text)))
        security = QGridLayout()
        security.setSpacing(GAP)
        protects = _list_card(tr("What high security protects"), messages.SECURE_PROTECTS)
        security.addWidget(protects, 0, 0)
        security.addWidget(_list_card(tr("What high security does not"), messages.SECURE_DOES_NOT), 0, 1)
        security.setColumnStretch(0, 1)
        security.setColumnStretch(1, 1)
        self.body.addLayout(security)
        self.body.addWidget(self._needed())
        self.body.addWidget(self._when_wrong())
        self.body.addWidget(_shortcuts())
        self.body.addStretch(1)

    def _needed(self) -> QWidget:
        facts = label(
            tr(
                "Each room draws its relays by a public rule from everyone who serves, anew every epoch. With N relays "
                "each is drawn about equally often, so in a large network you wait longer. Staying online is all it "
                "takes; nothing you do makes you more or less likely to be drawn for a certain room."
            ),
            "",
            wrap=True,
        )
        return card(column(label(tr("Why am I not needed?"), "section"), facts))

    def _when_wrong(self) -> QWidget:
        self._version = label("", "small")
        copies = row(
            button(tr("Copy status"), lambda: self.acted.emit(Act.COPY_STATUS)),
            button(tr("Copy diagnostics"), lambda: self.acted.emit(Act.COPY_DIAGNOSTICS)),
            self._version,
            None,
        )
        words = label(tr("They hold no address, no key and no message."), "cardTitle", wrap=True)
        return card(column(label(tr("To show somebody who helps"), "section"), words, copies, spacing=12))

    def show_seen(self, seen: Seen, now_s: float) -> None:
        """The version line."""
        status = seen.status
        if status is not None:
            set_text(self._version, tr("version {v} · peer {p}", v=status.version, p=status.peer_id[:8]))


def _list_card(title: str, lines: Sequence[str]) -> QWidget:
    return card(column(label(title, "section"), *(_point(line) for line in lines), None))


def _point(line: str) -> QHBoxLayout:
    point = row(spacing=8)
    point.addWidget(label("•", "cardTitle"), 0, Qt.AlignmentFlag.AlignTop)
    point.addWidget(label(tr(line), "", wrap=True), 1)
    return point


def _shortcuts() -> QWidget:
    grid = QGridLayout()
    grid.setHorizontalSpacing(24)
    grid.setVerticalSpacing(4)
    grid.setColumnStretch(1, 1)
    for line, (keys, meaning) in enumerate(messages.SHORTCUTS):
        grid.addWidget(label(keys, "mono"), line, 0)
        grid.addWidget(label(tr(meaning), "cardTitle"), line, 1)
    return card(column(label(tr("Keys"), "section"), grid))
