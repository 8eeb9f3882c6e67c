"""All checks run, the tests come last, and one failure anywhere is a failure of the whole."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from installers import gates
from installers.steps import Exit


def program(code: int, word: str) -> list[str]:
    return [sys.executable, "-c", f"print({word!r}); raise SystemExit({code})"]


@pytest.fixture
def tests_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Python that stands for the environment's: it takes `-m pytest` and ends as `code` in its folder says."""
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\necho "$@"\necho "1 passed in 0.01s"\nexit $(cat {tmp_path}/code)\n', encoding="utf-8"
    )
    python.chmod(0o755)
    (tmp_path / "code").write_text("0", encoding="utf-8")
    monkeypatch.setattr(gates, "in_venv", lambda _name: python)
    return tmp_path


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="stands in for programs by shell scripts")


def test_everything_runs_even_after_a_failure_and_the_summary_of_the_tests_is_the_last_line(
    tests_pass: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    checks = {"format": program(1, "first"), "types": program(0, "second")}
    monkeypatch.setattr(gates, "static_checks", lambda: checks)
    assert gates.run_all(["-k", "ring"]) is Exit.CHECK_FAILED
    lines = capfd.readouterr().out.splitlines()
    assert lines.index("first") < lines.index("second")
    assert "[railgun] Already failed, whatever the tests say: format" in lines
    assert lines[-2:] == ["-m pytest -k ring", "1 passed in 0.01s"]


@pytest.mark.parametrize(("code", "result"), [(0, Exit.DONE), (1, Exit.CHECK_FAILED), (5, Exit.CHECK_FAILED)])
def test_failed_tests_and_no_tests_at_all_are_failures(
    code: int, result: Exit, tests_pass: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tests_pass / "code").write_text(str(code), encoding="utf-8")
    monkeypatch.setattr(gates, "static_checks", lambda: {"lint": program(0, "fine")})
    assert gates.run_all([]) is result


def test_format_lint_types_and_imports_are_checked_in_this_order() -> None:
    assert list(gates.static_checks()) == ["format", "lint", "types", "imports"]
