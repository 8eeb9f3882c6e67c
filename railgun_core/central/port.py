"""What the rest of the engine may ask of a central server, and the words both sides use.

    keep(ticket, tag, frame)  -> on_kept(ticket, "" or a code), exactly once, within KEEP_WITHIN_S and a little
    follow(tags)              -> on_brought(tag, position, frames), in order, now and as long as it is followed

A position is the stream sequence of the last message that was looked at. It only means something to the server that
gave it: when a server lost its store it may go back, and everything it still holds is brought again. Whoever receives
must not keep the larger of two positions, but the last.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Protocol

from railgun_core.base.ids import Tag
from railgun_core.wire.frames import ENVELOPE_FRAME_SIZES
from railgun_core.wire.kinds import LENGTH, FrameType

KEEP_WITHIN_S = 2.0
MAX_OPEN_KEEPS = 256
BATCH_FRAMES = 256
BATCH_BYTES = 4 * 1024 * 1024
MAX_AGE_S = 8 * 86_400  # a day more than mail lives (committee/epoch.py), for clocks and time zones of midnight
MAX_MESSAGE_BYTES = 70_000
PREFIX = "railgun."
TAG_BYTES = 32

OnState = Callable[[bool, str], None]
OnKept = Callable[[int, str], None]
OnBrought = Callable[[Tag, int, tuple[bytes, ...]], None]


class Why(enum.StrEnum):
    """Why the server cannot be used, or did not keep something. The values are the stable codes."""

    NONE = ""
    OFF = "off"  # not hybrid mode, or stopped
    NO_ROOM = "no-room"  # no room may use it, so it is not even told that this device is there
    CONNECTING = "connecting"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"  # it wants a login or a certificate we do not have, or forbids what we need
    NO_JETSTREAM = "no-jetstream"
    NO_QUORUM = "no-quorum"  # too few servers of the cluster are there
    REPLICAS = "replicas"  # it cannot keep as many copies as the option asks for
    OTHER_STREAM = "other-stream"  # a stream of this name is there, but for something else
    FULL = "full"
    TIMEOUT = "timeout"
    BUSY = "busy"  # too many are being kept at once
    SIZE = "size"  # no envelope frame


class CentralPort(Protocol):
    """One central server, as the engine and the simulator see it. Nothing raises, nothing waits but start and stop."""

    async def start(self) -> None:
        """Begin to connect; returns at once. Idempotent."""

    async def stop(self) -> None:
        """Let go of everything; open keeps are answered `off`. Idempotent, bounded."""

    def keep(self, ticket: int, tag: Tag, frame: bytes) -> None:
        """Have one envelope frame kept."""

    def follow(self, tags: Sequence[tuple[Tag, int]]) -> None:
        """Follow exactly these tags. A position counts for a tag that was not followed before."""

    def woke(self) -> None:
        """The connection is in doubt: make a new one now."""


def subject_of(tag: Tag) -> str:
    """The subject of a tag."""
    return PREFIX + tag.hex()


def is_envelope_frame(data: bytes) -> bool:
    """Whether these bytes are one whole envelope frame, as far as can be seen from outside."""
    return (
        len(data) in ENVELOPE_FRAME_SIZES
        and data[LENGTH.size] == FrameType.ENVELOPE
        and LENGTH.unpack_from(data)[0] == len(data) - LENGTH.size
    )
