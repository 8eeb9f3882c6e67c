"""`python3 -m installers run | test | build [more arguments]`.

run    set up, then a demo network on this computer with the tray app on one of its peers (without a display: a live
       table in the terminal); more arguments go to `railgun demo`
test   set up, then every check; more arguments go to pytest
build  set up, then a folder in dist/ that runs without Python

The whole set-up is safe to run twice. Exit codes: 0 done, 1 a check failed, 2 wrong usage, 3 wrong Python, 4 system
packages, 5 virtual environment, 6 Python packages, 7 build. With `run` the demo's own exit code is given on.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from installers import freeze, gates, setup, system
from installers.steps import ROOT, Exit, SetupFailure, clean_environment, say

USAGE = "Usage: python3 -m installers run|test|build [-- arguments for the demo or for pytest]"


def has_display() -> bool:
    """Whether a window can be shown: always on Windows and macOS, on Linux with an X or Wayland server."""
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def demo_command(arguments: Sequence[str], *, display: bool) -> list[str]:
    """The demo that `run` starts: with the tray app where there is a display, with a live table elsewhere."""
    return [str(setup.in_venv("railgun")), "demo", "--app" if display else "--live", *arguments]


def provide_system(*, gui: bool, tests: bool) -> None:
    """Install what the system lacks. Raises SetupFailure with the line to run when it may not."""
    missing = system.missing_packages(gui=gui, tests=tests)
    if missing:
        system.apt_install(missing)
    elif gui or tests:
        say("System libraries and programs: all there")


def run_demo(arguments: Sequence[str]) -> int:
    """Start the demo and wait for its end; Ctrl-C reaches the demo itself, which then closes its peers."""
    display = has_display()
    say("Starting the demo network with the tray app" if display else "No display: the demo network with a live table")
    command = demo_command(arguments, display=display)
    if os.name == "posix":
        os.execve(command[0], command, clean_environment())
    with subprocess.Popen(command, cwd=ROOT, env=clean_environment()) as demo:
        while True:
            try:
                return demo.wait()
            except KeyboardInterrupt:
                continue


def main(arguments: Sequence[str]) -> int:
    """Do what the first argument says; the exit code."""
    verb, rest = (arguments[0], list(arguments[1:])) if arguments else ("", [])
    if verb in {"-h", "--help"}:
        print(__doc__)
        return Exit.DONE
    if verb not in {"run", "test", "build"}:
        print(USAGE, file=sys.stderr)
        return Exit.USAGE
    rest = rest[1:] if rest[:1] == ["--"] else rest
    try:
        setup.refuse_wrong_python(sys.version_info[:2])
        provide_system(gui=verb != "run" or has_display(), tests=verb == "test")
        setup.prepare()
        if verb == "test":
            return gates.run_all(rest)
        if verb == "build":
            freeze.build()
            return Exit.DONE
        return run_demo(rest)
    except SetupFailure as failure:
        print(f"[railgun] {failure.sentence}", file=sys.stderr)
        return failure.code
    except KeyboardInterrupt:
        print("[railgun] Stopped. The next run goes on from here.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
