"""CPU time a frame through QUIC, TLS and a bare TCP socket, both ends in this process, in turns A B A B.

One sender keeps the link full for `seconds` (it waits for credit), one receiver cuts frames and counts. CPU is that of
the whole process, native threads included, so every figure holds sending and receiving. The floor sends the same
bytes, 64 KiB to a write, and counts bytes: no keys, no frames, no queue. Medians of the rounds.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from railgun_core.base.ids import MsgId, TagHandle
from railgun_core.base.keys import Identity
from railgun_core.bench.options import BenchTransportOptions
from railgun_core.transport.link import CloseReason, Link, Transport
from railgun_core.wire.frames import FrameBatch, envelope_frame

HOST = "127.0.0.1"
BATCH_BYTES = 64 * 1024
DRAIN_S = 20.0


@dataclass(frozen=True, slots=True)
class Round:
    """What one run cost."""

    frames: int
    wall_s: float
    cpu_s: float


class _Receiver:
    """Accepts one link and counts its frames."""

    def __init__(self) -> None:
        self.count = 0
        self.arrived = asyncio.Event()
        self.ended = asyncio.Event()

    def accepted(self, _: Link) -> _Receiver:
        return self

    def frames(self, _: Link, batch: FrameBatch) -> None:
        self.count += len(batch)
        self.arrived.set()

    def credit(self, _: Link) -> None: ...

    def closed(self, _: Link, __: CloseReason) -> None:
        self.ended.set()
        self.arrived.set()


class _Sender:
    """Hears when the link takes more."""

    def __init__(self) -> None:
        self.credited = asyncio.Event()

    def frames(self, _: Link, __: FrameBatch) -> None: ...

    def credit(self, _: Link) -> None:
        self.credited.set()

    def closed(self, _: Link, __: CloseReason) -> None:
        self.credited.set()


class _Count(asyncio.Protocol):
    """The floor's receiver."""

    def __init__(self) -> None:
        self.received = 0
        self.arrived = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        self.arrived.set()


def run(options: BenchTransportOptions) -> dict[str, object]:
    """Measure; see the module. Takes rounds x (transports + 1) x seconds."""
    if sys.platform == "win32":
        return asyncio.run(_measure(options, "asyncio"))
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measure(options, "uvloop"))


async def _measure(options: BenchTransportOptions, loop: str) -> dict[str, object]:
    frame = envelope_frame(TagHandle(bytes(8)), expiry_s=0, msg_id=MsgId(bytes(16)), envelope=os.urandom(options.size))
    rivals: dict[str, Callable[[], Awaitable[Round]]] = {"bare_tcp": lambda: _floor(frame, options.seconds)}
    for name in options.transports:
        rivals[name] = lambda name=name: _link(name, frame, options.seconds)  # type: ignore[misc]
    rounds: dict[str, list[Round]] = {name: [] for name in rivals}
    for _ in range(options.rounds):
        for name, measure in rivals.items():
            rounds[name].append(await measure())
    figures = {name: _figures(found) for name, found in rounds.items()}
    floor = figures["bare_tcp"]["cpu_us_per_frame"]
    for found in figures.values():
        found["ratio_to_bare"] = round(found["cpu_us_per_frame"] / floor, 2)
    return {
        "frame_bytes": len(frame),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "loop": loop,
        "transports": figures,
    }


def _figures(found: list[Round]) -> dict[str, float]:
    return {
        "cpu_us_per_frame": round(statistics.median(one.cpu_s / one.frames for one in found) * 1e6, 2),
        "frames_per_s": round(statistics.median(one.frames / one.wall_s for one in found)),
        "frames": sum(one.frames for one in found),
    }


def _make(name: str, identity: Identity) -> Transport:
    if name == "quic":
        from railgun_core.transport.quic import QuicTransport

        return QuicTransport(identity)
    from railgun_core.transport.tls import TlsTransport

    return TlsTransport(identity)


async def _link(name: str, frame: bytes, seconds: float) -> Round:
    here, there = Identity(os.urandom(32)), Identity(os.urandom(32))
    server, client = _make(name, there), _make(name, here)
    receiver, sender = _Receiver(), _Sender()
    try:
        address = await server.listen(HOST, 0, receiver)
        link = await client.dial(address, there.public_key, here, sender)
        batch = [frame] * max(1, BATCH_BYTES // len(frame))
        sent = 0
        started_s, started_cpu_s = time.perf_counter(), time.process_time()
        while time.perf_counter() - started_s < seconds:
            if link.credit_bytes > 0:
                link.send(batch)
                sent += len(batch)
                await asyncio.sleep(0)
            else:
                sender.credited.clear()
                async with asyncio.timeout(DRAIN_S):
                    await sender.credited.wait()
        await _until(lambda: receiver.count >= sent or receiver.ended.is_set(), receiver.arrived)
        return Round(receiver.count, time.perf_counter() - started_s, time.process_time() - started_cpu_s)
    finally:
        await client.close()
        await server.close()


async def _floor(frame: bytes, seconds: float) -> Round:
    loop = asyncio.get_running_loop()
    receiver = _Count()
    server = await loop.create_server(lambda: receiver, HOST, 0)
    _, writer = await asyncio.open_connection(HOST, server.sockets[0].getsockname()[1])
    block = frame * max(1, BATCH_BYTES // len(frame))
    sent = 0
    started_s, started_cpu_s = time.perf_counter(), time.process_time()
    while time.perf_counter() - started_s < seconds:
        writer.write(block)
        sent += len(block)
        await writer.drain()
        await asyncio.sleep(0)
    await _until(lambda: receiver.received >= sent, receiver.arrived)
    cost = Round(sent // len(frame), time.perf_counter() - started_s, time.process_time() - started_cpu_s)
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()
    return cost


async def _until(condition: Callable[[], bool], changed: asyncio.Event) -> None:
    async with asyncio.timeout(DRAIN_S):
        while not condition():
            changed.clear()
            await changed.wait()
