"""What every part of the set-up shares: how it speaks, how it runs a program, how it gives up.

One line per step on stdout, so that a person sees what is done to the machine. A failure is one sentence and an exit
code of its own; the output of a program that failed is shown above the sentence, never hidden.
"""

from __future__ import annotations

import enum
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHOWN_LINES = 20


class Exit(enum.IntEnum):
    """Exit codes of `python3 -m installers`."""

    DONE = 0
    CHECK_FAILED = 1
    USAGE = 2
    PYTHON = 3
    SYSTEM_PACKAGES = 4
    VIRTUAL_ENVIRONMENT = 5
    PYTHON_PACKAGES = 6
    BUILD = 7


class SetupFailure(Exception):
    """The set-up cannot go on: one sentence for a person and the exit code that goes with it."""

    def __init__(self, sentence: str, code: Exit) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code


def say(text: str) -> None:
    """Print one step, at once, so that it stays in order with the output of the programs started after it."""
    print(f"[railgun] {text}", flush=True)


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for programs in the virtual environment, without settings that point Python elsewhere."""
    strangers = {
        "PYTHONHOME",
        "PYTHONPATH",
        "VIRTUAL_ENV",
        "PIP_USER",
        "PIP_TARGET",
        "PIP_PREFIX",
        "PIP_REQUIRE_HASHES",
    }
    kept = {name: value for name, value in os.environ.items() if name not in strangers}
    return {**kept, **(extra or {})}


def run_quietly(
    command: Sequence[str], *, timeout_s: float, failure: SetupFailure, extra: Mapping[str, str] | None = None
) -> None:
    """Run a program without a terminal and show what it said only if it fails.

    Raises `failure` when the program is missing, ends with another code than 0 or needs more than `timeout_s` seconds.
    """
    try:
        done = subprocess.run(
            list(command),
            cwd=ROOT,
            env=clean_environment(extra),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError:
        print(f"{command[0]} was not found", file=sys.stderr)
        raise failure from None
    except subprocess.TimeoutExpired:
        print(f"{command[0]} was stopped after {timeout_s:.0f} s", file=sys.stderr)
        raise failure from None
    if done.returncode != 0:
        said = done.stdout.decode(errors="replace").strip().splitlines()
        print("\n".join(said[-SHOWN_LINES:]), file=sys.stderr, flush=True)
        raise failure
