"""The UDP sockets of the DHT, one per address family, and the traffic counters.

IPv6 sockets are IPv6 only, so no `::ffff:` address ever reaches a table.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.discovery.datagrams import Endpoint

_BUFFER_BYTES = 1 << 20
_CLOSE_S = 1.0


class _Receiver(asyncio.DatagramProtocol):
    def __init__(self, deliver: Callable[[bytes, Endpoint], None]) -> None:
        self._deliver = deliver
        self.closed = asyncio.Event()

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        self._deliver(data, (str(addr[0]).partition("%")[0], addr[1]))

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()


class DatagramSockets:
    """Up to one socket per family. `delay_s` holds back each datagram sent, for benches."""

    def __init__(self, deliver: Callable[[bytes, Endpoint], None], *, delay_s: float) -> None:
        self._deliver = deliver
        self._delay_s = delay_s
        self._open: dict[bool, tuple[asyncio.DatagramTransport, _Receiver]] = {}
        self.datagrams_sent = 0
        self.datagrams_received = 0
        self.bytes_sent = 0
        self.bytes_received = 0

    async def open(self, host: str, port: int) -> int:
        """Bind and return the port. EnvironmentFailure `port-taken` or `address-unavailable`."""
        is_v6 = ":" in host
        sock = socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            if is_v6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            sock.bind((host, port))
        except OSError as error:
            sock.close()
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                raise EnvironmentFailure("the DHT's UDP port is not free", code="port-taken") from None
            raise EnvironmentFailure("the DHT cannot listen there", code="address-unavailable") from None
        loop = asyncio.get_running_loop()
        transport, receiver = await loop.create_datagram_endpoint(lambda: _Receiver(self._count_in), sock=sock)
        self._open[is_v6] = (transport, receiver)
        return int(sock.getsockname()[1])

    def send(self, raw: bytes, endpoint: Endpoint) -> None:
        """Send, or drop silently where there is no socket of that family."""
        if self._delay_s > 0:
            asyncio.get_running_loop().call_later(self._delay_s, self._transmit, raw, endpoint)
        else:
            self._transmit(raw, endpoint)

    async def close(self) -> None:
        """Close both sockets; done when the loop has let go of them, a second at most."""
        opened, self._open = list(self._open.values()), {}
        for transport, _ in opened:
            transport.close()
        for transport, receiver in opened:
            try:
                await asyncio.wait_for(receiver.closed.wait(), _CLOSE_S)
            except TimeoutError:
                transport.abort()

    def _transmit(self, raw: bytes, endpoint: Endpoint) -> None:
        opened = self._open.get(":" in endpoint[0])
        if opened is None:
            return
        self.datagrams_sent += 1
        self.bytes_sent += len(raw)
        with contextlib.suppress(OSError):
            opened[0].sendto(raw, endpoint)

    def _count_in(self, raw: bytes, endpoint: Endpoint) -> None:
        self.datagrams_received += 1
        self.bytes_received += len(raw)
        self._deliver(raw, endpoint)
