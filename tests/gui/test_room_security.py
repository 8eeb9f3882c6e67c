"""The switch, the meter, safety numbers and removal, and the page What others saw."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtGui import QAccessible, QGuiApplication
from PySide6.QtWidgets import QAbstractButton, QMessageBox, QSlider, QWidget

from app.desk import Desk
from app.pages.privacy_dialogs import MemberList, SafetyNumber, SecureRoom
from app.pages.room_security import RoomSecurity
from app.pages.shelf import EXPOSURE, HOME, ROOMS
from tests.gui.conftest import Scenario, desk_on, engine_on, until

GARDEN = "ab12cd34"


async def security_of(desk: Desk) -> RoomSecurity:
    desk.window.go_to(ROOMS)
    page = desk.window.shelf.rooms
    await until(lambda: page.list.count() == 2)
    return page.security


async def opened(security: RoomSecurity) -> SecureRoom:
    security.on.click()
    await until(lambda: any(dialog.isVisible() for dialog in security.findChildren(SecureRoom)))
    return next(dialog for dialog in security.findChildren(SecureRoom) if dialog.isVisible())


def nameless(widget: QWidget) -> list[str]:
    found = [one for one in widget.findChildren(QWidget) if isinstance(one, QAbstractButton | QSlider)]
    return [
        type(one).__name__
        for one in found
        if one.isVisible() and not QAccessible.queryAccessibleInterface(one).text(QAccessible.Text.Name)
    ]


def test_high_security_shows_its_price_and_waits_for_a_yes(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path) as engine, desk_on(tmp_path) as desk:
            security = await security_of(desk)
            dialog = await opened(security)
            assert dialog.isVisible()
            assert [figure.value for figure in dialog.figures][2:] == ["30 GB", "42 MB"]
            assert nameless(dialog) == []
            dialog.reject()
            assert not engine.status.rooms[0].high_security
            dialog = await opened(security)
            dialog.slider.setValue(dialog.slider.value() + 1)
            assert not dialog.yes.isEnabled()  # until the price of this budget is there
            await until(lambda: dialog.figures[2].value == "50 GB")
            assert engine.prices[-1] == 50.0
            dialog.yes.click()
            await until(lambda: security.meter.word == "Anonymous")
            assert not security.on.isVisible()

    play(scenario())


def test_too_few_mixes_are_said_before_and_after(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path) as engine, desk_on(tmp_path) as desk:
            engine.mixes = 8
            security = await security_of(desk)
            dialog = await opened(security)
            assert "32 are needed" in dialog.state.text()
            dialog.yes.click()
            await until(lambda: security.meter.word == "Not anonymous yet")

    play(scenario())


def test_what_is_not_possible_cannot_be_switched_on(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path) as engine, desk_on(tmp_path) as desk:
            engine.why = "no guard answers"
            dialog = await opened(await security_of(desk))
            assert dialog.state.text().startswith("Not possible now. No guard answers.")
            assert not dialog.yes.isEnabled()

    play(scenario())


def test_switching_off_can_be_taken_back_and_then_happens(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path) as engine, desk_on(tmp_path) as desk:
            security = await security_of(desk)
            (await opened(security)).yes.click()
            await until(lambda: security.meter.isVisible())
            security.off.click()
            await until(lambda: security.undo_bar.isVisible())
            assert engine.status.rooms[0].high_security
            security.undo.click()
            await until(lambda: not security.undo_bar.isVisible())
            assert engine.status.rooms[0].high_security
            security.undo_s = 1
            security.off.click()
            await until(lambda: not engine.status.rooms[0].high_security)
            await until(lambda: not security.isVisible())

    play(scenario())


def test_a_safety_number_is_shown_and_copied(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path), desk_on(tmp_path) as desk:
            page = (await security_of(desk)).parentWidget()
            assert page is not None
            desk.window.shelf.rooms.security.show_members()
            await until(lambda: page.findChildren(MemberList))
            members = page.findChildren(MemberList)[0]
            assert nameless(members) == []
            members.safety_asked.emit("aa11bb22" * 4)
            await until(lambda: members.findChildren(SafetyNumber))
            number = members.findChildren(SafetyNumber)[0]
            copy = next(one for one in number.findChildren(QAbstractButton) if one.text() == "Copy digits")
            copy.click()
            assert len(QGuiApplication.clipboard().text().split(" ")) == 12
            number.accept()

    play(scenario())


def test_a_member_is_removed_after_a_yes_only(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path) as engine, desk_on(tmp_path) as desk:
            security = await security_of(desk)
            page = security.parentWidget()
            assert page is not None
            security.show_members()
            await until(lambda: page.findChildren(MemberList))
            members = page.findChildren(MemberList)[0]
            members.removal_asked.emit("aa11bb22" * 4, "aa11bb22")
            members.findChildren(QMessageBox)[-1].reject()
            members.removal_asked.emit("aa11bb22" * 4, "aa11bb22")
            assert engine.removed == []
            box = members.findChildren(QMessageBox)[-1]
            next(one for one in box.buttons() if one.text() == "Remove").click()
            await until(lambda: engine.removed == ["aa11bb22" * 4])

    play(scenario())


def test_what_others_saw_is_shown_by_role_and_by_day(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path), desk_on(tmp_path) as desk:
            desk.window.go_to(EXPOSURE)
            page = desk.window.shelf.exposure
            await until(lambda: page.shown is not None and len(page.shown.roles) == 2)
            assert not page.forward.isEnabled()
            page.back.click()
            await until(lambda: page.shown is not None and page.shown.empty)
            page.forward.click()
            await until(lambda: page.shown is not None and not page.shown.empty)

    play(scenario())


def test_pages_are_built_when_they_are_first_seen(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path), desk_on(tmp_path) as desk:
            await until(lambda: desk.window.shelf.built == (HOME,))
            desk.window.go_to(ROOMS)
            assert desk.window.shelf.built == (HOME, ROOMS)
            desk.window.hide()
            desk.window.go_to(EXPOSURE)
            assert desk.window.shelf.built == (HOME, ROOMS)
            desk.window.bring_up()
            await until(lambda: EXPOSURE in desk.window.shelf.built)

    play(scenario())


def test_home_says_what_this_peer_mixes(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path) as engine, desk_on(tmp_path) as desk:
            home = desk.window.shelf.home
            await until(lambda: home.mixing.text().startswith("Mixing: 18\u202f402 packets mixed"))
            await engine.publish(roles=("relay",))
            await until(lambda: not home.mixing.isVisible())

    play(scenario())
