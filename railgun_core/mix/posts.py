"""Posts on their way, and the keys that open what comes back.

A post is answered once: by the reply to any of its tries, or by None after the last. Keys of replies live for ten
minutes at most, and there is a bound to them; a reply whose keys are gone is noise.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from railgun_core.base.clock import Instant
from railgun_core.base.ids import PeerId
from railgun_core.events import Effect
from railgun_core.mix.sphinx import SurbKeys

KEYS_LIVE_S = 600.0
MAX_KEYS = 8_192

Then = Callable[[bytes | None, Instant, list[Effect]], None]


@dataclass(slots=True, eq=False)
class Post:
    """One body for one relay. `tries`: how often it has left; `in_flight`: it is not in the queue."""

    number: int
    body: bytes = field(repr=False)
    to: PeerId
    then: Then
    tries: int = 0
    in_flight: bool = False


@dataclass(frozen=True, slots=True)
class Awaited:
    """A reply that may come: its keys, the post it answers (None: a loop of ours), when and over what it left."""

    keys: SurbKeys
    post: Post | None
    sent_s: float
    delay_s: float  # what sender-drawn delays take of the round trip
    links: int


class ReplyKeys:
    """Awaited replies by reply id, oldest first."""

    def __init__(self) -> None:
        self._awaited: OrderedDict[bytes, Awaited] = OrderedDict()

    def __len__(self) -> int:
        return len(self._awaited)

    def add(self, reply_id: bytes, awaited: Awaited) -> None:
        """Expect a reply; the oldest is forgotten when there are too many."""
        if len(self._awaited) >= MAX_KEYS:
            self._awaited.popitem(last=False)
        self._awaited[reply_id] = awaited

    def take(self, reply_id: bytes) -> Awaited | None:
        """A reply came: its keys, once."""
        return self._awaited.pop(reply_id, None)

    def forget(self, post: Post) -> None:
        """A post is settled: later replies to it are noise."""
        for reply_id in [r for r, awaited in self._awaited.items() if awaited.post is post]:
            del self._awaited[reply_id]

    def expire(self, now: Instant) -> None:
        """Drop the keys that are too old."""
        while self._awaited:
            reply_id, awaited = next(iter(self._awaited.items()))
            if now.mono_s - awaited.sent_s < KEYS_LIVE_S:
                return
            del self._awaited[reply_id]
