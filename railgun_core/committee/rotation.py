"""The life of one duty, as a table.

    PREPARING --started--> SERVING --ended--> OVERLAP --closed--> RETIRED

Only time moves it, and every duty ends in RETIRED: a machine that slept through several events takes them all at once.
"""

from __future__ import annotations

import enum

from railgun_core.committee.epoch import EpochClock
from railgun_core.status import DutyState


class Turn(enum.Enum):
    """What time brings to a duty."""

    STARTED = "started"
    ENDED = "ended"
    CLOSED = "closed"


TRANSITIONS: dict[tuple[DutyState, Turn], DutyState] = {
    (DutyState.PREPARING, Turn.STARTED): DutyState.SERVING,
    (DutyState.SERVING, Turn.ENDED): DutyState.OVERLAP,
    (DutyState.OVERLAP, Turn.CLOSED): DutyState.RETIRED,
}
_NEXT_TURN = {
    DutyState.PREPARING: Turn.STARTED,
    DutyState.SERVING: Turn.ENDED,
    DutyState.OVERLAP: Turn.CLOSED,
}


class Rotation:
    """Where one epoch's duty stands."""

    __slots__ = ("_clock", "epoch", "state")

    def __init__(self, epoch: int, clock: EpochClock) -> None:
        self.epoch = epoch
        self._clock = clock
        self.state = DutyState.PREPARING

    def next_turn_s(self) -> float | None:
        """The Unix time of the next transition; None when retired."""
        match self.state:
            case DutyState.PREPARING:
                return self._clock.start_s(self.epoch)
            case DutyState.SERVING:
                return self._clock.end_s(self.epoch)
            case DutyState.OVERLAP:
                return self._clock.retire_s(self.epoch)
            case DutyState.RETIRED:
                return None

    def advance(self, unix_s: float) -> tuple[DutyState, ...]:
        """Take every transition that is due; the states entered, in order."""
        entered: list[DutyState] = []
        while (due_s := self.next_turn_s()) is not None and due_s <= unix_s:
            self.state = TRANSITIONS[self.state, _NEXT_TURN[self.state]]
            entered.append(self.state)
        return tuple(entered)
