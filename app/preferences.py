"""What the window remembers, in one ini file in the data dir. Nothing the engine needs lives here."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QByteArray, QSettings

from app.theme import Scheme


class Preferences:
    """Window geometry, palette, and whether the engine outlives the window."""

    def __init__(self, data_dir: Path) -> None:
        self._settings = QSettings(str(data_dir / "window.ini"), QSettings.Format.IniFormat)

    @property
    def scheme(self) -> Scheme:
        """The palette the person chose; SYSTEM when they chose none or the file is damaged."""
        try:
            return Scheme(str(self._settings.value("scheme", Scheme.SYSTEM.value)))
        except ValueError:
            return Scheme.SYSTEM

    @scheme.setter
    def scheme(self, scheme: Scheme) -> None:
        self._settings.setValue("scheme", scheme.value)

    @property
    def keep_relaying(self) -> bool:
        """Leave the engine running when the app quits."""
        return str(self._settings.value("keep_relaying", "false")) == "true"

    @keep_relaying.setter
    def keep_relaying(self, keep: bool) -> None:
        self._settings.setValue("keep_relaying", "true" if keep else "false")

    @property
    def told_about_tray(self) -> bool:
        """True once the person has been told where a closed window went."""
        return str(self._settings.value("told_about_tray", "false")) == "true"

    def tell_about_tray_no_more(self) -> None:
        """Remember that it has been said."""
        self._settings.setValue("told_about_tray", "true")

    @property
    def geometry(self) -> QByteArray:
        """Where the window was; empty at first."""
        value = self._settings.value("geometry", QByteArray())
        return value if isinstance(value, QByteArray) else QByteArray()

    @geometry.setter
    def geometry(self, geometry: QByteArray) -> None:
        self._settings.setValue("geometry", geometry)

    def save(self) -> None:
        """Write to disk now."""
        self._settings.sync()
