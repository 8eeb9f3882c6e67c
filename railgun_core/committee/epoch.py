"""Unix time to epochs and back.

An epoch is `floor(unix / epoch_s)`. A committee prepares one overlap before its epoch, serves it, keeps serving for one
overlap after it beside its successor, and then retires.
"""

from __future__ import annotations

from dataclasses import dataclass

EPOCH_S = 600  # the seed's ten minutes
DAY_S = 86_400  # the epoch of mailboxes: floor(unix / 86,400)
MAIL_TTL_DAYS = 7  # protocol.md 6.5
OVERLAP_SHARE = 0.2  # the seed's two of ten minutes, scaled with the epoch


@dataclass(frozen=True, slots=True)
class EpochClock:
    """The schedule that everybody on one network shares."""

    epoch_s: int
    overlap_s: float

    def epoch_at(self, unix_s: float) -> int:
        """The epoch that is current at a moment."""
        return int(unix_s // self.epoch_s)

    def start_s(self, epoch: int) -> float:
        """When an epoch begins."""
        return float(epoch * self.epoch_s)

    def end_s(self, epoch: int) -> float:
        """When the next one begins."""
        return float((epoch + 1) * self.epoch_s)

    def prepare_s(self, epoch: int) -> float:
        """From when on its committee is computed and sessions are opened."""
        return self.start_s(epoch) - self.overlap_s

    def retire_s(self, epoch: int) -> float:
        """When its committee forgets it."""
        return self.end_s(epoch) + self.overlap_s

    def live_epochs(self, unix_s: float) -> tuple[int, ...]:
        """The epochs in preparation, service or overlap at a moment, oldest first: one or two."""
        current = self.epoch_at(unix_s)
        return tuple(
            epoch
            for epoch in (current - 1, current, current + 1)
            if self.prepare_s(epoch) <= unix_s < self.retire_s(epoch)
        )


def make_clock(epoch_s: int) -> EpochClock:
    """The schedule for an epoch length, with the overlap scaled."""
    return EpochClock(epoch_s, epoch_s * OVERLAP_SHARE)
