"""What a machine does to an engine: it sleeps, it stands still, it moves to another address, its clock is wrong.

Looked at once a second. A sleep is seen by the wall clock running on without the monotonic one (or, where both run
on, by both), a stop by the monotonic one. After either all that was known of links is in doubt, so the node drops and
dials anew, the directory is asked anew, and this peer says anew where it is. Addresses are watched only where the
engine listens on all of them. A wrong clock takes the relay's role away, and a right one gives it back.
Source: protocol.md 9, threats B30 and B32.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Protocol

from railgun_core.base.clock import Instant
from railgun_core.base.skew import MIN_VOTES, ClockState
from railgun_core.discovery.dht import Dht
from railgun_core.engine.clock import Clock
from railgun_core.engine.entering import Entering
from railgun_core.engine.modes import Modes
from railgun_core.engine.presence import leaving_by
from railgun_core.events import Event, Woke

AWAY_S = 15.0
PLACE_EVERY_S = 3.0
VOTES_EVERY_S = 10.0  # while fewer than eight peers have told the time
STEP_S = 1.0  # a correction by more than this moves epochs, so everything is dialled anew


class Gaps:
    """Tells a sleep from a second that passed as it should."""

    def __init__(self, now: Instant) -> None:
        self._last = now

    def look(self, now: Instant) -> float:
        """Seconds that this machine was away since the last look; 0.0 when it was not."""
        wall_s, mono_s = now.unix_s - self._last.unix_s, now.mono_s - self._last.mono_s
        self._last = now
        if wall_s - mono_s > AWAY_S:
            return wall_s
        return mono_s if mono_s > AWAY_S else 0.0


class Place:
    """Notices that this machine has another address, or has one again. `addresses` says what it has now."""

    def __init__(self, addresses: Callable[[], frozenset[str]]) -> None:
        self._addresses = addresses
        self._known = addresses()
        self._was_nowhere = not self._known

    def has_changed(self) -> bool:
        """Whether links must be opened anew. While there is no address nothing can be: that is no change yet."""
        now = self._addresses()
        if not now:
            self._was_nowhere = True
            return False
        changed = self._was_nowhere or now != self._known
        self._known, self._was_nowhere = now, False
        return changed


def addresses_for(listen_host: str) -> frozenset[str]:
    """The address a packet to the outside would leave by; where there is no way out, those of all interfaces."""
    out = leaving_by(listen_host)
    if out is not None:
        return frozenset((out,))
    import psutil  # 2 MB that most engines never need

    family = socket.AF_INET6 if ":" in listen_host else socket.AF_INET
    found = (one for several in psutil.net_if_addrs().values() for one in several if one.family == family)
    return frozenset(one.address for one in found if not one.address.startswith(("127.", "::1", "fe80:")))


class WakefulEngine(Protocol):
    """What of the engine is needed here."""

    clock: Clock
    dht: Dht
    entering: Entering
    modes: Modes

    def tell(self, event: Event) -> None:
        """An event for the node."""

    def notice(self, code: str, level: str = "info", detail: str = "") -> None:
        """Something for a person to know."""

    def renew_record(self) -> None:
        """Sign what this peer says of itself anew and publish it."""


class Waking:
    """Watches the machine of one engine. `place` None: the engine listens at one named address."""

    def __init__(self, engine: WakefulEngine, place: Place | None) -> None:
        self._engine = engine
        self._place = place
        now = engine.clock.own()
        self._gaps = Gaps(now)
        self._placed_s = self._asked_s = now.mono_s
        self._state = ClockState.UNKNOWN

    def look(self) -> None:
        """Once a second."""
        now = self._engine.clock.own()
        if away_s := self._gaps.look(now):
            self._engine.clock.skew.forget()  # old votes were counted against a clock that stood still
            self._engine.dht.ask_the_time(frozenset())
            self._wake("sleep", away_s)
        elif self._place is not None and now.mono_s - self._placed_s >= PLACE_EVERY_S:
            self._placed_s = now.mono_s
            if self._place.has_changed():
                self._wake("address", 0.0)
        self._review(now)

    def _wake(self, cause: str, gap_s: float) -> None:
        engine = self._engine
        engine.notice("slept" if cause == "sleep" else "moved")
        engine.entering.find_back(moved=cause == "address")
        engine.modes.woke()
        engine.renew_record()
        engine.tell(Woke(cause, gap_s))

    def _review(self, now: Instant) -> None:
        clock = self._engine.clock
        moved_s = clock.review()
        if len(clock.skew) < MIN_VOTES and now.mono_s - self._asked_s >= VOTES_EVERY_S:
            self._asked_s = now.mono_s
            self._engine.dht.ask_the_time(clock.skew.voters())
        before, self._state = self._state, clock.judgement.state
        if before is not self._state:
            self._say(before)
        if abs(moved_s) > STEP_S:
            self._engine.renew_record()
            self._engine.tell(Woke("clock", abs(moved_s)))

    def _say(self, before: ClockState) -> None:
        found = self._engine.clock.judgement
        match found.state:
            case ClockState.WRONG:
                self._engine.notice("clock-wrong", "error", f"by {-(found.offset_s or 0.0):+,.0f} s")
            case ClockState.CORRECTED:
                self._engine.notice("clock-corrected", "warning", f"by {found.correction_s:+,.0f} s")
            case _ if before is not ClockState.UNKNOWN:
                self._engine.notice("clock-right")
            case _:
                pass
