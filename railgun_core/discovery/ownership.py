"""When an owner stores its records again.

Soon after the first time, because a young network changes under it (2, 5 and 15 s, to the
neighbours it knows); then at a third of the lifetime,
give or take a fifth, so that owners do not fall into step. A PEER record is signed anew each time a third has passed;
an ANNOUNCEMENT belongs to one epoch and ends with it. Pure: `now` and `rng` come from outside.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from railgun_core.base.clock import Instant
from railgun_core.base.ids import Tag
from railgun_core.base.keys import Identity
from railgun_core.base.rng import Rng
from railgun_core.wire.records import AnnouncementBody, PeerBody, Record, RecordKind, sign_record

YOUNG_PEER_S = (2.0, 5.0, 15.0)
YOUNG_ANNOUNCEMENT_S = (5.0,)
_SPREAD = 0.2

OwnSlot: TypeAlias = tuple[RecordKind, Tag | None]


@dataclass(slots=True)
class _Owned:
    record: Record
    lifetime_s: float
    renew_s: float
    due_s: list[float]


def slot_of(record: Record) -> OwnSlot:
    return record.kind, record.body.tag if isinstance(record.body, AnnouncementBody) else None


class Ownership:
    """The records this node keeps alive, and when each is due."""

    def __init__(self, identity: Identity, *, rng: Rng) -> None:
        self._identity = identity
        self._rng = rng
        self._owned: dict[OwnSlot, _Owned] = {}

    def __len__(self) -> int:
        return len(self._owned)

    @property
    def records(self) -> tuple[Record, ...]:
        return tuple(owned.record for owned in self._owned.values())

    def add(self, record: Record, *, now: Instant) -> None:
        """Keep this record alive from now on; it takes the place of an earlier one of its kind and tag."""
        if record.public_key != self._identity.public_key:
            return
        slot = slot_of(record)
        known = self._owned.get(slot)
        lifetime_s = max(1.0, record.expires_s - record.sequence / 1000)
        owned = _Owned(record, lifetime_s, now.mono_s + self._third(lifetime_s), [])
        if known is None or _lasting(known.record) != _lasting(record):
            young = YOUNG_PEER_S if record.kind is RecordKind.PEER else YOUNG_ANNOUNCEMENT_S
            owned.due_s = [now.mono_s + wait_s for wait_s in young if wait_s < lifetime_s / 3]
        self._owned[slot] = owned

    def drop(self, record: Record) -> None:
        """Store it no more."""
        self._owned.pop(slot_of(record), None)

    def due(self, *, now: Instant) -> list[tuple[Record, bool]]:
        """The records to store now, and whether their place must be looked up (a third of their life has passed)."""
        ready: list[tuple[Record, bool]] = []
        for slot, owned in list(self._owned.items()):
            if owned.record.kind is RecordKind.ANNOUNCEMENT and now.unix_s >= owned.record.expires_s:
                del self._owned[slot]
                continue
            soon = bool(owned.due_s) and now.mono_s >= owned.due_s[0]
            if soon:
                owned.due_s = [at_s for at_s in owned.due_s if at_s > now.mono_s]
            regular = now.mono_s >= owned.renew_s
            if regular:
                owned.renew_s = now.mono_s + self._third(owned.lifetime_s)
                if owned.record.kind is RecordKind.PEER:
                    owned.record = self._renewed(owned, now)
            if soon or regular:
                ready.append((owned.record, regular))
        return ready

    def _third(self, lifetime_s: float) -> float:
        return lifetime_s / 3 * self._rng.uniform(1 - _SPREAD, 1 + _SPREAD)

    def _renewed(self, owned: _Owned, now: Instant) -> Record:
        old = owned.record
        return sign_record(
            self._identity,
            old.body,
            sequence=max(int(now.unix_s * 1000), old.sequence + 1),
            not_before_s=old.not_before_s,
            expires_s=int(now.unix_s + owned.lifetime_s),
        )


def _lasting(record: Record) -> object:
    """What of a record neighbours should hear of at once when it changes; a mix's key and load change all the time."""
    body = record.body
    return replace(body, mix_key=b"", mix_load=0) if isinstance(body, PeerBody) else body
