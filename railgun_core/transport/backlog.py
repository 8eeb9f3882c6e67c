"""What waits in all links together, and who has to go when it is too much.

Only links above their own credit count: those below it are few bytes each, and their peers do read. Above 90 % of the
bound the longest queue is closed, whose peer has read the least; nobody else pays for it (protocol.md 5.1).
"""

from __future__ import annotations

from collections.abc import Callable

MAX_BYTES = 64 * 1024 * 1024
TRIM_ABOVE = 0.9


class Backlog:
    """Bytes queued above credit, by link. Shared by all transports of an engine. O(links above credit) when full."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._bound_bytes = int(max_bytes * TRIM_ABOVE)
        self._links: dict[object, tuple[int, Callable[[], None]]] = {}
        self.bytes = 0

    def note(self, link: object, waiting_bytes: int, close: Callable[[], None]) -> None:
        """A link above its credit has this much waiting; `close` ends it at once."""
        before = self._links.get(link)
        self.bytes += waiting_bytes - (before[0] if before is not None else 0)
        self._links[link] = (waiting_bytes, close)
        while self.bytes > self._bound_bytes and self._links:
            longest = max(self._links, key=lambda each: self._links[each][0])
            end = self._links[longest][1]
            self.forget(longest)
            end()

    def forget(self, link: object) -> None:
        """A link is below its credit again, or gone."""
        known = self._links.pop(link, None)
        if known is not None:
            self.bytes -= known[0]
