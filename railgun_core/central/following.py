"""Bringing what the server holds under the followed tags, and what comes later.

A plain subscription to each tag's subject says that something came; that costs the server a line in a table, and an
idle peer nothing. What it brings is not used: it has no position, and the stream may not have it yet. The frames are
read from the stream by a short-lived consumer of that subject, from the last position on, in batches. So a peer with
a hundred quiet tags has no consumer at the server, and one that was away reads each tag once.

A position is believed only if the stream still has that message under that tag, or is past it: a server that lost its
store counts anew, and then everything it holds is read again. Twice is harmless, never is not.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from nats import errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext, api
from nats.js import errors as js_errors

from railgun_core.base.ids import Tag
from railgun_core.central.connection import CLOSE_WITHIN_S, STREAM, Connection, code_of
from railgun_core.central.port import BATCH_BYTES, OnBrought, Why, is_envelope_frame, subject_of
from railgun_core.wire.frames import ENVELOPE_FRAME_SIZES

BATCH = BATCH_BYTES // max(ENVELOPE_FRAME_SIZES)  # 63: so many fit whatever their sizes are
AT_ONCE = 8  # tags that are caught up with at the same time
LINGER_S = 2.0  # how long a consumer waits for more after the last nudge
FETCH_WITHIN_S = 5.0
AGAIN_S = 1.0
CONSUMER_LIVES_S = 5.0  # unused, at the server
NUDGES_KEPT = 64
MAX_POSITION = 2**63 - 1


@dataclass(slots=True, eq=False)
class Followed:
    """One tag. `store`: the stream, by its time of making, that `position` was checked against."""

    tag: Tag
    position: int
    store: datetime | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Following:
    """The followed tags on one connection. Their positions outlive it: they belong to the client."""

    def __init__(self, connection: Connection, on_brought: OnBrought) -> None:
        self._connection = connection
        self._on_brought = on_brought
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._watches: dict[Tag, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def set(self, tags: Iterable[Followed]) -> None:
        """Follow exactly these."""
        wanted = {followed.tag: followed for followed in tags}
        for tag in self._watches.keys() - wanted.keys():
            self._end(self._watches.pop(tag))
        loop = asyncio.get_running_loop()
        for tag in wanted.keys() - self._watches.keys():
            self._watches[tag] = loop.create_task(self._watch(wanted[tag]))

    async def close(self) -> None:
        """End every watch."""
        self.set(())
        if self._ending:
            await asyncio.wait(list(self._ending), timeout=CLOSE_WITHIN_S)

    def _end(self, watch: asyncio.Task[None]) -> None:
        self._ending.add(watch)
        watch.add_done_callback(self._ending.discard)
        watch.cancel()

    async def _watch(self, followed: Followed) -> None:
        """One tag until it is no longer followed. Any failure ends the connection: the next one begins anew."""
        try:
            nudges = await self._connection.nats.subscribe(
                subject_of(followed.tag), cb=_setter(followed.news), pending_msgs_limit=NUDGES_KEPT
            )
            try:
                await self._keep_up(followed)
            finally:
                await _unsubscribe(self._connection, nudges)
        except Exception as error:
            gone = isinstance(error, js_errors.NotFoundError | TimeoutError)  # the stream, or who leads it
            self._connection.end(Why.UNREACHABLE if gone else code_of(error))

    async def _keep_up(self, followed: Followed) -> None:
        await self._check(followed)
        while True:
            if await self._bring(followed):
                await followed.news.wait()
            else:
                await asyncio.sleep(AGAIN_S)

    async def _check(self, followed: Followed) -> None:
        """Go back to the beginning if the position is of another store."""
        stream = self._connection.stream
        if followed.position and followed.store != stream.created:
            state = stream.state
            ahead = followed.position > state.last_seq
            if ahead or (followed.position >= state.first_seq and not await self._lies_at(followed)):
                followed.position = 0
        followed.store = stream.created

    async def _lies_at(self, followed: Followed) -> bool:
        async with self._slots:
            try:
                message = await self._connection.js.get_msg(STREAM, seq=followed.position)
            except js_errors.NotFoundError:
                return False
        return message.subject == subject_of(followed.tag)

    async def _bring(self, followed: Followed) -> bool:
        """Read on from the position. False when the server knew of more than came: try again."""
        nudged = followed.news.is_set()
        followed.news.clear()
        js = self._connection.js
        async with self._slots:
            consumer = await js.add_consumer(STREAM, _consumer(followed))
            waiting = consumer.num_pending or 0
            if not waiting and not nudged:
                return True
            pull = await js.pull_subscribe_bind(consumer=consumer.name, stream=STREAM)
            try:
                if waiting and not await self._read(followed, pull, waiting):
                    return False
            except BaseException:
                await _unsubscribe(self._connection, pull)
                raise
        try:  # while it is talked here, the next one comes without asking for a consumer again
            followed.news.clear()
            while await self._read(followed, pull, 0):
                followed.news.clear()  # whatever nudged us is in the stream by now, or soon and then read here
        finally:
            await _unsubscribe(self._connection, pull)
        return True

    async def _read(self, followed: Followed, pull: JetStreamContext.PullSubscription, waiting: int) -> bool:
        """Read `waiting` messages and what else is there by then; with 0, wait a while for one. False if none came."""
        while True:
            within_s = FETCH_WITHIN_S if waiting else LINGER_S
            try:
                messages = await pull.fetch(max(1, min(BATCH, waiting)), timeout=within_s)
            except TimeoutError:
                return False
            waiting = self._hand_on(followed, messages)
            if not waiting:
                return True

    def _hand_on(self, followed: Followed, messages: list[Msg]) -> int:
        """Pass on what is an envelope frame. How many are still waiting at the server."""
        frames = []
        for message in messages:
            position = message.metadata.sequence.stream
            if followed.position < position <= MAX_POSITION:
                followed.position = position
                if is_envelope_frame(message.data):
                    frames.append(bytes(message.data))
        if frames:
            self._on_brought(followed.tag, followed.position, tuple(frames))
        return messages[-1].metadata.num_pending if messages else 0


def _consumer(followed: Followed) -> api.ConsumerConfig:
    return api.ConsumerConfig(
        name=secrets.token_hex(8),
        filter_subject=subject_of(followed.tag),
        deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=followed.position + 1,
        ack_policy=api.AckPolicy.NONE,
        inactive_threshold=CONSUMER_LIVES_S,
        mem_storage=True,
        num_replicas=1,
    )


def _setter(news: asyncio.Event) -> Callable[[Msg], Awaitable[None]]:
    async def nudged(_message: Msg) -> None:
        news.set()

    return nudged


async def _unsubscribe(connection: Connection, subscription: Subscription | JetStreamContext.PullSubscription) -> None:
    """Let go of a subscription; a connection that is gone has let go of it already."""
    with contextlib.suppress(errors.Error, OSError):
        await subscription.unsubscribe()
