"""How well each relay of a lane has served this member lately, as the member sees it by itself.

Of an envelope that is here every relay in use should have spoken: the one that pushes by bringing it, the one that
announces by naming it. Of an own item that a relay took, another one should hear. Who does not, while others do, has
failed; one look a second sums up to one mark, so that a hiccup is one failure whatever it held up. The marks make an
average that fades with time. Who fails often comes behind the others; nobody is given up, nobody else is told, and
where all fail alike nothing changes. A lane keeps its own book: what a relay does in one room or epoch never shows in
another, because it could tell by that which of its members are one. Pure. Source: threats.md B10.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from railgun_core.base.ids import MsgId, PeerId

SERVED_WITHIN_S = 1.2  # an announcement takes up to 0.6 s, its links the rest
WEIGHT = 0.25  # of one mark: three failures in a row are more than half
POOR, FAIR = 0.5, 0.25  # shares of failures: from one on it comes last, down to the other it stays there
LEVELS = 8  # smaller differences of the share than this part say nothing
HALVED_IN_S = 120.0
MAX_RELAYS = 16  # a roster has eight, and views may differ
MAX_OPEN = 256  # envelopes that are watched at a time; more at once tell no more
MAX_OWN = 64  # of these own ones, which are kept whole
MAX_GIVEN = 3  # relays that get an own one, one after the other, until others hear of it


class Esteem:
    """The share of failures of each relay."""

    __slots__ = ("_looked_s", "_shares", "poor", "proved")

    def __init__(self) -> None:
        self._shares: dict[PeerId, float] = {}
        self._looked_s = 0.0
        self.poor: set[PeerId] = set()
        self.proved: set[PeerId] = set()  # who has served at least once

    def level(self, relay: PeerId) -> int:
        """0 for a relay without failures that count, up to LEVELS."""
        return int(self._shares.get(relay, 0.0) * LEVELS)

    def fade(self, now_s: float) -> bool:
        """Let time pass; whether a relay is no longer poor."""
        factor = 0.5 ** (max(0.0, now_s - self._looked_s) / HALVED_IN_S)
        self._looked_s = now_s
        self._shares = {relay: share * factor for relay, share in self._shares.items()}
        before = len(self.poor)
        self.poor = {relay for relay in self.poor if self._shares.get(relay, 0.0) >= FAIR}
        return len(self.poor) < before

    def mark(self, served: Iterable[PeerId], failed: Iterable[PeerId]) -> bool:
        """What one look has shown; whether a relay has become poor. Who failed once in it has failed."""
        before, bad = len(self.poor), set(failed)
        for relay in bad.union(served):
            share = self._shares.get(relay, 0.0)
            if relay not in self._shares and len(self._shares) >= MAX_RELAYS:
                continue
            self._shares[relay] = share + WEIGHT * ((relay in bad) - share)
            if relay not in bad:
                self.proved.add(relay)
            elif self._shares[relay] >= POOR:
                self.poor.add(relay)
        return len(self.poor) > before


@dataclass(slots=True, eq=False)
class Spoken:
    """One envelope and who spoke of it. `since_s` None: it is not here yet, or no relay has taken it yet."""

    since_s: float | None = None
    by: set[PeerId] = field(default_factory=set)
    frame: bytes = b""  # of an own one
    seq: int | None = None  # of an own item
    given: tuple[PeerId, ...] = ()  # the relays that an own one was given to, in this order

    @property
    def is_heard(self) -> bool:
        """Whether a relay speaks of an own one that was not given it."""
        return not self.by.issubset(self.given)

    def is_due(self, now_s: float) -> bool:
        return self.since_s is not None and self.since_s + SERVED_WITHIN_S <= now_s


class Hearsay:
    """The envelopes of the last moment, others' and own, and which relays spoke of them."""

    __slots__ = ("_open", "_own")

    def __init__(self) -> None:
        self._open: dict[MsgId, Spoken] = {}
        self._own = 0

    def came(self, msg_id: MsgId, relay: PeerId, now_s: float, *, is_new: bool) -> None:
        """A relay brought an envelope of somebody else. `is_new`: it was opened just now."""
        spoken = self._open.get(msg_id)
        if spoken is None and is_new:
            spoken = self._begin(msg_id)
        if spoken is not None:
            spoken.by.add(relay)
            if spoken.since_s is None and is_new:
                spoken.since_s = now_s

    def named(self, ids: Iterable[MsgId], relay: PeerId, *, lacking: set[MsgId]) -> None:
        """A relay says that it holds these; of them `lacking` are not here."""
        for msg_id in ids:
            spoken = self._open.get(msg_id)
            if spoken is None and msg_id in lacking:
                spoken = self._begin(msg_id)
            if spoken is not None:
                spoken.by.add(relay)

    def gave(self, msg_id: MsgId, relay: PeerId, frame: bytes, *, seq: int | None = None) -> None:
        """An own envelope leaves for a relay."""
        spoken = self._open.get(msg_id)
        if spoken is None and (self._own < MAX_OWN or self._forget_idle(own=True)):
            spoken = self._begin(msg_id)
        if spoken is None:
            return
        self._own += not spoken.given
        spoken.frame, spoken.seq, spoken.since_s = frame, seq, None
        if relay not in spoken.given:
            spoken.given = (*spoken.given, relay)

    def taken(self, ids: Iterable[MsgId], now_s: float) -> None:
        """A relay says that it has these own ones: others should hear of them from now on."""
        for msg_id in ids:
            spoken = self._open.get(msg_id)
            if spoken is not None:
                spoken.since_s = now_s

    def due_s(self, now_s: float) -> float | None:
        """When to look for unheard ones again; None while there are none to come."""
        own = [spoken.since_s for spoken in self._open.values() if spoken.given and spoken.since_s is not None]
        return min((at_s for since_s in own if (at_s := since_s + SERVED_WITHIN_S) > now_s), default=None)

    def unheard(self, now_s: float, *, witnesses: set[PeerId]) -> list[tuple[MsgId, Spoken]]:
        """Own envelopes that relays have taken, and of which no witness has heard in time."""
        return [
            (msg_id, spoken)
            for msg_id, spoken in self._open.items()
            if 0 < len(spoken.given) < MAX_GIVEN
            and spoken.is_due(now_s)
            and not spoken.is_heard
            and witnesses.difference(spoken.given)
        ]

    def judge(
        self, now_s: float, *, in_use: Mapping[PeerId, float], proved: set[PeerId]
    ) -> tuple[set[PeerId], set[PeerId]]:
        """Who has served and who has failed, by what is due.

        `in_use`: relays that push or announce, and since when; `proved`: who has served before.
        """
        served: set[PeerId] = set()
        failed: set[PeerId] = set()
        for msg_id, spoken in list(self._open.items()):
            if spoken.since_s is None or not spoken.is_due(now_s):
                continue
            if spoken.given and not spoken.is_heard and not spoken.is_due(now_s - SERVED_WITHIN_S):
                continue  # it may be given to another one
            self._drop(msg_id)
            asked = {relay for relay, used_s in in_use.items() if used_s <= spoken.since_s}
            if spoken.given:
                _judge_own(spoken, asked, proved, served, failed)
            else:
                served |= asked & spoken.by
                failed |= asked - spoken.by
        return served, failed

    def _begin(self, msg_id: MsgId) -> Spoken | None:
        if len(self._open) >= MAX_OPEN and not self._forget_idle(own=False):
            return None
        spoken = self._open[msg_id] = Spoken()
        return spoken

    def _forget_idle(self, *, own: bool) -> bool:
        """Let the oldest go that never came, or that no relay has taken; whether there was one."""
        waiting = (known for known, s in self._open.items() if s.since_s is None and (s.given or not own))
        idle = next(waiting, None)
        if idle is not None:
            self._drop(idle)
        return idle is not None

    def _drop(self, msg_id: MsgId) -> None:
        self._own -= bool(self._open.pop(msg_id).given)


def _judge_own(
    spoken: Spoken, asked: set[PeerId], proved: set[PeerId], served: set[PeerId], failed: set[PeerId]
) -> None:
    """Of an own envelope.

    Heard after one relay had it: that one has served. Heard only after a second one had it as well: the first kept it
    to itself. Never heard: the witnesses are deaf; if they have heard before, it was kept back.
    """
    witnesses = asked.difference(spoken.given)
    heard = witnesses & spoken.by
    served |= heard
    if heard:
        failed |= witnesses - heard
        served.add(spoken.given[-1])
        failed.update(spoken.given[:-1])
    elif witnesses:
        failed |= witnesses - proved or set(spoken.given)
