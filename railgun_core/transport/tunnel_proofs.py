"""Which relays have proved to a guard that they listen where their records say.

A record's address is its signer's own word. A guard that believed it would carry any client's bytes to any host and
port that somebody put into a record: an open proxy by detour. So before the first tunnel to an address the guard asks
for the relay's half of the handshake, which needs the key at that place. Costs one handshake for each relay and
REMEMBERED_S; a failure is remembered for a moment, so that clients cannot make a guard knock at a stranger's door.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from railgun_core.base.ids import PublicKey
from railgun_core.transport.link import DialFailure
from railgun_core.wire.records import Address

REMEMBERED_S = 600.0
FAILURE_REMEMBERED_S = 15.0
REMEMBERED = 1_024


@dataclass(frozen=True, slots=True)
class Place:
    """A relay's key, and where it says that it listens."""

    key: PublicKey
    address: Address


class Prover(Protocol):
    """What asks for a proof: `TlsTransport`."""

    async def prove(self, address: Address, expected: PublicKey) -> None:
        """DialFailure unless `expected` listens at `address`."""


class Proofs:
    """Proofs of one guard. One handshake at a time for each place, whoever waits for it."""

    def __init__(self, prover: Prover) -> None:
        self._prover = prover
        self._running: dict[Place, asyncio.Task[None]] = {}
        self._known: OrderedDict[Place, tuple[float, str]] = OrderedDict()  # valid until, code of a failure or ""

    async def check(self, place: Place) -> None:
        """DialFailure unless the relay's key was proved at its address lately. The caller keeps the deadline."""
        loop = asyncio.get_running_loop()
        until_s, code = self._known.get(place, (0.0, ""))
        if loop.time() >= until_s:
            task = self._running.get(place)
            if task is None:
                task = self._running[place] = loop.create_task(self._prove(place), name="tunnel-proof")
                task.add_done_callback(lambda _: self._running.pop(place, None))
            await asyncio.shield(task)
            _, code = self._known[place]
        if code:
            raise DialFailure("the relay is not where its record says", code=code)

    async def close(self) -> None:
        """End what is under way."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _prove(self, place: Place) -> None:
        code = ""
        try:
            await self._prover.prove(place.address, place.key)
        except DialFailure as failure:
            code = failure.code
        now_s = asyncio.get_running_loop().time()
        self._known[place] = (now_s + (FAILURE_REMEMBERED_S if code else REMEMBERED_S), code)
        self._known.move_to_end(place)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
