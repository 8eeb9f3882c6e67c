"""The window: sidebar, pages, a banner for what just failed, and the keys.

It draws only while it is seen: pages are built when they first are, and the one-second tick stops when the window is
hidden or minimised. Closing it hides it where a tray can bring it back, and asks where there is none, so the app is
never running out of reach.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QHideEvent, QIcon, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMainWindow, QMessageBox, QVBoxLayout, QWidget

from app import messages
from app.last_minute import LastMinute
from app.link import Link
from app.messages import tr
from app.pages.shelf import (
    COUNT,
    DUTIES,
    EXPOSURE,
    HELP,
    HOME,
    NETWORK,
    ROOMS,
    SETTINGS,
    PageNeeds,
    Shelf,
    page_names,
)
from app.preferences import Preferences
from app.present import Act, Connection, Seen, headline
from app.resources import resource
from app.theme import Theme
from app.widgets.navigation import Navigation
from app.widgets.parts import button, label, row

_TICK_MS = 1_000
_BANNER_MS = 12_000
_PAGE_OF = {
    Act.DUTIES: DUTIES,
    Act.NETWORK: NETWORK,
    Act.ROOMS: ROOMS,
    Act.EXPOSURE: EXPOSURE,
    Act.SETTINGS: SETTINGS,
    Act.WHY_NOT_NEEDED: HELP,
}


def _icon() -> QIcon:
    icon = QIcon()
    for size_px in (16, 32, 48, 128):  # PNG: the SVG reader would cost memory for one picture
        icon.addFile(str(resource("icons", f"railgun-{size_px}.png")))
    return icon


class Window(QMainWindow):
    """See the module. `acted` carries what the window itself does not do: copy, quit."""

    acted = Signal(Act)
    seen_changed = Signal(bool)  # can a person see the window now?

    def __init__(
        self,
        theme: Theme,
        link: Link,
        *,
        preferences: Preferences,
        minute: LastMinute,
        clock: Callable[[], float],
        owns_engine: bool,
    ) -> None:
        super().__init__()
        self._preferences = preferences
        self._clock = clock
        self._seen = Seen(None, Connection.STARTING)
        self._tray_present = False
        self._was_seen = False
        self.leaving = False
        self._number = HOME
        needs = PageNeeds(theme, link, preferences, minute, clock, owns_engine)
        self.shelf = Shelf(needs)
        self._tick = QTimer(self)
        self._tick.setInterval(_TICK_MS)
        self._tick.timeout.connect(self._draw)
        self._build(theme)
        self._keys()
        link.noticed.connect(self.show_notice)
        theme.changed.connect(self._draw)

    def _build(self, theme: Theme) -> None:
        self.setWindowTitle(tr(messages.APP_NAME))
        self.setWindowIcon(_icon())
        self.navigation = Navigation(theme, page_names(), foot=2)
        self.navigation.chosen.connect(self.go_to)
        self.shelf.acted.connect(self.act)
        self._banner_text = label("", "bannerText", wrap=True)
        self.banner = QFrame()
        self.banner.setObjectName("banner")
        banner_row = row(self._banner_text, spacing=12)
        banner_row.setContentsMargins(14, 8, 8, 8)
        banner_row.setStretch(0, 1)
        banner_row.addWidget(button("✕", self._hide_banner, "tab", spoken=tr("Dismiss")))
        self.banner.setLayout(banner_row)
        self.banner.setVisible(False)
        self._banner_timer = QTimer(self)
        self._banner_timer.setSingleShot(True)
        self._banner_timer.setInterval(_BANNER_MS)
        self._banner_timer.timeout.connect(self._hide_banner)
        right = QVBoxLayout()
        right.setSpacing(0)
        holder = QVBoxLayout()
        holder.setContentsMargins(28, 12, 28, 0)
        holder.addWidget(self.banner)
        self._banner_holder = QWidget()
        self._banner_holder.setLayout(holder)
        self._banner_holder.setVisible(False)
        right.addWidget(self._banner_holder)
        right.addWidget(self.shelf, 1)
        ground = QWidget()
        ground.setObjectName("ground")
        layout = QHBoxLayout(ground)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.navigation)
        layout.addLayout(right, 1)
        self.setCentralWidget(ground)
        self.setMinimumSize(860, 560)
        if not self.restoreGeometry(self._preferences.geometry):
            self.resize(1060, 720)
        self.navigation.choose(HOME)
        ground.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        ground.setFocus()  # no control shows a focus ring before the keyboard is used

    def _keys(self) -> None:
        for number in range(COUNT):
            shortcut = QShortcut(QKeySequence(f"Ctrl+{number + 1}"), self)
            shortcut.activated.connect(lambda number=number: self.go_to(number))
        QShortcut(QKeySequence("Ctrl+Q"), self).activated.connect(lambda: self.acted.emit(Act.QUIT))
        QShortcut(QKeySequence("Esc"), self).activated.connect(self._escape)

    # What is shown

    def show_seen(self, seen: Seen) -> None:
        """Take what is known now; draw it if somebody can see it."""
        self._seen = seen
        now_s = self._clock()
        self.setWindowTitle(f"{headline(seen, now_s).title} · {tr(messages.APP_NAME)}")
        if self.is_seen:
            self._draw()

    def _draw(self) -> None:
        page = self.shelf.current
        if page is not None and self.is_seen:
            page.show_seen(self._seen, self._clock())

    def show_notice(self, sentence: str) -> None:
        """Say what failed, above the page, for twelve seconds."""
        self._banner_text.setText(sentence)
        self.banner.setVisible(True)
        self._banner_holder.setVisible(True)
        self._banner_timer.start()

    @property
    def notice(self) -> str:
        """The sentence in the banner; empty when there is none."""
        return self._banner_text.text() if self.banner.isVisibleTo(self) else ""

    def _hide_banner(self) -> None:
        self.banner.setVisible(False)
        self._banner_holder.setVisible(False)

    # Where a person goes

    def go_to(self, number: int) -> None:
        """Show a page; while the window is hidden only remember which."""
        before, self._number = self._number, number
        self.navigation.choose(number)
        if not self._was_seen or before == number:
            return
        self.shelf.page(before).left()
        self._bring_page()
        self._draw()

    def _bring_page(self) -> None:
        page = self.shelf.page(self._number)
        self.shelf.setCurrentWidget(page)
        page.entered()

    def act(self, act: Act) -> None:
        """Do what a button asked for, or pass it on."""
        if act in _PAGE_OF:
            self.go_to(_PAGE_OF[act])
        else:
            self.acted.emit(act)

    def bring_up(self) -> None:
        """Show the window in front, wherever it was."""
        self.showNormal() if self.isMinimized() else self.show()
        self.raise_()
        self.activateWindow()

    def _escape(self) -> None:
        page = self.shelf.current
        if self.banner.isVisibleTo(self):
            self._hide_banner()
        elif not (page is not None and page.escape()) and self._tray_present:
            self.close()

    # Being seen

    @property
    def is_seen(self) -> bool:
        """Shown and not minimised."""
        return self.isVisible() and not self.isMinimized()

    def set_tray_present(self, present: bool) -> None:
        """Without a tray a hidden window could never come back: show it."""
        self._tray_present = present
        if not present and not self.isVisible() and self._was_shown and not self.leaving:
            self.show()

    @property
    def _was_shown(self) -> bool:
        return self.testAttribute(Qt.WidgetAttribute.WA_WState_Created)

    def showEvent(self, event: QShowEvent) -> None:
        """Start drawing."""
        super().showEvent(event)
        self._seen_maybe_changed()

    def hideEvent(self, event: QHideEvent) -> None:
        """Stop drawing."""
        super().hideEvent(event)
        self._seen_maybe_changed()

    def changeEvent(self, event: QEvent) -> None:
        """Minimised is not seen."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.WindowStateChange:
            self._seen_maybe_changed()

    def _seen_maybe_changed(self) -> None:
        seen = self.is_seen
        if seen == self._was_seen:
            return
        self._was_seen = seen
        if seen:
            self._tick.start()
            self._bring_page()
        else:
            self._tick.stop()
            self.shelf.page(self._number).left()
        self.seen_changed.emit(seen)
        self._draw()

    # Closing

    def closeEvent(self, event: QCloseEvent) -> None:
        """Hide into the tray; without one ask whether to quit."""
        self._preferences.geometry = self.saveGeometry()
        if self.leaving:
            event.accept()
            return
        event.ignore()
        if not self._tray_present:
            self._ask_to_quit()
        elif self._preferences.told_about_tray:
            self.hide()
        else:
            self._tell_about_tray()

    def _ask_to_quit(self) -> None:
        text = tr("This desktop shows no tray, so a closed window could not come back.")
        box = self._box(tr("Quit Rail Gun Relay?"), text)
        leave = box.addButton(tr("Quit"), QMessageBox.ButtonRole.AcceptRole)
        stay = box.addButton(tr("Minimise"), QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(stay)
        box.setEscapeButton(stay)

        def answered(_result: int) -> None:
            if box.clickedButton() is leave:
                self.acted.emit(Act.QUIT)
            else:
                self.showMinimized()

        box.finished.connect(answered)
        box.open()

    def _tell_about_tray(self) -> None:
        self._preferences.tell_about_tray_no_more()
        text = tr("The window closes; the relay goes on. Its icon in the tray opens the window again and can quit.")
        box = self._box(tr("Still relaying"), text)
        box.addButton(tr("Close the window"), QMessageBox.ButtonRole.AcceptRole)
        box.finished.connect(lambda _result: self.hide())
        box.open()

    def _box(self, title: str, text: str) -> QMessageBox:
        box = QMessageBox(self)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setWindowTitle(tr(messages.APP_NAME))
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(title)
        box.setInformativeText(text)
        return box
