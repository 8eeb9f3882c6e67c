"""When a fellow relay counts as dead: by the signed word of two observers from distinct groups, never by one alone.

An observer heard nothing of a fellow for half a minute while it heard others. Its word (an obituary) goes to its other
fellows. What follows is small on purpose: its standing is debited, and the standby that serves in its place says so in
the directory. No committee changes, so nobody can be voted out of a seat; a newer record of the peer voids it.
Source: protocol.md 9, threats.md B09 and B34.
"""

from __future__ import annotations

from collections.abc import Callable

from railgun_core.base.clock import Instant
from railgun_core.base.heartbeat import DEAD_AFTER_S
from railgun_core.base.ids import Group, PeerId
from railgun_core.base.keys import Identity
from railgun_core.committee.view import RelayView
from railgun_core.wire.mail import Obituary, sign_obituary

OBSERVERS = 2
FRESH_S = 120.0  # clocks may differ by as much
LEAST_SILENCE_S = DEAD_AFTER_S - 5.0  # of the observer's own clock
MAX_PEERS = 256
MAX_WORDS = 16  # about one peer


class Deaths:
    """The obituaries of the peers this relay serves with."""

    def __init__(self, identity: Identity, view: RelayView) -> None:
        self._identity = identity
        self._view = view
        self._words: dict[PeerId, dict[PeerId, Obituary]] = {}
        self._dead: dict[PeerId, int] = {}  # by the record that was known then

    def observe(self, peer_id: PeerId, silent_s: float, now: Instant) -> Obituary | None:
        """This relay's own word about a fellow that has been silent since a Unix time; None when it has given it."""
        record = self._view.get(peer_id)
        if record is None or record.sequence > silent_s * 1000 or now.unix_s - silent_s < DEAD_AFTER_S:
            return None
        words = self._words.get(peer_id, {})
        mine = words.get(self._identity.peer_id)
        if mine is not None and mine.sequence >= record.sequence:
            return None
        word = sign_obituary(
            self._identity, peer_id, sequence=record.sequence, silent_s=int(silent_s), at_s=int(now.unix_s)
        )
        self._keep(word)
        return word

    def heard(self, word: Obituary, now: Instant) -> bool:
        """An observer's word; whether it was worth keeping. About 100 us when it is."""
        if abs(now.unix_s - word.at_s) > FRESH_S or word.at_s - word.silent_s < LEAST_SILENCE_S:
            return False
        if self._is_void(word) or self._words.get(word.peer_id, {}).get(word.observer) == word or not word.is_signed():
            return False
        return self._keep(word)

    def died(self, peer_id: PeerId, group_of: Callable[[PeerId], Group | None]) -> int:
        """How many observers, if there are enough of distinct groups and it was not said before; else 0."""
        record = self._view.get(peer_id)
        words = [w for w in self._words.get(peer_id, {}).values() if not self._is_void(w)]
        groups = {group for w in words if (group := group_of(w.observer)) is not None}
        if record is None or len(groups) < OBSERVERS or self._dead.get(peer_id, -1) >= record.sequence:
            return 0
        if len(self._dead) >= MAX_PEERS:
            del self._dead[next(iter(self._dead))]
        self._dead[peer_id] = record.sequence
        return len(words)

    def _is_void(self, word: Obituary) -> bool:
        record = self._view.get(word.peer_id)
        return record is None or record.sequence > word.sequence

    def _keep(self, word: Obituary) -> bool:
        if word.peer_id not in self._words and len(self._words) >= MAX_PEERS:
            del self._words[next(iter(self._words))]
        words = self._words.setdefault(word.peer_id, {})
        if word.observer not in words and len(words) >= MAX_WORDS:
            return False
        words[word.observer] = word
        return True
