"""One publisher and its receivers in one process: they keep a relay busy and count what arrives.

Each session has a link and a pseudonym of its own, opened with the room's key of the epoch. The
envelopes are not sealed (a relay cannot tell) but each has its own id. A receiver answers each read with GOT; the
publisher's window moves with the relay's ACKs and the slowest receiver.
"""

from __future__ import annotations

import asyncio
import os
import time

from railgun_core.base.ids import handle_of
from railgun_core.base.keys import Identity
from railgun_core.bench.relay_pace import Progress, Window, serve_load
from railgun_core.bench.relay_process import Asked
from railgun_core.bench.relay_subjects import EPOCH_S, Place, transport_of
from railgun_core.relay.opening import open_message
from railgun_core.rooms.epoch_keys import EpochKeys, epoch_keys
from railgun_core.transport.link import CloseReason, Link
from railgun_core.wire.frames import (
    ENVELOPE_HEADER,
    ENVELOPE_HEADER_BYTES,
    Ack,
    FrameBatch,
    Got,
    Open,
    Opened,
    Role,
    Slice,
    decode_control,
)
from railgun_core.wire.heads import Head
from railgun_core.wire.kinds import FrameType

OPEN_WITHIN_S = 10.0
LIFETIME_S = 3_600


class RelayLoad:
    """The publisher, its window and its receivers."""

    def __init__(self, transport: str, envelope_bytes: int, fan_out: int) -> None:
        self.transport = transport_of(transport, Identity(os.urandom(32)))
        self.progress = Progress()
        self.window = Window(envelope_bytes)
        unix_s = time.time()
        self.keys = epoch_keys(os.urandom(32), int(unix_s // EPOCH_S))
        self.handle = handle_of(self.keys.tag)
        self._publisher = _Session(self, Slice.QUIET)
        self._receivers = [_Session(self, Slice.PUSH) for _ in range(fan_out)]
        self._expiry_s = int(unix_s) + LIFETIME_S
        self._envelope = os.urandom(envelope_bytes)
        self._ids = os.urandom(8)

    async def open(self, place: Place) -> None:
        """All sessions, one after the other, so that no limit on half-open links is met."""
        for session in (*self._receivers, self._publisher):
            await session.open(place)

    def received(self) -> list[int]:
        """Envelopes that have arrived, by receiver."""
        return [one.count for one in self._receivers]

    def progressed(self) -> None:
        """Something arrived."""
        self.publish()
        self.progress.touch()

    def publish(self) -> None:
        """Send what the window allows."""
        sent = self.window.sent
        free = self.window.free(min(self._publisher.count, *self.received()))
        if not free:
            return
        chunks: list[bytes] = []
        length = ENVELOPE_HEADER_BYTES - 4 + len(self._envelope)
        for number in range(sent, sent + free):
            msg_id = self._ids + number.to_bytes(8, "big")
            head = ENVELOPE_HEADER.pack(length, FrameType.ENVELOPE, self.handle, self._expiry_s, msg_id)
            chunks += (head, self._envelope)
        assert self._publisher.link is not None
        self._publisher.link.send(chunks)


class _Session:
    """One link with one session."""

    def __init__(self, load: RelayLoad, slice_: Slice) -> None:
        self._load = load
        self._slice = slice_
        self._opened = False
        self.link: Link | None = None
        self.count = 0  # envelopes received, or acknowledged by the relay

    async def open(self, place: Place) -> None:
        """Dial as a fresh pseudonym and ask for the session."""
        load = self._load
        self.link = await load.transport.dial(place.address, place.key, Identity(os.urandom(32)), self)
        frame = _signed_open(load.keys, self.link.binding, self._slice)
        self.link.send((frame.encode(),))
        async with asyncio.timeout(OPEN_WITHIN_S):
            while not self._opened:
                await load.progress.wait()

    def frames(self, link: Link, batch: FrameBatch) -> None:
        data, before = batch.data, self.count
        for index, start in enumerate(batch.bounds[:-1]):
            if data[start + 4] == FrameType.ENVELOPE:
                self.count += 1
            else:
                self._control(batch, index)
        if self._slice is Slice.PUSH and self.count > before:
            link.send((Got(self._load.handle, self.count).encode(),))
        self._load.progressed()

    def credit(self, _: Link) -> None: ...

    def closed(self, _: Link, reason: CloseReason) -> None:
        if reason is not CloseReason.LOCAL:
            self._load.progress.fail(f"a link ended: {reason.value}")

    def _control(self, batch: FrameBatch, index: int) -> None:
        frame = decode_control(batch.data, batch.bounds[index], batch.bounds[index + 1])
        match frame:
            case Opened():
                self._opened = True
            case Ack():
                self.count = frame.taken
            case Head():
                pass  # it is read, as a member reads it; members compare heads when the epoch ends
            case _:
                self._load.progress.fail(f"the relay sent {type(frame).__name__}")


def _signed_open(keys: EpochKeys, binding: bytes, slice_: Slice) -> Open:
    draft = Open(keys.tag, keys.epoch, Role.MEMBER, slice_, b"")
    signature = keys.sign.sign("open", open_message(binding, draft))
    return Open(draft.tag, draft.epoch, draft.role, draft.slice, signature)


async def relay_load(asked: Asked, transport: str, place: Place, envelope_bytes: int, fan_out: int) -> None:
    """A child's main: open everything, then answer."""
    load = RelayLoad(transport, envelope_bytes, fan_out)
    try:
        await load.open(place)
        asked.tell("open")
        await serve_load(asked, load)
    finally:
        await load.transport.close()
