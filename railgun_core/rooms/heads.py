"""The signed heads of relays, as a room's members compare them: one that tells two stories is convicted by both.

A relay signs now and then in which order envelopes came to it (wire/heads.py). Each member keeps the newest heads of
the relays it uses and passes them on once, when an epoch ends. Two that contradict each other are a proof that needs no
trust in whoever brought it. What a relay does not sign, or signs only for counts that nobody else gets, proves nothing.
Source: threats.md B11.
"""

from __future__ import annotations

from collections.abc import Iterable

from railgun_core.base.ids import PeerId
from railgun_core.rooms.content import MAX_HEADS
from railgun_core.wire.heads import Head

KEPT_OF_A_RELAY = 64
PASSED_ON_OF_A_RELAY = 6
MAX_RELAYS = 16  # a roster has eight, and views may differ


class HeadBook:
    """What is held of one epoch of a room."""

    __slots__ = ("_heads", "told")

    def __init__(self) -> None:
        self._heads: dict[PeerId, dict[tuple[int, int], Head]] = {}
        self.told = False  # it was passed on

    def take(self, head: Head) -> tuple[Head, Head] | None:
        """Keep a head whose tag and epoch are this book's; the two that contradict each other, both signed, if so."""
        known = self._heads.get(head.relay)
        if known is None:
            if len(self._heads) >= MAX_RELAYS or not head.is_signed():
                return None
            self._heads[head.relay] = {(head.since_s, head.count): head}
            return None
        before = known.get((head.since_s, head.count))
        if before is not None:
            return (before, head) if head.contradicts(before) and head.is_signed() else None
        if head.is_signed():
            known[head.since_s, head.count] = head
            while len(known) > KEPT_OF_A_RELAY:
                del known[next(iter(known))]
        return None

    def to_pass_on(self) -> tuple[Head, ...]:
        """The newest heads of every relay: those that other members most likely have of them too."""
        chosen: list[Head] = []
        for known in self._heads.values():
            chosen += sorted(known.values(), key=lambda head: head.count)[-PASSED_ON_OF_A_RELAY:]
        return tuple(chosen[-MAX_HEADS:])


def convicted_by(pairs: Iterable[tuple[Head, Head]]) -> set[PeerId]:
    """The relays that proofs convict; a pair that proves nothing convicts nobody. About 200 us each."""
    return {a.relay for a, b in pairs if a.contradicts(b) and a.is_signed() and b.is_signed()}
