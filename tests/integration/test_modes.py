"""Ways into the network without a configured server, and back: real engines, sockets and disks in one process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from railgun_core.base.errors import UsageError
from railgun_core.config import Config, HostPort, load_config
from railgun_core.demo.peers import many_addresses
from railgun_core.engine.engine import Engine
from railgun_core.local_api import messages as m
from railgun_core.local_api.verbs import Verbs
from railgun_core.logs import EngineLog, start_logs

from .conftest import fresh_host

WAIT_S = 40.0
NOWHERE = HostPort("127.0.0.1", 9)  # the discard port: nobody answers there


class Peer:
    """One engine and its verbs."""

    def __init__(self, config: Config, log: EngineLog) -> None:
        self.engine = Engine(config)
        self.verbs = Verbs(self.engine, log)
        self._log = log

    @property
    def entry(self) -> HostPort:
        return HostPort(self.engine.config.listen.host, self.engine.ports.dht)

    @property
    def codes(self) -> set[str]:
        return {notice.code for notice in self.engine.status().notices}

    async def again(self, **changes: object) -> Peer:
        """Stop, and start on the same data with other options."""
        await self.engine.stop()
        peer = Peer(replace(self.engine.config, **changes), self._log)  # type: ignore[arg-type]
        await peer.engine.start()
        return peer


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def peers(folder: Path, count: int) -> AsyncIterator[tuple[list[Peer], EngineLog]]:
    """Engines that know each other, in mode p2p."""
    log = start_logs(folder / "log", level="error")
    found: list[Peer] = []
    try:
        for number in range(count):
            found.append(Peer(options(folder / str(number), entries=[peer.entry for peer in found[:1]]), log))
            await found[-1].engine.start()
        await until(lambda: all(len(peer.engine.node.view) == count for peer in found))
        yield found, log
    finally:
        for peer in reversed(found):
            await peer.engine.stop()
        log.close()
        structlog.reset_defaults()


def options(folder: Path, *, entries: list[HostPort], mode: str = "p2p") -> Config:
    many = many_addresses()
    return Config(
        data_dir=folder,
        listen=HostPort(fresh_host(), 0),
        bootstrap=tuple(entries),
        roles=("relay", "bootstrap"),
        mode=mode,
        epoch_s=3_600,
        committee_size=3,
        transports=("tls",),
        puzzle_bits=4,
        group_by="network" if many else "port",
        lan=False,
    )


async def test_mode_full_enters_by_the_peers_of_the_last_run_alone(tmp_path: Path) -> None:
    async with peers(tmp_path, 3) as (known, _):
        known[2] = await known[2].again(mode="full", bootstrap=(NOWHERE,))
        last = known[2]
        await until(lambda: last.engine.dht.contacts >= 2)
        await until(lambda: len(last.engine.node.view) == 3)
        assert "bootstrap-not-used" in last.codes
        assert "bootstrap-unreachable" not in last.codes


async def test_the_records_on_disk_are_a_way_in_too_when_the_contacts_were_lost(tmp_path: Path) -> None:
    async with peers(tmp_path, 3) as (known, _):
        last = known[2]
        await last.engine.books.flush()
        await last.engine.stop()
        (last.engine.config.data_dir / "contacts.json").unlink()
        known[2] = last = await last.again(mode="full", bootstrap=())
        await until(lambda: last.engine.dht.contacts >= 2)


async def test_mode_full_enters_by_an_invite_alone(tmp_path: Path) -> None:
    async with peers(tmp_path, 3) as (known, log):
        room = await known[1].verbs.room_create(m.RoomCreate(name="talk"))
        invite = await known[1].verbs.room_invite(m.RoomRef(room=room.room))
        fresh = Peer(options(tmp_path / "fresh", entries=[], mode="full"), log)
        known.append(fresh)
        await fresh.engine.start()
        assert fresh.engine.dht.contacts == 0
        joined = await fresh.verbs.room_join(m.RoomJoin(link=invite.link, wait_s=WAIT_S))
        assert not joined.waiting
        assert fresh.engine.dht.contacts >= 1


async def test_a_running_engine_changes_its_mode_and_loses_nobody(tmp_path: Path) -> None:
    async with peers(tmp_path, 3) as (known, _):
        last = known[2]
        links = dict(last.engine.links.opened)
        full = await last.verbs.set_mode(m.ModeSet("full"))
        assert (full.mode, full.bootstrap_used, full.bootstrap) == ("full", False, (str(known[0].entry),))
        assert last.engine.status().mode == "full"
        assert last.engine.dht.contacts == 2
        assert sum(last.engine.links.closed.values()) == 0
        p2p = await last.verbs.set_mode(m.ModeSet("p2p"))
        assert (p2p.mode, p2p.bootstrap_used) == ("p2p", True)
        assert last.engine.links.opened.total() >= sum(links.values())
        with pytest.raises(UsageError, match="Mode hybrid needs a central server"):
            await last.verbs.set_mode(m.ModeSet("hybrid"))
        assert (await last.verbs.mode(m.Empty())).mode == "p2p"
        assert load_config(last.engine.config.data_dir).mode == "p2p"


async def test_mode_hybrid_runs_on_while_its_server_is_away_and_says_so(tmp_path: Path) -> None:
    async with peers(tmp_path, 1) as (known, _):
        info = await known[0].verbs.set_mode(m.ModeSet("hybrid", (str(NOWHERE),), True))
        assert (info.mode, info.central, info.central_first) == ("hybrid", (str(NOWHERE),), True)
        await until(lambda: known[0].engine.status().central.why == "no-room")  # nobody is told of this device
        checks = {check.name: check for check in (await known[0].verbs.doctor(m.Empty())).checks}
        assert "not asked" in checks["central"].sentence
        await known[0].verbs.room_create(m.RoomCreate("tea"))
        await until(lambda: known[0].engine.status().central.why == "unreachable")
        assert not known[0].engine.status().central.up
        checks = {check.name: check for check in (await known[0].verbs.doctor(m.Empty())).checks}
        assert not checks["central"].good
        await known[0].verbs.set_mode(m.ModeSet("p2p"))
        await until(lambda: not known[0].engine.status().central.configured)
