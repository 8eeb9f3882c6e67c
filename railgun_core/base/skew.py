"""How far this machine's clock is off, by the median of what other peers' clocks show.

A peer says the time in a signed answer; it has one vote, its newest one, for an hour. Ids cost next to nothing, so the
peers of one network have two votes together. Fewer than eight votes say nothing. A machine that is off by less than two
seconds is left alone: who is right is not moved, whatever a minority says, for a minority cannot move a median out of
what the others say. Up to 120 s off is corrected. Further off is not corrected but said: this machine's epochs would be
others' pasts or futures, and a crowd of liars must not carry it there. Votes are kept against the monotonic clock, so a
wall clock that is set anew is judged at once, by old votes.
Source: protocol.md 9, threat B30; the vote is on uncorrected clocks, or errors would go round and add up.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from dataclasses import dataclass
from statistics import median

MIN_VOTES = 8
MAX_VOTES = 256
MAX_VOTES_OF_NET = 2  # as many as a bucket of the directory takes; whoever is one LAN switches address limits off
VOTE_LIFE_S = 3_600.0
LIMIT_S = 120.0  # as much as is corrected
LEAVE_ALONE_S = 2.0  # epochs are two seconds at least, and answers may take as long
FOLLOW_S = 0.5  # a correction within this is not worth a step of the clock
MAX_ROUND_TRIP_S = 2.0  # an answer that took longer says too little about the time


class ClockState(enum.StrEnum):
    """What the votes say of this machine's clock."""

    UNKNOWN = "unknown"
    RIGHT = "right"
    CORRECTED = "corrected"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A judgement. `offset_s`: how far the peers are ahead of this machine; None while too few have voted."""

    state: ClockState = ClockState.UNKNOWN
    offset_s: float | None = None
    peers: int = 0
    correction_s: float = 0.0  # to be added to what this machine's clock shows


class Skew:
    """The votes of other peers, and the correction that follows from them."""

    __slots__ = ("_votes", "judgement")

    def __init__(self) -> None:
        self._votes: OrderedDict[bytes, tuple[float, float, bytes]] = OrderedDict()  # its time - our mono, mono, net
        self.judgement = Judgement()

    def __len__(self) -> int:
        return len(self._votes)

    def vote(
        self, peer: bytes, peer_unix_s: float, *, asked_s: float, answered_s: float, net: bytes | None = None
    ) -> bool:
        """An authenticated answer said the time. `asked_s`, `answered_s`: monotonic. Whether it counts.

        `net`: where the peer is, for networks whose addresses say something; None: it stands alone.
        """
        if not 0 <= answered_s - asked_s < MAX_ROUND_TRIP_S:
            return False
        self._votes.pop(peer, None)
        neighbours = [one for one, vote in self._votes.items() if vote[2] == net] if net is not None else []
        if len(neighbours) >= MAX_VOTES_OF_NET:
            del self._votes[neighbours[0]]
        self._votes[peer] = (peer_unix_s - (asked_s + answered_s) / 2, answered_s, peer if net is None else net)
        if len(self._votes) > MAX_VOTES:
            self._votes.popitem(last=False)
        return True

    def voters(self) -> frozenset[bytes]:
        """Whose vote is known."""
        return frozenset(self._votes)

    def forget(self) -> None:
        """The monotonic clock stood still, or the machine did: old votes are worth nothing. The correction stays."""
        self._votes.clear()

    def judge(self, *, mono_s: float, unix_s: float) -> Judgement:
        """What the votes say now; `unix_s` is this machine's own clock, uncorrected. Costs a sort of 256 at most."""
        while self._votes and mono_s - next(iter(self._votes.values()))[1] > VOTE_LIFE_S:
            self._votes.popitem(last=False)
        count, before = len(self._votes), self.judgement
        if count < MIN_VOTES:
            # Too few to say anything new: what was found before stands until it is contradicted.
            self.judgement = Judgement(before.state, before.offset_s, count, before.correction_s)
            return self.judgement
        offset_s = median(sum_s for sum_s, _, _ in self._votes.values()) - (unix_s - mono_s)
        state, correction_s = _judged(offset_s, before)
        self.judgement = Judgement(state, round(offset_s, 3), count, correction_s)
        return self.judgement


def _judged(offset_s: float, before: Judgement) -> tuple[ClockState, float]:
    if abs(offset_s) > LIMIT_S:
        return ClockState.WRONG, 0.0
    # Back to one's own clock only when it is clearly right, or the correction would come and go.
    leave_alone_s = LEAVE_ALONE_S / 2 if before.correction_s else LEAVE_ALONE_S
    if abs(offset_s) <= leave_alone_s:
        return ClockState.RIGHT, 0.0
    if before.correction_s and abs(offset_s - before.correction_s) <= FOLLOW_S:
        return ClockState.CORRECTED, before.correction_s
    return ClockState.CORRECTED, offset_s
