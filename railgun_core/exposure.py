"""The exposure ledger: what each kind of peer could have learned of this device, counted from what really happened.

Every sentence stands for a figure above zero and says it; what did not happen is not mentioned. The figures are counts
per day (UTC), role and kind; peers and tags are told apart by short salted hashes that are kept in memory only. So the
ledger itself tells nobody whom this device met. After a restart a peer met before counts again, and the sentence says
"up to". Pure: the day and the salt are given. Theory: protocol.md, section 10, "Exposure ledger".
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from railgun_core.changes import ExposurePut

DAY_S: Final = 86_400
MAX_DISTINCT: Final = 100_000  # peers or tags told apart in a day; beyond it the count stands still
_HASH_BYTES: Final = 8


class ExposedTo(enum.StrEnum):
    """In which role a peer met this device. The order is that of the page."""

    BOOTSTRAP = "bootstrap"
    DHT_CONTACT = "dht-contact"
    RELAY_DIRECT = "relay-direct"  # a relay of a room's committee that saw this device's address
    RELAY_GUARDED = "relay-guarded"  # one that was reached through a guard
    GUARD = "guard"
    FELLOW_RELAY = "fellow-relay"  # another relay that this relay connected to
    MIX_NEIGHBOUR = "mix-neighbour"  # another mix that this mix connected to
    CENTRAL = "central"  # the server of hybrid mode


class Figure(enum.StrEnum):
    """What is counted."""

    PEERS = "peers"
    LINKS = "links"
    TAGS = "tags"
    PUBLISHED = "published"  # envelopes this device gave
    DELIVERED = "delivered"  # envelopes this device got
    PACKETS = "packets"  # mix packets this device gave
    CELLS = "cells"  # what else went over a guard's link, both ways
    TUNNELS = "tunnels"  # relays asked for through a guard
    LOOKUPS = "lookups"
    PLACES = "places"  # ring targets
    BYTES_SENT = "bytes-sent"
    BYTES_RECEIVED = "bytes-received"
    RUNS = "runs"  # of the program that met this role: above one, peers and tags may count twice


Counts = Mapping[str, int]


class Ledger:
    """The figures of one day. `day` = floor(unix / 86,400)."""

    def __init__(self, *, day: int, salt: bytes) -> None:
        self.day = day
        self._salt = salt
        self._counts: dict[tuple[str, str], int] = {}
        self._distinct: dict[tuple[str, str], set[bytes]] = {}
        self._met: set[str] = set()
        self._changed: set[tuple[str, str]] = set()
        self._of_past_days: list[ExposurePut] = []

    def restore(self, puts: Iterable[ExposurePut]) -> None:
        """Add what was saved before this start; of other days nothing is taken."""
        for put in puts:
            if put.day == self.day:
                key = put.role, put.what
                self._counts[key] = self._counts.get(key, 0) + put.count

    def add(self, role: ExposedTo, what: Figure, count: int = 1) -> None:
        """Something happened `count` times. Nothing is noted for less than one."""
        if count < 1:
            return
        if role not in self._met:
            self._met.add(role)
            self._plus(role, Figure.RUNS, 1)
        self._plus(role, what, count)

    def add_distinct(self, role: ExposedTo, what: Figure, name: bytes) -> None:
        """A peer or a tag, counted once a day and run."""
        seen = self._distinct.setdefault((role, what), set())
        digest = hashlib.blake2b(name, key=self._salt, digest_size=_HASH_BYTES).digest()
        if digest not in seen and len(seen) < MAX_DISTINCT:
            seen.add(digest)
            self.add(role, what)

    def link_opened(self, role: ExposedTo, peer: bytes) -> None:
        """A link with a peer in this role is open, today for the first time."""
        self.add_distinct(role, Figure.PEERS, peer)
        self.add(role, Figure.LINKS)

    def roll(self, day: int) -> bool:
        """Begin another day, if it is one. What was not yet taken of the old one stays in `changed`."""
        if day == self.day:
            return False
        self._of_past_days += self._puts()
        self.day = day
        for kept in (self._counts, self._distinct, self._met, self._changed):
            kept.clear()
        return True

    def changed(self) -> tuple[ExposurePut, ...]:
        """Figures to save: those that changed since the last call."""
        puts = (*self._of_past_days, *self._puts())
        self._of_past_days.clear()
        self._changed.clear()
        return puts

    def counts(self) -> dict[str, dict[str, int]]:
        """By role, then kind."""
        return by_role(ExposurePut(self.day, role, what, n) for (role, what), n in self._counts.items())

    def _plus(self, role: str, what: str, count: int) -> None:
        key = str(role), str(what)
        self._counts[key] = self._counts.get(key, 0) + count
        self._changed.add(key)

    def _puts(self) -> list[ExposurePut]:
        return [ExposurePut(self.day, role, what, self._counts[role, what]) for role, what in sorted(self._changed)]


def by_role(puts: Iterable[ExposurePut]) -> dict[str, dict[str, int]]:
    """Figures of one day by role, in the order of the page; roles that this version does not know are left out."""
    found: dict[str, dict[str, int]] = {role.value: {} for role in ExposedTo}
    for put in puts:
        if put.role in found:
            found[put.role][put.what] = put.count
    return {role: counts for role, counts in found.items() if counts}


def words(role: ExposedTo, counts: Counts) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(what peers in this role could have learned, what they could not) as sentences."""
    said = _Said(counts)
    learned = tuple(line(said) for figure, line in _LEARNED[role] if counts.get(figure, 0) > 0)
    not_learned = tuple(line(said) for figure, line in _NOT_LEARNED[role] if said.total(figure) > 0)
    return learned, not_learned


