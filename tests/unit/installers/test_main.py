"""The three commands: what they start, what they pass on, and how they refuse."""

from __future__ import annotations

import subprocess
import sys

import pytest

from installers import __main__ as command
from installers import gates, setup, system
from installers.steps import ROOT, Exit, SetupFailure


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps a command took, in order; the machine itself is left alone."""
    steps: list[str] = []

    def missing(*, gui: bool, tests: bool) -> list[str]:
        steps.append(f"system gui={gui} tests={tests}")
        return []

    def run_all(arguments: list[str]) -> Exit:
        steps.append(f"gates {arguments}")
        return Exit.CHECK_FAILED

    def run_demo(arguments: list[str]) -> int:
        steps.append(f"demo {arguments}")
        return 0

    monkeypatch.setattr(system, "missing_packages", missing)
    monkeypatch.setattr(setup, "prepare", lambda: steps.append("prepare"))
    monkeypatch.setattr(gates, "run_all", run_all)
    monkeypatch.setattr(command, "run_demo", run_demo)
    return steps


@pytest.mark.parametrize("arguments", [[], ["start"], ["--", "run"]])
def test_a_wrong_verb_is_refused_with_the_usage_and_nothing_is_done(
    arguments: list[str], begun: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(arguments) == Exit.USAGE
    assert begun == []
    assert "run|test|build" in capsys.readouterr().err


def test_the_tests_begin_after_the_set_up_and_their_result_is_the_exit_code(begun: list[str]) -> None:
    assert command.main(["test", "--", "-k", "ring"]) == Exit.CHECK_FAILED
    assert begun == ["system gui=True tests=True", "prepare", "gates ['-k', 'ring']"]


def test_without_a_display_the_demo_runs_with_a_live_table_and_needs_no_window_libraries(
    begun: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert command.main(["run", "--peers", "9"]) == Exit.DONE
    assert begun == ["system gui=False tests=False", "prepare", "demo ['--peers', '9']"]
    assert command.demo_command(["--peers", "9"], display=False)[1:] == ["demo", "--live", "--peers", "9"]


@pytest.mark.parametrize("variable", ["DISPLAY", "WAYLAND_DISPLAY"])
def test_with_a_display_the_demo_opens_the_tray_app(
    variable: str, begun: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv(variable, ":7")
    assert command.main(["run"]) == Exit.DONE
    assert begun[0] == "system gui=True tests=False"
    assert command.demo_command([], display=True)[1:] == ["demo", "--app"]


def test_a_failure_is_one_sentence_and_its_own_exit_code(
    begun: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise SetupFailure("The disk is full.", Exit.PYTHON_PACKAGES)

    monkeypatch.setattr(setup, "prepare", fail)
    assert command.main(["test"]) == Exit.PYTHON_PACKAGES
    assert capsys.readouterr().err == "[railgun] The disk is full.\n"
    assert begun == ["system gui=True tests=True"]


def test_the_command_answers_without_any_installed_package() -> None:
    """-I and -S leave only the standard library, as on a bare machine."""
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.argv = ['installers', '--help'];"
    start += "import runpy; runpy.run_module('installers', run_name='__main__')"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", start], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "run | test | build" in done.stdout
