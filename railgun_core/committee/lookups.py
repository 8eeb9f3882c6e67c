"""Where in the directory to look for relays, and how often.

Around the places of all committees in use; a mix, which has to know whoever may be a packet's next hop, also looks
around places drawn anew. Never around the tags of high-security rooms: whoever answers would learn that this device
asks for them; the caller leaves them out. Often after a change, ever more rarely while nothing new turns up.
Mailboxes have places of their own to be looked up, because the directory keeps them apart from the relays.
"""

from __future__ import annotations

from collections.abc import Iterable

from railgun_core.base.ids import DHT_ID_BYTES, PeerId, Tag
from railgun_core.base.rng import Rng
from railgun_core.committee.epoch import EpochClock
from railgun_core.committee.selection import seat_targets
from railgun_core.committee.view import MAILBOX_SEATS

MAX_TARGETS = 64
EVERY_S = (5.0, 60.0)  # a quarter of an epoch, within these bounds: often enough before each handover
AFTER_CHANGE_S = 1.0
SLOWER = 1.5
ROAM_TARGETS = (8, 3)  # places drawn anew at each look-up of a mix, 16 address groups each; once nothing is new, less
ROAM_LOOKUPS = 4


class Lookups:
    """The pace and the places of one node's look-ups."""

    def __init__(self, rng: Rng, clock: EpochClock, committee_size: int, *, roams: bool) -> None:
        self._rng = rng
        self._size = committee_size
        self._settled_s = min(max(clock.epoch_s / 4, EVERY_S[0]), EVERY_S[1])
        self._roams = roams
        self._quiet = 0
        self._turn = 0

    def news(self) -> None:
        """The view has changed: look again soon."""
        self._quiet = 0

    def targets(self, wanted: Iterable[tuple[bytes, int]], own: PeerId | None) -> tuple[bytes, ...]:
        """Ring places around the tags and epochs in `wanted`; around some place when there is none.

        `own`: this peer's id when it serves others, whose place is public; a client shows none that stays the same.
        """
        found = _places(wanted, self._size) + (self._roaming() if self._roams else [])
        return self._bounded(found) or (own[:DHT_ID_BYTES] if own is not None else self._rng.randbytes(DHT_ID_BYTES),)

    def mailboxes(self, wanted: Iterable[tuple[bytes, int]], *, keeps_mail: bool) -> tuple[bytes, ...]:
        """Ring places around the mail tags and days in `wanted`.

        Who keeps mail has to know who else does, for tags it has yet to hear of; so has a mix, whose list its clients
        take over: they look around places drawn anew, as above.
        """
        return self._bounded(_places(wanted, MAILBOX_SEATS) + (self._roaming() if self._roams or keeps_mail else []))

    def next_in_s(self) -> float:
        """How long until the next look-up; each call without news in between makes it longer."""
        every_s = min(self._settled_s, AFTER_CHANGE_S * SLOWER**self._quiet)
        self._quiet += 1
        self._turn += 1
        return every_s * self._rng.uniform(0.8, 1.2)

    def _roaming(self) -> list[bytes]:
        roam = ROAM_TARGETS[0] if self._quiet < ROAM_LOOKUPS else ROAM_TARGETS[1]
        return [self._rng.randbytes(DHT_ID_BYTES) for _ in range(roam)]

    def _bounded(self, places: list[bytes]) -> tuple[bytes, ...]:
        """At most MAX_TARGETS; of more, others at each look-up, so that each has its turn."""
        unique = list(dict.fromkeys(places))
        start = self._turn * MAX_TARGETS % len(unique) if len(unique) > MAX_TARGETS else 0
        return tuple((unique[start:] + unique[:start])[:MAX_TARGETS])


def _places(wanted: Iterable[tuple[bytes, int]], size: int) -> list[bytes]:
    return [place for tag, epoch in wanted for place in seat_targets(Tag(tag), epoch, size)]
