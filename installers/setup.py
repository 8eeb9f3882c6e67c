"""The virtual environment: made once, filled from the lock, checked on every start.

`.venv` holds exactly what requirements.lock names, by hash and from wheels only, so no code of a package runs while it
is installed and nothing has to be compiled. The project itself is installed in place: that makes the `railgun` command.
A stamp inside `.venv`, written last, says what was installed: a second run that finds the same stamp does nothing, and
a run that was broken off is done again.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

from installers import system
from installers.steps import ROOT, Exit, SetupFailure, clean_environment, run_quietly, say

OLDEST = (3, 11)
NEWEST = (3, 13)
LOCK = ROOT / "requirements.lock"
PROJECT = ROOT / "pyproject.toml"
VENV = ROOT / ".venv"
STAMP = VENV / "railgun-setup.json"
PIP_TIMEOUT_S = 1800.0
VENV_TIMEOUT_S = 300.0


def in_venv(program: str) -> Path:
    """Where a program of the virtual environment lives on this system."""
    if sys.platform == "win32":
        return VENV / "Scripts" / f"{program}.exe"
    return VENV / "bin" / program


def refuse_wrong_python(version: tuple[int, int]) -> None:
    """Raise SetupFailure when this Python is older or newer than the pinned wheels cover."""
    if OLDEST <= version <= NEWEST:
        return
    others = [f"python3.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1) if shutil.which(f"python3.{minor}")]
    advice = f"Use this one: {others[0]} -m installers" if others else "Install one of them first"
    raise SetupFailure(
        f"Python 3.{OLDEST[1]} to 3.{NEWEST[1]} is needed and this is {version[0]}.{version[1]}. {advice}.", Exit.PYTHON
    )


def _digest(*paths: Path) -> str:
    total = hashlib.sha256()
    for path in paths:
        total.update(path.read_bytes())
    return total.hexdigest()


def wanted_stamp() -> dict[str, str]:
    """What a finished set-up of this tree with this Python writes down."""
    return {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "place": str(VENV),
        "lock": _digest(LOCK),
        "project": _digest(PROJECT),
    }


def found_stamp() -> dict[str, str]:
    """What the last finished set-up wrote down; empty when there was none."""
    try:
        read = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in read.items()} if isinstance(read, dict) else {}


def venv_works() -> bool:
    """Whether `.venv` has a Python of the wanted version that starts and has pip."""
    python = in_venv("python")
    if not python.exists():
        return False
    question = "import pip, sys; print(*sys.version_info[:2], sep='.')"
    try:
        asked = subprocess.run(
            [str(python), "-c", question], capture_output=True, env=clean_environment(), timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0 and asked.stdout.decode().strip() == wanted_stamp()["python"]


def _provide_ensurepip() -> None:
    """Debian cuts `ensurepip` out of Python and puts it into a package of its own."""
    found = importlib.util.find_spec("ensurepip")
    if found is not None and found.origin is not None:  # a folder left without its files has no origin
        return
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    say(f"This Python cannot make virtual environments: {package} is missing")
    system.apt_install([package])
    importlib.invalidate_caches()


def make_venv() -> None:
    """Make `.venv` anew. Raises SetupFailure when this Python cannot."""
    _provide_ensurepip()
    say(f"Making the virtual environment {VENV.name} with Python {wanted_stamp()['python']}")
    failure = SetupFailure(
        "The virtual environment could not be made (see above); on Debian: sudo apt-get install python3-venv.",
        Exit.VIRTUAL_ENVIRONMENT,
    )
    run_quietly([sys.executable, "-m", "venv", "--clear", str(VENV)], timeout_s=VENV_TIMEOUT_S, failure=failure)


def _pip(*arguments: str, sentence: str) -> None:
    command = [str(in_venv("python")), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    run_quietly(
        [*command, "--no-deps", *arguments],
        timeout_s=PIP_TIMEOUT_S,
        failure=SetupFailure(sentence, Exit.PYTHON_PACKAGES),
    )


def prepare() -> None:
    """Bring `.venv` to what the lock and pyproject.toml ask for; nothing happens when it is there already."""
    refuse_wrong_python((sys.version_info.major, sys.version_info.minor))
    wanted, found = wanted_stamp(), found_stamp()
    if found == wanted and venv_works():
        say("The virtual environment is up to date")
        return
    fresh = found.get("python") != wanted["python"] or found.get("place") != wanted["place"] or not venv_works()
    if fresh:
        make_venv()
    STAMP.unlink(missing_ok=True)
    if fresh or found.get("lock") != wanted["lock"]:
        say("Installing the pinned Python packages (about 150 MB the first time)")
        _pip(
            "--require-hashes", "--only-binary", ":all:", "--requirement", str(LOCK),
            sentence="pip could not install the pinned packages (see above); is there a way to the package index?",
        )  # fmt: skip
    say("Installing the project in place, with its `railgun` command")
    _pip(
        "--no-build-isolation", "--no-index", "--editable", str(ROOT),
        sentence="pip could not install the project itself (see above).",
    )  # fmt: skip
    STAMP.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
