"""Peers on the same local network, found by multicast DNS; off unless the owner switches it on.

A node announces `_railgun._udp.local.` with the port of its DHT and 8 hex characters of its id, enough to know itself
again and too few to be tracked by; whatever answers is handed to the DHT, which makes it prove itself like any other.
zeroconf runs on the same loop and is given deadlines; nothing here blocks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

from zeroconf import Error as ZeroconfError
from zeroconf import IPVersion, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.base.ids import PeerId
from railgun_core.discovery.datagrams import Endpoint

SERVICE_TYPE = "_railgun._udp.local."
_RESOLVE_MS = 3_000
_STEP_S = 5.0
_MAX_ADDRESSES = 4
_MAX_RESOLVING = 16  # announcements looked up at a time: a noisy network costs no more


class LanDiscovery:
    """Announces one DHT node and feeds what it finds to `found`, usually `Dht.bootstrap`."""

    def __init__(
        self,
        peer_id: PeerId,
        *,
        found: Callable[[Sequence[Endpoint]], Awaitable[int]],
        interfaces: Sequence[str] | None = None,
    ) -> None:
        """`interfaces`: the addresses to speak on; None means all."""
        self._name = peer_id.hex()[:8]
        self._found = found
        self._interfaces = list(interfaces) if interfaces is not None else None
        self._zeroconf: AsyncZeroconf | None = None
        self._browser: AsyncServiceBrowser | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._met: set[str] = set()

    async def start(self, hosts: Sequence[str], port: int) -> None:
        """Announce the DHT at these numeric addresses and listen for others. EnvironmentFailure `lan-unavailable`."""
        try:
            self._zeroconf = (
                AsyncZeroconf(interfaces=self._interfaces) if self._interfaces is not None else AsyncZeroconf()
            )
            async with asyncio.timeout(_STEP_S):
                info = AsyncServiceInfo(
                    SERVICE_TYPE,
                    f"{self._name}.{SERVICE_TYPE}",
                    port=port,
                    properties={"id": self._name},
                    server=f"railgun-{self._name}.local.",
                    parsed_addresses=list(hosts)[:_MAX_ADDRESSES],
                )
                await (await self._zeroconf.async_register_service(info))
        except (OSError, TimeoutError, ZeroconfError):
            await self.close()
            raise EnvironmentFailure("multicast DNS is not available", code="lan-unavailable") from None
        self._browser = AsyncServiceBrowser(self._zeroconf.zeroconf, SERVICE_TYPE, handlers=[self._changed])

    async def close(self) -> None:
        """Say goodbye, stop listening. A few seconds at most; safe to call twice."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=_STEP_S)
        browser, self._browser = self._browser, None
        opened, self._zeroconf = self._zeroconf, None
        with contextlib.suppress(OSError, TimeoutError, ZeroconfError):
            async with asyncio.timeout(_STEP_S):
                if browser is not None:
                    await browser.async_cancel()
                if opened is not None:
                    await opened.async_close()

    def _changed(self, *, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if state_change is ServiceStateChange.Removed:
            self._met.discard(name)
            return
        if name.partition(".")[0] == self._name or name in self._met or len(self._tasks) >= _MAX_RESOLVING:
            return
        self._met.add(name)
        task = asyncio.get_running_loop().create_task(self._meet(zeroconf, service_type, name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _meet(self, zeroconf: Zeroconf, service_type: str, name: str) -> None:
        info = AsyncServiceInfo(service_type, name)
        try:
            known = await info.async_request(zeroconf, _RESOLVE_MS)
        except (OSError, ZeroconfError):
            known = False
        if not known or not info.port:
            self._met.discard(name)
            return
        hosts = info.parsed_addresses(IPVersion.V4Only) or info.parsed_addresses(IPVersion.V6Only)
        await self._found([(host, info.port) for host in hosts[:_MAX_ADDRESSES]])
