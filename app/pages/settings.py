"""Settings: what a person may choose about this node and this app, each with what it costs and whom it tells.

The engine keeps the choices that are its own; the page asks it while it is seen and shows what it says. An answer that
was asked for before a change was made is old and is not shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QCheckBox, QFrame, QPushButton, QWidget

from app import messages
from app.link import Link, Refusal
from app.messages import tr
from app.pages.page import Page
from app.pages.settings_mail import MailCard
from app.pages.settings_mode import ModeCard
from app.preferences import Preferences
from app.present import Act, Connection, Seen
from app.present_settings import Note, share_note
from app.theme import Scheme
from app.widgets.field_note import FieldNote
from app.widgets.parts import INDENT, button, card, column, label, make_card, row
from railgun_core.local_api.messages import (
    Empty,
    MailboxInfo,
    ModeInfo,
    TelemetryAsk,
    TelemetryDay,
    TelemetrySet,
)

_ASK_EVERY_MS = 5_000
_SCHEMES = (
    (Scheme.SYSTEM, "As the desktop"),
    (Scheme.LIGHT, "Light"),
    (Scheme.DARK, "Dark"),
    (Scheme.HIGH_CONTRAST, "High contrast"),
)


class ShareCard(QFrame):
    """Telemetry: on this device only, or its sums also to the server."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link
        self._goes = ""
        self.changes = 0
        self.on = QCheckBox(tr("Tell your server how relays performed"))
        self.on.setAccessibleDescription(tr(messages.SHARE_NOTE))
        self.on.clicked.connect(self.switch)
        self.note = FieldNote(self.on)
        words = column(label(tr(messages.SHARE_NOTE), "cardTitle", wrap=True), self.note, spacing=6)
        words.setContentsMargins(INDENT, 0, 0, 0)
        make_card(self, column(label(tr("Figures about relays"), "section"), self.on, words, spacing=8))

    def show_day(self, day: TelemetryDay) -> None:
        """Draw what the engine says."""
        before, self._goes = self._goes, day.goes
        self.on.setChecked(day.goes != "nowhere")
        if not self.note.note.bad or before != day.goes:
            self.note.show_note(share_note(day))

    def switch(self, wanted: bool) -> None:
        """Share from now on, or no longer."""
        self.changes += 1
        self._link.start(self._set(wanted))

    async def _set(self, wanted: bool) -> None:
        found = await self._link.attempt("telemetry.set", TelemetrySet(wanted), TelemetryDay)
        self.changes += 1
        if isinstance(found, Refusal):
            self.on.setChecked(self._goes not in ("", "nowhere"))
            self.note.show_note(Note(found.sentence, bad=True))
            return
        self.note.show_note(Note(""))
        self.show_day(found)


class SettingsPage(Page):
    """The page."""

    scheme_chosen = Signal(Scheme)
    keep_relaying_chosen = Signal(bool)

    def __init__(self, link: Link, preferences: Preferences, *, owns_engine: bool) -> None:
        super().__init__(scrolls=True)
        self._link = link
        self._asked = False
        self.modes = ModeCard(link)
        self.mail = MailCard(link, time.time)
        self.share = ShareCard(link)
        self._waiting = label(
            tr("These are the engine's; they can be changed once it answers."), "cardTitle", wrap=True
        )
        self._ask_again = QTimer(self)
        self._ask_again.setInterval(_ASK_EVERY_MS)
        self._ask_again.timeout.connect(self.ask)
        self.body.addWidget(label(tr("Settings"), "pageTitle"))
        self.body.addWidget(self._waiting)
        for part in (self.modes, self.mail, self.share):
            part.setEnabled(False)
            self.body.addWidget(part)
        self.body.addWidget(self._this_app(preferences, owns_engine=owns_engine))
        self.body.addWidget(self._elsewhere())
        self.body.addStretch(1)

    def _this_app(self, preferences: Preferences, *, owns_engine: bool) -> QWidget:
        self.schemes = {choice: self._scheme_button(choice, tr(name)) for choice, name in _SCHEMES}
        self.schemes[preferences.scheme].setChecked(True)
        self.keep = QCheckBox(tr("Keep relaying in the background when this app quits"))
        self.keep.setChecked(preferences.keep_relaying)
        self.keep.setHidden(not owns_engine)
        self.keep.toggled.connect(self.keep_relaying_chosen.emit)
        colours = row(label(tr("Colours"), "cardTitle"), *self.schemes.values(), None, spacing=4)
        return card(column(label(tr("This app"), "section"), colours, self.keep, spacing=10))

    def _scheme_button(self, choice: Scheme, name: str) -> QPushButton:
        result = button(name, lambda: self.scheme_chosen.emit(choice), "tab", spoken=tr("Colours: {name}", name=name))
        result.setCheckable(True)
        result.setAutoExclusive(True)
        return result

    def _elsewhere(self) -> QWidget:
        places: tuple[tuple[str, str, Act], ...] = (
            (tr("High security and its monthly data are chosen for each room."), tr("Rooms"), Act.ROOMS),
            (tr("What peers could have learned of you is counted day by day."), tr("What others saw"), Act.EXPOSURE),
        )
        lines = [row(label(words), None, button(name, self._going(act)), spacing=12) for words, name, act in places]
        return card(column(label(tr("In other places"), "section"), *lines, spacing=8))

    def _going(self, act: Act) -> Callable[[], None]:
        return lambda: self.acted.emit(act)

    # What is shown

    def entered(self) -> None:
        """Ask now, and again while the page is seen: another window or the command line may change things too."""
        self.ask()
        self._ask_again.start()

    def left(self) -> None:
        """Stop asking."""
        self._ask_again.stop()

    def show_seen(self, seen: Seen, now_s: float) -> None:
        """Only whether the engine answers; the choices are asked for."""
        if seen.connection is not Connection.CONNECTED:
            self._asked = False
            self._show_reach(reached=False)
        elif not self._asked:
            self.ask()

    def _show_reach(self, *, reached: bool) -> None:
        self._waiting.setVisible(not reached)
        for part in (self.modes, self.mail, self.share):
            part.setEnabled(reached)

    def ask(self) -> None:
        """Fetch the choices."""
        if self._link.connected:
            self._asked = True
            self._link.start(self._fetch())

    async def _fetch(self) -> None:
        turns = (self.modes.changes, self.mail.changes, self.share.changes)
        mode = await self._link.attempt("mode.get", Empty(), ModeInfo)
        mail = await self._link.attempt("mailbox.get", Empty(), MailboxInfo)
        day = await self._link.attempt("telemetry", TelemetryAsk(), TelemetryDay)
        if isinstance(mode, Refusal) or isinstance(mail, Refusal) or isinstance(day, Refusal):
            return  # the next time, or the window says that the engine is gone
        if turns[0] == self.modes.changes:
            self.modes.show_info(mode)
        if turns[1] == self.mail.changes:
            self.mail.show_info(mail)
        if turns[2] == self.share.changes:
            self.share.show_day(day)
        self._show_reach(reached=True)
