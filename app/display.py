"""Is there a screen? Asked before Qt is touched: QApplication without a display aborts the process, it does not raise.

A set DISPLAY proves nothing (a closed ssh session leaves it behind), so the socket behind it is tried.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

_PROBE_S = 1.0
_NEEDS_NO_DISPLAY = ("offscreen", "minimal", "vnc")


def has_display(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> bool:
    """True where Qt can open a window. Cost: one connection to a local socket."""
    if environment.get("QT_QPA_PLATFORM", "").split(":")[0] in _NEEDS_NO_DISPLAY:
        return True
    if not platform.startswith("linux"):
        return True
    return _wayland(environment) or _x11(environment)


def _wayland(environment: Mapping[str, str]) -> bool:
    name = environment.get("WAYLAND_DISPLAY", "")
    return bool(name) and _unix(str(Path(environment.get("XDG_RUNTIME_DIR", ""), name)))


def _x11(environment: Mapping[str, str]) -> bool:
    host, colon, rest = environment.get("DISPLAY", "").rpartition(":")
    number = rest.split(".")[0]
    if not colon or not number.isdigit():
        return False
    path = f"/tmp/.X11-unix/X{number}"
    if host in ("", "unix"):
        return _unix(path) or _unix("\0" + path)
    try:
        with socket.create_connection((host, 6000 + int(number)), timeout=_PROBE_S):
            return True
    except OSError:
        return False


def _unix(path: str) -> bool:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(_PROBE_S)
            probe.connect(path)
            return True
    except OSError:
        return False
