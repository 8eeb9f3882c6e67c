"""Where the door is, who may use it, and what happens to what a crash leaves behind."""
# ruff: noqa: ASYNC240 - a test may wait for its own small files

from __future__ import annotations

import os
import socket
import stat
import sys
from pathlib import Path

import pytest

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.local_api import endpoint as door
from railgun_core.local_api.client import Client
from railgun_core.local_api.server import ApiServer, DoorKind

from .conftest import Say, Verbs

posix = pytest.mark.skipif(os.name != "posix", reason="AF_UNIX sockets and modes")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@posix
async def test_the_socket_is_0600_in_a_0700_directory_whatever_the_umask(verbs: Verbs, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        server = ApiServer(verbs.table())
        found = await server.start(tmp_path / "data")
    finally:
        os.umask(before)
    assert mode(tmp_path / "data") == 0o700
    assert mode(tmp_path / "data" / "run") == 0o700
    assert mode(tmp_path / "data" / "run" / "api.json") == 0o600
    assert mode(Path(found.socket)) == 0o600
    await server.close()


@posix
@pytest.mark.parametrize("runtime", [True, False])
async def test_a_data_dir_with_a_long_path_gets_a_short_socket(
    verbs: Verbs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime: bool
) -> None:
    if runtime:
        place = Path("/tmp") / f"rg-test-{os.getpid()}"
        place.mkdir(mode=0o700)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(place))
    else:
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    data_dir = tmp_path / ("long" * 30) / "data"
    server = ApiServer(verbs.table())
    found = await server.start(data_dir)
    assert len(os.fsencode(found.socket)) <= door.MAX_SOCKET_PATH_BYTES
    assert mode(Path(found.socket).parent) == 0o700
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nowhere")  # a client with another environment finds it too
    async with await Client.connect(data_dir) as client:
        assert await client.call("echo", Say("far"), Say) == Say("far")
    await server.close()
    assert not Path(found.socket).exists()
    if runtime:
        (place / "railgun").rmdir()
        place.rmdir()


@posix
async def test_what_a_killed_engine_left_behind_is_no_obstacle(verbs: Verbs, tmp_path: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    door.private_dir(door.run_dir(tmp_path))
    left.bind(str(door.socket_path(tmp_path)))
    left.close()
    door.publish(tmp_path, door.Endpoint(socket=str(door.socket_path(tmp_path))))
    with pytest.raises(EnvironmentFailure) as caught:
        await Client.connect(tmp_path)
    assert caught.value.code == "no-engine"
    server = ApiServer(verbs.table())
    await server.start(tmp_path)
    async with await Client.connect(tmp_path) as client:
        assert await client.call("echo", Say("again"), Say) == Say("again")
    await server.close()


async def test_the_lock_is_held_until_close_and_can_be_taken_early(verbs: Verbs, tmp_path: Path) -> None:
    held = door.lock(tmp_path)
    with pytest.raises(EnvironmentFailure) as caught:
        door.lock(tmp_path)
    assert caught.value.code == "already-running"
    server = ApiServer(verbs.table())
    await server.start(tmp_path, held=held)
    with pytest.raises(EnvironmentFailure):
        door.lock(tmp_path)
    await server.close()
    door.lock(tmp_path).close()


@posix
@pytest.mark.parametrize("broken", [b"", b"{}", b"nonsense", b'{"socket":"/nowhere/x"}', b'{"port":1,"token":"short"}'])
def test_a_pointer_that_points_nowhere_means_no_engine(tmp_path: Path, broken: bytes) -> None:
    door.private_dir(door.run_dir(tmp_path))
    (door.run_dir(tmp_path) / "api.json").write_bytes(broken)
    with pytest.raises(EnvironmentFailure) as caught:
        door.find(tmp_path)
    assert caught.value.code == "no-engine"


@posix
def test_a_socket_where_others_could_have_put_it_is_not_used(tmp_path: Path) -> None:
    door.private_dir(door.run_dir(tmp_path))
    open_place = tmp_path / "open"
    open_place.mkdir(mode=0o755)
    door.publish(tmp_path, door.Endpoint(socket=str(open_place / "x.sock")))
    with pytest.raises(EnvironmentFailure) as caught:
        door.find(tmp_path)
    assert caught.value.code == "unsafe-directory"
    link = tmp_path / "link"
    link.symlink_to(door.run_dir(tmp_path))
    with pytest.raises(EnvironmentFailure):
        door.private_dir(link)


@posix
@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write anywhere")
async def test_a_data_dir_that_cannot_be_written_says_so(verbs: Verbs, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(EnvironmentFailure) as caught:
        await ApiServer(verbs.table()).start(tmp_path / "data")
    tmp_path.chmod(0o700)
    assert caught.value.code == "unwritable"


async def test_a_data_dir_that_is_a_file_says_so(verbs: Verbs, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    with pytest.raises(EnvironmentFailure) as caught:
        await ApiServer(verbs.table()).start(tmp_path / "data")
    assert caught.value.code == "unwritable"


async def test_each_start_of_the_tcp_door_has_fresh_secrets(verbs: Verbs, tmp_path: Path) -> None:
    seen = set()
    for _ in range(2):
        server = ApiServer(verbs.table())
        found = await server.start(tmp_path, kind=DoorKind.TCP)
        seen |= {found.token, found.answer}
        assert found.token not in repr(found)
        assert {len(found.token), len(found.answer)} == {64}
        await server.close()
    assert len(seen) == 4
