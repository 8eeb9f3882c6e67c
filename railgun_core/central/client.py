"""The real central server, as the engine uses it: connect, lose, connect again; keep and follow meanwhile.

One task holds at most one connection and tries the servers of the cluster in a random order, with a growing wait after
each round. Everything else hangs on that connection and ends with it. A keep is answered exactly once: when the
connection ends before the answer, with that; whether the server has it is then unknown, and sending it again is
harmless, because envelopes have names of their own. Nothing here raises, and nobody is ever waited for by the caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import SystemRandom

import structlog

from railgun_core.base.ids import Tag
from railgun_core.base.rng import Rng
from railgun_core.central.connection import CentralFailure, Connection, open_connection
from railgun_core.central.following import Followed, Following
from railgun_core.central.port import MAX_OPEN_KEEPS, OnBrought, OnKept, OnState, Why, is_envelope_frame
from railgun_core.config import HostPort

log = structlog.get_logger("central")
FIRST_WAIT_S = 0.25
LAST_WAIT_S = 30.0
GOOD_AFTER_S = 5.0  # a connection that held so long starts the waits anew
STOP_WITHIN_S = 4.0


class CentralClient:
    """A CentralPort of one NATS server or cluster. `replicas`: how many copies a stream made here asks for."""

    def __init__(
        self,
        servers: Sequence[HostPort],
        *,
        replicas: int,
        on_state: OnState,
        on_kept: OnKept,
        on_brought: OnBrought,
        rng: Rng | None = None,
    ) -> None:
        self._servers = tuple(servers)
        self._replicas = replicas
        self._on_state, self._on_kept, self._on_brought = on_state, on_kept, on_brought
        self._rng = rng or SystemRandom()
        self._state: tuple[bool, str] = (False, Why.OFF)
        self._run_task: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._following: Following | None = None
        self._followed: dict[Tag, Followed] = {}
        self._keeps: dict[int, asyncio.Task[None] | None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._hurry = asyncio.Event()

    # ------------------------------------------------------------ the port

    async def start(self) -> None:
        """Begin to connect; returns at once. Idempotent."""
        if self._run_task is None:
            self._say(Why.CONNECTING)
            self._run_task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Close the connection; open keeps are answered `off`. Idempotent, bounded."""
        task, self._run_task = self._run_task, None
        if task is None:
            return
        self._answer_all(Why.OFF)
        tasks = [task, *self._tasks]
        for each in tasks:
            each.cancel()
        await asyncio.wait(tasks, timeout=STOP_WITHIN_S)
        self._say(Why.OFF)

    def keep(self, ticket: int, tag: Tag, frame: bytes) -> None:
        """Have one envelope frame kept; on_kept follows within KEEP_WITHIN_S and a little."""
        if ticket in self._keeps:
            return
        loop = asyncio.get_running_loop()
        code = self._refusal(frame)
        if code or self._connection is None:
            self._keeps[ticket] = None
            loop.call_soon(self._answer, ticket, None, code or self._state[1])
        else:
            self._keeps[ticket] = task = loop.create_task(self._keep(self._connection, ticket, tag, frame))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def follow(self, tags: Sequence[tuple[Tag, int]]) -> None:
        """Follow exactly these tags. A position counts for a tag that was not followed before."""
        known = self._followed
        self._followed = {tag: known.get(tag) or Followed(tag, position) for tag, position in tags}
        if self._following is not None:
            self._following.set(self._followed.values())

    def woke(self) -> None:
        """The connection is in doubt: make a new one now."""
        self._hurry.set()
        if self._connection is not None:
            self._connection.end(Why.UNREACHABLE)

    async def tell(self, text: bytes) -> bool:
        """Give the server one line of telemetry; whether it has it now."""
        return self._connection is not None and await self._connection.tell(text)

    # ------------------------------------------------------------ connecting

    async def _run(self) -> None:
        wait_s = FIRST_WAIT_S
        while True:
            self._hurry.clear()
            held_s = await self._round()
            wait_s = FIRST_WAIT_S if held_s >= GOOD_AFTER_S else min(LAST_WAIT_S, wait_s * 2)
            try:
                async with asyncio.timeout(wait_s * self._rng.uniform(0.5, 1.5)):
                    await self._hurry.wait()
            except TimeoutError:
                continue
            wait_s = FIRST_WAIT_S

    async def _round(self) -> float:
        """Try every server once; stay with the first that takes us. How long that was, 0 for not at all."""
        order = sorted(self._servers, key=lambda _: self._rng.random())
        loop = asyncio.get_running_loop()
        for server in order:
            try:
                connection = await open_connection(server, replicas=self._replicas)
            except CentralFailure as failure:
                self._say(failure.code)
                continue
            began_s = loop.time()
            try:
                await self._serve(connection)
            finally:
                await self._let_go(connection)
            return max(FIRST_WAIT_S, loop.time() - began_s)
        return 0.0

    async def _serve(self, connection: Connection) -> None:
        self._connection = connection
        self._following = Following(connection, self._brought)
        self._following.set(self._followed.values())
        self._say(Why.NONE)
        await connection.ended.wait()

    async def _let_go(self, connection: Connection) -> None:
        following, self._following = self._following, None
        self._connection = None
        connection.end(Why.OFF)
        self._say(connection.code)
        self._answer_all(connection.code)
        try:
            if following is not None:
                await following.close()
        finally:
            await connection.close()

    # ------------------------------------------------------------ keeping

    def _refusal(self, frame: bytes) -> str:
        if not is_envelope_frame(frame):
            return Why.SIZE
        return Why.BUSY if len(self._keeps) >= MAX_OPEN_KEEPS else Why.NONE

    async def _keep(self, connection: Connection, ticket: int, tag: Tag, frame: bytes) -> None:
        code = await connection.keep(tag, frame)
        self._answer(ticket, asyncio.current_task(), code)
        if code == Why.TIMEOUT:
            await connection.check()

    def _answer(self, ticket: int, by: asyncio.Task[None] | None, code: str) -> None:
        """Answer a keep, unless somebody else has."""
        if ticket in self._keeps and self._keeps[ticket] is by:
            del self._keeps[ticket]
            self._call(self._on_kept, ticket, str(code))

    def _answer_all(self, code: str) -> None:
        for ticket, task in list(self._keeps.items()):
            if task is not None:
                task.cancel()
                self._answer(ticket, task, code)

    # ------------------------------------------------------------ telling

    def _brought(self, tag: Tag, position: int, frames: tuple[bytes, ...]) -> None:
        if tag in self._followed:
            self._call(self._on_brought, tag, position, frames)

    def _say(self, code: str) -> None:
        state = (not code, str(code))
        if state != self._state:
            self._state = state
            self._call(self._on_state, *state)

    @staticmethod
    def _call(tell: Callable[..., None], *arguments: object) -> None:
        """What goes wrong behind a callback is not the server's fault: the connection stays."""
        try:
            tell(*arguments)
        except Exception as error:
            log.error("callback-failed", exc_info=error)
