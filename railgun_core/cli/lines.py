"""From a source of bytes to messages, one a line, exactly as they are.

Only b"\\n" ends a line; CR, bytes that are no UTF-8 and empty lines are content; a last line without newline is a
message too. Lines are handed on in batches as soon as they are there, so a pipe that trickles is sent as it trickles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from railgun_core.base.errors import UsageError
from railgun_core.local_api.messages import MAX_MESSAGE_BYTES

BATCH_LINES = 200
BATCH_BYTES = 1_000_000
READ_BYTES = 256 * 1024

Read = Callable[[], bytes]  # the next bytes; empty at the end


@dataclass(frozen=True, slots=True)
class TooLong(Exception):
    """A line past MAX_MESSAGE_BYTES. `number` counts from one."""

    number: int

    def usage_error(self, sent: int) -> UsageError:
        """The sentence for the person."""
        before = (
            " Nothing was sent."
            if not sent
            else " The line before it was sent."
            if sent == 1
            else f" The {sent:,} lines before it were sent."
        )
        return UsageError(f"Line {self.number:,} is longer than the 4 MiB a message may have.{before}", code="too-long")


def messages_of(read: Read) -> Iterator[list[bytes]]:
    """The lines of one read after the other: all that are complete after each. Raises TooLong."""
    rest: list[bytes] = []
    rest_bytes = number = 0
    while piece := read():
        lines = piece.split(b"\n")
        complete: list[bytes] = []
        for index, line in enumerate(lines):
            rest.append(line)
            rest_bytes += len(line)
            if rest_bytes > MAX_MESSAGE_BYTES:
                if complete:
                    yield complete
                raise TooLong(number + 1)
            if index < len(lines) - 1:
                complete.append(b"".join(rest))
                number += 1
                rest, rest_bytes = [], 0
        if complete:
            yield complete
    if rest_bytes:
        yield [b"".join(rest)]


def batches_of(lines: list[bytes]) -> Iterator[tuple[bytes, ...]]:
    """Cut to what fits one request: 200 lines and 1 MB; a longer line goes alone."""
    batch: list[bytes] = []
    size = 0
    for line in lines:
        if batch and (len(batch) >= BATCH_LINES or size + len(line) > BATCH_BYTES):
            yield tuple(batch)
            batch, size = [], 0
        batch.append(line)
        size += len(line)
    if batch:
        yield tuple(batch)


def check_lengths(read: Read) -> None:
    """Go through a source once without keeping it. Raises TooLong for a line that is no possible message."""
    length, number = 0, 1
    while piece := read():
        first, *others = piece.split(b"\n")
        length += len(first)
        for line in others:
            if length > MAX_MESSAGE_BYTES:
                raise TooLong(number)
            number += 1
            length = len(line)
        if length > MAX_MESSAGE_BYTES:
            raise TooLong(number)
