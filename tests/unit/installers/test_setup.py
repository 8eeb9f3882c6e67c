"""The virtual environment is made once, again after a change, and anew when it is broken or has moved."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from installers import setup
from installers.steps import Exit, SetupFailure


class Steps:
    """Which of the two costly steps a run took."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.works = False

    def make(self) -> None:
        setup.VENV.mkdir(exist_ok=True)
        self.works = True
        self.taken.append("venv")

    def pip(self, *arguments: str, sentence: str) -> None:
        assert sentence.endswith((".", "?"))
        self.taken.append("packages" if "--require-hashes" in arguments else "project")


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Steps:
    steps = Steps()
    monkeypatch.setattr(setup, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(setup, "STAMP", tmp_path / ".venv" / "stamp.json")
    for name, text in {"LOCK": "click==8.0", "PROJECT": "[project]"}.items():
        path = tmp_path / name.lower()
        path.write_text(text, encoding="utf-8")
        monkeypatch.setattr(setup, name, path)
    monkeypatch.setattr(setup, "make_venv", steps.make)
    monkeypatch.setattr(setup, "_pip", steps.pip)
    monkeypatch.setattr(setup, "venv_works", lambda: steps.works)
    return steps


def test_a_first_run_makes_everything_and_a_second_run_nothing(steps: Steps) -> None:
    setup.prepare()
    assert steps.taken == ["venv", "packages", "project"]
    steps.taken.clear()
    setup.prepare()
    assert steps.taken == []


def test_a_new_lock_installs_packages_into_the_same_environment(steps: Steps) -> None:
    setup.prepare()
    steps.taken.clear()
    setup.LOCK.write_text("click==9.0", encoding="utf-8")
    setup.prepare()
    assert steps.taken == ["packages", "project"]


def test_a_change_of_the_project_file_alone_installs_only_the_project(steps: Steps) -> None:
    setup.prepare()
    steps.taken.clear()
    setup.PROJECT.write_text("[project]\nname = 'x'", encoding="utf-8")
    setup.prepare()
    assert steps.taken == ["project"]


def test_a_broken_environment_is_made_anew(steps: Steps) -> None:
    setup.prepare()
    steps.taken.clear()
    steps.works = False
    setup.prepare()
    assert steps.taken == ["venv", "packages", "project"]


@pytest.mark.parametrize("field", ["python", "place"])
def test_an_environment_of_another_python_or_place_is_made_anew(field: str, steps: Steps) -> None:
    setup.prepare()
    steps.taken.clear()
    setup.STAMP.write_text(json.dumps({**setup.wanted_stamp(), field: "another"}), encoding="utf-8")
    setup.prepare()
    assert steps.taken == ["venv", "packages", "project"]


def test_a_run_that_was_broken_off_is_done_again(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    setup.prepare()
    setup.LOCK.write_text("click==9.0", encoding="utf-8")

    def stop(*_arguments: str, sentence: str) -> None:
        raise SetupFailure(sentence, Exit.PYTHON_PACKAGES)

    with monkeypatch.context() as broken:
        broken.setattr(setup, "_pip", stop)
        with pytest.raises(SetupFailure):
            setup.prepare()
    steps.taken.clear()
    setup.prepare()
    assert "packages" in steps.taken


@pytest.mark.parametrize("stamp", ["", "[]", "{", '"x"'])
def test_an_unreadable_stamp_counts_as_none(stamp: str, steps: Steps) -> None:
    steps.make()
    setup.STAMP.write_text(stamp, encoding="utf-8")
    assert setup.found_stamp() == {}


@pytest.mark.parametrize("version", [(3, 8), (3, 10), (3, 14), (4, 0)])
def test_a_python_outside_the_range_is_refused_with_what_to_do(version: tuple[int, int]) -> None:
    with pytest.raises(SetupFailure, match=r"Python 3\.11 to 3\.13 is needed") as refusal:
        setup.refuse_wrong_python(version)
    assert refusal.value.code is Exit.PYTHON


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_a_python_inside_the_range_is_taken(version: tuple[int, int]) -> None:
    setup.refuse_wrong_python(version)


def test_programs_of_the_environment_are_found_where_windows_puts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert setup.in_venv("railgun").parts[-2:] == ("Scripts", "railgun.exe")


def test_a_folder_that_is_no_environment_does_not_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "VENV", tmp_path)
    assert not setup.venv_works()
    python = setup.in_venv("python")
    python.parent.mkdir(exist_ok=True)
    python.write_text("no program", encoding="utf-8")
    python.chmod(0o755)
    assert not setup.venv_works()
