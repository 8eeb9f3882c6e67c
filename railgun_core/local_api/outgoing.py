"""From the bytes of a call to items of a room, and back to what became of them.

`room.send` and `room.send_opaque` share it: check, queue, wait for the asked state, count. What was queued is in the
outbox in any case; only the waiting has a limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from railgun_core.base.errors import EnvironmentFailure, UsageError
from railgun_core.changes import Delivery
from railgun_core.engine.engine import Engine
from railgun_core.events import Effect
from railgun_core.local_api import messages as m
from railgun_core.rooms.content import split_message
from railgun_core.rooms.room import Room

WAITS = {"accepted": Delivery.ACCEPTED, "stored": Delivery.STORED, "delivered": Delivery.DELIVERED}

Submit = Callable[[list[Effect]], tuple[int, int]]  # appends effects; the first and last sequence


def check_messages(messages: tuple[bytes, ...], wait: str) -> None:
    """UsageError for what no call may hold."""
    if wait not in WAITS:
        raise UsageError(f"Wait for one of {', '.join(WAITS)}.", code="usage")
    if not 0 < len(messages) <= m.MAX_LINES_PER_SEND:
        raise UsageError(f"Send 1 to {m.MAX_LINES_PER_SEND:,} lines at once.", code="usage")
    if any(len(message) > m.MAX_MESSAGE_BYTES for message in messages):
        raise UsageError(f"One message has at most {m.MAX_MESSAGE_BYTES:,} bytes.", code="message-too-long")


async def hand_over(
    engine: Engine, room: Room, messages: tuple[bytes, ...], *, submit: Submit, wait: str, wait_s: float
) -> m.Sent:
    """Commit, and wait until all have reached `wait` or `wait_s` has passed. An answer always means committed."""
    effects: list[Effect] = []
    medium_only = room.secure  # as it is now: the room may change while this waits
    first, last = submit(effects)
    waiting = engine.waiting.send(room.id, first, last, WAITS[wait])
    try:
        engine.carry_out(effects)
        await _made_durable(engine)  # a short wait must not call kept what a kill would lose
        async with asyncio.timeout(wait_s):
            await waiting.done.wait()
    except TimeoutError:
        pass
    finally:
        engine.waiting.forget(waiting)
    parts = [len(split_message(message, 1, 0.0, medium_only=medium_only)) for message in messages]
    return _sent(parts, first, last, waiting.remaining, wait)


async def _made_durable(engine: Engine) -> None:
    try:
        await engine.settled()
    except EnvironmentFailure as failure:
        rest = "These lines wait in memory: they go out when there is room, or are lost if the engine ends before."
        raise EnvironmentFailure(f"{failure.detail} {rest}", code=failure.code) from None


def _sent(parts: list[int], first: int, last: int, remaining: set[int], wait: str) -> m.Sent:
    runs: list[tuple[int, int]] = []
    for seq in sorted(remaining):
        if runs and runs[-1][1] == seq - 1:
            runs[-1] = (runs[-1][0], seq)
        else:
            runs.append((seq, seq))
    reached = len(parts) if not remaining else _reached(parts, first, remaining)
    return m.Sent(
        lines=len(parts),
        reached=reached,
        wait=wait,
        first_seq=first,
        last_seq=last,
        waiting=len(parts) - reached,
        missing=tuple(runs),
    )


def _reached(parts: list[int], first: int, remaining: set[int]) -> int:
    """How many messages are there whole: a long one has several items, and counts when all of them are."""
    reached = 0
    for count in parts:
        reached += remaining.isdisjoint(range(first, first + count))
        first += count
    return reached
