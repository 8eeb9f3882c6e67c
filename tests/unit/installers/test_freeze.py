"""The desktop entry beside the built program."""

from __future__ import annotations

from pathlib import PurePosixPath

from installers.freeze import DESKTOP_TEMPLATE, desktop_entry


def test_the_entry_opens_links_with_the_built_program() -> None:
    entry = desktop_entry(DESKTOP_TEMPLATE.read_text(encoding="utf-8"), PurePosixPath("/opt/rail gun/railgun"))
    assert 'Exec="/opt/rail gun/railgun" %u\n' in entry
    assert "MimeType=x-scheme-handler/railgun;\n" in entry


def test_characters_with_a_meaning_in_the_entry_are_escaped() -> None:
    assert desktop_entry("Exec=@PROGRAM@", PurePosixPath("/opt/50%/a$b")) == r'Exec="/opt/50%%/a\\$b"'
