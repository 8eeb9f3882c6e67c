"""The page Settings: what is chosen reaches the engine, what it refuses jumps back and says why beside the control."""

from __future__ import annotations

from pathlib import Path

import msgspec
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QLabel, QLineEdit, QMessageBox, QWidget

from app.desk import Desk
from app.pages.settings import SettingsPage
from app.pages.shelf import EXPOSURE, ROOMS, SETTINGS
from tests.gui.conftest import Scenario, desk_on, engine_on, until

SERVER = "server.example.org:4222"


async def settings_of(desk: Desk) -> SettingsPage:
    desk.window.go_to(SETTINGS)
    page = desk.window.shelf.settings
    await until(page.modes.isEnabled)
    return page


def press(parent: QWidget, words: str) -> None:
    """Answer the open question."""
    boxes = [box for box in parent.findChildren(QMessageBox) if box.isVisible()]
    next(one for one in boxes[-1].buttons() if one.text() == words).click()


async def asked(page: SettingsPage) -> QMessageBox:
    await until(lambda: any(box.isVisible() for box in page.mail.findChildren(QMessageBox)))
    return next(box for box in page.mail.findChildren(QMessageBox) if box.isVisible())


def texts_of(page: SettingsPage) -> list[str]:
    return [one.text() for one in page.findChildren(QLabel) if one.isVisible()]


def test_every_mode_says_whom_it_tells_what_and_counts_at_once(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path) as engine, desk_on(tmp_path) as desk:
            page = await settings_of(desk)
            words = " ".join(texts_of(page))
            for fact in (
                "A starting point sees your internet address",
                "Only peers see",
                "The server sees your internet",
            ):
                assert fact in words
            assert page.modes.choices["p2p"].isChecked()
            page.modes.choices["full"].click()
            await until(lambda: engine.mode.mode == "full")
            assert page.modes.choices["full"].isChecked()

    play(scenario())


def test_the_mode_with_a_server_needs_one_and_says_so_at_the_field(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path) as engine, desk_on(tmp_path) as desk:
            page = await settings_of(desk)
            modes = page.modes
            height = modes.height()
            modes.choices["hybrid"].click()
            assert (modes.choices["p2p"].isChecked(), modes.note.note.bad) == (True, True)
            assert modes.note.text().startswith("Write the server's address first")
            assert modes.server.accessibleDescription() == modes.note.text()
            modes.server.setFocus()
            QTest.keyClicks(modes.server, "somewhere")
            assert not modes.note.note.bad
            QTest.keyClick(modes.server, Qt.Key.Key_Return)
            assert modes.note.text().startswith("“somewhere” is no address")
            assert modes.height() == height  # nothing jumped
            modes.server.selectAll()
            QTest.keyClicks(modes.server, SERVER)
            modes.use.click()
            await until(lambda: (engine.mode.mode, engine.mode.central) == ("hybrid", (SERVER,)))
            await until(lambda: modes.note.text() == "The server answers.")
            assert modes.choices["hybrid"].isChecked()
            assert not modes.use.isEnabled()
            modes.first.click()
            await until(lambda: engine.mode.central_first)
            modes.choices["p2p"].click()
            await until(lambda: modes.note.text() == "Not used in this mode; kept for later.")
            assert modes.server.text() == SERVER

    play(scenario())


def test_what_the_engine_refuses_jumps_back_with_its_sentence(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path), desk_on(tmp_path) as desk:
            modes = (await settings_of(desk)).modes
            QTest.keyClicks(modes.server, "refused.example.org:4222")
            modes.choices["hybrid"].click()
            await until(lambda: modes.note.text() == "That server is not wanted here.")
            assert modes.choices["p2p"].isChecked()
            assert modes.server.text() == "refused.example.org:4222"  # to be mended, not typed anew
            assert desk.window.notice == ""

    play(scenario())


def test_keeping_mail_is_switched_on_with_its_space(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path) as engine, desk_on(tmp_path) as desk:
            mail = (await settings_of(desk)).mail
            assert not mail.on.isChecked()
            mail.on.click()
            await until(lambda: engine.mailbox.on)
            mail.room.selectAll()
            QTest.keyClicks(mail.room, "much")
            QTest.keyClick(mail.room, Qt.Key.Key_Return)
            assert mail.note.text() == "Write the space as a whole number of MB, as in 1000."
            mail.room.selectAll()
            QTest.keyClicks(mail.room, "1")
            QTest.keyClick(mail.room, Qt.Key.Key_Return)
            await until(lambda: mail.note.text() == "Space for mail can be 2 MB to 1,099,511 MB.")
            mail.room.selectAll()
            QTest.keyClicks(mail.room, "2 000")
            mail.save.click()
            await until(lambda: engine.mailbox.limit_bytes == 2_000_000_000)
            await until(lambda: mail.room.text() == "2\u202f000")
            assert not mail.save.isEnabled()

    play(scenario())


