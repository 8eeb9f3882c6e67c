"""Everything that every role received in a run, searched for what it must never see.

Real engines on real sockets: an entry, relays that mix, and devices that offer nothing and stand behind guards. Taken
down are the frames of every link after its decryption, every datagram, and every payload that a mix opened; with them
the address it came from. A secret that shows in any form that a role can see shows here.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import structlog

from railgun_core.base.clock import Instant
from railgun_core.base.ids import LinkId
from railgun_core.base.keys import Identity, solves_puzzle
from railgun_core.config import Config, HostPort
from railgun_core.demo.peers import many_addresses
from railgun_core.discovery.datagrams import decode_head, decode_message
from railgun_core.discovery.dht import Dht
from railgun_core.engine.engine import Engine
from railgun_core.engine.links import LinkTable
from railgun_core.events import Effect
from railgun_core.local_api import messages as m
from railgun_core.local_api.verbs import Verbs
from railgun_core.logs import start_logs
from railgun_core.mix.mixnet import Mixnet
from railgun_core.mix.topology import day_of, stratum_of
from railgun_core.wire.frames import FrameBatch, Open, Role, decode_control
from railgun_core.wire.kinds import FrameType

RELAYS, DEVICES, LINES, PUZZLE_BITS = 12, 3, 12, 4
WORDS = b"the ferry leaves at nine from the northern pier"
WAIT_S = 60.0

pytestmark = [
    pytest.mark.skipif(not many_addresses(), reason="loopback has one address here, so nobody can be told apart"),
    pytest.mark.deadline(240),
]


@dataclass
class Seen:
    """What one engine received, by the address it came from."""

    frames: dict[str, bytearray] = field(default_factory=lambda: defaultdict(bytearray))
    datagrams: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    opened: bytearray = field(default_factory=bytearray)
    member_opens: list[str] = field(default_factory=list)  # where OPEN as a member came from

    def everything(self) -> bytes:
        return b"".join((*self.frames.values(), *(b"".join(d) for d in self.datagrams.values()), self.opened))

    @property
    def hosts(self) -> set[str]:
        return {*self.frames, *self.datagrams} - {""}


class Capture:
    """Listens where links, datagrams and mixes hand over what they received."""

    def __init__(self) -> None:
        self.by_object: dict[int, Seen] = {}
        self.keep: list[Any] = []

    def of(self, owner: object) -> Seen:
        self.keep.append(owner)  # so that its id stays its own
        return self.by_object.setdefault(id(owner), Seen())

    def seen_by(self, engine: Engine) -> Seen:
        whole = Seen()
        for owner in (engine.links, engine.dht, engine.node.mixnet):
            part = self.of(owner)
            for host, data in part.frames.items():
                whole.frames[host] += data
            for host, data in part.datagrams.items():
                whole.datagrams[host] += data
            whole.opened += part.opened
            whole.member_opens += part.member_opens
        return whole


@pytest.fixture
def capture(monkeypatch: pytest.MonkeyPatch) -> Capture:
    found = Capture()
    frames, datagram, arrived = LinkTable._frames, Dht._received, Mixnet._arrived

    def on_frames(self: LinkTable, number: LinkId, batch: FrameBatch) -> None:
        link, seen = self.get(number), found.of(self)
        host = "" if link is None else link.remote_host
        seen.frames[host] += batch.data[: batch.bounds[-1]]
        for start, stop in zip(batch.bounds[:-1], batch.bounds[1:], strict=True):
            if batch.data[start + 4] == FrameType.OPEN:
                opening = decode_control(batch.data, start, stop)
                if isinstance(opening, Open) and opening.role is Role.MEMBER:
                    seen.member_opens.append(host)
        frames(self, number, batch)

    def on_datagram(self: Dht, raw: bytes, source: tuple[str, int]) -> None:
        found.of(self).datagrams[source[0]].append(raw)
        datagram(self, raw, source)

    def on_arrival(self: Mixnet, payload: bytes, now: Instant, out: list[Effect]) -> None:
        found.of(self).opened += payload
        arrived(self, payload, now, out)

    monkeypatch.setattr(LinkTable, "_frames", on_frames)
    monkeypatch.setattr(Dht, "_received", on_datagram)
    monkeypatch.setattr(Mixnet, "_arrived", on_arrival)
    return found


@dataclass
class Net:
    """An entry, relays, and devices with a room."""

    entry: Engine
    relays: list[Engine]
    devices: list[Engine]
    verbs: dict[int, Verbs]

    def of(self, device: Engine) -> Verbs:
        return self.verbs[id(device)]


def relay_seeds() -> list[bytes]:
    """Keys of relays that stand in each stratum equally often, today and tomorrow: a path needs one of each."""
    today, rng, found = day_of(time.time()), random.Random(7), []
    for n in range(RELAYS):
        while True:
            identity = Identity(rng.randbytes(32))
            strata = {stratum_of(identity.peer_id, day) for day in (today, today + 1)}
            if strata == {n % 3} and solves_puzzle(identity.public_key, PUZZLE_BITS):
                found.append(identity.seed)
                break
    return found


@pytest.fixture
async def net(tmp_path: Path, capture: Capture) -> AsyncIterator[Net]:
    log = start_logs(tmp_path / "log", level="error")
    started: list[Engine] = []
    seeds = relay_seeds()
    verbs: dict[int, Verbs] = {}

    async def start(host: str, **given: Any) -> Engine:
        config = Config(
            data_dir=tmp_path / host,
            listen=HostPort(host, 0),
            epoch_s=3_600,
            committee_size=3,
            transports=("tls",),
            puzzle_bits=PUZZLE_BITS,
            lan=False,
            **given,
        )
        if seeds and "relay" in config.roles:
            config.data_dir.mkdir(parents=True, mode=0o700)
            (config.data_dir / "identity.key").touch(mode=0o600)
            (config.data_dir / "identity.key").write_bytes(seeds.pop())
        engine = Engine(config)
        await engine.start()
        started.append(engine)
        verbs[id(engine)] = Verbs(engine, log)
        return engine

    try:
        entry = await start("127.90.0.1", roles=("bootstrap",))
        entries = (HostPort("127.90.0.1", entry.ports.dht),)
        relays = [await start(f"127.{91 + n}.0.1", bootstrap=entries) for n in range(RELAYS)]
        async with asyncio.timeout(WAIT_S):
            while not all(len(engine.node.view) >= RELAYS for engine in relays):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        behind = {"bootstrap": entries, "roles": (), "guards": "all", "secure_gb_month": 300.0}
        devices = [await start(f"127.201.{n}.1", **behind) for n in range(1, DEVICES + 1)]
        yield Net(entry, relays, devices, verbs)
    finally:
        for engine in reversed(started):
            await engine.stop()
        log.close()
        structlog.reset_defaults()


async def talk(net: Net) -> None:
    """A high-security room of all devices, in which everybody says something that all receive."""
    first = net.of(net.devices[0])
    await first.room_create(m.RoomCreate("harbour"))
    link = (await first.room_invite(m.RoomRef("harbour"))).link
    for device in net.devices[1:]:
        assert not (await net.of(device).room_join(m.RoomJoin(link, wait_s=WAIT_S))).waiting
    for device in net.devices:
        room = next(iter(device.node.rooms.rooms.values()))
        await device.privacy.secure(room.id, on=True, gb_month=None)
    for n in range(LINES):
        line = WORDS + b" %d" % n
        speaker = net.of(net.devices[n % DEVICES])
        assert not (await speaker.room_send(m.RoomSend("harbour", (line,), wait_s=WAIT_S))).waiting
    async with asyncio.timeout(WAIT_S):
        for device in net.devices:
            while len((await net.of(device).room_read(m.RoomRead("harbour", since=0))).messages) < LINES:  # noqa: ASYNC110
                await asyncio.sleep(0.1)


def secrets_of(net: Net) -> dict[str, bytes]:
    """All that nobody but the members may see, in every form it has in memory."""
    found: dict[str, bytes] = {"words": WORDS}
    for n, device in enumerate(net.devices):
        room = next(iter(device.node.rooms.rooms.values()))
        found |= {
            "room root": room.put.root,
            "room id": bytes(room.id),
            "room name": b"harbour",
            f"member seed {n}": room.put.member_seed,
            f"member id {n}": bytes(room.me),
            f"member key {n}": bytes(room.ring.me.public_key),
            f"curve key {n}": room.ring.account.bundle.identity,
            f"peer id {n}": bytes(device.node.identity.peer_id),
            f"peer key {n}": bytes(device.node.identity.public_key),
        }
        found[f"dht id {n}"] = bytes(device.node.identity.peer_id[:20])
    return found


async def test_no_role_receives_anything_of_who_is_in_a_room_or_what_is_said(net: Net, capture: Capture) -> None:
    await talk(net)
    everything = {name: capture.seen_by(engine).everything() for name, engine in roles(net)}
    assert sum(map(len, everything.values())) > 1_000_000  # there is something to search
    hits = [
        f"{what} at {name}"
        for name, data in everything.items()
        for what, secret in secrets_of(net).items()
        if secret in data or secret.hex().encode() in data
    ]
    assert hits == []
    _no_relay_of_the_room_met_a_member(net, capture)
    _devices_met_entry_and_guards_only(net, capture)
    _the_entry_saw_records_and_nothing_else(net, capture)


def roles(net: Net) -> list[tuple[str, Engine]]:
    return [("entry", net.entry), *((f"relay {n}", engine) for n, engine in enumerate(net.relays))]


def _no_relay_of_the_room_met_a_member(net: Net, capture: Capture) -> None:
    """Sessions of members come from guards' addresses, never from a device's own."""
    opened = [host for engine in net.relays for host in capture.seen_by(engine).member_opens]
    assert opened
    assert not {host for host in opened if host.startswith("127.201.")}


def _devices_met_entry_and_guards_only(net: Net, capture: Capture) -> None:
    for device in net.devices:
        guards = {bytes(peer_id) for peer_id in device.node.mixnet.client.guards}
        met = {
            bytes(engine.node.identity.peer_id)
            for engine in net.relays
            if device.config.listen.host in capture.seen_by(engine).hosts
        }
        assert met
        assert met <= guards


def _the_entry_saw_records_and_nothing_else(net: Net, capture: Capture) -> None:
    seen = capture.seen_by(net.entry)
    assert not any(seen.frames.values())
    assert not seen.opened
    assert seen.datagrams
    for raw in (raw for datagrams in seen.datagrams.values() for raw in datagrams):
        decode_message(raw, decode_head(raw))  # a question about records, or records
