"""Replies of the last seconds, for questions that are asked again word for word.

A repeated question is the same datagram, so it gets the same reply without a signature checked or made: repeats come
in crowds, exactly when there is no time for them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from railgun_core.discovery.datagrams import Endpoint

KEPT_S = 5.0
_REMEMBERED = 512
_REPEATS = 2  # a question is repeated once; more would be somebody else's replay


class RecentReplies:
    """Maps (datagram, source) to the reply that was sent. At most 512, 1.2 MB."""

    def __init__(self, send: Callable[[bytes, Endpoint], None]) -> None:
        self._send = send
        self._sent: OrderedDict[tuple[bytes, Endpoint], tuple[bytes, float, int]] = OrderedDict()

    def repeat(self, question: bytes, source: Endpoint, *, now_s: float) -> bool:
        """Whether this was answered a moment ago; the reply is sent again, at most twice."""
        reply, sent_s, repeats = self._sent.get((question, source), (b"", 0.0, 0))
        if not reply or now_s - sent_s > KEPT_S:
            return False
        if repeats < _REPEATS:
            self._sent[question, source] = (reply, sent_s, repeats + 1)
            self._send(reply, source)
        return True

    def keep(self, question: bytes, source: Endpoint, reply: bytes, *, now_s: float) -> None:
        """Remember a reply."""
        self._sent[question, source] = (reply, now_s, 0)
        while len(self._sent) > _REMEMBERED:
            self._sent.popitem(last=False)
