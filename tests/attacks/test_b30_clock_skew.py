"""B30, clock skew: real directories and engines in one process, some of whose machines show the wrong time.

A fifth of the network is 110 s off and agrees with the others all the same; an engine that is ten minutes off finds
out by itself, offers nothing, says so, and comes back once its clock is right.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from railgun_core.base.keys import Identity
from railgun_core.config import Config, HostPort
from railgun_core.discovery.config import DhtConfig
from railgun_core.discovery.dht import Dht
from railgun_core.engine.clock import Clock
from railgun_core.engine.engine import Engine
from railgun_core.wire.records import PeerBody, PeerRole

HOST = "127.0.0.1"
DETECTED_S = 60.0
CONFIG = DhtConfig(net_limits=False, group_by_port=True, puzzle_bits=0)


@dataclass(slots=True)
class Watch:
    """A machine's wall clock that may be turned."""

    error_s: float = 0.0
    clock: Clock = field(init=False)

    def __post_init__(self) -> None:
        self.clock = Clock(wall=lambda: time.time() + self.error_s)


@dataclass(slots=True)
class Peer:
    """A directory node on a machine with that watch."""

    dht: Dht
    watch: Watch
    port: int = 0


def peer(number: int, error_s: float) -> Peer:
    watch = Watch(error_s)
    dht = Dht(
        Identity(random.Random(number).randbytes(32)),
        config=CONFIG,
        rng=random.Random(number),
        clock=watch.clock.public,
        own_unix_s=lambda: watch.clock.own().unix_s,
    )
    dht.on_time = watch.clock.heard
    return Peer(dht, watch)


@contextlib.asynccontextmanager
async def network(errors_s: Sequence[float]) -> AsyncIterator[list[Peer]]:
    """Directory nodes that know each other; the first is the others' way in."""
    peers = [peer(number, error_s) for number, error_s in enumerate(errors_s)]
    try:
        for one in peers:
            one.port = await one.dht.start(HOST, 0)
        await asyncio.gather(*(one.dht.bootstrap([(HOST, peers[0].port)]) for one in peers[1:]))
        yield peers
    finally:
        for one in peers:
            await one.dht.close()


async def within(seconds: float, true: Callable[[], bool]) -> float:
    """Until it is so; how long it took."""
    began_s = time.monotonic()
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return time.monotonic() - began_s


@contextlib.asynccontextmanager
async def engine_among(peers: Sequence[Peer], folder: Path, watch: Watch) -> AsyncIterator[Engine]:
    """A relay on a machine with that watch, which enters through the first of them."""
    config = Config(
        data_dir=folder,
        listen=HostPort(HOST, 0),
        bootstrap=(HostPort(HOST, peers[0].port),),
        roles=("relay", "mix"),
        transports=("tls",),
        puzzle_bits=0,
        group_by="port",
        lan=False,
    )
    engine = Engine(config, clock=watch.clock)
    try:
        await engine.start()
        yield engine
    finally:
        await engine.stop()


async def roles_seen(by: Dht, engine: Engine) -> PeerRole | None:
    """What another peer finds that this engine offers."""
    record = await by.find_peer(engine.node.identity.peer_id)
    return record.body.roles if record is not None and isinstance(record.body, PeerBody) else None


async def seen_as(by: Dht, engine: Engine, roles: PeerRole) -> None:
    """Until another peer finds these roles."""
    async with asyncio.timeout(20.0):
        while await roles_seen(by, engine) != roles:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_a_fifth_of_the_network_110_s_off_agrees_with_the_others_on_the_time() -> None:
    errors_s = [0.0, *(110.0 if number % 10 == 0 else -110.0 if number % 10 == 5 else 0.3 for number in range(14))]
    assert sum(abs(error_s) > 100 for error_s in errors_s) / len(errors_s) == pytest.approx(0.2, abs=0.01)
    async with network(errors_s) as peers:

        def agreed() -> bool:
            for one in peers:
                one.watch.clock.review()
            now_s = time.time()
            return all(
                len(one.watch.clock.skew) >= 8 and abs(one.watch.clock.instant().unix_s - now_s) < 1.0 for one in peers
            )

        await within(DETECTED_S, agreed)
        for one in peers:
            assert one.watch.clock.status().state == ("corrected" if abs(one.watch.error_s) > 100 else "right")


@pytest.mark.parametrize("error_s", [600.0, -600.0])
async def test_an_engine_ten_minutes_off_finds_out_and_relays_for_nobody(tmp_path: Path, error_s: float) -> None:
    watch = Watch(error_s)
    async with network([0.0] * 12) as peers, engine_among(peers, tmp_path, watch) as engine:
        await within(DETECTED_S, lambda: engine.board.clock.state == "wrong")
        assert engine.board.clock.offset_s == pytest.approx(-error_s, abs=1.0)
        notices = {notice.code: notice for notice in engine.status().notices}
        assert notices["clock-wrong"].level == "error"
        await seen_as(peers[3].dht, engine, PeerRole(0))
        watch.error_s = 0.0
        await within(DETECTED_S, lambda: engine.board.clock.state == "right")
        await seen_as(peers[3].dht, engine, PeerRole.RELAY | PeerRole.MIX)


@pytest.mark.parametrize("error_s", [600.0, -600.0])
async def test_a_clock_that_jumps_under_a_running_relay_is_noticed(tmp_path: Path, error_s: float) -> None:
    watch = Watch()
    async with network([0.0] * 12) as peers, engine_among(peers, tmp_path, watch) as engine:
        await within(DETECTED_S, lambda: engine.board.clock.state == "right")
        await seen_as(peers[5].dht, engine, PeerRole.RELAY | PeerRole.MIX)
        watch.error_s = error_s
        await within(DETECTED_S, lambda: engine.board.clock.state == "wrong")
        await seen_as(peers[5].dht, engine, PeerRole(0))


async def test_five_liars_among_sixteen_do_not_move_a_right_clock(tmp_path: Path) -> None:
    lies = [0.0] * 11 + [90.0, 100.0, 110.0, 5_000.0, -3e8]
    watch = Watch()
    async with network(lies) as peers, engine_among(peers, tmp_path, watch) as engine:
        await within(DETECTED_S, lambda: engine.board.clock.peers >= 14)
        assert engine.board.clock.state == "right"
        assert abs(watch.clock.instant().unix_s - time.time()) < 0.5
