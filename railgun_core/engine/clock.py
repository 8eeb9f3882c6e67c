"""Where real time enters: both clocks at once, the wall clock as other peers' clocks correct it.

Every part of an engine asks this one object, so that epochs, records, datagrams and the page agree. Monotonic seconds
are never corrected: a timer that was set fires when it was meant to.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from railgun_core.base.clock import Instant
from railgun_core.base.skew import ClockState, Judgement, Skew
from railgun_core.status import ClockStatus


class Clock:
    """The time of one engine. `wall` and `mono` are what the machine says."""

    def __init__(self, *, wall: Callable[[], float] = time.time, mono: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._mono = mono
        self._correction_s = 0.0
        self.skew = Skew()

    def instant(self) -> Instant:
        """Both clocks, now, corrected."""
        return Instant(self._mono(), self._wall() + self._correction_s)

    def own(self) -> Instant:
        """Both clocks as this machine shows them."""
        return Instant(self._mono(), self._wall())

    def public(self) -> Instant:
        """The time as others would say it: also when this machine is too far off to be corrected.

        For what is said to others (datagrams, this peer's record), never for epochs.
        """
        found = self.judgement
        if found.state is not ClockState.WRONG or found.offset_s is None:
            return self.instant()
        return Instant(self._mono(), self._wall() + found.offset_s)

    @property
    def judgement(self) -> Judgement:
        """The last judgement."""
        return self.skew.judgement

    def heard(self, peer: bytes, peer_unix_s: float, asked_s: float, net: bytes | None = None) -> None:
        """An answer that `peer` of `net` signed says this time; it was asked at the monotonic time `asked_s`."""
        self.skew.vote(peer, peer_unix_s, asked_s=asked_s, answered_s=self._mono(), net=net)

    def review(self) -> float:
        """Judge anew and correct; by how much the time of this engine was moved, seconds."""
        now = self.own()
        before_s = self._correction_s
        self._correction_s = self.skew.judge(mono_s=now.mono_s, unix_s=now.unix_s).correction_s
        return self._correction_s - before_s

    def status(self) -> ClockStatus:
        """As people see it."""
        found = self.judgement
        return ClockStatus(found.state.value, found.offset_s, found.peers)
