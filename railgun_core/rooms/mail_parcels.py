"""Envelopes on their way to mailboxes: who was given each, who keeps it, and what is to be tried again, and when.

An envelope is kept when enough mailboxes said so, or the central server did; an item is kept when all its envelopes
are. A mailbox that refuses, or says nothing, is shut for a while: others are asked in its place. Pure bookkeeping of
one room and day, in bounds: a mailbox is asked for at most WINDOW receipts at a time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from railgun_core.base.ids import MsgId, PeerId
from railgun_core.rooms.lane import Lane
from railgun_core.wire.kinds import Refusal
from railgun_core.wire.mail import Deposit

WINDOW = 64  # envelopes of a room that are on their way at a time
WINDOW_BYTES = 1024 * 1024  # of them on one link; a quarter of what closes it
POSTS = 8  # and through mixes, where each waits for its turn with everything else
ANSWER_WITHIN_S, POST_WITHIN_S = 10.0, 60.0
LINGER_S = 10.0  # an envelope that is kept waits this long for the mailboxes that have not answered yet
RETRY_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
QUOTA_RETRY_S, QUOTA_MOST_S = 300.0, 3_600.0  # full mailboxes are asked again slowly, whatever they say
CENTRAL_AFTER_S = 2.0  # mailboxes have not kept it: protocol.md 9
_NO_ROOM = (Refusal.QUOTA, Refusal.FULL)


@dataclass(slots=True, eq=False)
class Parcel:
    """One envelope. `seq`: the own item it is of; None for letters and syncs. `until_s`: for syncs, which grow old."""

    deposit: Deposit
    seq: int | None
    at_s: float
    until_s: float = float("inf")
    central_first: bool = False
    kept_by: set[PeerId] = field(default_factory=set)
    sent_s: dict[PeerId, float] = field(default_factory=dict)  # asked, and no answer yet
    again_s: dict[PeerId, float] = field(default_factory=dict)  # refused or not answered: not before
    tries: int = 0
    central_s: float | None = None  # asked of the central server, and no answer yet
    central_again_s: float = float("-inf")
    is_kept: bool = False
    kept_s: float = 0.0

    @property
    def size(self) -> int:
        """Bytes of its envelope."""
        return len(self.deposit.envelope)

    def may_go(self, mailbox: PeerId, now_s: float) -> bool:
        """Whether a mailbox is to be given it now."""
        asked = self.central_first or mailbox in self.kept_by or mailbox in self.sent_s
        return not asked and now_s >= self.again_s.get(mailbox, float("-inf"))

    def may_go_central(self, now_s: float, *, mailboxes: bool) -> bool:
        """Whether it is the central server's turn: mailboxes come first, for a while."""
        if self.is_kept or self.central_s is not None or now_s < self.central_again_s:
            return False
        return self.central_first or not mailboxes or now_s - self.at_s >= CENTRAL_AFTER_S

    def failed(self, mailbox: PeerId, now_s: float, after_s: float = 0.0) -> None:
        """A mailbox said no, or nothing: it is asked again later, ever more rarely."""
        self.sent_s.pop(mailbox, None)
        wait_s = max(after_s, RETRY_S[min(self.tries, len(RETRY_S) - 1)])
        self.tries += 1
        self.again_s[mailbox] = now_s + wait_s


@dataclass(frozen=True, slots=True)
class _Shut:
    """A mailbox that takes nothing: how often in a row, until when, and what it said; None: nothing."""

    count: int
    until_s: float
    code: Refusal | None


