"""Every check of the project, in order: format, lint, types, imports, then the tests.

All of them run even when one fails, so one round shows everything. The tests come last so that pytest's own summary is
the last line; what failed before them is named on the line above. No collected test is a failure (pytest's exit 5).
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence

from installers.setup import in_venv
from installers.steps import ROOT, Exit, clean_environment, say


def static_checks() -> dict[str, list[str]]:
    """The checks before the tests: name and command."""
    python = str(in_venv("python"))
    return {
        "format": [python, "-m", "ruff", "format", "--check", "."],
        "lint": [python, "-m", "ruff", "check", "."],
        "types": [python, "-m", "mypy"],
        "imports": [str(in_venv("lint-imports")), "--no-logo"],
    }


def passes(name: str, command: Sequence[str]) -> bool:
    """Run one check with its output on the terminal; say how long it took and whether it held."""
    say(f"Check: {name}")
    began_s = time.monotonic()
    code = subprocess.run(
        list(command), cwd=ROOT, env=clean_environment(), stdin=subprocess.DEVNULL, check=False
    ).returncode
    say(f"{name}: {'held' if code == 0 else 'FAILED'} after {time.monotonic() - began_s:.0f} s")
    return code == 0


def run_all(pytest_arguments: Sequence[str]) -> Exit:
    """Run every check; CHECK_FAILED when one of them, or a test, does not hold."""
    failed = [name for name, command in static_checks().items() if not passes(name, command)]
    say("Check: tests")
    if failed:
        say(f"Already failed, whatever the tests say: {', '.join(failed)}")
    tests = subprocess.run(
        [str(in_venv("python")), "-m", "pytest", *pytest_arguments],
        cwd=ROOT,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return Exit.CHECK_FAILED if failed or tests.returncode != 0 else Exit.DONE
