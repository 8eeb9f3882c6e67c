"""The window shows what an engine says, live."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from PySide6.QtGui import QAccessible, QGuiApplication
from PySide6.QtWidgets import QAbstractButton, QLineEdit, QListView, QWidget

from app.pages.shelf import COUNT
from app.present import Act, Connection, Shape
from app.theme import Scheme
from railgun_core.status import DutyState, State
from tests.gui.conftest import Scenario, desk_on, engine_on, until
from tests.gui.fake_engine import duty


def test_home_shows_live_state_numbers_and_duties(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path) as engine, desk_on(tmp_path) as desk:
            home = desk.window.shelf.home
            await until(lambda: home.state.title.text() == "Relaying for 3 rooms")
            assert home.state.mark.shape is Shape.DOT
            assert home.up.text() == "↑ 1.2 Mbit/s"
            assert [row.tag_text for row in home.duties.rows][:2] == ["7f3a 91c2", "c09d 14ee"]
            await engine.publish(duties=(duty("00ff00ff0000", DutyState.PREPARING, now_s=time.time()),))
            await until(lambda: [row.chip for row in home.duties.rows] == ["Preparing"])

    play(scenario())


@pytest.mark.parametrize(
    ("state", "shape"),
    [
        (State.JOINING, Shape.ARC),
        (State.STANDBY, Shape.FILLED),
        (State.PAUSED_BY_PERSON, Shape.BARS),
        (State.PAUSED_BY_RULE, Shape.BARS_CORNER),
        (State.DEGRADED, Shape.TRIANGLE),
        (State.OFFLINE, Shape.SLASH),
        (State.ERROR, Shape.EXCLAMATION),
    ],
)
def test_a_change_of_state_reaches_the_card(play: Scenario, tmp_path: Path, state: State, shape: Shape) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path) as engine, desk_on(tmp_path) as desk:
            await until(lambda: desk.seen.connection is Connection.CONNECTED)
            await engine.publish(state=state, reason="because")
            await until(lambda: desk.window.shelf.home.state.mark.shape is shape)

    play(scenario())


def test_without_an_engine_the_window_says_so_and_recovers_when_one_comes(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with desk_on(tmp_path) as desk:
            await until(lambda: desk.window.shelf.home.state.title.text() == "Starting…")
            async with engine_on(tmp_path):
                await until(lambda: desk.window.shelf.home.state.title.text() == "Relaying for 3 rooms")
            await until(lambda: desk.window.shelf.home.state.title.text() == "Starting again…")
            assert desk.window.shelf.home.up.text() == "↑ —"
            async with engine_on(tmp_path):
                await until(lambda: desk.window.shelf.home.state.title.text() == "Relaying for 3 rooms")

    play(scenario())


def test_the_inspector_says_why_each_seat_is_held(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path), desk_on(tmp_path) as desk:
            desk.window.go_to(1)
            page = desk.window.shelf.duties
            await until(lambda: page.now_list.rows)
            page.now_list.setCurrentIndex(page.now_list.model().index(0, 0))
            await until(lambda: page.inspector.accessibleName().startswith("7f3a 91c2"))
            assert "Verified" in page.inspector.accessibleName()
            await until(lambda: [row.tag for row in page.past_list.rows] == ["0b7712fe9911"])
            assert page.escape()
            assert not page.inspector.isVisible()

    play(scenario())


def test_the_selected_duty_stays_selected_when_others_come_before_it(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path) as engine, desk_on(tmp_path) as desk:
            desk.window.go_to(1)
            shown = desk.window.shelf.duties.now_list
            await until(lambda: len(shown.rows) == 4)
            shown.setCurrentIndex(shown.model().index(1, 0))
            now_s = time.time()
            await engine.publish(duties=(duty("0000aaaa", DutyState.SERVING, now_s=now_s), *engine.status.duties))
            await until(lambda: len(shown.rows) == 5)
            assert shown.rows[shown.currentIndex().row()].tag == "c09d14ee1b22"

    play(scenario())


def test_the_network_page_lists_relays_and_warns_of_a_young_network(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path) as engine, desk_on(tmp_path) as desk:
            desk.window.go_to(2)
            await until(lambda: desk.window.shelf.network.relays.topLevelItemCount() == 12)
            assert not desk.window.shelf.network.warning.isVisible()
            await engine.publish(young_network=True)
            await until(desk.window.shelf.network.warning.isVisible)

    play(scenario())


def test_a_theme_switch_repaints_everything_and_is_remembered(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path), desk_on(tmp_path) as desk:
            await until(lambda: desk.seen.connection is Connection.CONNECTED)
            for scheme in (Scheme.DARK, Scheme.HIGH_CONTRAST, Scheme.LIGHT, Scheme.DARK):
                desk.window.shelf.settings.schemes[scheme].click()
                ground = desk.window.grab().toImage().pixelColor(210, 10).name().upper()
                assert ground == desk.theme.tokens.bg
        async with desk_on(tmp_path) as desk:
            assert desk.theme.resolved is Scheme.DARK

    play(scenario())


def test_every_control_that_takes_the_focus_has_a_name(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path), desk_on(tmp_path) as desk:
            await until(lambda: desk.seen.connection is Connection.CONNECTED)
            nameless = []
            for number in range(COUNT):
                desk.window.go_to(number)
                for widget in desk.window.findChildren(QWidget):
                    if isinstance(widget, QAbstractButton | QLineEdit | QListView) and widget.isVisible():
                        interface = QAccessible.queryAccessibleInterface(widget)
                        if not interface.text(QAccessible.Text.Name):
                            nameless.append(f"{type(widget).__name__} {widget.objectName()}")
            assert nameless == []

    play(scenario())


def test_a_hidden_window_paints_nothing_and_asks_rarely(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path) as engine, desk_on(tmp_path) as desk:
            await until(lambda: engine.watchers == 1)
            await until(lambda: desk.window.shelf.home.sparkline.paints > 0)
            desk.window.hide()
            await until(lambda: engine.watchers == 0)
            paints = desk.window.shelf.home.sparkline.paints
            await engine.publish(state=State.STANDBY)
            await until(lambda: desk.seen.state is State.STANDBY)  # within the quiet pace
            assert desk.window.shelf.home.sparkline.paints == paints
            desk.window.bring_up()
            await until(lambda: engine.watchers == 1)

    play(scenario())


def test_geometry_is_restored(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with desk_on(tmp_path) as desk:
            desk.window.resize(860, 600)
        async with desk_on(tmp_path) as desk:
            assert (desk.window.width(), desk.window.height()) == (860, 600)

    play(scenario())


def test_copy_diagnostics_holds_status_doctor_and_log(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path), desk_on(tmp_path) as desk:
            await until(lambda: desk.seen.connection is Connection.CONNECTED)
            desk.act(Act.COPY_DIAGNOSTICS)
            await until(lambda: "clipboard" in desk.window.notice)
            text = QGuiApplication.clipboard().text()
            assert "Relaying for 3 rooms" in text
            assert "+ The store can be written." in text
            assert '{"event":"started"}' in text

    play(scenario())