class Spool:
    """The parcels of a room under the mail of one day."""

    def __init__(self, lane: Lane, *, posts: bool) -> None:
        self.lane = lane
        self._window = POSTS if posts else WINDOW
        self._within_s = POST_WITHIN_S if posts else ANSWER_WITHIN_S
        self.parcels: dict[MsgId, Parcel] = {}
        self._parts: dict[int, set[MsgId]] = {}  # seq -> its envelopes that are not kept yet
        self._shut: dict[PeerId, _Shut] = {}

    def __len__(self) -> int:
        return len(self.parcels)

    @property
    def free(self) -> int:
        """How many more may be on their way."""
        return self._window - len(self.parcels)

    def holds(self, seq: int) -> bool:
        """Whether an item is on its way."""
        return seq in self._parts

    def shut(self, now_s: float) -> frozenset[PeerId]:
        """The mailboxes that take nothing now."""
        return frozenset(mailbox for mailbox, shut in self._shut.items() if now_s < shut.until_s)

    def lack(self, now_s: float) -> Refusal | None:
        """What mailboxes lack room for now: more of this room (QUOTA), or anything at all (FULL)."""
        said = {shut.code for shut in self._shut.values() if now_s < shut.until_s}
        return next((code for code in _NO_ROOM if code in said), None)

    def add(self, parcels: Iterable[Parcel]) -> None:
        """Envelopes that are to be kept; all those of an item at once."""
        for parcel in parcels:
            self.parcels[parcel.deposit.msg_id] = parcel
            if parcel.seq is not None:
                self._parts.setdefault(parcel.seq, set()).add(parcel.deposit.msg_id)

    def due(self, mailbox: PeerId, now_s: float) -> list[Parcel]:
        """What a mailbox is to be given now, in order: no more than its link may hold."""
        left = WINDOW_BYTES - sum(p.size for p in self.parcels.values() if mailbox in p.sent_s)
        found: list[Parcel] = []
        for parcel in self.parcels.values():
            if parcel.may_go(mailbox, now_s):
                left -= parcel.size
                if left < 0:
                    break
                found.append(parcel)
        return found

    def kept(self, parcel: Parcel, now_s: float) -> int | None:
        """An envelope is kept; the item that is kept because of it."""
        if parcel.is_kept:
            return None
        parcel.is_kept, parcel.kept_s = True, now_s
        if parcel.seq is None:
            return None
        left = self._parts.get(parcel.seq, set())
        left.discard(parcel.deposit.msg_id)
        return None if left else parcel.seq

    def receipt(
        self, mailbox: PeerId, msg_id: MsgId, code: Refusal | None, retry_s: float, now_s: float
    ) -> Parcel | None:
        """What a mailbox said of an envelope that it was given; the envelope. None when it was not asked."""
        parcel = self.parcels.get(msg_id)
        if parcel is None or mailbox not in parcel.sent_s:
            return None
        if code is None:
            del parcel.sent_s[mailbox]
            parcel.kept_by.add(mailbox)
            self._shut.pop(mailbox, None)
            return parcel
        no_room = code in _NO_ROOM
        wait_s = min(max(retry_s, QUOTA_RETRY_S), QUOTA_MOST_S) if no_room else min(retry_s, RETRY_S[-1])
        parcel.failed(mailbox, now_s, wait_s)
        if code is not Refusal.RATE or wait_s > LINGER_S:  # who is only asked too fast is worth waiting for
            self._close(mailbox, code, wait_s, now_s)
        return parcel

    def _close(self, mailbox: PeerId, code: Refusal | None, wait_s: float, now_s: float) -> None:
        """A mailbox takes nothing for a while, ever longer. It says so of all that it was given at once."""
        known = self._shut.get(mailbox, _Shut(0, now_s, None))
        if now_s >= known.until_s or code in _NO_ROOM:
            again_s = max(wait_s, RETRY_S[min(known.count, len(RETRY_S) - 1)])
            self._shut[mailbox] = _Shut(known.count + 1, now_s + again_s, code)

    def lost(self, mailbox: PeerId, now_s: float) -> None:
        """The link to a mailbox is gone: what it was given and did not confirm goes out again."""
        for parcel in self.parcels.values():
            if parcel.sent_s.pop(mailbox, None) is not None:
                parcel.again_s[mailbox] = now_s

    def tidy(self, now_s: float, mailboxes: Iterable[PeerId]) -> None:
        """Give up on answers that did not come, and let go of envelopes that are done with."""
        asked = tuple(mailboxes)
        for msg_id, parcel in list(self.parcels.items()):
            for mailbox in [m for m, at_s in parcel.sent_s.items() if now_s - at_s >= self._within_s]:
                parcel.failed(mailbox, now_s)
                self._close(mailbox, None, self._within_s, now_s)
            answered = all(mailbox in parcel.kept_by or mailbox in parcel.again_s for mailbox in asked)
            if (parcel.is_kept and (answered or now_s - parcel.kept_s >= LINGER_S)) or now_s >= parcel.until_s:
                self._drop(msg_id)

    def committee_first(self, seq: int) -> None:
        """The central server did not keep an item that it came first for: its turn is over."""
        for msg_id, parcel in list(self.parcels.items()):
            if parcel.seq == seq:
                self._drop(msg_id)

    def drop_items(self, wanted: Iterable[int]) -> None:
        """Let go of items that are not among these any more: everybody has them."""
        gone = self._parts.keys() - set(wanted)
        for msg_id, parcel in list(self.parcels.items()):
            if parcel.seq in gone:
                self._drop(msg_id)
        for seq in gone:
            self._parts.pop(seq, None)

    def _drop(self, msg_id: MsgId) -> None:
        parcel = self.parcels.pop(msg_id)
        if parcel.seq is not None:
            left = self._parts.get(parcel.seq)
            if left is not None and not any(p.seq == parcel.seq for p in self.parcels.values()):
                del self._parts[parcel.seq]
