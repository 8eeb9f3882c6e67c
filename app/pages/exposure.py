"""What others saw: one day of the exposure ledger, by the kind of peer.

The sentences are the engine's, made from the links and frames that were really used; the page fetches one day when it
is seen, when a person asks again, and when another day is chosen.
"""

from __future__ import annotations

import asyncio

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from app import messages
from app.link import Link
from app.messages import tr
from app.pages.page import Page
from app.present import Seen
from app.present_privacy import ExposureView, RoleView, exposure_view
from app.widgets.parts import GAP, button, card, column, label, row, set_text
from railgun_core.local_api.messages import Exposure, ExposureAsk

OLDEST_DAYS = 30


class ExposurePage(Page):
    """The page."""

    def __init__(self, link: Link) -> None:
        super().__init__(scrolls=True)
        self._link = link
        self._days_ago = 0
        self._asking: asyncio.Task[None] | None = None
        self._shown: ExposureView | None = None
        self._day = label("", "section")
        self.back = button("‹", lambda: self.go_back(1), spoken=tr("The day before"))
        self.forward = button("›", lambda: self.go_back(-1), spoken=tr("The day after"))
        self.refresh = button(tr("Refresh"), self.ask)
        self._empty = label(tr("Asking the engine…"), "cardTitle", wrap=True)
        self._roles = QVBoxLayout()
        self._roles.setSpacing(GAP)
        self.body.addLayout(row(label(tr("What others saw"), "pageTitle"), None, self.refresh))
        self.body.addWidget(label(tr(messages.EXPOSURE_NOTE), "cardTitle", wrap=True))
        self.body.addLayout(row(self.back, self._day, self.forward, None, spacing=12))
        self.body.addWidget(self._empty)
        self.body.addLayout(self._roles)
        self.body.addStretch(1)
        self._show_day()

    @property
    def shown(self) -> ExposureView | None:
        """The day shown now; None before the first answer."""
        return self._shown

    def show_seen(self, seen: Seen, now_s: float) -> None:
        """The ledger is asked for; the status only tells when the engine can be asked."""
        if self._shown is None and (self._asking is None or self._asking.done()):
            self.ask()

    def entered(self) -> None:
        """Ask anew: the day has gone on."""
        self.ask()

    def go_back(self, days: int) -> None:
        """Show another day."""
        wanted = min(OLDEST_DAYS, max(0, self._days_ago + days))
        if wanted != self._days_ago:
            self._days_ago = wanted
            self._show_day()
            self.ask()

    def _show_day(self) -> None:
        words = {0: tr("Today"), 1: tr("Yesterday")}
        date = f" · {self._shown.day}" if self._shown is not None else ""
        name = words.get(self._days_ago, tr("{n} days ago", n=self._days_ago))
        set_text(self._day, name + date)
        self.back.setEnabled(self._days_ago < OLDEST_DAYS)
        self.forward.setEnabled(self._days_ago > 0)

    def ask(self) -> None:
        """Fetch the chosen day; what was asked before is dropped."""
        if not self._link.connected:
            return
        if self._asking is not None:
            self._asking.cancel()
        self._asking = self._link.start(self._fetch())

    async def _fetch(self) -> None:
        found = await self._link.ask("exposure", ExposureAsk(self._days_ago), Exposure)
        if found is not None:
            self._show(exposure_view(found))

    def _show(self, view: ExposureView) -> None:
        same = self._shown is not None and self._shown.roles == view.roles
        self._shown = view
        self._show_day()
        set_text(self._empty, view.empty)
        self._empty.setVisible(bool(view.empty))
        if same:
            return
        while self._roles.count():
            item = self._roles.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.deleteLater()
        for role in view.roles:
            self._roles.addWidget(_role_card(role))


def _role_card(role: RoleView) -> QWidget:
    head = row(label(role.title, "section"), None, label(role.peers, "small"))
    sides = QGridLayout()
    sides.setHorizontalSpacing(24)
    for place, (title, lines) in enumerate(
        ((tr("Could learn"), role.learned), (tr("Could not learn"), role.not_learned))
    ):
        sides.setColumnStretch(place, 1)
        points = [_point(line) for line in lines] or [_point(tr("Nothing that is counted."))]
        sides.addLayout(column(label(title, "cardTitle"), *points, None, spacing=5), 0, place)
    result = card(column(head, sides, spacing=10))
    result.setAccessibleName(f"{role.title}, {role.peers}")
    return result


def _point(line: str) -> QHBoxLayout:
    point = row(spacing=8)
    point.addWidget(label("•", "cardTitle"), 0, Qt.AlignmentFlag.AlignTop)
    point.addWidget(label(line, "", wrap=True), 1)
    return point
