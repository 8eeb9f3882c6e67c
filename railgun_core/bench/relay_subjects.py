"""What is measured: a whole engine that relays, and the bare floor under it.

The engine is the one `railgun node` runs: its rim, node, disk and DHT, alone in its network and so the one seat of
every committee, with quotas too high to bite but checked. The floor uses the same transport and cuts the same frames,
then hands each read on in one joined write per receiver: no session, no quota, no window, no expiry, no disk.
Both answer the same OPEN and acknowledge the same way, so one load drives either.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from railgun_core.base.ids import PublicKey, handle_of
from railgun_core.base.keys import Identity
from railgun_core.bench.relay_process import Asked
from railgun_core.config import Config, HostPort
from railgun_core.engine.engine import Engine
from railgun_core.local_api import footprint
from railgun_core.transport.link import CloseReason, Link, Transport
from railgun_core.wire.frames import Ack, FrameBatch, Open, Opened, Slice, decode_control
from railgun_core.wire.records import Address, AddressKind

HOST = "127.0.0.1"
EPOCH_S = 86_400  # no turn of the committee in the middle of a run
SPOOL_BYTES = 2 * 1024**3
RATE_PER_S = 1_000_000
BURST = 10_000_000
KINDS = {"quic": AddressKind.QUIC, "tls": AddressKind.TLS}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a subject listens and who it is."""

    address: Address
    key: PublicKey


def transport_of(name: str, identity: Identity) -> Transport:
    """The real transport of that name."""
    if name == "quic":
        from railgun_core.transport.quic import QuicTransport

        return QuicTransport(identity)
    from railgun_core.transport.tls import TlsTransport

    return TlsTransport(identity)


async def engine_relay(asked: Asked, transport: str) -> None:
    """The subject, in a process that is set up as `railgun node` sets its own up: a child's main."""
    footprint.before_start()
    with tempfile.TemporaryDirectory(prefix="railgun-bench-") as folder:
        engine = Engine(_config(Path(folder) / "relay", transport))
        await engine.start()
        try:
            footprint.after_start()
            port = engine.ports.quic if transport == "quic" else engine.ports.tls
            assert port is not None
            asked.tell(Place(Address(KINDS[transport], HOST, port), engine.node.identity.public_key))

            async def held_bytes(_: object) -> int:
                return sum(duty.spool.held_bytes for duty in engine.node.relay.duties.values())

            await asked.serve({"held_bytes": held_bytes})
        finally:
            await engine.stop()


def _config(folder: Path, transport: str) -> Config:
    return Config(
        data_dir=folder,
        listen=HostPort(HOST, 0),
        transports=(transport,),
        lan=False,
        puzzle_bits=0,
        group_by="port",
        address_limits=False,
        epoch_s=EPOCH_S,
        spool_bytes=SPOOL_BYTES,
        session_rate_per_s=RATE_PER_S,
        session_burst=BURST,
        log_level="error",
    )


async def bare_relay(asked: Asked, transport: str) -> None:
    """The floor, in a process set up the same way: a child's main."""
    footprint.before_start()
    identity = Identity(os.urandom(32))
    endpoint = transport_of(transport, identity)
    floor = _Floor()
    try:
        asked.tell(Place(await endpoint.listen(HOST, 0, floor), identity.public_key))
        footprint.after_start()

        async def held_bytes(_: object) -> int:
            return 0

        await asked.serve({"held_bytes": held_bytes})
    finally:
        await endpoint.close()


class _Floor:
    """Accepts links; the first frame of each says whether it receives."""

    def __init__(self) -> None:
        self.receivers: list[Link] = []

    def accepted(self, _: Link) -> _FloorLink:
        return _FloorLink(self)


class _FloorLink:
    """One link of the floor."""

    def __init__(self, floor: _Floor) -> None:
        self._floor = floor
        self._opening: Open | None = None
        self._taken = 0

    def frames(self, link: Link, batch: FrameBatch) -> None:
        opening = self._opening
        if opening is None:
            self._open(link, batch)
        elif opening.slice is Slice.QUIET:
            whole = (memoryview(batch.data)[: batch.bounds[-1]],)
            for receiver in self._floor.receivers:
                receiver.send(whole)
            self._taken += len(batch)
            link.send((Ack(handle_of(opening.tag), self._taken, self._taken, 1, 1).encode(),))

    def credit(self, _: Link) -> None: ...

    def closed(self, link: Link, _: CloseReason) -> None:
        if link in self._floor.receivers:
            self._floor.receivers.remove(link)

    def _open(self, link: Link, batch: FrameBatch) -> None:
        frame = decode_control(batch.data, 0, batch.bounds[1])
        assert isinstance(frame, Open)
        self._opening = frame
        if frame.slice is Slice.PUSH:
            self._floor.receivers.append(link)
        link.send((Opened(handle_of(frame.tag), 0, 1, 1, 1).encode(),))
