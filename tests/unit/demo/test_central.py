"""The demo's central server: a real one, started, killed, started again."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.demo import central
from railgun_core.demo.central import ALSO_IN, PROGRAM, SYNCED, CentralServer, jetstream_settings
from railgun_core.demo.plan import free_port

needs_server = pytest.mark.skipif(
    shutil.which(PROGRAM) is None and shutil.which(PROGRAM, path=ALSO_IN) is None, reason="nats-server is not installed"
)


@needs_server
async def test_it_listens_after_each_start_and_keeps_its_place(tmp_path: Path) -> None:
    server = CentralServer(tmp_path / "central", "127.0.0.1", free_port("127.0.0.1"))
    try:
        await server.start()
        await server.kill()
        assert server.process is not None
        assert server.process.returncode is not None
        await server.start()
        assert server.starts == 2
        assert (tmp_path / "central" / "jetstream").is_dir()
    finally:
        await server.stop()
    assert server.process.returncode is not None


@pytest.mark.parametrize(("knows", "synced"), [(0, True), (1, False)])
def test_it_syncs_before_it_acknowledges_where_the_server_knows_how(knows: int, synced: bool, tmp_path: Path) -> None:
    """From 2.10 on it does; older ones refuse the whole file."""
    program = tmp_path / "some-server"
    program.write_text(f"#!/bin/sh\nexit {knows}\n", encoding="utf-8")
    program.chmod(0o700)
    found = jetstream_settings(str(program), tmp_path / "store", beside=tmp_path / "conf")
    assert (SYNCED in found) == synced
    assert f'store_dir: "{(tmp_path / "store").as_posix()}"' in found


@needs_server
def test_the_installed_server_takes_the_settings_that_it_is_given(tmp_path: Path) -> None:
    program = shutil.which(PROGRAM) or shutil.which(PROGRAM, path=ALSO_IN)
    assert program is not None
    found = jetstream_settings(program, tmp_path / "store", beside=tmp_path / "conf")
    said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    version = tuple(int(part) for part in said.strip().rpartition("v")[2].split(".")[:2])
    assert (SYNCED in found) == (version >= (2, 10))
    (tmp_path / "conf").write_text(found, encoding="utf-8")
    subprocess.run([program, "-t", "-c", str(tmp_path / "conf")], capture_output=True, timeout=10, check=True)


@needs_server
async def test_a_place_that_is_taken_ends_it(tmp_path: Path) -> None:
    port = free_port("127.0.0.1")
    first = CentralServer(tmp_path / "1", "127.0.0.1", port)
    second = CentralServer(tmp_path / "2", "127.0.0.1", port)
    try:
        await first.start()
        await second.start()
        assert second.process is not None
        await second.process.wait()  # somebody listens there, so only its own end shows that it is not this one
        assert second.process.returncode != 0
    finally:
        await first.stop()
        await second.stop()


async def test_where_it_is_not_installed_this_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(central, "PROGRAM", "no-such-server")
    with pytest.raises(EnvironmentFailure) as caught:
        await CentralServer(tmp_path, "127.0.0.1", 1).start()
    assert "no-such-server" in caught.value.detail
