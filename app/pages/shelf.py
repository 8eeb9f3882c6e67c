"""The pages, each built when it is first seen: a window that stays in the tray holds none of them (DECISIONS 24).

Their modules are imported then too; what a hidden window never shows costs it no memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QStackedWidget

from app.messages import tr
from app.preferences import Preferences
from app.present import Act
from app.theme import Scheme, Theme

if TYPE_CHECKING:
    from app.last_minute import LastMinute
    from app.link import Link
    from app.pages.duties import DutiesPage
    from app.pages.exposure import ExposurePage
    from app.pages.help import HelpPage
    from app.pages.home import HomePage
    from app.pages.network import NetworkPage
    from app.pages.page import Page
    from app.pages.rooms import RoomsPage
    from app.pages.settings import SettingsPage

HOME, DUTIES, NETWORK, ROOMS, EXPOSURE, SETTINGS, HELP = range(7)
COUNT = 7


def page_names() -> tuple[str, ...]:
    """The pages' names in their order, for the sidebar."""
    return (tr("Home"), tr("Duties"), tr("Network"), tr("Rooms"), tr("What others saw"), tr("Settings"), tr("Help"))


@dataclass(frozen=True, slots=True)
class PageNeeds:
    """What pages are made of."""

    theme: Theme
    link: Link
    preferences: Preferences
    minute: LastMinute
    clock: Callable[[], float]
    owns_engine: bool


class Shelf(QStackedWidget):
    """See the module. The signals are those of whichever pages exist."""

    acted = Signal(Act)
    scheme_chosen = Signal(Scheme)
    keep_relaying_chosen = Signal(bool)

    def __init__(self, needs: PageNeeds) -> None:
        super().__init__()
        self._needs = needs
        self._pages: dict[int, Page] = {}
        self._makers: tuple[Callable[[], Page], ...] = (
            self._home,
            self._duties,
            self._network,
            self._rooms,
            self._exposure,
            self._settings,
            self._help,
        )

    @property
    def built(self) -> tuple[int, ...]:
        """The pages that exist."""
        return tuple(sorted(self._pages))

    @property
    def current(self) -> Page | None:
        """The page in view; None before any was."""
        page = self.currentWidget()
        return None if page is None else cast("Page", page)

    def page(self, number: int) -> Page:
        """One page, built if it was not yet. Cost of the first time: 10 to 40 ms."""
        found = self._pages.get(number)
        if found is None:
            found = self._pages[number] = self._makers[number]()
            found.acted.connect(self.acted.emit)
            before = self.currentIndex()
            self.addWidget(found)
            if before < 0:
                self.setCurrentWidget(found)
        return found

    @property
    def home(self) -> HomePage:
        """Built by now or now."""
        return cast("HomePage", self.page(HOME))

    @property
    def duties(self) -> DutiesPage:
        """Built by now or now."""
        return cast("DutiesPage", self.page(DUTIES))

    @property
    def network(self) -> NetworkPage:
        """Built by now or now."""
        return cast("NetworkPage", self.page(NETWORK))

    @property
    def rooms(self) -> RoomsPage:
        """Built by now or now."""
        return cast("RoomsPage", self.page(ROOMS))

    @property
    def exposure(self) -> ExposurePage:
        """Built by now or now."""
        return cast("ExposurePage", self.page(EXPOSURE))

    @property
    def settings(self) -> SettingsPage:
        """Built by now or now."""
        return cast("SettingsPage", self.page(SETTINGS))

    @property
    def help(self) -> HelpPage:
        """Built by now or now."""
        return cast("HelpPage", self.page(HELP))

    def _home(self) -> HomePage:
        from app.pages.home import HomePage

        return HomePage(self._needs.theme, self._needs.minute, self._needs.clock)

    def _duties(self) -> DutiesPage:
        from app.pages.duties import DutiesPage

        return DutiesPage(self._needs.theme, self._needs.link)

    def _network(self) -> NetworkPage:
        from app.pages.network import NetworkPage

        return NetworkPage(self._needs.theme, self._needs.link)

    def _rooms(self) -> RoomsPage:
        from app.pages.rooms import RoomsPage

        return RoomsPage(self._needs.theme, self._needs.link)

    def _exposure(self) -> ExposurePage:
        from app.pages.exposure import ExposurePage

        return ExposurePage(self._needs.link)

    def _settings(self) -> SettingsPage:
        from app.pages.settings import SettingsPage

        needs = self._needs
        page = SettingsPage(needs.link, needs.preferences, owns_engine=needs.owns_engine)
        page.scheme_chosen.connect(self.scheme_chosen.emit)
        page.keep_relaying_chosen.connect(self.keep_relaying_chosen.emit)
        return page

    def _help(self) -> HelpPage:
        from app.pages.help import HelpPage

        return HelpPage()
