"""What `railgun doctor` can check without an engine: the data directory, the options, the clock's plausibility."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from railgun_core.base.errors import RailGunError
from railgun_core.config import load_config
from railgun_core.local_api.messages import Check

RESERVE_BYTES = 256 * 1024 * 1024  # below this a relay stops accepting (threat B31)
_FIRST_RELEASE_UNIX_S = 1_760_000_000.0  # October 2025: an earlier clock is wrong


def local_checks(data_dir: Path) -> Iterator[Check]:
    """One Check for each thing; never raises."""
    yield _data_dir(data_dir)
    yield _disk(data_dir)
    try:
        config = load_config(data_dir)
        more = f" Not known here: {', '.join(config.unknown_keys)}." if config.unknown_keys else ""
        yield Check("options", True, "The options are valid." + more)
    except RailGunError as error:
        yield Check("options", False, error.detail)
    sane = time.time() > _FIRST_RELEASE_UNIX_S
    yield Check("clock", sane, "The clock is plausible." if sane else "The clock is years behind; set it.")


def _data_dir(data_dir: Path) -> Check:
    if not data_dir.exists():
        return Check("data", True, "The data directory will be made at the first start.")
    if not os.access(data_dir, os.R_OK | os.W_OK | os.X_OK):
        return Check("data", False, "The data directory cannot be read and written.")
    if os.name == "posix" and stat.S_IMODE(data_dir.stat().st_mode) & 0o022:
        return Check("data", False, "Other users may write in the data directory; run: chmod 700 on it.")
    return Check("data", True, "The data directory can be read and written.")


def _disk(data_dir: Path) -> Check:
    place = data_dir
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        return Check("disk", False, f"The disk cannot be asked: {error.strerror}.")
    good = free >= RESERVE_BYTES
    return Check("disk", good, f"{free // 10**6:,} MB are free." + ("" if good else " A relay needs 256 MB."))
