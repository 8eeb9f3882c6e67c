"""One running app: theme, link, engine, tray and window wired together, from start to quit.

The only place that knows all the parts. It turns what the link and the engine process say into one `Seen`, hands it to
tray and window, and carries out what they ask for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from PySide6.QtCore import QObject
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication

from app.engine_process import EngineProcess, Stage
from app.last_minute import LastMinute, Rates
from app.link import Link, Pace
from app.messages import tr
from app.preferences import Preferences
from app.present import Act, Connection, Seen, copied_status, tray_view
from app.theme import Scheme, Theme
from app.tray import Tray
from app.window import Window
from railgun_core.local_api.messages import Doctor, Empty, LogLines
from railgun_core.status import NodeStatus

_LOG_LINES = 40
_QUIT_S = 12.0


class Desk(QObject):
    """`run` is the app's life; `quit` ends it. `engine_command` replaces how the engine is started (tests)."""

    def __init__(
        self,
        app: QApplication,
        data_dir: Path,
        *,
        owns_engine: bool,
        engine_command: Sequence[str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        app.setQuitOnLastWindowClosed(False)  # a closed window is in the tray, and quitting is ours to say
        self._clock = clock
        self._preferences = Preferences(data_dir)
        self._seen = Seen(None, Connection.STARTING)
        self._over = asyncio.Event()
        self._minute = LastMinute()
        self.theme = Theme(app)
        self.theme.choose(self._preferences.scheme)
        self.link = Link(data_dir)
        self.engine = EngineProcess(data_dir, engine_command) if owns_engine else None
        self.tray = Tray(self.theme)
        self.window = Window(
            self.theme,
            self.link,
            preferences=self._preferences,
            minute=self._minute,
            clock=clock,
            owns_engine=owns_engine,
        )
        self._wire()

    def _wire(self) -> None:
        self.link.status_changed.connect(self._took_status)
        self.link.connection_changed.connect(self._took_connection)
        if self.engine is not None:
            self.engine.stage_changed.connect(self._took_stage)
        self.tray.acted.connect(self.act)
        self.window.acted.connect(self.act)
        self.tray.presence_changed.connect(self.window.set_tray_present)
        self.window.set_tray_present(self.tray.present)
        self.window.seen_changed.connect(lambda seen: self._keep_pace(seen=seen))
        self.window.shelf.scheme_chosen.connect(self._choose_scheme)
        self.window.shelf.keep_relaying_chosen.connect(self._choose_keeping)
        self._show()

    @property
    def seen(self) -> Seen:
        """What the app knows now."""
        return self._seen

    async def run(self, *, shown: bool = True) -> None:
        """Show the window, keep the engine and the link alive, and return once `quit` was asked for."""
        if shown or not self.tray.present:
            self.window.bring_up()
        self._keep_pace(seen=self.window.is_seen)
        lives = [asyncio.ensure_future(self.link.run())]
        if self.engine is not None:
            lives.append(asyncio.ensure_future(self.engine.run()))
        over = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait({*lives, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for life in (*lives, over):
                life.cancel()
            ended = await asyncio.gather(*lives, over, return_exceptions=True)
            await self._close()
        for result in ended:
            if isinstance(result, Exception):
                raise result

    def _keep_pace(self, *, seen: bool) -> None:
        self.link.set_pace(Pace.LIVE if seen else Pace.QUIET)

    def quit(self) -> None:
        """End the app."""
        self._over.set()

    async def _close(self) -> None:
        self.window.leaving = True
        self.window.close()
        self.window.deleteLater()
        self.tray.close()
        self._preferences.save()
        if self.engine is not None:
            if self._preferences.keep_relaying:
                self.engine.leave_running()
            else:
                await asyncio.wait_for(self.engine.end(), 2 * _QUIT_S)

    # What comes in

    def _took_status(self, status: NodeStatus) -> None:
        self._minute.add(Rates(self._clock(), status.traffic.up_bps, status.traffic.down_bps))
        self._seen = Seen(status, Connection.CONNECTED)
        self._show()

    def _took_connection(self, connection: Connection) -> None:
        if connection is Connection.CONNECTED:
            return  # the status that proves it follows at once
        self._minute.clear()
        self._seen = Seen(self._seen.status, connection, self._seen.reason)
        if self.engine is not None:
            self.engine.look_again()
        self._show()

    def _took_stage(self, stage: Stage, reason: str) -> None:
        if stage is Stage.GIVEN_UP:
            self._seen = Seen(self._seen.status, Connection.STOPPED, reason)
        elif stage is Stage.RESTARTING:
            self._seen = Seen(self._seen.status, Connection.LOST, reason)
            self.window.show_notice(reason)
        self._show()

    def _show(self) -> None:
        self.tray.show_view(tray_view(self._seen, self._clock()))
        self.window.show_seen(self._seen)

    # What is asked for

    def act(self, act: Act) -> None:
        """Carry out what a menu item or a button asked for."""
        match act:
            case Act.OPEN:
                self.window.bring_up()
            case Act.COPY_STATUS:
                QGuiApplication.clipboard().setText(copied_status(self._seen, self._clock()))
            case Act.COPY_DIAGNOSTICS:
                self.link.start(self._copy_diagnostics())
            case Act.QUIT:
                self.quit()
            case _:
                self.window.bring_up()
                self.window.act(act)

    async def _copy_diagnostics(self) -> None:
        """Status, the doctor's findings and the last log lines: all of it redacted by the engine already."""
        parts = [copied_status(self._seen, self._clock())]
        if self._seen.reason:
            parts.append(self._seen.reason)
        if self._seen.status is not None:
            parts.append(msgspec.json.format(msgspec.json.encode(self._seen.status), indent=2).decode())
        if self.link.connected:
            doctor = await self.link.ask("doctor", Empty(), Doctor)
            logs = await self.link.ask("logs", Empty(), LogLines)
            parts += [f"{'+' if check.good else '-'} {check.sentence}" for check in doctor.checks] if doctor else []
            parts += list(logs.lines[-_LOG_LINES:]) if logs else []
        QGuiApplication.clipboard().setText("\n".join(parts))
        self.window.show_notice(tr("Diagnostics are in the clipboard. They hold no address, no key and no message."))

    def _choose_scheme(self, scheme: Scheme) -> None:
        self._preferences.scheme = scheme
        self.theme.choose(scheme)

    def _choose_keeping(self, keep: bool) -> None:
        self._preferences.keep_relaying = keep
