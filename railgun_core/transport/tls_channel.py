"""TLS 1.3 between a TCP transport and whoever uses it: handshake, whole reads, joined writes, a lossless end.

asyncio's own TLS layer answers frames that arrive after its close_notify with a reset, and the reset throws away
what the other side has not read yet. So the records are pumped here: to end, a side sends all it has and its
close_notify, shuts its half of TCP, and reads on until the other side ends too. One code for asyncio and uvloop.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Protocol, cast

READ_BYTES = 192 * 1024  # with the rest of an unfinished frame (70,000) at most 256 KiB are held
WRITE_HIGH_BYTES = 64 * 1024  # TCP says stop above this, so that frames wait in our queue, where they join
EARLY_MAX_BYTES = 512 * 1024  # a peer that sends more before its hello is over is dropped


class ChannelUser(Protocol):
    """Who owns an open channel."""

    def channel_read(self, data: bytes) -> None:
        """One whole read."""

    def channel_full(self) -> None:
        """Write no more."""

    def channel_drained(self) -> None:
        """Write again."""

    def channel_ended(self, *, in_order: bool) -> None:
        """The other side said goodbye, or the connection broke. Called once."""


class TlsChannel(asyncio.Protocol):
    """One TLS connection. `scratch` may be shared by all channels of one loop."""

    def __init__(
        self,
        context: ssl.SSLContext,
        scratch: memoryview,
        *,
        server_side: bool,
        on_made: Callable[[TlsChannel], None] | None = None,
        on_lost: Callable[[TlsChannel], None] | None = None,
    ) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side)
        self._scratch = scratch
        self._on_made, self._on_lost = on_made, on_lost
        self._transport: asyncio.Transport | None = None
        self._user: ChannelUser | None = None
        self._early = b""  # read before there is a user
        self._waiter: asyncio.Future[None] | None = None
        self._is_open = self._is_over = self._said_goodbye = False
        self._last_moment: asyncio.TimerHandle | None = None

    # -- for the hello

    @property
    def remote_host(self) -> str:
        """The other side's numeric address, without zone; empty when it was gone at once."""
        peer = self._transport.get_extra_info("peername") if self._transport is not None else None
        return str(peer[0]).partition("%")[0] if peer else ""

    async def opened(self) -> None:
        """Wait for the handshake. OSError (ssl.SSLError among them) when it fails; the caller keeps the deadline."""
        while not self._is_open:
            await self._wait()

    async def take(self, count: int) -> bytes:
        """Exactly `count` bytes. ConnectionResetError when the channel ends before; the caller keeps the deadline."""
        while len(self._early) < count:
            await self._wait()
        taken, self._early = self._early[:count], self._early[count:]
        return taken

    def give_to(self, user: ChannelUser) -> None:
        """From now on `user` hears everything, first what came after the hello."""
        self._user = user
        early, self._early = self._early, b""
        if early:
            user.channel_read(early)
        if self._is_over:
            user.channel_ended(in_order=False)

    # -- for everybody

    def write(self, *pieces: bytes | memoryview) -> None:
        """Encrypt all of it and send it in one write."""
        if self._transport is None or self._is_over or self._said_goodbye:
            return
        try:
            for data in pieces:
                self.tls.write(data)
        except ssl.SSLError:
            self._break(ConnectionResetError())
            return
        self._transport.write(self._outgoing.read())

    def finish(self, within_s: float) -> None:
        """Say goodbye after what was written, and read on for `within_s` until the other side ends."""
        if self._transport is None or self._is_over or self._said_goodbye:
            return
        self._said_goodbye = True
        with contextlib.suppress(ssl.SSLError):  # "want read": their goodbye is not here yet
            self.tls.unwrap()
        with contextlib.suppress(OSError):
            self._transport.write(self._outgoing.read())
            self._transport.write_eof()
        self._last_moment = asyncio.get_running_loop().call_later(within_s, self.abort)

    def abort(self) -> None:
        """Drop the connection now. The user is not told."""
        self._is_over = True
        self._user = None
        if self._transport is not None:
            self._transport.abort()

    # -- called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)
        sock = transport.get_extra_info("socket")
        if sock is not None:  # a tunnel has none
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._on_made is not None:
            self._on_made(self)
        if not self._is_over and not self.tls.server_side:
            self._handshake()

    def data_received(self, data: bytes) -> None:
        if self._is_over or self._said_goodbye:
            return
        self._incoming.write(data)
        if self._is_open or self._handshake():
            self._pump()

    def eof_received(self) -> None:
        if not self._said_goodbye:
            self._break(ConnectionResetError())

    def connection_lost(self, exc: Exception | None) -> None:
        if self._last_moment is not None:
            self._last_moment.cancel()
        if self._on_lost is not None:
            self._on_lost(self)
        self._over(in_order=self._said_goodbye)

    def pause_writing(self) -> None:
        if self._user is not None:
            self._user.channel_full()

    def resume_writing(self) -> None:
        if self._user is not None:
            self._user.channel_drained()

    # -- inside

    def _handshake(self) -> bool:
        """One step of it; whether it is done."""
        try:
            self.tls.do_handshake()
            self._is_open = True
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLError, ValueError) as error:
            self._flush()  # the alert says why
            self._break(error)
            return False
        self._flush()
        if self._is_open:
            self._wake(None)
        return self._is_open

    def _pump(self) -> None:
        """Hand on all that can be decrypted now, a scratch buffer at a time."""
        goodbye = False
        while not (goodbye or self._is_over) and (self._incoming.pending or self.tls.pending()):
            count = 0
            try:
                while count < READ_BYTES and (self._incoming.pending or self.tls.pending()):
                    size = self.tls.read(READ_BYTES - count, self._scratch[count:])
                    goodbye = not size
                    if goodbye:
                        break
                    count += cast(int, size)
            except ssl.SSLWantReadError:
                self._deliver(count)
                break
            except ssl.SSLZeroReturnError:
                goodbye = True
            except ssl.SSLError as error:
                self._break(error)
                return
            self._deliver(count)
        if self._outgoing.pending and not self._is_over:
            self._flush()
        if goodbye and not self._is_over:
            self._over(in_order=True)
            self.abort()

    def _deliver(self, count: int) -> None:
        if not count:
            return
        data = bytes(self._scratch[:count])
        if self._user is not None:
            self._user.channel_read(data)
            return
        self._early += data
        if len(self._early) > EARLY_MAX_BYTES:
            self._break(ConnectionResetError())
        else:
            self._wake(None)

    def _flush(self) -> None:
        if self._outgoing.pending and self._transport is not None:
            self._transport.write(self._outgoing.read())

    async def _wait(self) -> None:
        if self._is_over:
            raise ConnectionResetError
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def _wake(self, error: BaseException | None) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is None or waiter.done():
            return
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)

    def _break(self, error: BaseException) -> None:
        """The connection is of no use any more."""
        self._wake(error)
        self._over(in_order=False)
        self.abort()

    def _over(self, *, in_order: bool) -> None:
        self._is_over = True
        self._wake(ConnectionResetError())
        user, self._user = self._user, None
        if user is not None:
            user.channel_ended(in_order=in_order)
