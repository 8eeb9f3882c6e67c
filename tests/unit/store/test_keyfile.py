"""The identity key file."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.store.keyfile import load_or_create

SEED = bytes(range(32))
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="modes and links of POSIX")


def never() -> bytes:
    raise AssertionError("a key was made though there is one")


def test_a_new_key_is_made_once_and_read_ever_after(tmp_path: Path) -> None:
    path = tmp_path / "identity.key"
    assert load_or_create(path, lambda: SEED) == SEED
    assert load_or_create(path, never) == SEED
    assert [p.name for p in tmp_path.iterdir()] == ["identity.key"]


@posix_only
def test_only_the_owner_can_read_a_new_key(tmp_path: Path) -> None:
    path = tmp_path / "identity.key"
    load_or_create(path, lambda: SEED)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@posix_only
def test_a_key_that_others_can_read_is_refused_and_the_cure_is_said(tmp_path: Path) -> None:
    path = tmp_path / "identity.key"
    load_or_create(path, lambda: SEED)
    path.chmod(0o640)
    with pytest.raises(EnvironmentFailure, match="chmod 600") as caught:
        load_or_create(path, never)
    assert caught.value.code == "key-unusable"


@posix_only
@pytest.mark.parametrize("target", ["real.key", "nowhere"])
def test_a_link_is_refused(tmp_path: Path, target: str) -> None:
    load_or_create(tmp_path / "real.key", lambda: SEED)
    path = tmp_path / "identity.key"
    path.symlink_to(tmp_path / target)
    with pytest.raises(EnvironmentFailure, match="link") as caught:
        load_or_create(path, never)
    assert caught.value.code == "key-unusable"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("content", [b"", SEED[:31], SEED + b"x"])
def test_a_file_of_the_wrong_size_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "identity.key"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(EnvironmentFailure, match="does not hold a key"):
        load_or_create(path, never)
    assert path.read_bytes() == content


def test_a_directory_in_its_place_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "identity.key"
    path.mkdir(mode=0o700)
    with pytest.raises(EnvironmentFailure):
        load_or_create(path, never)


def test_a_key_that_appears_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "identity.key"

    def late() -> bytes:
        path.touch(mode=0o600)
        path.write_bytes(bytes(32))
        return SEED

    with pytest.raises(EnvironmentFailure):
        load_or_create(path, late)
    assert path.read_bytes() == bytes(32)


def test_what_an_interrupted_start_left_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / ".identity.key.new").write_bytes(b"half")
    path = tmp_path / "identity.key"
    assert load_or_create(path, lambda: SEED) == SEED
    (tmp_path / ".identity.key.new").write_bytes(b"half")
    assert load_or_create(path, never) == SEED
    assert [p.name for p in tmp_path.iterdir()] == ["identity.key"]


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure) as caught:
        load_or_create(tmp_path / "gone" / "identity.key", lambda: SEED)
    assert caught.value.code == "unwritable"


def test_a_seed_of_another_size_is_never_saved(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        load_or_create(tmp_path / "identity.key", lambda: b"short")
    assert os.listdir(tmp_path) == []


def test_without_links_the_key_is_renamed_into_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / "identity.key"
    assert load_or_create(path, lambda: SEED) == SEED
    assert [p.name for p in tmp_path.iterdir()] == ["identity.key"]
