"""Colours, type and the stylesheet: one set of tokens, three palettes, read from `resources/palettes`.

Fusion is the style everywhere, so the app looks the same on each desktop. `QStyleHints.setColorScheme` does nothing on
KDE and under `offscreen` (measured), so the palette is ours; the system's wish is only listened to.
All word-on-ground pairs keep 4.5:1 (WCAG 2.1 AA); `contrast` is what the test computes it with.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from app.resources import resource
from app.stylesheet import stylesheet


class Scheme(enum.StrEnum):
    """What the person chose. SYSTEM follows the desktop where it says what it wants."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"
    HIGH_CONTRAST = "high-contrast"


@dataclass(frozen=True, slots=True)
class Tokens:
    """The colours of one palette as `#RRGGBB`."""

    bg: str
    surface: str
    sunken: str
    line: str
    text: str
    muted: str
    accent: str
    accent_soft: str
    on_accent: str
    down: str
    good: str
    good_soft: str
    warn: str
    warn_soft: str
    bad: str
    bad_soft: str
    mix: str
    mix_soft: str

    def colour(self, token: str) -> QColor:
        """The colour behind a token's name."""
        return QColor(getattr(self, token))

    def soft(self, token: str) -> QColor:
        """The quiet ground that belongs to a colour; the sunken ground where it has none."""
        return QColor(getattr(self, f"{token}_soft", self.sunken))


# (word, ground) pairs that appear on screen. `tests/unit/app/test_theme.py` holds each to 4.5:1.
WORD_PAIRS = (
    *((word, ground) for word in ("text", "muted") for ground in ("bg", "surface", "sunken")),
    *((word, "surface") for word in ("accent", "down", "good", "warn", "bad", "mix")),
    *((word, f"{word}_soft") for word in ("accent", "good", "warn", "bad", "mix")),
    ("text", "accent_soft"),
    ("text", "warn_soft"),
    ("text", "bad_soft"),
    ("muted", "accent_soft"),
    ("on_accent", "accent"),
)


def load_tokens(scheme: Scheme) -> Tokens:
    """One palette from its file. KeyError or TypeError if the file and this program do not belong together."""
    return Tokens(**json.loads(resource("palettes", f"{scheme.value}.json").read_text("utf-8")))


def contrast(first: str, second: str) -> float:
    """The contrast of two `#RRGGBB` colours, 1 to 21 (WCAG 2.1, relative luminance)."""
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def load_fonts() -> str:
    """Make Inter known to Qt and return the family to use; the system's sans where the files are missing."""
    family = ""
    for weight in ("Regular", "Medium", "SemiBold"):
        number = QFontDatabase.addApplicationFont(str(resource("fonts", f"Inter-{weight}.otf")))
        families = QFontDatabase.applicationFontFamilies(number) if number >= 0 else []
        if families and not family:
            family = families[0]
    return family or QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont).family()


class Theme(QObject):
    """The palette in use. `changed` fires after the application's palette and stylesheet have been replaced."""

    changed = Signal()

    def __init__(self, app: QApplication) -> None:
        super().__init__()
        self._app = app
        self._scheme = Scheme.SYSTEM
        self.family = load_fonts()
        self.mono = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont).family()
        app.setStyle("Fusion")
        font = QFont(self.family)
        font.setPixelSize(14)
        app.setFont(font)
        self.tokens = load_tokens(self.resolved)
        self._apply()
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._follow_system)

    @property
    def scheme(self) -> Scheme:
        """What the person chose."""
        return self._scheme

    @property
    def resolved(self) -> Scheme:
        """The palette shown: never SYSTEM. A desktop that does not say gets the light one."""
        if self._scheme is not Scheme.SYSTEM:
            return self._scheme
        hints = QGuiApplication.styleHints()
        accessibility = getattr(hints, "accessibility", None)
        if accessibility is not None and accessibility().contrastPreference() == Qt.ContrastPreference.HighContrast:
            return Scheme.HIGH_CONTRAST
        return Scheme.DARK if hints.colorScheme() is Qt.ColorScheme.Dark else Scheme.LIGHT

    def choose(self, scheme: Scheme) -> None:
        """Use a scheme from now on."""
        self._scheme = scheme
        self._refresh()

    def font(self, size_px: int, weight: QFont.Weight = QFont.Weight.Normal, *, mono: bool = False) -> QFont:
        """A font for painted text."""
        font = QFont(self.mono if mono else self.family)
        font.setPixelSize(size_px)
        font.setWeight(weight)
        return font

    def _follow_system(self) -> None:
        if self._scheme is Scheme.SYSTEM:
            self._refresh()

    def _refresh(self) -> None:
        tokens = load_tokens(self.resolved)
        if tokens != self.tokens:
            self.tokens = tokens
            self._apply()
            self.changed.emit()

    def _apply(self) -> None:
        self._app.setPalette(_palette(self.tokens))
        self._app.setStyleSheet(stylesheet(self.tokens, mono=self.mono))


def _palette(tokens: Tokens) -> QPalette:
    palette = QPalette()
    roles = QPalette.ColorRole
    for role, token in (
        (roles.Window, "bg"),
        (roles.WindowText, "text"),
        (roles.Base, "surface"),
        (roles.AlternateBase, "sunken"),
        (roles.Text, "text"),
        (roles.Button, "surface"),
        (roles.ButtonText, "text"),
        (roles.BrightText, "bad"),
        (roles.PlaceholderText, "muted"),
        (roles.Highlight, "accent"),
        (roles.HighlightedText, "on_accent"),
        (roles.Link, "accent"),
        (roles.ToolTipBase, "surface"),
        (roles.ToolTipText, "text"),
    ):
        palette.setColor(role, tokens.colour(token))
    for role in (roles.WindowText, roles.Text, roles.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, tokens.colour("muted"))
    return palette
