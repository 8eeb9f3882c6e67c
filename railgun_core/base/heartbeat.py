"""One link's signs of life: when to ask for one, and when to stop counting on the other side.

Anything that arrives is a sign. On a link in use a ping goes out after a second of silence and then every second;
three that stay unanswered make the other side a suspect: others are used first, nothing is given up. Any frame clears
it. Thirty seconds of silence are a death, which needs a second observer before it is more than this node's opinion.
A node that was itself away (asleep, stopped, starved of its processor) begins to count again: the silence was its own.
Source: protocol.md 9.
"""

from __future__ import annotations

import enum

PING_EVERY_S = 1.0
SUSPECT_AFTER_PINGS = 3
DEAD_AFTER_S = 30.0
IDLE_EVERY_S = 5.0  # on links that are kept and not in use, and through tunnels, where a ping costs a whole cell
AWAY_S = 2.0  # a look that comes this much later than planned says more about this node than about the link


class Beat(enum.Enum):
    """What to do about a link now."""

    QUIET = "quiet"
    PING = "ping"
    SUSPECT = "suspect"  # and ping on
    DEAD = "dead"


class Heartbeat:
    """The signs of life on one link. All times are monotonic seconds."""

    __slots__ = ("_every_s", "_looked_s", "_slowest_s", "asked_s", "heard_s", "unanswered")

    def __init__(self, now_s: float, *, every_s: float = PING_EVERY_S) -> None:
        self._every_s = self._slowest_s = every_s
        self.heard_s = now_s
        self.asked_s = now_s
        self.unanswered = 0
        self._looked_s = now_s

    @property
    def every_s(self) -> float:
        """How long a silence is before a ping goes out; it may be changed at any time."""
        return self._every_s

    @every_s.setter
    def every_s(self, every_s: float) -> None:
        self._every_s = every_s
        self._slowest_s = max(self._slowest_s, every_s)  # this look was planned at the pace of before

    @property
    def is_suspect(self) -> bool:
        """Whether three pings in a row were not answered."""
        return self.unanswered >= SUSPECT_AFTER_PINGS

    def heard(self, now_s: float) -> bool:
        """Something arrived; whether this ends a suspicion."""
        was_suspect = self.is_suspect
        self.heard_s, self.unanswered = now_s, 0
        return was_suspect

    def look(self, now_s: float) -> Beat:
        """What is due now; a PING counts as sent. A ping that was never sent is never missed."""
        if now_s - self._looked_s > self._slowest_s + AWAY_S:  # it was this node that was silent
            self.heard_s = max(self.heard_s, now_s - self.every_s)
            self.unanswered = 0
        self._looked_s, self._slowest_s = now_s, self.every_s
        if now_s - self.heard_s >= DEAD_AFTER_S:
            return Beat.DEAD
        if now_s - max(self.heard_s, self.asked_s) < self.every_s:
            return Beat.QUIET
        if self.asked_s > self.heard_s:
            self.unanswered += 1
        self.asked_s = now_s
        return Beat.SUSPECT if self.is_suspect else Beat.PING

    def next_s(self) -> float:
        """When to look again."""
        return max(self.heard_s, self.asked_s) + self.every_s
