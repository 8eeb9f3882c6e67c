"""How a node comes into the network and stays in it: bootstrap, ping-backs, keep-alives, and the way back.

What must stay true: nobody is asked to prove himself before he proved his address; when more than half of the
table is silent, the fault may be ours, so nobody is dropped and the way in is sought again (protocol.md, section 9);
an idle node sends a ping every few seconds at most.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Container, Coroutine, Iterable, Sequence
from typing import Any

from railgun_core.base.clock import Instant
from railgun_core.base.rng import Rng
from railgun_core.discovery.config import DhtConfig
from railgun_core.discovery.crawl import Crawler
from railgun_core.discovery.datagrams import Answer, ContactInfo, Endpoint, Ping, packed_host
from railgun_core.discovery.questions import Asking, Questions
from railgun_core.discovery.routing import Table

_RESOLVE_S = 3.0
_RETRY_FIRST_S = 1.0
_RETRY_MOST_S = 15.0  # so that a healed partition is noticed within 30 s
_SECOND_LOOKS_S = (3.0, 30.0)  # own neighbourhood again, for those who came with us
_MAX_PROVING = 64
_GREETED_REMEMBERED = 512
_KEEPALIVE_GAP_S = 4.0
_SOUNDINGS = 6  # contacts asked at a time while most of the table is silent
_SUSPECT_AGAIN_S = 5.0
_GONE_REMEMBERED = 32
_GONE_AGAIN_S = 20.0  # a healed partition is noticed within 30 s
_GONE_FOR_GOOD_S = 900.0


class Membership:
    """Decides whom to ask for the table's sake. `spawn` runs a coroutine until the node closes."""

    def __init__(
        self,
        config: DhtConfig,
        *,
        table: Table,
        questions: Questions,
        crawler: Crawler,
        rng: Rng,
        clock: Callable[[], Instant],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        notice: Callable[[str], None],
    ) -> None:
        self._config = config
        self._table = table
        self._questions = questions
        self._crawler = crawler
        self._rng = rng
        self._clock = clock
        self._spawn = spawn
        self._notice = notice
        self._entries: dict[Endpoint, None] = {}  # bootstrap addresses, in order
        self._cached: tuple[ContactInfo, ...] = ()
        self._unreached: set[tuple[str, int]] = set()
        self._proving: set[bytes] = set()
        self._greeted: set[ContactInfo] = set()
        self._heard_s = 0.0
        self._gone: dict[ContactInfo, tuple[float, float]] = {}  # given up at, last tried at
        self._looks_s: list[float] = []
        self._retry_s = float("inf")
        self._backoff_s = _RETRY_FIRST_S
        self._pinged_s = self._refreshed_s = clock().mono_s
        self._alone = True
        self.on_new: Callable[[ContactInfo], None] = lambda who: None
        self.on_answer: Callable[[Answer], None] = lambda answer: None
        questions.on_alive = self._alive
        questions.on_dead = self._dead

    def remember(self, contacts: tuple[ContactInfo, ...]) -> None:
        """Contacts of an earlier run, to be tried beside the bootstrap addresses. What was told last is tried last."""
        self._cached = tuple(dict.fromkeys((*self._cached, *contacts)))

    def drop_entries(self, addresses: Iterable[Endpoint]) -> None:
        """Ask these bootstrap addresses no more. Who was met there stays in the table."""
        for address in addresses:
            self._entries.pop(address, None)
            self._unreached.discard(address)

    async def join(self, addresses: Sequence[Endpoint]) -> int:
        """Ask these addresses and the remembered contacts; look around when one answers. How many answered."""
        for address in addresses:
            self._entries[address] = None
        if not self._entries and not self._cached and not len(self._table):
            return 0  # others may come to us
        reached = await self._knock([*addresses])
        self._retry_s = self._clock().mono_s + self._backoff_s if self._unreached or not reached else float("inf")
        if self._unreached and addresses:
            self._notice("bootstrap-unreachable")
        return reached

    async def find_back(self) -> None:
        """This machine was away or has moved: ask the nearest contacts and the entries anew, and look around."""
        self._backoff_s = _RETRY_FIRST_S
        self._greeted.clear()  # who knew us may know us under another address
        known = [contact.info for contact in sorted(self._table.contacts(), key=lambda c: -c.answered_s)]
        for who in known[: self._config.k]:
            self._ping(who)
        await self._knock([*self._entries])
        await self._look_around()

    def ask_around(self, without: Container[bytes], count: int) -> int:
        """Ping contacts whose id is not in `without`, for what their answers say; how many."""
        chosen = [contact.info for contact in self._table.contacts() if contact.id not in without][:count]
        for who in chosen:
            self._ping(who)
        return len(chosen)

    @property
    def is_partitioned(self) -> bool:
        """Whether more than half of the table failed to answer when last asked."""
        return sum(contact.failures > 0 for contact in self._table.contacts()) * 2 > len(self._table)

    def consider(self, who: ContactInfo) -> None:
        """Somebody whose address is proved asked us something: let it prove its id if there is room for it."""
        if who.id in self._proving or len(self._proving) >= _MAX_PROVING or not self._table.has_room_for(who):
            return
        self._proving.add(who.id)

        def over() -> None:
            self._proving.discard(who.id)

        self._questions.ask(
            Asking(
                endpoint=who.endpoint,
                expected_id=who.id,
                build=Ping,
                on_answer=lambda _, __: over(),
                on_failed=over,
            )
        )

    def tick(self, now: Instant) -> None:
        """Once a second: second looks, retries, keep-alives, refresh."""
        if self._looks_s and now.mono_s >= self._looks_s[0]:
            self._looks_s.pop(0)
            self._spawn(self._look_around())
        if now.mono_s >= self._retry_s:
            self._backoff_s = min(_RETRY_MOST_S, self._backoff_s * 2)
            self._retry_s = float("inf")
            self._spawn(self._retry())
        elif self._retry_s == float("inf") and self._lost() and (self._entries or self._cached or len(self._table)):
            self._retry_s = now.mono_s + self._backoff_s
        self._keep_alive(now)
        self._try_again(now)
        if now.mono_s - self._refreshed_s >= self._config.refresh_s and len(self._table):
            self._refreshed_s = now.mono_s
            self._spawn(self._refresh())

    def _lost(self) -> bool:
        return self.is_partitioned or not len(self._table)

    def _keep_alive(self, now: Instant) -> None:
        if now.mono_s - self._pinged_s < _KEEPALIVE_GAP_S:
            return
        suspect = next((c for c in self._table.contacts() if c.failures), None)
        stalest = self._table.stalest()
        chosen = suspect if suspect is not None and now.mono_s - self._pinged_s >= _SUSPECT_AGAIN_S else None
        if chosen is None and stalest is not None and now.mono_s - stalest.answered_s >= self._config.keepalive_s:
            chosen = stalest
        if chosen is None:
            return
        self._pinged_s = now.mono_s
        self._ping(chosen.info)

    def _try_again(self, now: Instant) -> None:
        """Ask those we gave up: after a partition they are the way back. Each is forgotten after a while."""
        for who, (gone_s, tried_s) in list(self._gone.items()):
            if now.mono_s - gone_s > _GONE_FOR_GOOD_S:
                del self._gone[who]
            elif now.mono_s - tried_s >= _GONE_AGAIN_S:
                self._gone[who] = (gone_s, now.mono_s)
                self._ping(who)

    def _ping(self, who: ContactInfo) -> None:
        self._questions.ask(Asking(endpoint=who.endpoint, expected_id=who.id, build=Ping, on_answer=lambda _, __: None))

    async def _retry(self) -> None:
        targets = list(self._unreached) if len(self._table) and not self.is_partitioned else list(self._entries)
        reached = await self._knock(targets)
        if self.is_partitioned or (not reached and self._lost()):
            for contact in sorted(self._table.contacts(), key=lambda c: -c.answered_s)[:_SOUNDINGS]:
                self._ping(contact.info)
        if self._unreached or self._lost():
            self._retry_s = self._clock().mono_s + self._backoff_s
        else:
            self._backoff_s = _RETRY_FIRST_S

    async def _knock(self, addresses: Sequence[Endpoint]) -> int:
        resolved = await asyncio.gather(*(endpoints_of(host, port) for host, port in addresses))
        unknown = [ContactInfo(b"", *endpoint) for endpoints in resolved for endpoint in endpoints[:1]]
        cached = [c for c in self._cached if self._table.get(c.id) is None] if not len(self._table) else []
        answers = await asyncio.gather(
            *(self._questions.call(who, Ping, anyone=True) for who in unknown),
            *(self._questions.call(who, Ping) for who in cached[: 2 * self._config.k]),
        )
        met: dict[Endpoint, bool] = {}
        for who, got in zip(unknown, answers, strict=False):
            met[who.endpoint] = got is not None
        for address, endpoints in zip(addresses, resolved, strict=True):
            if any(met.get(endpoint) for endpoint in endpoints):
                self._unreached.discard(address)
            else:
                self._unreached.add(address)
        reached = sum(got is not None for got in answers)
        if reached:
            await self._look_around()
            now_s = self._clock().mono_s
            self._looks_s = [now_s + wait_s for wait_s in _SECOND_LOOKS_S]
        return reached

    async def _look_around(self) -> None:
        """Find our neighbourhood and greet it, so that it knows us too."""
        own_id = bytes(self._table.node.id)
        strangers = [who for who in await self._crawler.nodes(own_id) if who not in self._greeted]
        if len(self._greeted) > _GREETED_REMEMBERED:
            self._greeted.clear()
        self._greeted.update(strangers)
        await asyncio.gather(*(self._questions.call(who, Ping) for who in strangers))

    async def _refresh(self) -> None:
        await self._crawler.nodes(self._rng.randbytes(20))

    def _alive(self, who: ContactInfo, answer: Answer) -> None:
        self._heard_s = self._clock().mono_s
        self._gone.pop(who, None)
        if self._table.heard(who, now_s=self._heard_s):
            self.on_new(who)
        self.on_answer(answer)
        if self._alone:
            self._alone = False
            self._notice("joined")

    def _dead(self, node_id: bytes, endpoint: Endpoint) -> None:
        known = self._table.get(node_id)
        if known is None or known.info.endpoint != endpoint:
            return
        # While nobody answers, the fault is more likely ours: nobody is given up.
        others_answer = self._heard_s > known.answered_s and not self.is_partitioned
        self._table.failed(node_id, endpoint, may_drop=others_answer)
        if self._table.get(node_id) is None:
            now_s = self._clock().mono_s
            self._gone[known.info] = (now_s, now_s)
            while len(self._gone) > _GONE_REMEMBERED:
                del self._gone[next(iter(self._gone))]
        if not self._alone and self._lost():
            self._alone = True
            self._notice("alone")


async def endpoints_of(host: str, port: int) -> list[Endpoint]:
    """The numeric addresses of a host; empty when its name says nothing in time."""
    try:
        packed_host(host)
    except ValueError:
        pass
    else:
        return [(host, port)]
    loop = asyncio.get_running_loop()
    try:
        found = await asyncio.wait_for(loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM), _RESOLVE_S)
    except (OSError, TimeoutError, UnicodeError):
        return []
    return [(str(item[4][0]), int(item[4][1])) for item in found]
