"""What the system lacks is found by loading and searching; installing happens only with the right to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from installers import system
from installers.steps import Exit, SetupFailure


def test_only_what_cannot_be_loaded_or_found_counts_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(system, "can_load", lambda library: library != "libxcb-cursor.so.0")
    monkeypatch.setattr(system, "on_path", lambda program: program != "trayer")
    assert system.missing_packages(gui=True, tests=True) == ["libxcb-cursor0", "trayer"]
    assert system.missing_packages(gui=True, tests=False) == ["libxcb-cursor0"]
    assert system.missing_packages(gui=False, tests=False) == []


def test_other_systems_need_nothing_from_apt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "can_load", lambda _library: False)
    for platform in ("darwin", "win32"):
        monkeypatch.setattr(sys, "platform", platform)
        assert system.missing_packages(gui=True, tests=True) == []


def test_a_library_that_does_not_exist_cannot_be_loaded() -> None:
    assert not system.can_load("librailgun-does-not-exist.so.1")


def test_without_rights_the_one_line_to_run_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system.shutil, "which", lambda _program: "/usr/bin/apt-get")
    monkeypatch.setattr(system, "root_prefix", lambda: None)
    with pytest.raises(SetupFailure, match=r"apt-get install --no-install-recommends libegl1 xvfb$") as failure:
        system.apt_install(["libegl1", "xvfb"])
    assert failure.value.code is Exit.SYSTEM_PACKAGES


def test_without_apt_the_names_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system.shutil, "which", lambda _program: None)
    with pytest.raises(SetupFailure, match=r"package manager.*: libegl1$"):
        system.apt_install(["libegl1"])


@pytest.fixture
def sandbox(tmp_path: Path) -> Path:
    """A folder with an apt-get that writes down how it was called and what the daemon policy said meanwhile."""
    tool = tmp_path / "apt-get"
    policy = tmp_path / "policy-rc.d"
    tool.write_text(
        f'#!/bin/sh\nrule=0; [ -e {policy} ] && {{ {policy}; rule=$?; }}\necho "$rule $@" >> {tmp_path}/calls\n'
        f"[ ! -e {tmp_path}/broken ]\n",
        encoding="utf-8",
    )
    tool.chmod(0o755)
    return tmp_path


def run_script(sandbox: Path, *arguments: str) -> int:
    script = system.INSTALL_SCRIPT.replace("/usr/sbin/policy-rc.d", str(sandbox / "policy-rc.d"))
    script = script.replace("/run/systemd/system", str(sandbox / "no-systemd"))
    path = f"{sandbox}:/usr/bin:/bin"
    done = subprocess.run(["sh", "-c", script, "sh", *arguments], env={"PATH": path}, check=False, capture_output=True)
    return done.returncode


@pytest.mark.skipif(sys.platform == "win32", reason="the script is for Debian's shell")
def test_no_daemon_may_start_while_packages_are_unpacked(sandbox: Path) -> None:
    assert run_script(sandbox, "xvfb mosquitto", "mosquitto") == 0
    update, install = (sandbox / "calls").read_text(encoding="utf-8").splitlines()
    assert update == "101 update -q"
    assert install.startswith("101 install -q -y --no-install-recommends")
    assert install.endswith(" xvfb mosquitto")
    assert not (sandbox / "policy-rc.d").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="the script is for Debian's shell")
def test_the_policy_goes_away_after_a_failure_too(sandbox: Path) -> None:
    (sandbox / "broken").touch()
    assert run_script(sandbox, "xvfb") != 0
    assert not (sandbox / "policy-rc.d").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="the script is for Debian's shell")
def test_a_policy_that_stands_there_already_is_left_alone(sandbox: Path) -> None:
    policy = sandbox / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 104\n", encoding="utf-8")
    policy.chmod(0o755)
    assert run_script(sandbox, "xvfb") == 0
    assert policy.read_text(encoding="utf-8") == "#!/bin/sh\nexit 104\n"
