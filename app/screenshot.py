"""Pictures of the window on a running engine, in the light and the dark palette.

    python -m app.screenshot LIGHT.png DARK.png --data-dir D [--page home] [--wait-s 62]

It attaches, never starts an engine, and shows only what the engine says. `--wait-s` gives the traffic line its minute.
Without a display it draws off screen.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.display import has_display

if TYPE_CHECKING:
    from app.desk import Desk

PAGES = ("home", "duties", "network", "rooms", "exposure", "settings", "help")
_SETTLE_S = 0.6
_FIRST_STATUS_S = 15.0


def main(argv: Sequence[str]) -> int:
    """Write both pictures; 3 when no engine answers on the data dir."""
    parser = argparse.ArgumentParser(prog="python -m app.screenshot", description="Pictures of the window.")
    parser.add_argument("light", type=Path)
    parser.add_argument("dark", type=Path)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--page", choices=PAGES, default="home")
    parser.add_argument("--wait-s", type=float, default=3.0, help="watch this long first")
    parser.add_argument("--inspect", action="store_true", help="on the page duties: open the inspector")
    parser.add_argument("--size", default="1060x720", help="WIDTHxHEIGHT")
    options = parser.parse_args(list(argv))
    if not has_display():
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    import qasync
    from PySide6.QtWidgets import QApplication

    app = QApplication(sys.argv[:1])
    loop = qasync.QEventLoop(app)
    asyncio.set_event_loop(loop)
    with loop:
        return int(loop.run_until_complete(_take(app, options)))


async def _take(app: object, options: argparse.Namespace) -> int:
    from PySide6.QtWidgets import QApplication

    from app.desk import Desk
    from app.theme import Scheme

    assert isinstance(app, QApplication)
    desk = Desk(app, options.data_dir.resolve(), owns_engine=False)
    life = asyncio.ensure_future(desk.run())
    try:
        width, height = (int(part) for part in options.size.split("x"))
        desk.window.resize(width, height)
        desk.window.go_to(PAGES.index(options.page))
        if not await _first_status(desk):
            sys.stderr.write("No engine answers on this data dir.\n")
            return 3
        await asyncio.sleep(options.wait_s)
        if options.inspect and desk.window.shelf.duties.now_list.rows:
            desk.window.shelf.duties.now_list.setCurrentIndex(desk.window.shelf.duties.now_list.model().index(0, 0))
        for scheme, target in ((Scheme.LIGHT, options.light), (Scheme.DARK, options.dark)):
            desk.theme.choose(scheme)
            await asyncio.sleep(_SETTLE_S)
            target.parent.mkdir(parents=True, exist_ok=True)
            if not desk.window.grab().save(str(target)):
                sys.stderr.write(f"{target} cannot be written.\n")
                return 3
        return 0
    finally:
        desk.quit()
        await life


async def _first_status(desk: Desk) -> bool:
    arrived = asyncio.Event()
    desk.link.status_changed.connect(lambda _status: arrived.set())
    try:
        await asyncio.wait_for(arrived.wait(), _FIRST_STATUS_S)
    except TimeoutError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
