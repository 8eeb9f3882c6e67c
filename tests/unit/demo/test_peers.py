"""One engine process of a demo: started, killed, and what is said when it ends by itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.demo import peers
from railgun_core.demo.peers import PeerProcess


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of an engine: a program that says a line and does what its last argument says."""
    code = "import sys, time; print('no room on the disk', file=sys.stderr); time.sleep(float(sys.argv[-1]))"
    monkeypatch.setattr(peers, "program", lambda: (sys.executable, "-c", code))


@pytest.mark.usefixtures("program")
async def test_a_peer_that_ends_is_told_with_its_last_words(tmp_path: Path) -> None:
    peer = PeerProcess("p1", tmp_path / "p1", ("0",))
    await peer.start()
    with pytest.raises(EnvironmentFailure, match="p1 ended: no room on the disk"):
        await peer.connect()


@pytest.mark.usefixtures("program")
async def test_a_killed_peer_is_gone_and_can_be_started_again(tmp_path: Path) -> None:
    peer = PeerProcess("p1", tmp_path / "p1", ("60",))
    await peer.start()
    assert peer.process is not None
    first = peer.process.pid
    await peer.kill()
    assert peer.process.returncode not in (None, 0)
    await peer.kill()  # once more is nothing
    await peer.start()
    assert peer.process.pid != first
    await peer.stop()
    assert peer.process.returncode is not None


async def test_what_never_started_stops_at_once(tmp_path: Path) -> None:
    peer = PeerProcess("p1", tmp_path / "p1", ())
    await peer.stop()
    await peer.kill()
    peer.errors.write_text("")
    with pytest.raises(EnvironmentFailure):
        await peer.connect()
