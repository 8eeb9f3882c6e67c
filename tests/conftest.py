"""What every test gets: no display, no touch of the person's own folders, a deadline, and seeds that replay.

The folders and the Qt platform are set before any test module is imported, because libraries read them at import.
Hypothesis draws the same examples on every CI run; `--long` draws many more and turns on the long forms of soak and
attack tests. A test that hangs is broken off after its deadline, so that one bad wait cannot eat the whole run.
"""

from __future__ import annotations

import gc
import os
import random
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import hypothesis
import pytest

from railgun_core.base.clock import Instant

DEADLINE_S = 120.0
LONG_FACTOR = 20

# Short, because the path of a Unix socket may not be longer than about 100 bytes.
_HOME = Path(tempfile.mkdtemp(prefix="rgr-"))

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
for _variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
    _folder = _HOME / _variable.removeprefix("XDG_").lower()
    _folder.mkdir(mode=0o700)
    os.environ[_variable] = str(_folder)

hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, database=None, print_blob=True)
hypothesis.settings.register_profile("long", deadline=None, max_examples=2_000, print_blob=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="the long forms of soak, property and attack tests")


def pytest_configure(config: pytest.Config) -> None:
    named = config.getoption("--hypothesis-profile", default=None)
    if not named:
        chosen = "long" if config.getoption("--long") else "ci" if os.environ.get("CI") else "default"
        hypothesis.settings.load_profile(chosen)


def pytest_unconfigure() -> None:
    shutil.rmtree(_HOME, ignore_errors=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    left_out = [item for item in items if item.get_closest_marker("long")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Break off a test that runs over its deadline (where the system has an interval timer)."""
    if not hasattr(signal, "setitimer"):
        return (yield)
    marker = item.get_closest_marker("deadline")
    deadline_s = float(marker.args[0]) if marker else DEADLINE_S
    if item.config.getoption("--long"):
        deadline_s *= LONG_FACTOR

    def break_off(_number: int, _frame: FrameType | None) -> None:
        pytest.fail(f"ran over its deadline of {deadline_s:.0f} s", pytrace=True)

    before = signal.signal(signal.SIGALRM, break_off)
    signal.setitimer(signal.ITIMER_REAL, deadline_s)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[object]:
    """After the last test of a module with windows: throw away what is left of them here, on the thread they belong to.

    Else a collection on another thread, of a store or an executor in a later test, ends them there, and Qt crashes.
    """
    with_windows = "qapp" in getattr(item, "fixturenames", ())
    try:
        return (yield)
    finally:
        if with_windows and (nextitem is None or nextitem.path != item.path):
            gc.collect()


@pytest.fixture
def long_run(request: pytest.FixtureRequest) -> bool:
    """Whether the long form was asked for; a test then takes more rounds, more peers or more minutes."""
    return bool(request.config.getoption("--long"))


@pytest.fixture
def rng() -> random.Random:
    """Chance that replays: the same numbers on every run."""
    return random.Random(0x5EED)


@pytest.fixture
def now() -> Instant:
    """A moment to start from, away from zero and from the real clock."""
    return Instant(mono_s=1_000.0, unix_s=1_800_000_000.0)


@pytest.fixture
def runtime_dir() -> Iterator[Path]:
    """An empty folder only this user may read, with a path short enough for Unix sockets."""
    folder = Path(tempfile.mkdtemp(prefix="r-", dir=_HOME))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
