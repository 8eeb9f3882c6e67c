"""B31, a relay: with no room on any relay's disk messages pass, are stored by majority and arrive, and nobody crashes.

What a relay wants on its disk may be lost in a crash anyway (duties, ids seen); it is counted, and said by nobody who
waits. Three real engines; the disks of all are full at each page in turn while messages pass.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

from railgun_core.logs import start_logs
from tests.attacks.test_b31_every_change import limit_pages
from tests.integration.test_engine import Peer, joined, started, until


@pytest.fixture
async def peers(tmp_path: Path) -> AsyncIterator[list[Peer]]:
    """Two members, and a relay that is in no room."""
    log = start_logs(tmp_path / "log", level="error")
    found: list[Peer] = []
    try:
        for number in range(3):
            found.append(await started(tmp_path / str(number), log, found[:1]))
        await until(lambda: all(len(peer.engine.node.view) == 3 for peer in found))
        yield found
    finally:
        for peer in reversed(found):
            await peer.engine.stop()
        log.close()
        structlog.reset_defaults()


async def test_messages_pass_through_a_relay_whose_disk_is_full(peers: list[Peer]) -> None:
    ann, bob, relay = peers
    room = await joined(ann, bob)
    sent: list[bytes] = []
    for spare in range(6):
        await limit_pages(relay.engine.store, spare=spare)
        lines = tuple(b"%d-%d " % (spare, n) * 100 for n in range(30))
        assert (await ann.send(room, *lines)).reached == len(lines)
        sent += lines
        await relay.engine.books.flush()
    assert await bob.read(room, len(sent)) == sent
    assert not [code for code in relay.engine.board._notices if code == "internal"]
    assert relay.engine.node.relay is not None
    await limit_pages(relay.engine.store, spare=1 << 20)
    assert (await ann.send(room, b"after")).reached == 1
    await until(lambda: relay.engine.save_failure is None)
