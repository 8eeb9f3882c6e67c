"""Start the desktop app: `python -m app`, `railgun` without a verb, `railgun demo --app`.

Whether there is a screen is decided before Qt is touched. Without one the engine runs in the foreground instead.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from app import messages
from app.display import has_display
from app.messages import tr
from railgun_core.config import default_data_dir


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="railgun", description=tr("Rail Gun Relay: tray and window."))
    parser.add_argument("--data-dir", type=Path, help=tr("the engine's data folder"))
    parser.add_argument("--demo-data-dir", type=Path, help=tr("a peer of a running demo; the same as with --attach"))
    parser.add_argument("--attach", action="store_true", help=tr("use a running engine, never start one"))
    parser.add_argument("--hidden", action="store_true", help=tr("start in the tray without the window"))
    return parser.parse_args(list(argv))


def main(argv: Sequence[str]) -> int:
    """Run the app and return its exit status: 0 quit, 2 wrong usage, 3 no screen and nothing to run headless."""
    try:
        options = _options(argv)
    except SystemExit as error:
        return int(error.code or 0)
    attach = options.attach or options.demo_data_dir is not None
    chosen = options.demo_data_dir or options.data_dir or default_data_dir()
    data_dir = Path(chosen).expanduser().resolve()
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not has_display():
        return _headless(data_dir, attach=attach)
    try:
        return _windowed(data_dir, attach=attach, shown=not options.hidden)
    except ImportError as error:
        sys.stderr.write(tr("The window cannot be drawn here ({why}).", why=error) + "\n")
        return _headless(data_dir, attach=attach)


def _headless(data_dir: Path, *, attach: bool) -> int:
    if attach:
        sys.stderr.write(tr("No display, so there is no window to attach to this engine.") + "\n")
        return 3
    sys.stderr.write(tr("No display: running the relay without a window. Ctrl+C ends it.") + "\n")
    program = (sys.executable,) if getattr(sys, "frozen", False) else (sys.executable, "-m", "railgun_core")
    with subprocess.Popen((*program, "node", "--data-dir", str(data_dir))) as engine:
        with contextlib.suppress(KeyboardInterrupt):  # the terminal has told the engine too
            return engine.wait()
        return engine.wait()


def _windowed(data_dir: Path, *, attach: bool, shown: bool) -> int:
    import qasync
    from PySide6.QtCore import QCoreApplication
    from PySide6.QtWidgets import QApplication

    from app.desk import Desk

    os.environ.setdefault("QT_XCB_GL_INTEGRATION", "none")  # nothing here draws by OpenGL; its drivers cost memory
    app = QApplication(sys.argv[:1])
    app.setApplicationName(messages.APP_NAME)  # tray hosts show this as the icon's title
    app.setDesktopFileName("io.github.railgun_relay.RailGunRelay")
    messages.use_translator(lambda text: QCoreApplication.translate("app", text))
    loop = qasync.QEventLoop(app)
    asyncio.set_event_loop(loop)
    with loop:
        desk = Desk(app, data_dir, owns_engine=not attach)
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):  # Windows: the tray's Quit is the way
                loop.add_signal_handler(number, desk.quit)
        loop.run_until_complete(desk.run(shown=shown))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
