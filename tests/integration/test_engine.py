"""Real engines in one process, on real sockets and disks: every line arrives byte for byte, whatever the disk does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import structlog
from sqlalchemy import Connection

from railgun_core.base.errors import EnvironmentFailure, RailGunError
from railgun_core.config import Config, HostPort
from railgun_core.demo.peers import many_addresses
from railgun_core.engine.engine import Engine
from railgun_core.local_api import messages as m
from railgun_core.local_api.verbs import Verbs
from railgun_core.logs import EngineLog, start_logs

from .conftest import fresh_host

WAIT_S = 40.0


class Peer:
    """One engine and its verbs."""

    def __init__(self, config: Config, log: EngineLog) -> None:
        self.engine = Engine(config)
        self.verbs = Verbs(self.engine, log)

    @property
    def entry(self) -> HostPort:
        return HostPort(self.engine.config.listen.host, self.engine.ports.dht)

    async def send(self, room: str, *lines: bytes, wait: str = "stored", wait_s: float = WAIT_S) -> m.Sent:
        return await self.verbs.room_send(m.RoomSend(room=room, lines=lines, wait=wait, wait_s=wait_s))

    async def read(self, room: str, count: int) -> list[bytes]:
        """The first `count` messages of others, as soon as they are here."""
        found: list[bytes] = []
        stream = self.verbs.room_follow(m.RoomFollow(room=room, since=0))
        async with asyncio.timeout(WAIT_S), contextlib.aclosing(stream):
            async for page in stream:
                found += [message.body for message in page.messages if not message.me]
                if len(found) >= count:
                    return found
        raise AssertionError("the conversation ended")


async def until(condition: Callable[[], bool]) -> None:
    """A bounded wait for what no event tells."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


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


async def started(folder: Path, log: EngineLog, entry: list[Peer]) -> Peer:
    many = many_addresses()
    config = Config(
        data_dir=folder,
        listen=HostPort(fresh_host(), 0),
        bootstrap=tuple(peer.entry for peer in entry),
        roles=("relay", "bootstrap"),
        epoch_s=3_600,
        committee_size=3,
        transports=("tls",),
        puzzle_bits=4,
        group_by="network" if many else "port",
        lan=False,
    )
    peer = Peer(config, log)
    await peer.engine.start()
    return peer


async def joined(*members: Peer) -> str:
    """A room of all these."""
    room = await members[0].verbs.room_create(m.RoomCreate(name="talk"))
    invite = await members[0].verbs.room_invite(m.RoomRef(room=room.room))
    for member in members[1:]:
        info = await member.verbs.room_join(m.RoomJoin(link=invite.link, wait_s=WAIT_S))
        assert not info.waiting
    return room.room


async def test_every_kind_of_line_arrives_byte_for_byte(peers: list[Peer]) -> None:
    ann, bob, cat = peers
    room = await joined(ann, bob, cat)
    lines = (b"plain words", b"", b"\xff\xfe\x00 no utf-8 \x80", "\u202eümläut\n".encode(), b"x" * 1_000_000, b"after")
    sent = await ann.send(room, *lines)
    assert (sent.lines, sent.reached, sent.waiting) == (6, 6, 0)
    assert await bob.read(room, 6) == list(lines)
    assert await cat.read(room, 6) == list(lines)
    answer = await bob.send(room, b"back", wait="delivered")
    assert answer.reached == 1
    assert await ann.read(room, 1) == [b"back"]


async def test_who_joins_halfway_gets_what_is_sent_after_that(peers: list[Peer]) -> None:
    ann, bob, cat = peers
    room = await joined(ann, bob)
    before = tuple(b"before %d" % n for n in range(50))
    after = tuple(b"after %d" % n for n in range(50))
    await ann.send(room, *before, wait="delivered")
    invite = await ann.verbs.room_invite(m.RoomRef(room=room))
    await cat.verbs.room_join(m.RoomJoin(link=invite.link, wait_s=WAIT_S))
    await ann.send(room, *after)
    assert await bob.read(room, 100) == [*before, *after]
    assert await cat.read(room, 50) == list(after)


async def test_a_restart_keeps_room_and_stream(peers: list[Peer]) -> None:
    ann, bob, _ = peers
    room = await joined(ann, bob)
    await ann.send(room, b"one", wait="delivered")
    await ann.engine.stop()
    again = Peer(ann.engine.config, ann.verbs._log)
    await again.engine.start()
    peers[0] = again
    assert (await again.send(room, b"two")).reached == 1
    assert (await bob.send(room, b"three", wait="delivered")).reached == 1
    assert await bob.read(room, 2) == [b"one", b"two"]
    assert await again.read(room, 1) == [b"three"]


async def test_a_full_disk_is_said_and_nothing_is_lost_when_there_is_room_again(peers: list[Peer]) -> None:
    ann, bob, _ = peers
    room = await joined(ann, bob)
    await ann.send(room, b"before", wait="delivered")
    await limit_pages(ann, spare=0)
    with pytest.raises(RailGunError, match="wait in memory"):
        await ann.send(room, b"x" * 200_000, wait_s=0.5)
    with pytest.raises(RailGunError) as refused:
        await ann.send(room, b"y" * 200_000)
    assert refused.value.code == "disk-full"
    assert ann.engine.board.error is not None
    await limit_pages(ann, spare=1 << 20)
    await until(lambda: ann.engine.save_failure is None)
    await ann.send(room, b"later", wait="delivered")
    assert await bob.read(room, 3) == [b"before", b"x" * 200_000, b"later"]
    assert ann.engine.board.error is None


async def limit_pages(peer: Peer, *, spare: int) -> None:
    """Let the database grow by `spare` pages and no further: SQLite answers as on a full disk."""

    def work(connection: Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        assert isinstance(pages, int)
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + spare}")

    await peer.engine.store._write(work, rows=1, own_items=False)


async def test_a_port_that_is_taken_is_one_clear_sentence(peers: list[Peer], tmp_path: Path) -> None:
    taken = peers[0].entry
    engine = Engine(Config(data_dir=tmp_path / "x", listen=taken, transports=("tls",), puzzle_bits=4, lan=False))
    with pytest.raises(EnvironmentFailure) as refused:
        await engine.start()
    assert refused.value.code == "port-taken"
