"""Duties: what this relay does now and did before, and for each the inspector: who holds which seat, and why.

Past duties and inspections are asked for when somebody looks, and again when the set of duties changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QScrollArea, QStackedWidget, QVBoxLayout, QWidget

from app import messages
from app.link import Link
from app.messages import tr
from app.pages.page import Page
from app.present import Connection, DutyRow, Seen, duties_view, duty_rows
from app.present_rooms import InspectionView, inspection_view
from app.theme import Theme
from app.widgets.chip import Chip
from app.widgets.duty_list import DutyList
from app.widgets.parts import GAP, button, card, column, label, row, set_text
from railgun_core.local_api.messages import Duties, Empty, InspectArgs, Inspections
from railgun_core.status import DutyStatus

_Key = tuple[str, int, str]


class Inspector(QWidget):
    """The right side: one committee, seat by seat."""

    def __init__(self, theme: Theme, close: Callable[[], object]) -> None:
        super().__init__()
        self._title = label("", "section")
        self._chip = Chip(theme)
        self._sentence = label("", "cardTitle", wrap=True)
        self._seed = label("", "tiny")
        self._seats = QGridLayout()
        self._seats.setContentsMargins(0, 0, 8, 0)
        self._seats.setHorizontalSpacing(12)
        self._seats.setVerticalSpacing(2)
        inner = QWidget()
        inner.setObjectName("plain")
        holder = QVBoxLayout(inner)
        holder.setContentsMargins(0, 0, 0, 0)
        holder.addLayout(self._seats)
        holder.addStretch(1)
        area = QScrollArea()
        area.setObjectName("plain")
        area.viewport().setAutoFillBackground(False)
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setAccessibleName(tr("Seats of the committee"))
        area.setWidget(inner)
        shut = button("✕", close, "tab", spoken=tr("Close the inspector"))
        head = row(self._title, self._chip, None, shut)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        inside = column(head, self._sentence, self._seed, spacing=8)
        inside.addWidget(area, 1)
        layout.addWidget(card(inside))

    def show_waiting(self, duty: DutyRow) -> None:
        """Asked, not answered yet."""
        set_text(self._title, duty.tag_text)
        self._chip.set_chip("", "muted")
        set_text(self._sentence, tr("Recomputing the committee from signed records…"))
        set_text(self._seed, "")
        self._clear()

    def show_nothing(self, why: str) -> None:
        """The engine has no records for it."""
        set_text(self._sentence, why)

    def show_inspection(self, view: InspectionView) -> None:
        """Seats with their reasons."""
        set_text(self._title, view.title)
        self._chip.set_chip(view.verdict, view.colour)
        set_text(self._sentence, view.sentence)
        set_text(self._seed, tr("seed {seed}…", seed=view.seed))
        self._clear()
        for number, seat in enumerate(view.seats):
            line = number * 2
            self._seats.addWidget(label(seat.place), line, 0)
            self._seats.addWidget(label(seat.peer, "mono"), line, 1)
            self._seats.addWidget(label(tr("group {group}", group=seat.group), "small"), line, 2)
            why = label(seat.why, "small", wrap=True)
            why.setContentsMargins(0, 0, 0, 8)
            self._seats.addWidget(why, line + 1, 0, 1, 3)
        self._seats.setColumnStretch(2, 1)
        self.setAccessibleName(f"{view.title}: {view.verdict}. {view.sentence}")

    def _clear(self) -> None:
        while (item := self._seats.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()


class DutiesPage(Page):
    """Two lists and the inspector."""

    def __init__(self, theme: Theme, link: Link) -> None:
        super().__init__(scrolls=False)
        self._link = link
        self._past: tuple[DutyStatus, ...] = ()
        self._asked: frozenset[_Key] | None = None
        self._inspecting: asyncio.Task[None] | None = None
        self.now_list = DutyList(theme, tr("Duties now"), choosable=True)
        self.past_list = DutyList(theme, tr("Past duties"), choosable=True)
        self._lists = QStackedWidget()
        self._empty = label(tr(messages.NO_DUTIES), "cardTitle", wrap=True)
        self._empty_past = label(tr(messages.NO_PAST_DUTIES), "cardTitle", wrap=True)
        for shown, empty in ((self.now_list, self._empty), (self.past_list, self._empty_past)):
            side = QWidget()
            side.setLayout(column(empty, shown, spacing=0))
            shown.chosen.connect(self.inspect)
            self._lists.addWidget(side)
        self._tabs = tuple(self._tab(place, name) for place, name in enumerate((tr("Now"), tr("Past"))))
        self._summary = label("", "cardTitle")
        self.inspector = Inspector(theme, self.escape)
        self.inspector.setVisible(False)
        head = row(label(tr("Duties"), "pageTitle"), None, self._summary)
        sides = QHBoxLayout()
        sides.setSpacing(GAP)
        sides.addWidget(card(column(row(*self._tabs, None, spacing=4), self._lists)), 5)
        sides.addWidget(self.inspector, 3)
        self.body.addLayout(head)
        self.body.addLayout(sides, 1)
        self._choose_list(0)

    def _tab(self, place: int, name: str) -> QWidget:
        tab = button(name, lambda: self._choose_list(place), "tab", spoken=tr("Duties: {which}", which=name))
        tab.setCheckable(True)
        tab.setAutoExclusive(True)
        tab.setChecked(place == 0)
        return tab

    def _choose_list(self, place: int) -> None:
        self._lists.setCurrentIndex(place)

    def show_seen(self, seen: Seen, now_s: float) -> None:
        """Both lists; asks for the past when the duties of now have changed."""
        view = duties_view(seen, now_s)
        set_text(self._summary, view.summary)
        self._fill(self.now_list, self._empty, view.now)
        self._fill(self.past_list, self._empty_past, duty_rows(self._past, now_s)[:200])
        if seen.status is not None and seen.connection is Connection.CONNECTED:
            keys = frozenset((duty.tag, duty.epoch, duty.state.value) for duty in seen.status.duties)
            if keys != self._asked:
                self._asked = keys
                self._link.start(self._ask_for_past())

    def _fill(self, shown: DutyList, empty: QWidget, rows: tuple[DutyRow, ...]) -> None:
        empty.setVisible(not rows)
        shown.setVisible(bool(rows))
        shown.set_rows(rows)

    async def _ask_for_past(self) -> None:
        duties = await self._link.ask("duties", Empty(), Duties)
        if duties is not None:
            self._past = duties.past

    def inspect(self, duty: DutyRow) -> None:
        """Open the inspector on a duty."""
        self.inspector.show_waiting(duty)
        self.inspector.setVisible(True)
        if self._inspecting is not None:
            self._inspecting.cancel()
        self._inspecting = self._link.start(self._inspect(duty))

    async def _inspect(self, duty: DutyRow) -> None:
        found = await self._link.ask("inspect", InspectArgs(tag=duty.tag, epoch=duty.epoch), Inspections)
        if found is None or not found.inspections:
            self.inspector.show_nothing(tr("The records of this epoch are no longer kept here."))
            return
        self.inspector.show_inspection(inspection_view(found.inspections[0]))

    def escape(self) -> bool:
        """Close the inspector."""
        was_open = self.inspector.isVisible()
        self.inspector.setVisible(False)
        for shown in (self.now_list, self.past_list):
            shown.clearSelection()
            shown.setCurrentIndex(shown.rootIndex())
        return was_open

    def left(self) -> None:
        """Stop waiting for an inspection nobody sees."""
        if self._inspecting is not None:
            self._inspecting.cancel()
            self._inspecting = None
