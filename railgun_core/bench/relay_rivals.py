"""The load for a broker: one publisher and its receivers, as cheap as Python can make them.

Only what the measurement needs of MQTT 3.1.1 (QoS 0) and of the NATS protocol: connect, subscribe, publish one
message over and over, count whole messages in whole reads. TLS 1.3 only. The window is the one of relay_pace.
Sources: OASIS MQTT 3.1.1; docs.nats.io, "Client Protocol".
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from railgun_core.bench.relay_pace import LoadFailed, Progress, Window, serve_load
from railgun_core.bench.relay_process import Asked

TOPIC = b"bench"
CONNECT_WITHIN_S = 10.0
NATS_WORD_BYTES = 6  # "PING\r\n" and "PONG\r\n"


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a broker. `certificate` is the path of the one to trust."""

    broker: str
    host: str
    port: int
    certificate: str


@dataclass(frozen=True, slots=True)
class Wire:
    """One protocol: how to enter, what to publish, and what a delivered message looks like."""

    enter: Callable[[Access, bool], Awaitable[asyncio.StreamWriter]]
    message: bytes
    delivery_bytes: int
    marker: int  # first byte of a delivery


class RivalLoad:
    """The publisher, its window and its receivers."""

    def __init__(self, wire: Wire, envelope_bytes: int, fan_out: int) -> None:
        self.progress = Progress()
        self.window = Window(envelope_bytes)
        self._wire = wire
        self._receivers = [_Receiver(self, wire) for _ in range(fan_out)]
        self._publisher = _Receiver(self, wire)

    async def open(self, access: Access) -> None:
        """All connections, one after the other."""
        async with asyncio.timeout(CONNECT_WITHIN_S):
            for one in self._receivers:
                one.take_over(await self._wire.enter(access, True))
            self._publisher.take_over(await self._wire.enter(access, False))

    def received(self) -> list[int]:
        """Messages that have arrived, by receiver."""
        return [one.count for one in self._receivers]

    def progressed(self) -> None:
        """Something arrived."""
        self.publish()
        self.progress.touch()

    def publish(self) -> None:
        """Send what the window allows."""
        free = self.window.free(min(self.received()))
        if free:
            self._publisher.write(self._wire.message * free)

    def close(self) -> None:
        """Drop all connections."""
        for one in (*self._receivers, self._publisher):
            one.close()


class _Receiver(asyncio.Protocol):
    """Counts deliveries in whole reads; answers a broker's PING."""

    def __init__(self, load: RivalLoad, wire: Wire) -> None:
        self._load = load
        self._size, self._marker = wire.delivery_bytes, wire.marker
        self._writer: asyncio.StreamWriter | None = None
        self._transport: asyncio.WriteTransport | None = None
        self._ahead = 0  # bytes of the message that has begun and is not complete
        self._word = b""  # the begin of a control word
        self._closing = False
        self.count = 0

    def take_over(self, writer: asyncio.StreamWriter) -> None:
        """From now on everything comes here."""
        self._writer = writer  # a writer that is collected closes its connection
        self._transport = writer.transport
        self._transport.set_protocol(self)

    def write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def close(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._word:
            data, self._word = self._word + data, b""
        at, end, size, marker = self._ahead, len(data), self._size, self._marker
        done = 1 if 0 < at <= end else 0
        while at < end:
            if data[at] == marker:
                at += size
                done += at <= end
            elif end - at < NATS_WORD_BYTES:
                self._word = data[at:]
                break
            else:
                self._control(data[at : at + NATS_WORD_BYTES])
                at += NATS_WORD_BYTES
        self._ahead = max(0, at - end)
        self.count += done
        self._load.progressed()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._closing:
            self._load.progress.fail("the broker ended a connection")

    def _control(self, word: bytes) -> None:
        if word == b"PING\r\n":
            self.write(b"PONG\r\n")
        elif word != b"PONG\r\n":
            self._load.progress.fail("the broker sent something else than messages")


def wire_of(broker: str, envelope: bytes) -> Wire:
    """The protocol of a broker, for one message."""
    if broker == "mosquitto":
        published = _mqtt(0x30, len(TOPIC).to_bytes(2, "big") + TOPIC + envelope)
        return Wire(_enter_mqtt, published, len(published), 0x30)
    body = str(len(envelope)).encode() + b"\r\n" + envelope + b"\r\n"
    return Wire(_enter_nats, b"PUB " + TOPIC + b" " + body, len(b"MSG " + TOPIC + b" 1 " + body), ord("M"))


async def rival_load(asked: Asked, access: Access, envelope_bytes: int, fan_out: int) -> None:
    """A child's main: connect everything, then answer."""
    load = RivalLoad(wire_of(access.broker, os.urandom(envelope_bytes)), envelope_bytes, fan_out)
    try:
        await load.open(access)
        asked.tell("open")
        await serve_load(asked, load)
    finally:
        load.close()


def _tls(access: Access) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(access.certificate)
    return context


async def _enter_mqtt(access: Access, subscribes: bool) -> asyncio.StreamWriter:
    reader, writer = await asyncio.open_connection(access.host, access.port, ssl=_tls(access))
    name = os.urandom(8).hex().encode()
    # Protocol MQTT, level 4, clean session, no keep-alive.
    writer.write(_mqtt(0x10, b"\x00\x04MQTT\x04\x02\x00\x00" + len(name).to_bytes(2, "big") + name))
    if await reader.readexactly(4) != b"\x20\x02\x00\x00":
        raise LoadFailed("mosquitto refused the connection")
    if subscribes:
        writer.write(_mqtt(0x82, b"\x00\x01" + len(TOPIC).to_bytes(2, "big") + TOPIC + b"\x00"))
        if await reader.readexactly(5) != b"\x90\x03\x00\x01\x00":
            raise LoadFailed("mosquitto refused the subscription")
    return writer


async def _enter_nats(access: Access, subscribes: bool) -> asyncio.StreamWriter:
    reader, writer = await asyncio.open_connection(access.host, access.port)
    if not (await reader.readline()).startswith(b"INFO "):
        raise LoadFailed("nats-server did not introduce itself")
    await writer.start_tls(_tls(access), server_hostname=access.host)
    options = {"verbose": False, "pedantic": False, "tls_required": True, "lang": "python", "version": "1"}
    writer.write(b"CONNECT " + json.dumps(options).encode() + b"\r\n")
    if subscribes:
        writer.write(b"SUB " + TOPIC + b" 1\r\n")
    writer.write(b"PING\r\n")
    if await reader.readline() != b"PONG\r\n":
        raise LoadFailed("nats-server refused the connection")
    return writer


def _mqtt(kind: int, body: bytes) -> bytes:
    """One packet: type, remaining length in groups of seven bits, body."""
    length, digits = len(body), bytearray()
    while True:
        length, digit = divmod(length, 128)
        digits.append(digit | (128 if length else 0))
        if not length:
            return bytes((kind,)) + bytes(digits) + body
