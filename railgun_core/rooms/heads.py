"""The signed heads of relays, as a room's members compare them: one that tells two stories is convicted by both.

A relay signs now and then in which order envelopes came to it (wire/heads.py). Each member keeps the newest heads of
the relays it uses and passes them on once, when an epoch ends. Two that contradict each other are a proof that needs no
trust in whoever brought it. What a relay does not sign, or signs only for counts that nobody else gets, proves nothing.
Source: threats.md B11.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from railgun_core.base.ids import PeerId
from railgun_core.committee.view import RelayView
from railgun_core.events import Effect, Noticed
from railgun_core.rooms.content import MAX_HEADS
from railgun_core.rooms.epoch_keys import EpochKeys
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
        share = max(1, min(PASSED_ON_OF_A_RELAY, MAX_HEADS // max(1, len(self._heads))))
        chosen: list[Head] = []
        for known in self._heads.values():
            chosen += sorted(known.values(), key=lambda head: head.count)[-share:]
        return tuple(chosen[:MAX_HEADS])


class Witness(Protocol):
    """One epoch of a room, as a lane has it."""

    @property
    def keys(self) -> EpochKeys:
        """The tag and epoch that heads are of."""

    @property
    def heads(self) -> HeadBook:
        """What is held of it."""


def compare(
    heads: Iterable[Head], lanes: Iterable[Witness], view: RelayView, convicted: set[PeerId], out: list[Effect]
) -> bool:
    """Take heads in, from relays or as members pass them on; whether a relay was convicted by one of them.

    A head counts only under the `since` of the relay's newest record: a relay that restarts has both anew, and one
    that invents another start for each member signs heads that nobody takes.
    """
    books = {(lane.keys.tag, lane.keys.epoch): lane.heads for lane in lanes}
    before = len(convicted)
    for head in heads:
        record, book = view.get(head.relay), books.get((head.tag, head.epoch))
        if book is None or record is None or record.not_before_s != head.since_s:
            continue
        proof = book.take(head)
        if proof is not None and head.relay not in convicted:
            convicted.add(head.relay)
            out.append(Noticed("relay-convicted"))
    return len(convicted) > before
