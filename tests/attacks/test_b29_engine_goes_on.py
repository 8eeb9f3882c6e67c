"""B29, the whole way: a peer's database is damaged while it is off; it starts, says so, and messages come and go again.

One page harmed: the room is still there, the peer is a new device in it, and both sides read each other. The file
harmed from its first byte: no room could be saved, the person is told, and a new invite lets them in again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

from railgun_core.local_api import messages as m
from railgun_core.logs import start_logs
from tests.integration.test_engine import WAIT_S, Peer, joined, started, until

BEFORE = (b"one", b"two " * 400, b"three")


@pytest.fixture
async def peers(tmp_path: Path) -> AsyncIterator[list[Peer]]:
    """Three engines that know each other."""
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


async def again(peer: Peer) -> Peer:
    found = Peer(peer.engine.config, peer.verbs._log)
    await found.engine.start()
    return found


def told(peer: Peer) -> str:
    """What the person is told about the repair."""
    return next(notice.detail for notice in peer.engine.board._notices.values() if notice.code == "database-repaired")


async def reads(peer: Peer, room: str, wanted: bytes) -> None:
    """Until this was read from somebody else."""
    async with asyncio.timeout(WAIT_S):
        async for page in peer.verbs.room_follow(m.RoomFollow(room=room, since=0)):
            if any(message.body == wanted and not message.me for message in page.messages):
                return


async def test_with_one_harmed_page_the_room_is_still_there_and_messages_come_and_go(peers: list[Peer]) -> None:
    ann, bob, _ = peers
    room = await joined(ann, bob)
    await ann.send(room, *BEFORE, wait="delivered")
    await bob.engine.stop()
    database = bob.engine.config.data_dir / "railgun.db"
    raw = bytearray(database.read_bytes())
    raw[raw.index(BEFORE[1]) + 800] ^= 1
    database.write_bytes(raw)
    peers[1] = bob = await again(bob)
    assert "one room was saved" in told(bob)
    assert "railgun.db.damaged-1" in told(bob)
    assert [info.name for info in (await bob.verbs.room_list(m.Empty())).rooms] == ["talk"]
    await bob.send(room, b"here again")
    await reads(ann, room, b"here again")
    await ann.send(room, b"good")
    await reads(bob, room, b"good")
    bodies = [message.body for message in (await bob.verbs.room_read(m.RoomRead(room=room))).messages]
    assert bodies.count(b"one") == bodies.count(b"three") == 1


async def test_with_nothing_left_the_person_is_told_and_an_invite_lets_them_in_again(peers: list[Peer]) -> None:
    ann, bob, _ = peers
    room = await joined(ann, bob)
    await ann.send(room, *BEFORE, wait="delivered")
    peer_id = bob.engine.node.identity.peer_id
    await bob.engine.stop()
    database = bob.engine.config.data_dir / "railgun.db"
    database.write_bytes(bytes(byte ^ 0xFF for byte in database.read_bytes()))
    peers[1] = bob = await again(bob)
    assert told(bob).endswith("no room could be saved.")
    assert bob.engine.node.identity.peer_id == peer_id
    assert (await bob.verbs.room_list(m.Empty())).rooms == ()
    invite = await ann.verbs.room_invite(m.RoomRef(room=room))
    await bob.verbs.room_join(m.RoomJoin(link=invite.link, wait_s=WAIT_S))
    await ann.send(room, b"welcome back")
    await reads(bob, room, b"welcome back")
    await bob.send(room, b"thanks")
    await reads(ann, room, b"thanks")
