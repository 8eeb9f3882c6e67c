"""Tray and no tray. Off screen there is none, so these play the host by hand; `test_real_tray` uses a real one."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QMessageBox, QSystemTrayIcon

from tests.gui.conftest import Scenario, desk_on, engine_on, until


def test_without_a_tray_closing_asks_and_the_window_stays_in_reach(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path), desk_on(tmp_path) as desk:
            await until(desk.window.isVisible)
            assert not desk.tray.present
            desk.window.close()
            box = desk.window.findChildren(QMessageBox)[-1]
            assert desk.window.isVisible()
            next(button for button in box.buttons() if button.text() == "Minimise").click()
            assert desk.window.isVisible()
            assert desk.window.isMinimized()

    play(scenario())


def test_a_tray_that_comes_late_gets_a_new_icon_and_one_that_goes_brings_the_window_back(
    play: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = {"there": False}
    monkeypatch.setattr(QSystemTrayIcon, "isSystemTrayAvailable", staticmethod(lambda: host["there"]))

    async def scenario() -> None:
        async with engine_on(tmp_path), desk_on(tmp_path) as desk:
            await until(desk.window.isVisible)
            assert desk.tray.icon is None
            host["there"] = True
            desk.tray.look()
            first = desk.tray.icon
            assert first is not None
            assert not first.icon().isNull()
            desk.window.close()
            box = desk.window.findChildren(QMessageBox)[-1]  # says once where the window goes
            box.buttons()[0].click()
            assert not desk.window.isVisible()
            host["there"] = False
            desk.tray.look()
            assert desk.window.isVisible()
            host["there"] = True
            desk.tray.look()
            assert desk.tray.icon is not first
            desk.window.close()
            assert not desk.window.isVisible()  # the second time without a word

    play(scenario())


def test_the_menu_says_the_state_and_opens_the_rooms(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path), desk_on(tmp_path) as desk:
            menu = desk.tray.menu
            await until(lambda: menu.actions()[0].text().startswith("Relaying for 3 rooms"))
            texts = [action.text() for action in menu.actions()]
            assert texts[1:] == ["Open", "Rooms…", "Copy status", "Settings…", "Quit"]
            menu.actions()[2].trigger()
            assert desk.window.shelf.current is desk.window.shelf.rooms
            menu.actions()[4].trigger()
            assert desk.window.shelf.current is desk.window.shelf.settings

    play(scenario())
