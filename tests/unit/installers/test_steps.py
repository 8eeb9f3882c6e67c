"""Programs run without a terminal, are silent when they succeed and are shown when they do not."""

from __future__ import annotations

import sys

import pytest

from installers.steps import Exit, SetupFailure, clean_environment, run_quietly

FAILURE = SetupFailure("It did not work.", Exit.BUILD)


def test_a_program_that_succeeds_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    run_quietly([sys.executable, "-c", "print('words')"], timeout_s=60, failure=FAILURE)
    assert capfd.readouterr() == ("", "")


def test_a_program_that_fails_is_shown_and_raises_the_given_failure(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SetupFailure, match="It did not work"):
        run_quietly([sys.executable, "-c", "print('why'); raise SystemExit(4)"], timeout_s=60, failure=FAILURE)
    assert capfd.readouterr().err == "why\n"


def test_a_program_that_is_not_there_raises_the_given_failure() -> None:
    with pytest.raises(SetupFailure, match="It did not work"):
        run_quietly(["railgun-no-such-program"], timeout_s=60, failure=FAILURE)


def test_a_program_that_never_ends_is_stopped(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SetupFailure, match="It did not work"):
        run_quietly(
            [sys.executable, "-c", "import threading; threading.Event().wait()"], timeout_s=0.5, failure=FAILURE
        )
    assert "was stopped" in capfd.readouterr().err


def test_a_program_has_nobody_to_ask() -> None:
    run_quietly([sys.executable, "-c", "import sys; assert sys.stdin.read() == ''"], timeout_s=60, failure=FAILURE)


def test_settings_that_point_python_elsewhere_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    monkeypatch.setenv("PIP_TARGET", "elsewhere")
    assert not {"PYTHONPATH", "PIP_TARGET"} & clean_environment().keys()
    assert clean_environment({"QT_SCALE_FACTOR": "2"})["QT_SCALE_FACTOR"] == "2"
