"""The settings of an engine's process, each in a process of its own because they hold for all of it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

ERROR = """
import iroh
try:
    iroh.EndpointId.from_string("no id")
except iroh.IrohError as error:
    print(error.debug_message())
"""
BEFORE = "from railgun_core.local_api.footprint import before_start; before_start()"
AFTER = """
import gc
from railgun_core.local_api.footprint import after_start
after_start()
print(gc.get_freeze_count())
"""


def said_by(program: str) -> str:
    wordy = {**os.environ, "RUST_BACKTRACE": "1", "RUST_LIB_BACKTRACE": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=wordy, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("first", "places"), [("", True), (BEFORE, False)])
def test_an_error_of_the_library_is_not_traced_whatever_the_environment_asks(first: str, places: bool) -> None:
    assert (".rs:" in said_by(first + ERROR)) is places


def test_what_start_up_made_is_not_collected_again() -> None:
    assert int(said_by(AFTER)) > 1_000
