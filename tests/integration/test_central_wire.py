"""What a central server and a wire in between get to see, and what the engine makes of a real server."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from railgun_core.base.clock import Instant
from railgun_core.base.ids import MsgId, handle_of
from railgun_core.config import Config, HostPort
from railgun_core.engine.central import Central
from railgun_core.engine.telemetry import RelayTelemetry
from railgun_core.events import CentralBrought, CentralFollow, CentralKeep, CentralKept, CentralState, Event
from railgun_core.local_api.health import central_checks
from railgun_core.wire.envelope import SizeClass, seal
from railgun_core.wire.frames import envelope_frame
from tests.contract.central_world import OTHER_TAG, TAG, client_of, envelope, eventually
from tests.contract.nats_world import HOST, NatsServer, free_ports, nats

UNIX_S = 20_000 * 86_400.0


@pytest.fixture
async def server() -> AsyncIterator[NatsServer]:
    with nats() as one:
        await one.start()
        yield one


# ---------------------------------------------------------------- what the server and the wire see


@dataclass(eq=False)
class Capture:
    """A TCP proxy that keeps every byte of both directions."""

    to: HostPort
    sent: list[bytearray] = field(default_factory=list)
    received: list[bytearray] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up, down = bytearray(), bytearray()
        self.sent.append(up)
        self.received.append(down)
        try:
            far_reader, far_writer = await asyncio.open_connection(self.to.host, self.to.port)
        except OSError:
            writer.close()
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._copy(reader, far_writer, up))
            group.create_task(self._copy(far_reader, writer, down))

    @staticmethod
    async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: bytearray) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                record += data
                writer.write(data)
                await writer.drain()
        writer.close()

    @property
    def everything(self) -> bytes:
        return b"".join([*self.sent, *self.received])


@asynccontextmanager
async def captured(to: HostPort) -> AsyncIterator[tuple[Capture, HostPort]]:
    capture = Capture(to)
    listening = await asyncio.start_server(capture.relay, HOST, 0)
    async with listening:
        yield capture, HostPort(HOST, listening.sockets[0].getsockname()[1])


def commands(stream: bytes) -> Iterator[tuple[str, list[str], bytes]]:
    """The lines of the NATS protocol in one direction: verb, arguments and payload."""
    at = 0
    while (end := stream.find(b"\r\n", at)) >= 0:
        line = stream[at:end].decode()
        at = end + 2
        verb, _, rest = line.partition(" ")
        size = int(rest.split()[-1]) if verb in ("PUB", "HPUB", "MSG", "HMSG") else None
        if size is not None:
            yield verb, rest.split(), stream[at : at + size]
            at += size + 2
        else:
            yield verb, [rest] if verb == "CONNECT" else rest.split(), b""


ALLOWED = re.compile(
    r"railgun\.[0-9a-f]{64}"
    r"|_INBOX\.\w+(\.(\w+|\*))?"
    r"|\$JS\.API\.STREAM\.(INFO|CREATE|MSG\.GET)\.RAILGUN"
    r"|\$JS\.API\.CONSUMER\.CREATE\.RAILGUN\.[0-9a-f]{16}\.railgun\.[0-9a-f]{64}"
    r"|\$JS\.API\.CONSUMER\.MSG\.NEXT\.RAILGUN\.[0-9a-f]{16}"
)


async def test_the_wire_holds_tags_and_envelopes_and_nothing_else_of_a_room(server: NatsServer) -> None:
    key, root, room_id, name = b"k" * 32, b"ROOT-OF-THE-ROOM" * 2, b"ROOM-ID-16-BYTES", "friends of the sea"
    members, peer, words = (b"MEMBER-A", b"MEMBER-B"), b"PEER-ID-" * 4, b"meet me at the harbour at nine"
    rng = Random(7)
    frames = [
        envelope_frame(
            handle_of(TAG),
            expiry_s=1_900_000_000,
            msg_id=MsgId(rng.randbytes(16)),
            envelope=seal(
                b"|".join((root, room_id, name.encode(), *members, peer, words)),
                key,
                size=size,
                nonce=rng.randbytes(12),
            ),
        )
        for size in SizeClass
    ]
    async with captured(server.place) as (capture, place), client_of(place) as listener, client_of(place) as sender:
        listener.client.follow([(TAG, 0), (OTHER_TAG, 0)])
        await listener.until_up()
        await sender.until_up()
        assert set(await sender.keep_all(frames)) == {""}
        await listener.until(lambda: listener.frames() == frames)
        server.kill()
        await listener.until_down()
        await server.start()
        await sender.until_up()
        await sender.keep(frames[0])
        await listener.until(lambda: len(listener.frames()) == 4)

    everything = capture.everything
    for secret in (root, room_id, name.encode(), *members, peer, words, key):
        for form in (secret, secret.hex().encode(), base64.b64encode(secret).rstrip(b"=")[:-1]):
            assert form not in everything
    tags = {TAG.hex(), OTHER_TAG.hex()}
    for verb, arguments, payload in itertools.chain.from_iterable(commands(bytes(sent)) for sent in capture.sent):
        match verb:
            case "CONNECT":
                said = json.loads(arguments[0])
                assert said.keys() == {
                    *("echo", "headers", "lang", "no_responders", "pedantic", "protocol", "verbose", "version")
                }
            case "PUB" | "SUB":
                assert ALLOWED.fullmatch(arguments[0]), arguments[0]
                assert set(re.findall(r"[0-9a-f]{64}", arguments[0])) <= tags
                if arguments[0].startswith("railgun.") and verb == "PUB":
                    assert payload in frames
            case _:
                assert verb in ("PING", "PONG", "UNSUB"), verb
    brought = [
        payload
        for received in capture.received
        for verb, arguments, payload in commands(bytes(received))
        if verb == "MSG" and arguments[0].startswith("railgun.")
    ]
    assert brought
    assert set(brought) <= set(frames)


# ---------------------------------------------------------------- the engine's side


def config_of(place: HostPort, folder: Path, *, mode: str = "hybrid", telemetry: str = "local") -> Config:
    return Config(data_dir=folder, mode=mode, central=(place,), telemetry=telemetry)


async def test_the_engine_tells_the_node_what_the_server_does(server: NatsServer, tmp_path: Path) -> None:
    told: list[Event] = []
    news = asyncio.Event()

    def tell(event: Event) -> None:
        told.append(event)
        news.set()

    async def until(event: Event) -> None:
        async with asyncio.timeout(15):
            while event not in told:
                news.clear()
                await news.wait()

    central = Central(config_of(server.place, tmp_path), tell)
    assert central.status().configured
    await central.start()
    try:
        central.apply(CentralFollow(((OTHER_TAG, 0),)))
        await until(CentralState(True))
        central.apply(CentralKeep(5, TAG, envelope(1)))
        await until(CentralKept(5))
        async with client_of(server.place) as sender:
            await sender.until_up()
            await sender.keep(envelope(2, tag=OTHER_TAG), OTHER_TAG)
            await until(CentralBrought(OTHER_TAG, 2, (envelope(2, tag=OTHER_TAG),)))
        status = central.status()
        assert (status.up, status.why, status.kept, status.brought) == (True, "", 1, 1)
        central.woke()
        await until(CentralState(False, "unreachable"))
    finally:
        await central.stop()
    assert told[-1] == CentralState(False, "off")
    assert not central.status().up


async def test_a_server_that_no_room_uses_never_learns_of_this_device(server: NatsServer, tmp_path: Path) -> None:
    async with captured(server.place) as (capture, place):
        told: list[Event] = []
        central = Central(config_of(place, tmp_path), told.append)
        await central.start()
        try:
            central.apply(CentralFollow(()))  # all rooms are behind guards
            assert central.status().why == "no-room"
            central.apply(CentralFollow(((TAG, 0),)))  # one shows its members' addresses anyway
            await eventually(lambda: CentralState(True) in told)
            assert len(capture.sent) == 1
            central.apply(CentralFollow(()))  # and now it does not any more
            await eventually(lambda: told[-1] == CentralState(False, "off"))
            assert central.status().why == "no-room"
            assert len(capture.sent) == 1
            central.apply(CentralFollow(((TAG, 0),)))  # and then it does again
            await eventually(lambda: told[-1] == CentralState(True))
        finally:
            await central.stop()
    assert len(capture.sent) == 2


async def test_doctor_does_not_ask_a_server_that_no_room_uses(tmp_path: Path) -> None:
    nobody = HostPort(HOST, free_ports(1)[0])
    config = Config(data_dir=tmp_path, mode="hybrid", central=(nobody,))
    (check,) = await central_checks(config, unused=True)
    assert check.good
    assert "not asked" in check.sentence


async def test_doctor_asks_every_configured_server(server: NatsServer, tmp_path: Path) -> None:
    nobody = HostPort(HOST, free_ports(1)[0])
    config = Config(data_dir=tmp_path, mode="hybrid", central=(server.place, nobody))
    good, bad = await central_checks(config)
    assert good.good
    assert "answers in" in good.sentence
    assert not bad.good
    assert "does not answer" in bad.sentence
    assert await central_checks(Config(data_dir=tmp_path, central=(server.place,))) == ()


@pytest.mark.parametrize("telemetry", ["local", "share"])
async def test_telemetry_leaves_this_device_only_if_it_is_shared(
    server: NatsServer, tmp_path: Path, telemetry: str
) -> None:
    async with captured(server.place) as (capture, place):
        config = config_of(place, tmp_path, telemetry=telemetry)
        told: list[Event] = []
        central = Central(config, told.append)
        await central.start()
        try:
            central.apply(CentralFollow(((TAG, 0),)))
            counts = RelayTelemetry(lambda: config, central.share)
            counts.telemetry.of("abcdef0123", 19_999).attempts = 1_234
            await eventually(lambda: central.status().up)
            for after_s in range(3):
                await counts.flush(Instant(after_s, UNIX_S + after_s))
            central.apply(CentralKeep(1, TAG, envelope(1)))
            await eventually(lambda: CentralKept(1) in told)
        finally:
            await central.stop()
    sent = [
        payload
        for stream in capture.sent
        for verb, arguments, payload in commands(bytes(stream))
        if verb == "PUB" and arguments[0] == "railgun-telemetry"
    ]
    assert b"abcdef0123" not in capture.everything
    if telemetry == "local":
        assert sent == []
        assert b"TELEMETRY" not in capture.everything
    else:
        assert len(sent) == 1
        said = json.loads(sent[0])
        assert (said["day"], said["attempts"], said["relays"]) == (19_999, 1_200, 1)
        assert said.keys() == {
            *("v", "day", "relays", "attempts", "stored", "failures", "unreached", "classes_ms", "answers")
        }
