"""Network: is the network healthy as seen from here. No map, no addresses."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import (
    QAbstractItemView,
    QGridLayout,
    QHeaderView,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app import messages
from app.link import Link
from app.messages import tr
from app.pages.home import NumberCard
from app.pages.page import Page
from app.present import NumberView, Seen
from app.present_network import NetworkView, NoticeRow, TargetRow, network_view, relay_rows
from app.theme import Theme
from app.widgets.chip import Chip
from app.widgets.parts import GAP, card, column, label, row, set_text
from railgun_core.local_api.messages import Empty, Peers

_ASK_EVERY_MS = 5_000
_SHOWN_RELAYS = 200
_TARGETS = 5
_NOTICES = 8
_UPKEEP = 4


class _TargetLine:
    """The widgets of one target."""

    def __init__(self, theme: Theme, grid: QGridLayout, line: int) -> None:
        self._name, self._target = label(), label("", "cardTitle")
        self._measured, self._chip = label(), Chip(theme)
        for place, part in enumerate((self._name, self._target, self._measured, self._chip)):
            grid.addWidget(part, line, place)

    def show_target(self, view: TargetRow) -> None:
        """Draw one target."""
        set_text(self._name, view.name)
        set_text(self._target, view.target)
        set_text(self._measured, view.measured)
        self._chip.set_chip(view.chip, view.colour)


class _NoticeLine(QWidget):
    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._chip, self._text, self._age = Chip(theme), label("", "", wrap=True), label("", "small")
        line = row(self._chip, spacing=12)
        line.addWidget(self._text, 1)
        line.addWidget(self._age)
        self.setLayout(line)

    def show_notice(self, view: NoticeRow | None) -> None:
        """Draw one notice, or nothing."""
        self.setVisible(view is not None)
        if view is not None:
            self._chip.set_chip(view.word, view.colour)
            set_text(self._text, view.sentence)
            set_text(self._age, view.age)


class NetworkPage(Page):
    """Facts, targets, relays, notices."""

    def __init__(self, theme: Theme, link: Link) -> None:
        super().__init__(scrolls=True)
        self._link = link
        self._now_s = 0.0
        self._peers = Peers(0, ())
        self._ask = QTimer(self)
        self._ask.setInterval(_ASK_EVERY_MS)
        self._ask.timeout.connect(self._ask_for_peers)
        self._facts = (NumberCard(), NumberCard(), NumberCard())
        self.warning = self._banner()
        self._targets_grid = QGridLayout()
        self._targets_grid.setHorizontalSpacing(24)
        self._targets_grid.setVerticalSpacing(8)
        self._targets_grid.setColumnStretch(2, 1)
        self._targets = tuple(_TargetLine(theme, self._targets_grid, line) for line in range(_TARGETS))
        self._reach, self._transports, self._standing = label("", "", wrap=True), label(), label()
        self._mix_name, self._mix = label(tr("Mixing"), "cardTitle"), label("", "", wrap=True)
        self._upkeep = tuple((label("", "cardTitle"), label("", "", wrap=True)) for _ in range(_UPKEEP))
        self.relays = self._relay_table()
        self.relays.setVisible(False)
        self._asked = False
        self._no_relays = label(tr(messages.NO_RELAYS), "cardTitle", wrap=True)
        self._notices = tuple(_NoticeLine(theme) for _ in range(_NOTICES))
        self._no_notices = label(tr("Nothing to report."), "cardTitle")
        self._build()

    def _build(self) -> None:
        grid = QGridLayout()
        grid.setSpacing(GAP)
        for place, fact in enumerate(self._facts):
            grid.addWidget(fact, 0, place)
            grid.setColumnStretch(place, 1)
        connected = QGridLayout()
        connected.setHorizontalSpacing(24)
        connected.setVerticalSpacing(8)
        connected.setColumnStretch(1, 1)
        lines = ((tr("Reachable"), self._reach), (tr("Open links"), self._transports), (tr("Standing"), self._standing))
        for line, (name, value) in enumerate(lines):
            connected.addWidget(label(name, "cardTitle"), line, 0)
            connected.addWidget(value, line, 1)
        connected.addWidget(self._mix_name, len(lines), 0)
        connected.addWidget(self._mix, len(lines), 1)
        for line, (title, sentence) in enumerate(self._upkeep, start=len(lines) + 1):
            connected.addWidget(title, line, 0)
            connected.addWidget(sentence, line, 1)
        self.body.addWidget(label(tr("Network"), "pageTitle"))
        self.body.addWidget(self.warning)
        self.body.addLayout(grid)
        self.body.addWidget(card(column(label(tr("This node"), "section"), connected)))
        self.body.addWidget(card(column(label(tr("Promised and measured here"), "section"), self._targets_grid)))
        notices = column(label(tr("Notices"), "section"), self._no_notices, *self._notices)
        self.body.addWidget(card(notices))
        self.body.addWidget(card(column(label(tr("Relays known here"), "section"), self._no_relays, self.relays)))
        self.body.addStretch(1)

    def _banner(self) -> QWidget:
        self._warning_text = label("", "bannerText", wrap=True)
        frame = card(QVBoxLayout())
        frame.setObjectName("banner")
        layout = frame.layout()
        if layout is not None:
            layout.addWidget(self._warning_text)
        frame.setVisible(False)
        return frame

    def _relay_table(self) -> QTreeWidget:
        table = QTreeWidget()
        table.setHeaderLabels([tr("Relay"), tr("Group"), tr("Roles"), tr("Serving for"), tr("Software"), tr("Links")])
        table.setRootIsDecorated(False)
        table.setUniformRowHeights(True)
        table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        table.setAccessibleName(tr("Relays known here"))
        table.setMinimumHeight(220)
        header = table.header()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        header.setStretchLastSection(True)
        return table

    def entered(self) -> None:
        """Ask for the relays now and every five seconds while seen."""
        self._ask_for_peers()
        self._ask.start()

    def left(self) -> None:
        """Stop asking."""
        self._ask.stop()

    def show_seen(self, seen: Seen, now_s: float) -> None:
        """Draw everything but the relays."""
        self._now_s = now_s
        if not self._asked:
            self._ask_for_peers()
        view = network_view(seen, now_s)
        for fact, shown in zip(self._facts, view.facts, strict=True):
            fact.show_number(NumberView(shown.title, shown.value, shown.small))
        self.warning.setVisible(bool(view.warning))
        set_text(self._warning_text, view.warning)
        set_text(self._reach, view.reach)
        set_text(self._transports, view.transports)
        set_text(self._standing, view.standing)
        set_text(self._mix, view.mix)
        self._mix_name.setVisible(bool(view.mix))
        self._mix.setVisible(bool(view.mix))
        self._show_upkeep(view)
        for line, target in zip(self._targets, view.targets, strict=False):
            line.show_target(target)
        self._show_notices(view)

    def _show_upkeep(self, view: NetworkView) -> None:
        for place, (name, sentence) in enumerate(self._upkeep):
            shown = view.upkeep[place] if place < len(view.upkeep) else None
            for part, text in ((name, shown.name if shown else ""), (sentence, shown.sentence if shown else "")):
                part.setVisible(bool(text))
                set_text(part, text)

    def _show_notices(self, view: NetworkView) -> None:
        self._no_notices.setVisible(not view.notices)
        for place, line in enumerate(self._notices):
            line.show_notice(view.notices[place] if place < len(view.notices) else None)

    def _ask_for_peers(self) -> None:
        if self._link.connected:
            self._asked = True
            self._link.start(self._show_peers())

    async def _show_peers(self) -> None:
        peers = await self._link.ask("peers", Empty(), Peers)
        if peers is None:
            return
        rows = relay_rows(peers, self._now_s)[:_SHOWN_RELAYS]
        self._no_relays.setVisible(not rows)
        self.relays.setVisible(bool(rows))
        while self.relays.topLevelItemCount() > len(rows):
            self.relays.takeTopLevelItem(len(rows))
        while self.relays.topLevelItemCount() < len(rows):
            self.relays.addTopLevelItem(QTreeWidgetItem())
        for place, shown in enumerate(rows):
            item = self.relays.topLevelItem(place)
            texts = (shown.peer, shown.group, shown.roles, shown.age, shown.software, shown.linked)
            for cell, text in enumerate(texts):
                if item is not None:
                    item.setText(cell, text)