def test_switching_off_with_mail_inside_asks_and_each_answer_does_what_it_says(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path) as engine, desk_on(tmp_path) as desk:
            engine.hold(214)
            page = await settings_of(desk)
            mail = page.mail
            mail.on.click()
            box = await asked(page)
            assert box.text() == "214 sealed envelopes of others are kept here"
            assert "within 6 days" in box.informativeText()
            press(mail, "Cancel")
            assert (engine.mailbox.on, mail.on.isChecked()) == (True, True)
            mail.on.click()
            await asked(page)
            press(mail, "Hand out the rest")
            await until(lambda: not engine.mailbox.on)
            await until(mail.drop.isVisible)
            assert engine.mailbox.status.envelopes == 214
            mail.drop.click()
            await asked(page)
            press(mail, "Keep handing out")
            assert engine.mailbox.status.envelopes == 214
            mail.drop.click()
            await asked(page)
            press(mail, "Drop them now")
            await until(lambda: not engine.mailbox.status.envelopes)
            await until(lambda: not mail.drop.isVisible())

    play(scenario())


def test_less_space_than_is_used_asks_before_the_oldest_goes(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path) as engine, desk_on(tmp_path) as desk:
            engine.hold(214)
            page = await settings_of(desk)
            for answer, left in (("Cancel", 214), ("Drop the oldest", 0)):
                page.mail.room.selectAll()
                QTest.keyClicks(page.mail.room, "20")
                page.mail.save_room()
                box = await asked(page)
                assert "With 20 MB the oldest" in box.informativeText()
                press(page.mail, answer)
                await until(lambda left=left: engine.mailbox.status.envelopes == left)
            assert (engine.mailbox.on, engine.mailbox.limit_bytes) == (True, 20_000_000)

    play(scenario())


def test_figures_are_shared_by_choice_alone(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path) as engine, desk_on(tmp_path) as desk:
            share = (await settings_of(desk)).share
            assert (share.on.isChecked(), share.note.text()) == (False, "Nothing leaves this device.")
            share.on.click()
            await until(lambda: engine.shares)
            await until(lambda: share.note.text().startswith("Nothing leaves this device yet"))
            share.on.click()
            await until(lambda: not engine.shares)

    play(scenario())


def test_what_is_changed_elsewhere_appears_and_what_is_being_typed_stays(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path) as engine, desk_on(tmp_path) as desk:
            page = await settings_of(desk)
            QTest.keyClicks(page.modes.server, "half.an.addr")
            engine.mode = msgspec.structs.replace(engine.mode, mode="full", central=(SERVER,))
            page.ask()
            await until(page.modes.choices["full"].isChecked)
            assert page.modes.server.text() == "half.an.addr"

    play(scenario())


def test_without_an_engine_its_choices_wait_and_those_of_the_app_do_not(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with desk_on(tmp_path) as desk:
            desk.window.go_to(SETTINGS)
            page = desk.window.shelf.settings
            assert not any(part.isEnabled() for part in (page.modes, page.mail, page.share))
            await until(lambda: "These are the engine's; they can be changed once it answers." in texts_of(page))
            assert all(choice.isEnabled() for choice in page.schemes.values())
            async with engine_on(tmp_path):
                await until(page.modes.isEnabled)
            await until(lambda: not page.modes.isEnabled())

    play(scenario())


def test_the_keyboard_reaches_everything_in_the_order_it_is_seen(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path) as engine, desk_on(tmp_path) as desk:
            engine.mode = msgspec.structs.replace(engine.mode, central=(SERVER,))
            page = await settings_of(desk)
            page.modes.choices["p2p"].setFocus()
            seen: list[QWidget] = []
            for _ in range(40):
                at = desk.window.focusWidget()
                assert at is not None
                if at in seen:
                    break
                seen.append(at)
                QTest.keyClick(at, Qt.Key.Key_Tab)
            wanted = [page.modes.server, page.modes.use, page.mail.on, page.mail.room, page.share.on]
            places = [seen.index(one) for one in wanted]
            assert places == sorted(places)
            mine = [one for one in page.findChildren(QWidget) if isinstance(one, QAbstractButton | QLineEdit)]
            tabs = [
                one
                for one in mine
                if one.isVisible() and one.isEnabled() and one.focusPolicy() & Qt.FocusPolicy.TabFocus
            ]
            groups = [*page.modes.choices.values(), page.modes.first, page.modes.last]  # arrows move within these
            assert [
                one for one in tabs if one not in seen and one not in groups and one not in page.schemes.values()
            ] == []

    play(scenario())


def test_links_lead_to_what_is_set_elsewhere(play: Scenario, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine_on(tmp_path), desk_on(tmp_path) as desk:
            page = await settings_of(desk)
            for name, number in (("Rooms", ROOMS), ("What others saw", EXPOSURE)):
                desk.window.go_to(SETTINGS)
                next(one for one in page.findChildren(QAbstractButton) if one.text() == name).click()
                assert desk.window.shelf.current is desk.window.shelf.page(number)

    play(scenario())
