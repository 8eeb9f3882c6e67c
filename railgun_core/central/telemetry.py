"""How relays performed for this device, by day: counted here, kept here, and never sent by itself.

For each relay: envelopes given to it, how many of them a majority of its committee held, how many it refused or lost,
how often it could not be reached, and how long it took to answer, in coarse classes. 31 days are kept. `rows` shows a
day; `shared` is what may go to the central server of hybrid mode if the person says so: sums over all relays, rounded
to two digits, because which relays a device used says in which rooms it is.
"""

from __future__ import annotations

import bisect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

DAYS_KEPT = 31
RELAYS_A_DAY = 500
OTHERS = "others"  # all relays of a day beyond so many
SETTING = "telemetry."
SHARED_SETTING = "telemetry.shared"
CLASSES_MS = (50, 100, 200, 400, 800, 1_600, 3_200)  # upper edges; the last class is above all of them


class RelayRow(msgspec.Struct, frozen=True):
    """One relay on one day. `p50_ms`, `p95_ms`: the upper edge of the class, None when nothing was measured.

    The slowest class is open: where it says 3,200 the time was more than 1,600, and may be any.
    """

    relay: str
    attempts: int
    stored: int
    failures: int
    unreached: int
    p50_ms: int | None
    p95_ms: int | None


@dataclass(slots=True)
class Counts:
    """What is counted of one relay on one day."""

    attempts: int = 0
    stored: int = 0
    failures: int = 0
    unreached: int = 0
    classes: list[int] = field(default_factory=lambda: [0] * (len(CLASSES_MS) + 1))

    def took(self, ms: float) -> None:
        """One answer after `ms`."""
        self.classes[bisect.bisect_left(CLASSES_MS, ms)] += 1

    def quantile(self, share: float) -> int | None:
        """The upper edge of the class that holds this quantile."""
        wanted = share * sum(self.classes)
        if not wanted:
            return None
        seen = 0
        for edge, count in zip((*CLASSES_MS, CLASSES_MS[-1]), self.classes, strict=True):
            seen += count
            if seen >= wanted:
                return edge
        return CLASSES_MS[-1]


class Telemetry:
    """The counts of all kept days."""

    def __init__(self) -> None:
        self.days: dict[int, dict[str, Counts]] = {}
        self.shared_day = 0
        self._changed: set[int] = set()

    def of(self, relay: str, day: int) -> Counts:
        """The counts of a relay on a day, to be added to."""
        self._changed.add(day)
        relays = self.days.setdefault(day, {})
        if relay not in relays and len(relays) >= RELAYS_A_DAY:
            relay = OTHERS
        return relays.setdefault(relay, Counts())

    def rows(self, day: int) -> tuple[RelayRow, ...]:
        """A day as people see it: the most used relays first."""
        return tuple(
            RelayRow(name, c.attempts, c.stored, c.failures, c.unreached, c.quantile(0.5), c.quantile(0.95))
            for name, c in sorted(self.days.get(day, {}).items(), key=lambda item: (-item[1].attempts, item[0]))
        )

    def shared(self, day: int) -> bytes | None:
        """A day as it may be told to others; None when there is nothing to tell."""
        counts = list(self.days.get(day, {}).values())
        if not any(c.attempts or c.unreached for c in counts):
            return None
        told = {
            "v": 1,
            "day": day,
            "relays": _rounded(len(counts)),
            "attempts": _rounded(sum(c.attempts for c in counts)),
            "stored": _rounded(sum(c.stored for c in counts)),
            "failures": _rounded(sum(c.failures for c in counts)),
            "unreached": _rounded(sum(c.unreached for c in counts)),
            "classes_ms": CLASSES_MS,
            "answers": [_rounded(sum(column)) for column in zip(*(c.classes for c in counts), strict=True)],
        }
        return json.dumps(told, separators=(",", ":")).encode()

    # ------------------------------------------------------------ settings

    def changes(self, today: int) -> dict[str, str | None]:
        """Settings that changed since the last call, by name; None: a day that is no longer kept."""
        found: dict[str, str | None] = {}
        for day in [day for day in self.days if day <= today - DAYS_KEPT]:
            del self.days[day]
            self._changed.discard(day)
            found[f"{SETTING}{day}"] = None
        for day in sorted(self._changed):
            found[f"{SETTING}{day}"] = _written(self.days[day])
        self._changed.clear()
        return found

    def restore(self, settings: Mapping[str, str]) -> None:
        """Go on from saved settings; what cannot be read is left out."""
        for name, text in settings.items():
            key = name.removeprefix(SETTING)
            if name == SHARED_SETTING and text.isdecimal():
                self.shared_day = int(text)
            elif name.startswith(SETTING) and key.isdecimal() and (relays := _read(text)):
                self.days[int(key)] = relays


def _rounded(number: int) -> int:
    """The first two digits of a number, zeros for the rest."""
    unit = int(10 ** max(0, len(str(number)) - 2))
    return number // unit * unit


def _written(relays: Mapping[str, Counts]) -> str:
    rows = {name: [c.attempts, c.stored, c.failures, c.unreached, *c.classes] for name, c in relays.items()}
    return json.dumps(rows, separators=(",", ":"))


def _read(text: str) -> dict[str, Counts]:
    width = 4 + len(CLASSES_MS) + 1
    try:
        rows = msgspec.json.decode(text, type=dict[str, list[int]])
    except msgspec.MsgspecError:
        return {}
    whole = {name: row for name, row in rows.items() if len(row) == width}
    return {name: Counts(row[0], row[1], row[2], row[3], row[4:]) for name, row in whole.items()}
