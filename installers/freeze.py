"""A folder that runs without Python: PyInstaller's one-folder form, in dist/railgun.

One folder and no UPX: single files that unpack themselves set off virus scanners. Qt's libraries stay separate files,
as its licence asks. On Linux a desktop entry that opens railgun:// links is put beside the program.
"""

from __future__ import annotations

import sys
from pathlib import PurePath

from installers.setup import in_venv
from installers.steps import ROOT, Exit, SetupFailure, run_quietly, say

SPEC = ROOT / "installers" / "railgun.spec"
DESKTOP_TEMPLATE = ROOT / "installers" / "linux" / "railgun.desktop"
BUILT = ROOT / "dist" / "railgun"
BUILD_TIMEOUT_S = 1200.0


def desktop_entry(template: str, program: PurePath) -> str:
    """The desktop entry for a program at this place, quoted the way the freedesktop specification asks."""
    escaped = str(program)
    # The value is unescaped twice: once as a string of the key file, once as a quoted argument of Exec.
    for character in ("\\", '"', "`", "$"):
        escaped = escaped.replace(character, "\\" + character)
    escaped = escaped.replace("\\", "\\\\").replace("%", "%%")
    return template.replace("@PROGRAM@", f'"{escaped}"')


def build() -> None:
    """Build dist/railgun. Raises SetupFailure with PyInstaller's last words above it."""
    say("Building dist/railgun with PyInstaller (some minutes)")
    run_quietly(
        [str(in_venv("python")), "-m", "PyInstaller", "--noconfirm", "--clean", str(SPEC)],
        timeout_s=BUILD_TIMEOUT_S,
        failure=SetupFailure("PyInstaller could not build the program (see above).", Exit.BUILD),
    )
    if sys.platform.startswith("linux"):
        entry = desktop_entry(DESKTOP_TEMPLATE.read_text(encoding="utf-8"), BUILT / "railgun")
        (BUILT / "railgun.desktop").write_text(entry, encoding="utf-8")
    say(f"Built: {BUILT.relative_to(ROOT)}")
