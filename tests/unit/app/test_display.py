"""Is there a screen? Decided without Qt."""

from __future__ import annotations

import socket
from pathlib import Path

from app.display import has_display


def test_a_display_that_is_only_a_name_is_no_display() -> None:
    assert not has_display({"DISPLAY": ":9999"}, "linux")
    assert not has_display({"WAYLAND_DISPLAY": "wayland-0", "XDG_RUNTIME_DIR": "/nonexistent"}, "linux")
    assert not has_display({"DISPLAY": "nonsense"}, "linux")
    assert not has_display({}, "linux")


def test_a_wayland_socket_that_answers_is_a_display(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(tmp_path / "w"))
        listening.listen(1)
        assert has_display({"WAYLAND_DISPLAY": "w", "XDG_RUNTIME_DIR": str(tmp_path)}, "linux")


def test_an_offscreen_platform_and_other_systems_need_no_socket() -> None:
    assert has_display({"QT_QPA_PLATFORM": "offscreen"}, "linux")
    assert has_display({}, "win32")
    assert has_display({}, "darwin")
