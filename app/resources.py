"""Where the files that come with the program lie: icons, palettes, fonts.

In a source tree they are in `resources/` beside `app/`; in a frozen program under the folder the loader names.
"""

from __future__ import annotations

import sys
from pathlib import Path


def resource(*parts: str) -> Path:
    """The path of one shipped file, for example `resource("palettes", "dark.json")`."""
    frozen = getattr(sys, "_MEIPASS", None)
    root = Path(frozen) if frozen else Path(__file__).resolve().parent.parent
    return root.joinpath("resources", *parts)
