"""Home: is it working, is it costing me, is it safe; without reading."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QGridLayout, QProgressBar, QSizePolicy, QVBoxLayout, QWidget

from app.last_minute import LastMinute
from app.messages import tr
from app.pages.page import Page
from app.present import Act, Headline, HomeView, NumberView, Seen, home_view
from app.present_privacy import mix_sentence
from app.theme import Theme
from app.widgets.duty_list import ROW_PX, DutyList
from app.widgets.parts import GAP, button, card, column, label, row, set_text
from app.widgets.sparkline import Sparkline
from app.widgets.state_mark import StateMark

_MAX_DUTIES = 4


class NumberCard(QWidget):
    """A title, a large number, a small line, and a bar where there is a limit."""

    def __init__(self) -> None:
        super().__init__()
        self._title = label("", "cardTitle", wrap=True)  # in a narrow window words break instead of being cut
        self._value = label("", "number")
        self._small = label("", "small", wrap=True)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setRange(0, 1000)
        self._bar.setVisible(False)
        inner = QVBoxLayout()
        inner.setSpacing(3)
        for part in (self._title, self._value, self._small):
            inner.addWidget(part)
        inner.addSpacing(3)
        inner.addWidget(self._bar)
        inner.addStretch(1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(card(inner))

    def show_number(self, view: NumberView) -> None:
        """Draw one number."""
        set_text(self._title, view.title)
        set_text(self._value, view.value)
        set_text(self._small, view.small)
        self._bar.setVisible(view.part is not None)
        if view.part is not None:
            self._bar.setValue(round(view.part * 1000))
            self._bar.setAccessibleName(f"{view.title}: {view.value} {view.small}")
        self.setAccessibleName(f"{view.title}: {view.value}, {view.small}")


class StateCard(QWidget):
    """The state: glyph, title, sentence, one button."""

    def __init__(self, theme: Theme, act: Callable[[Act], None]) -> None:
        super().__init__()
        self._act: Act | None = None
        self._mark = StateMark(theme)
        self.title = label("", "headline")
        self.sentence = label("", "cardTitle", wrap=True)
        self._button = button("", lambda: act(self._act) if self._act is not None else None)
        words = column(None, self.title, self.sentence, None, spacing=4)
        line = row(self._mark, spacing=18)
        line.addLayout(words, 1)
        line.addWidget(self._button)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(card(line))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumHeight(94)

    @property
    def mark(self) -> StateMark:
        """The glyph, for tests and screenshots."""
        return self._mark

    def show_state(self, head: Headline) -> None:
        """Draw one state."""
        self._mark.set_state(head.shape, head.colour, head.title)
        set_text(self.title, head.title)
        set_text(self.sentence, head.sentence)
        self._button.setVisible(head.button is not None)
        if head.button is not None:
            self._act = head.button[0]
            set_text(self._button, head.button[1])
            self._button.setAccessibleName(head.button[1])


class HomePage(Page):
    """The first page."""

    def __init__(self, theme: Theme, minute: LastMinute, clock: Callable[[], float]) -> None:
        super().__init__(scrolls=True)
        self.state = StateCard(theme, self.acted.emit)
        self.numbers = (NumberCard(), NumberCard(), NumberCard())
        self.sparkline = Sparkline(theme, minute, clock)
        self.up, self.down = label("", "up"), label("", "down")
        self.duties = DutyList(theme, tr("Duties now"), choosable=False)
        self._empty = label("", "cardTitle", wrap=True)
        self.mixing = label("", "small", wrap=True)
        self._more = button(tr("See all"), lambda: self.acted.emit(Act.DUTIES), "tab", spoken=tr("See all duties"))
        grid = QGridLayout()
        grid.setSpacing(GAP)
        for place, number in enumerate(self.numbers):
            grid.addWidget(number, 0, place)
            grid.setColumnStretch(place, 1)
        traffic = column(row(label(tr("Traffic"), "cardTitle"), None, self.up, self.down, spacing=24))
        traffic.addWidget(self.sparkline, 1)
        title = row(label(tr("Duties now"), "cardTitle"), None, self._more)
        duties = column(title, self.duties, self._empty, spacing=2)
        duties.addSpacing(6)
        duties.addWidget(self.mixing)
        self.body.addWidget(self.state)
        self.body.addLayout(grid)
        self.body.addWidget(card(traffic), 1)
        self.body.addWidget(card(duties))

    def show_seen(self, seen: Seen, now_s: float) -> None:
        """Draw everything on the page."""
        view = home_view(seen, now_s)
        self.state.show_state(view.headline)
        for number, shown in zip(self.numbers, view.numbers, strict=True):
            number.show_number(shown)
        set_text(self.up, f"↑ {view.up}")
        set_text(self.down, f"↓ {view.down}")
        self.sparkline.update()
        self._show_duties(view)
        mixing = mix_sentence(seen.status) if seen.status is not None else ""
        set_text(self.mixing, tr("Mixing: {work}", work=mixing) if mixing else "")
        self.mixing.setVisible(bool(mixing))

    def _show_duties(self, view: HomeView) -> None:
        shown = view.duties[:_MAX_DUTIES]
        self.duties.setVisible(bool(shown))
        self._empty.setVisible(not shown)
        self._more.setVisible(len(view.duties) > _MAX_DUTIES)
        set_text(self._empty, view.empty)
        if shown:
            self.duties.setFixedHeight(len(shown) * ROW_PX + 2)
        self.duties.set_rows(shown)
