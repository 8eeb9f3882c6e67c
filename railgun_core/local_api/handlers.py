"""How the engine says which verbs it answers: a name, the type of its arguments, and how it answers.

    handlers = {
        "duties": call(Empty, engine.duties),                # async def duties(args: Empty) -> Duties
        "room.follow": stream(RoomFollow, engine.follow),    # async generator: every event arrives, in order
        "status.watch": latest(Empty, engine.watch),         # async generator: a slow client gets the newest only
    }

A handler raises RailGunError to say no; anything else it raises becomes the code `internal`.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import msgspec

A = TypeVar("A", bound=msgspec.Struct)


class Kind(enum.Enum):
    """How a verb answers."""

    CALL = "call"
    STREAM = "stream"
    LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Handler:
    """One verb. Made by `call`, `stream` and `latest`, which check that the types fit each other."""

    kind: Kind
    args: type[msgspec.Struct]
    answer: Callable[..., Awaitable[msgspec.Struct]] | None = None
    events: Callable[..., AsyncGenerator[msgspec.Struct, None]] | None = None


def call(args: type[A], answer: Callable[[A], Awaitable[msgspec.Struct]]) -> Handler:
    """One answer to one request. Cancelled when the client goes away, so commit before you wait."""
    return Handler(Kind.CALL, args, answer=answer)


def stream(args: type[A], events: Callable[[A], AsyncGenerator[msgspec.Struct, None]]) -> Handler:
    """Every event, in order. The generator is not asked for the next one while the client does not read."""
    return Handler(Kind.STREAM, args, events=events)


def latest(args: type[A], events: Callable[[A], AsyncGenerator[msgspec.Struct, None]]) -> Handler:
    """Whole values: what a slow client has missed is replaced by the newest."""
    return Handler(Kind.LATEST, args, events=events)
