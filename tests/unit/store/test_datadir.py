"""The data directory and its lock."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.store.datadir import open_data_dir

REPO = Path(__file__).resolve().parents[3]
HOLD = """
import sys, pathlib
from railgun_core.store.datadir import open_data_dir
held = open_data_dir(pathlib.Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_new_directory_is_private_and_says_where_things_are(tmp_path: Path) -> None:
    with open_data_dir(tmp_path / "a" / "b") as data:
        if sys.platform != "win32":
            assert stat.S_IMODE(data.path.stat().st_mode) == 0o700
            assert stat.S_IMODE((data.path / "engine.lock").stat().st_mode) == 0o600
        assert data.database.parent == data.identity_key.parent == tmp_path / "a" / "b"


@pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")
def test_a_directory_open_to_others_is_made_private(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with open_data_dir(tmp_path):
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_a_second_engine_is_refused_until_the_first_has_closed(tmp_path: Path) -> None:
    first = open_data_dir(tmp_path)
    with pytest.raises(EnvironmentFailure, match="Another Rail Gun Relay is running") as caught:
        open_data_dir(tmp_path)
    assert caught.value.code == "data-dir-in-use"
    first.close()
    first.close()
    open_data_dir(tmp_path).close()


def test_the_lock_of_a_killed_engine_is_free(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], cwd=REPO, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == b"held"
        with pytest.raises(EnvironmentFailure):
            open_data_dir(tmp_path)
        holder.kill()
        holder.wait(10)
        open_data_dir(tmp_path).close()


def test_a_path_that_is_a_file_is_unwritable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EnvironmentFailure) as caught:
        open_data_dir(tmp_path / "file" / "data")
    assert caught.value.code == "unwritable"
