"""How long a room was held up by a relay that went away: one span for each relay that was in use.

A span begins when the relay is given up: when its link ended or it refused (`closed`, `refused`), or at its last sign
of life when three pings stayed unanswered (`silent`). It ends when another relay has confirmed that it pushes and
everything that was open with the lost one has been taken elsewhere. A relay that comes back before that was never
replaced, and is not counted. Pure: who calls says what happened. Source: protocol.md 9 and 12.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from railgun_core.base.ids import PeerId


class Cause(enum.StrEnum):
    """Why a relay was given up."""

    CLOSED = "closed"
    SILENT = "silent"
    REFUSED = "refused"


@dataclass(slots=True, eq=False)
class Span:
    """One relay that is being replaced. `items`: own sequences that it had and nobody else has taken yet."""

    relay: PeerId
    cause: Cause
    since_s: float
    items: set[int] = field(default_factory=set)


class Failovers:
    """What is under way in one lane."""

    __slots__ = ("_spans",)

    def __init__(self) -> None:
        self._spans: list[Span] = []

    def __bool__(self) -> bool:
        return bool(self._spans)

    def begin(self, relay: PeerId, cause: Cause, *, since_s: float, items: Iterable[int]) -> None:
        """A relay in use was given up; nothing when its replacement is under way already."""
        if all(span.relay != relay for span in self._spans):
            self._spans.append(Span(relay, cause, since_s, set(items)))

    def returned(self, relay: PeerId) -> None:
        """A relay that was given up gives signs of life."""
        self._spans = [span for span in self._spans if span.relay != relay]

    def taken(self, seqs: Iterable[int]) -> None:
        """A relay has taken these items."""
        news = set(seqs)
        for span in self._spans:
            span.items -= news

    def over(self, now_s: float, *, pushed: bool, waits: Callable[[int], bool]) -> list[tuple[Cause, float]]:
        """The spans that end now, with their milliseconds.

        `pushed`: a relay has confirmed that it pushes. `waits`: whether an item still has to be taken by anybody.
        """
        if not pushed:
            return []
        done: list[Span] = []
        going: list[Span] = []
        for span in self._spans:
            span.items = {seq for seq in span.items if waits(seq)}
            (going if span.items else done).append(span)
        self._spans = going
        return [(span.cause, max(0.0, now_s - span.since_s) * 1000) for span in done]

    def clear(self) -> None:
        """Forget what is under way: this device was away, and no relay's failure is to be told from that."""
        self._spans.clear()
