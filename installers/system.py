"""The system libraries of Qt and, for the tests, the programs they start (an X server, a tray, two brokers, Node).

What is missing is found by asking the dynamic loader and the search path, not the package manager, so the answer is
true on every Linux. Only apt is used to install, and only as root or with a sudo that asks nothing; otherwise the one
line to run is printed. Packages that bring a daemon (mosquitto, nats-server) are installed for their program: their
service is neither started nor enabled.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping

from installers.steps import Exit, SetupFailure, run_quietly, say

# What PySide6's Qt libraries and its xcb, wayland and offscreen platforms ask the loader for, and Debian's packages.
QT_LIBRARIES: Mapping[str, str] = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgssapi_krb5.so.2": "libgssapi-krb5-2",
    "libwayland-client.so.0": "libwayland-client0",
    "libwayland-cursor.so.0": "libwayland-cursor0",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-render.so.0": "libxcb-render0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-util.so.1": "libxcb-util1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxkbcommon.so.0": "libxkbcommon0",
}

TEST_PROGRAMS: Mapping[str, str] = {
    "Xvfb": "xvfb",
    "trayer": "trayer",
    "xprop": "x11-utils",
    "xdotool": "xdotool",
    "import": "imagemagick",
    "dbus-daemon": "dbus",
    "fc-list": "fontconfig",
    "mosquitto": "mosquitto",
    "nats-server": "nats-server",
    "node": "nodejs",
}

SERVICES = ("mosquitto", "nats-server")
APT_TIMEOUT_S = 900.0

# While packages are unpacked a policy-rc.d that answers 101 ("not allowed") keeps their daemons from being started. One
# that already stands there is left alone: it is somebody's own rule. Arguments: the packages as one word, then the new
# services one by one.
INSTALL_SCRIPT = """
set -e
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\\nexit 101\\n' > "$policy"
    chmod 755 "$policy"
fi
apt-get update -q || echo "apt-get update failed; trying with the lists at hand"
apt-get install -q -y --no-install-recommends --no-remove -o DPkg::Lock::Timeout=120 $1
shift
if [ -d /run/systemd/system ]; then
    for service in "$@"; do systemctl disable --quiet "$service" || true; done
fi
"""


def can_load(library: str) -> bool:
    """Whether the dynamic loader finds this shared library."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def on_path(program: str) -> bool:
    """Whether the program is on the search path; brokers live in sbin, which a user's path often leaves out."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
    return shutil.which(program, path=path) is not None


def missing_packages(*, gui: bool, tests: bool) -> list[str]:
    """Debian's names of what is missing on this Linux, sorted; empty on every other system."""
    if not sys.platform.startswith("linux"):
        return []
    libraries = [package for library, package in QT_LIBRARIES.items() if gui and not can_load(library)]
    programs = [package for program, package in TEST_PROGRAMS.items() if tests and not on_path(program)]
    return sorted({*libraries, *programs})


def root_prefix() -> list[str] | None:
    """What to put before a command to run it as root: nothing, a silent sudo, or None when neither is possible."""
    if not hasattr(os, "geteuid"):
        return None
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") is None:
        return None
    asked = subprocess.run(["sudo", "-n", "true"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return ["sudo", "-n"] if asked.returncode == 0 else None


def line_to_run(packages: Iterable[str]) -> str:
    """The one line that installs these packages by hand."""
    sudo = "" if hasattr(os, "geteuid") and os.geteuid() == 0 else "sudo "
    return f"{sudo}apt-get install --no-install-recommends {' '.join(packages)}"


def apt_install(packages: list[str]) -> None:
    """Install Debian packages without a question and without starting a daemon.

    Raises SetupFailure when apt or the rights are not there; the sentence then holds the line to run.
    """
    by_hand = line_to_run(packages)
    if shutil.which("apt-get") is None:
        sentence = (
            f"Install these with your system's package manager, then try again (Debian's names): {' '.join(packages)}"
        )
        raise SetupFailure(sentence, Exit.SYSTEM_PACKAGES)
    prefix = root_prefix()
    if prefix is None:
        raise SetupFailure(
            f"System packages are missing. Run this line, then try again: {by_hand}", Exit.SYSTEM_PACKAGES
        )
    say(f"Installing system packages: {' '.join(packages)}")
    services = [package for package in packages if package in SERVICES]
    run_quietly(
        [
            *prefix,
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            "sh",
            "-c",
            INSTALL_SCRIPT,
            "sh",
            " ".join(packages),
            *services,
        ],
        timeout_s=APT_TIMEOUT_S,
        failure=SetupFailure(
            f"apt could not install the system packages. Try by hand: {by_hand}", Exit.SYSTEM_PACKAGES
        ),
    )
