"""The tray icon: one state, one sentence, a short menu.

Traps this file answers (all measured):
- A tray host that starts after the app never gets an icon that was shown before it: availability is polled and a NEW
  icon is built when it turns from no to yes.
- `isVisible()` is True with no tray at all, so nothing is ever decided on it; `present` says whether a host is there.
- `showMessage()` swaps the icon on StatusNotifier hosts, so it is not used.
"""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from app.marks import mark_icon
from app.present import Act, Shape, TrayView
from app.theme import Theme

_FAST_MS = 1_000
_SLOW_MS = 15_000
_FAST_LOOKS = 60


class Tray(QObject):
    """Keeps an icon wherever there is a tray. `acted` carries what the person asked for."""

    acted = Signal(Act)
    presence_changed = Signal(bool)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._icon: QSystemTrayIcon | None = None
        self._view: TrayView | None = None
        self._drawn: tuple[Shape, str] | None = None
        self._looks = 0
        self._menu = QMenu()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.look)
        self._timer.start(_FAST_MS)
        theme.changed.connect(self._redraw)
        self.look()

    @property
    def present(self) -> bool:
        """Is there a tray host now?"""
        return self._icon is not None

    @property
    def icon(self) -> QSystemTrayIcon | None:
        """The icon in use, for tests."""
        return self._icon

    @property
    def menu(self) -> QMenu:
        """The menu, the same one for every icon."""
        return self._menu

    def look(self) -> None:
        """Poll for a host: each second for a minute, then every 15 s."""
        self._looks += 1
        if self._looks == _FAST_LOOKS:
            self._timer.setInterval(_SLOW_MS)
        available = QSystemTrayIcon.isSystemTrayAvailable()
        if available and self._icon is None:
            self._build()
            self.presence_changed.emit(True)
        elif not available and self._icon is not None:
            self._drop()
            self.presence_changed.emit(False)

    def show_view(self, view: TrayView) -> None:
        """Show a state. Only what differs is touched: hosts redraw on each call."""
        before, self._view = self._view, view
        if before is None or before.menu != view.menu:
            self._fill_menu(view)
        self._redraw()
        if self._icon is not None and (before is None or before.tooltip != view.tooltip):
            self._icon.setToolTip(view.tooltip)

    def close(self) -> None:
        """Take the icon away."""
        self._timer.stop()
        self._drop()

    def _build(self) -> None:
        icon = QSystemTrayIcon()
        icon.setContextMenu(self._menu)
        icon.activated.connect(self._activated)
        self._icon = icon
        self._drawn = None
        if self._view is not None:
            icon.setToolTip(self._view.tooltip)
        self._redraw()
        icon.show()

    def _drop(self) -> None:
        icon, self._icon = self._icon, None
        if icon is not None:
            icon.hide()
            icon.deleteLater()

    def _redraw(self) -> None:
        shape, colour = (self._view.shape, self._view.colour) if self._view is not None else (Shape.RING, "accent")
        wanted = (shape, f"{colour} {self._theme.resolved}")
        if self._icon is not None and wanted != self._drawn:
            self._icon.setIcon(mark_icon(shape, colour, self._theme.tokens))
            self._drawn = wanted

    def _fill_menu(self, view: TrayView) -> None:
        actions = self._menu.actions()
        if len(actions) != len(view.menu):
            self._menu.clear()
            for act, text in view.menu:
                self._add(act, text)
            return
        for action, (_act, text) in zip(actions, view.menu, strict=True):
            if action.text() != text:
                action.setText(text)

    def _add(self, act: Act | None, text: str) -> None:
        action = self._menu.addAction(text)
        if act is None:
            action.setEnabled(False)
        else:
            action.triggered.connect(lambda: self.acted.emit(act))

    def _activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason in (QSystemTrayIcon.ActivationReason.Trigger, QSystemTrayIcon.ActivationReason.DoubleClick):
            self.acted.emit(Act.OPEN)
