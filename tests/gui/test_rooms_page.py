"""Rooms: made, joined, left, and talked in."""

from __future__ import annotations

from pathlib import Path

import msgspec
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QDialog, QLabel, QMessageBox

from app.pages.privacy_dialogs import MemberList
from app.pages.room_dialogs import InviteLink
from app.pages.rooms import RoomsPage
from app.widgets.qr_code import QrCode
from tests.gui.conftest import Scenario, desk_on, engine_on, until
from tests.gui.fake_engine import LINK

GARDEN = "ab12cd34"


def texts(page: RoomsPage) -> list[tuple[str, str]]:
    return [(row.text, row.delivery) for row in page.conversation.messages.rows]


def test_a_conversation_follows_what_others_say_and_ticks_move(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path) as engine, desk_on(tmp_path) as desk:
            await engine.say(GARDEN, "first", sender="aa11bb22")
            desk.window.go_to(3)
            page = desk.window.shelf.rooms
            await until(lambda: texts(page) == [("first", "")])
            page.input.setText("hello")
            page.input.returnPressed.emit()
            await until(lambda: texts(page) == [("first", ""), ("hello", "queued")])
            assert page.input.text() == ""
            for delivery in ("accepted", "stored", "delivered"):
                await engine.settle(GARDEN, delivery)
                await until(lambda delivery=delivery: texts(page)[1] == ("hello", delivery))
            await engine.say(GARDEN, "second", sender="aa11bb22")
            await until(lambda: [text for text, _ in texts(page)] == ["first", "hello", "second"])

    play(scenario())


def test_a_draft_stays_with_its_room(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path), desk_on(tmp_path) as desk:
            desk.window.go_to(3)
            page = desk.window.shelf.rooms
            await until(lambda: page.list.count() == 2)
            page.input.setText("half a thought")
            page.list.setCurrentRow(1)
            assert page.input.text() == ""
            page.list.setCurrentRow(0)
            assert page.input.text() == "half a thought"

    play(scenario())


def test_a_room_that_no_relay_answers_wears_a_banner_until_one_does(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path) as engine, desk_on(tmp_path) as desk:
            desk.window.go_to(3)
            page = desk.window.shelf.rooms
            await until(lambda: page.list.count() == 2)
            assert page.way.isHidden()
            by_committee = engine.status.rooms
            await engine.publish(rooms=tuple(msgspec.structs.replace(room, way="mailbox") for room in by_committee))
            await until(page.way.isVisible)
            assert "kept in mailboxes" in page.way.findChildren(QLabel)[0].text()
            await engine.publish(rooms=by_committee)
            await until(page.way.isHidden)

    play(scenario())


def test_a_new_room_is_made_and_chosen_and_a_taken_name_is_explained(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path), desk_on(tmp_path) as desk:
            desk.window.go_to(3)
            page = desk.window.shelf.rooms
            await until(lambda: page.list.count() == 2)
            dialog = page.ask_for_name()
            assert not dialog.yes.isEnabled()
            dialog.input.setText("Workshop")
            dialog.accept()
            await until(lambda: page.list.count() == 3)
            await until(lambda: page.list.currentItem().text().startswith("Workshop"))
            again = page.ask_for_name()
            again.input.setText("Workshop")
            again.accept()
            await until(lambda: desk.window.notice == "A room with this name exists. Choose another name.")

    play(scenario())


def test_joining_takes_only_invite_links_and_only_after_a_yes(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path) as engine, desk_on(tmp_path) as desk:
            desk.window.go_to(3)
            page = desk.window.shelf.rooms
            await until(lambda: page.list.count() == 2)
            QGuiApplication.clipboard().setText(LINK)
            dialog = page.ask_for_link()
            assert dialog.input.text() == LINK
            assert len(engine.status.rooms) == 2
            dialog.input.setText("https://example.org/")
            assert not dialog.yes.isEnabled()
            assert dialog.problem.text()
            dialog.input.setText(f"  {LINK} ")
            dialog.accept()
            await until(lambda: page.list.count() == 3)

    play(scenario())


def test_leaving_asks_first(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path) as engine, desk_on(tmp_path) as desk:
            desk.window.go_to(3)
            page = desk.window.shelf.rooms
            await until(lambda: page.list.count() == 2)
            page.ask_to_leave()
            stay = page.findChildren(QMessageBox)[-1]
            stay.reject()
            page.ask_to_leave()
            box = page.findChildren(QMessageBox)[-1]
            assert engine.left == []
            next(button for button in box.buttons() if button.text() == "Leave").click()
            await until(lambda: engine.left == [GARDEN])
            await until(lambda: page.list.count() == 1)

    play(scenario())


def test_an_invite_can_be_copied_and_scanned_and_members_are_listed(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path), desk_on(tmp_path) as desk:
            desk.window.go_to(3)
            page = desk.window.shelf.rooms
            await until(lambda: page.list.count() == 2)
            for ask, kind in ((page.show_invite, InviteLink), (page.security.show_members, MemberList)):
                ask()
                await until(lambda kind=kind: page.findChildren(kind))
                dialog: QDialog = page.findChildren(kind)[0]
                assert dialog.isVisible()
                dialog.accept()

    play(scenario())


def test_a_qr_code_has_its_quiet_border(qapp: QApplication) -> None:
    image = QrCode(LINK, "a link", side_px=300).grab().toImage()
    assert image.width() == image.height() > 100
    assert {image.pixelColor(n, n).name() for n in range(10)} == {"#ffffff"}
    assert image.pixelColor(image.width() // 2, image.height() // 2).name() in ("#ffffff", "#000000")