@dataclass(frozen=True, slots=True)
class _Said:
    """Figures as words."""

    counts: Counts

    def total(self, figure: Figure) -> int:
        """For what envelopes say it does not matter which way they went."""
        if figure is Figure.PUBLISHED:
            return self.counts.get(Figure.PUBLISHED, 0) + self.counts.get(Figure.DELIVERED, 0)
        return self.counts.get(figure, 0)

    def of(self, figure: Figure, one: str, many: str | None = None) -> str:
        """`3 relays`, or `up to 3 relays` where a peer or a tag may have been counted in two runs."""
        count = self.counts.get(figure, 0)
        at_most = figure in (Figure.PEERS, Figure.TAGS) and self.counts.get(Figure.RUNS, 0) > 1
        return ("up to " if at_most else "") + _number(count, one, many)

    def envelopes(self) -> str:
        """Both ways."""
        return _number(self.total(Figure.PUBLISHED), "envelope")

    def first(self, figure: Figure, one: str, many: str | None = None) -> str:
        """The same at the start of a sentence."""
        text = self.of(figure, one, many)
        return text[0].upper() + text[1:]


def _number(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


_Line = tuple[Figure, Callable[[_Said], str]]
F = Figure
_TAG_MEANS: Final = "A tag stands for one room during one epoch, or for its mail during one day."
_NOTHING_SAID: Final = "A message, a room or the name of a member: "

_LEARNED: Final[dict[ExposedTo, tuple[_Line, ...]]] = {
    ExposedTo.BOOTSTRAP: (
        (F.PEERS, lambda s: f"{s.first(F.PEERS, 'bootstrap node')} could see this device's address and peer id."),
        (F.PLACES, lambda s: f"They were asked for the relays near {s.of(F.PLACES, 'place')} of the ring."),
    ),
    ExposedTo.DHT_CONTACT: (
        (F.PEERS, lambda s: f"{s.first(F.PEERS, 'contact')} could see this device's address and peer id."),
        (
            F.PLACES,
            lambda s: (
                f"Those that were asked could see some of the {s.of(F.PLACES, 'place')} of the ring that this device "
                f"looked near, in {s.of(F.LOOKUPS, 'look-up')}."
            ),
        ),
    ),
    ExposedTo.RELAY_DIRECT: (
        (
            F.PEERS,
            lambda s: (
                f"{s.first(F.PEERS, 'relay')} could see this device's address, and when it was connected "
                f"({s.of(F.LINKS, 'link')})."
            ),
        ),
        (F.TAGS, lambda s: f"This address attended {s.of(F.TAGS, 'tag')}. {_TAG_MEANS}"),
        (F.PUBLISHED, lambda s: f"This address sent {s.of(F.PUBLISHED, 'envelope')}: when, and of which size."),
        (F.DELIVERED, lambda s: f"This address was handed {s.of(F.DELIVERED, 'envelope')}: when, and of which size."),
    ),
    ExposedTo.RELAY_GUARDED: (
        (
            F.PEERS,
            lambda s: (
                f"{s.first(F.PEERS, 'relay')} could see that somebody was connected through a guard, and when "
                f"({s.of(F.LINKS, 'link')})."
            ),
        ),
        (F.TAGS, lambda s: f"Somebody behind a guard attended {s.of(F.TAGS, 'tag')}. {_TAG_MEANS}"),
        (F.PUBLISHED, lambda s: f"Somebody behind a guard sent {s.of(F.PUBLISHED, 'envelope')} on these links."),
        (F.DELIVERED, lambda s: f"Somebody behind a guard was handed {s.of(F.DELIVERED, 'envelope')}."),
    ),
    ExposedTo.GUARD: (
        (
            F.PEERS,
            lambda s: (
                f"{s.first(F.PEERS, 'guard')} could see this device's address, and when it was connected "
                f"({s.of(F.LINKS, 'link')})."
            ),
        ),
        (F.PACKETS, lambda s: f"They took {s.of(F.PACKETS, 'packet')} from it, all of one size."),
        (F.CELLS, lambda s: f"They exchanged {s.of(F.CELLS, 'cell')} with it, all of that size."),
        (F.TUNNELS, lambda s: f"They were asked {s.of(F.TUNNELS, 'time')} for a tunnel, and knew to which relay."),
    ),
    ExposedTo.FELLOW_RELAY: (
        (
            F.PEERS,
            lambda s: (
                f"{s.first(F.PEERS, 'relay')} could see this relay's address and peer id, which its public record "
                f"says too ({s.of(F.LINKS, 'link')})."
            ),
        ),
    ),
    ExposedTo.MIX_NEIGHBOUR: (
        (
            F.PEERS,
            lambda s: (
                f"{s.first(F.PEERS, 'mix', 'mixes')} could see this mix's address and peer id, which its public "
                f"record says too ({s.of(F.LINKS, 'link')})."
            ),
        ),
        (F.PACKETS, lambda s: f"They took {s.of(F.PACKETS, 'packet')} from it, all of one size."),
    ),
    ExposedTo.CENTRAL: (
        (
            F.LINKS,
            lambda s: (
                f"The central server could see this device's address, and when it was connected "
                f"({s.of(F.LINKS, 'link')})."
            ),
        ),
        (
            F.TAGS,
            lambda s: f"This address followed {s.of(F.TAGS, 'tag')} there, and so they belong together. {_TAG_MEANS}",
        ),
        (F.PUBLISHED, lambda s: f"This address left {s.of(F.PUBLISHED, 'envelope')} there: when, and of which size."),
        (F.DELIVERED, lambda s: f"This address was handed {s.of(F.DELIVERED, 'envelope')}: when, and of which size."),
    ),
}

_OF_TAGS: Final[_Line] = (
    F.TAGS,
    lambda s: f"Which rooms: from {s.of(F.TAGS, 'tag')} nobody gets the name of a room or of a member.",
)
_OF_ENVELOPES: Final[_Line] = (
    F.PUBLISHED,
    lambda s: f"What {s.envelopes()} held: only members have the keys.",
)

_NOT_LEARNED: Final[dict[ExposedTo, tuple[_Line, ...]]] = {
    ExposedTo.BOOTSTRAP: ((F.PEERS, lambda s: f"{_NOTHING_SAID}{s.of(F.PEERS, 'bootstrap node')} got none."),),
    ExposedTo.DHT_CONTACT: (
        (F.PEERS, lambda s: f"{_NOTHING_SAID}{s.of(F.PEERS, 'contact')} got none."),
        (F.PLACES, lambda s: f"What was sought: {s.of(F.PLACES, 'place')} of the ring alone tell no room."),
    ),
    ExposedTo.RELAY_DIRECT: (
        _OF_TAGS,
        _OF_ENVELOPES,
        (F.LINKS, lambda s: f"The peer id of this device: {s.of(F.LINKS, 'link')} used throw-away keys instead."),
    ),
    ExposedTo.RELAY_GUARDED: (
        (F.LINKS, lambda s: f"This device's address: {s.of(F.LINKS, 'link')} went through a guard."),
        _OF_TAGS,
        _OF_ENVELOPES,
    ),
    ExposedTo.GUARD: (
        (F.LINKS, lambda s: f"The peer id of this device: {s.of(F.LINKS, 'link')} used throw-away keys instead."),
        (F.PACKETS, lambda s: f"Which of {s.of(F.PACKETS, 'packet')} were messages: cover looks the same."),
        (F.TUNNELS, lambda s: f"What went through {s.of(F.TUNNELS, 'tunnel')}: the relay has the key, not the guard."),
    ),
    ExposedTo.FELLOW_RELAY: (
        (F.LINKS, lambda s: f"The rooms of this device: {s.of(F.LINKS, 'link')} carried its relay's work only."),
    ),
    ExposedTo.MIX_NEIGHBOUR: ((F.PACKETS, lambda s: f"Where {s.of(F.PACKETS, 'packet')} began, and where they end."),),
    ExposedTo.CENTRAL: (_OF_TAGS, _OF_ENVELOPES),
}
