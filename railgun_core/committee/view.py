"""What this node knows of the relays: the newest verified record of each, grouped by address.

A view only grows by records that verify, and forgets those that expired. Two views differ by what each has not
heard yet; merging by union brings them together (MISDIRECTED carries the missing records).
"""

from __future__ import annotations

from collections.abc import Iterable

from railgun_core.base.ids import Group, PeerId, Tag
from railgun_core.base.keys import solves_puzzle
from railgun_core.committee.epoch import DAY_S, EpochClock
from railgun_core.committee.selection import Candidate, Committee, eligible, select_committee
from railgun_core.wire.records import PeerBody, PeerRole, Record

MAX_RELAYS = 20_000
MAILBOX_SEATS = 3  # copies of a room's mail; two of them are enough
MAX_CACHED = 1_024  # committees; anybody may ask for any tag, so what is kept has a bound


class RelayView:
    """The relays and mailboxes of the network as this node sees them; `len` counts relays."""

    def __init__(self, *, by_port: bool, puzzle_bits: int) -> None:
        self._by_port = by_port
        self._puzzle_bits = puzzle_bits
        self._records: dict[PeerId, Record] = {}
        self._candidates: dict[PeerId, Candidate] = {}
        self._mailboxes: dict[PeerId, Candidate] = {}
        self._cache: dict[tuple[Tag, int, int], Committee] = {}
        self.version = 0

    def __len__(self) -> int:
        return len(self._candidates)

    @property
    def records(self) -> tuple[Record, ...]:
        return tuple(self._records.values())

    @property
    def groups(self) -> int:
        """How many address groups have a relay."""
        return len({candidate.group for candidate in self._candidates.values()})

    def get(self, peer_id: PeerId) -> Record | None:
        return self._records.get(peer_id)

    def group(self, peer_id: PeerId) -> Group | None:
        """The address group of a relay."""
        candidate = self._candidates.get(peer_id) or self._mailboxes.get(peer_id)
        return None if candidate is None else candidate.group

    def merge(self, records: Iterable[Record], unix_s: float) -> bool:
        """Take newer relay records in; whether a relay came, went or changed its address or roles."""
        changed = False
        for record in records:
            changed = self._take(record, unix_s) or changed
        if changed:
            self._touch()
        return changed

    def expire(self, unix_s: float) -> bool:
        """Forget expired records; whether any went."""
        gone = [peer_id for peer_id, record in self._records.items() if not record.is_live(unix_s)]
        for peer_id in gone:
            self._remove(peer_id)
        if gone:
            self._touch()
        return bool(gone)

    def committee(self, tag: Tag, epoch: int, *, size: int, clock: EpochClock) -> Committee:
        """The committee of a tag as this view gives it; cached until the view changes, the last MAX_CACHED."""
        key = (tag, epoch, size)
        found = self._cache.get(key)
        if found is None:
            if len(self._cache) >= MAX_CACHED:
                del self._cache[next(iter(self._cache))]
            pool = eligible(self._candidates.values(), epoch_start_s=clock.start_s(epoch), size=size)
            found = self._cache[key] = select_committee(tag, epoch, pool, size)
        return found

    def mailboxes(self, tag: Tag, day: int) -> Committee:
        """The mailboxes of a room's mail tag for a day, drawn like a committee among the peers with that role."""
        key = (tag, day, MAILBOX_SEATS)
        found = self._cache.get(key)
        if found is None:
            if len(self._cache) >= MAX_CACHED:
                del self._cache[next(iter(self._cache))]
            start_s = float(day * DAY_S)
            pool = eligible(self._mailboxes.values(), epoch_start_s=start_s, size=MAILBOX_SEATS)
            found = self._cache[key] = select_committee(tag, day, pool, MAILBOX_SEATS)
        return found

    def committee_records(self, committee: Committee) -> tuple[bytes, ...]:
        """The signed records of the seats and standbys, as bytes: what an asker or an inspector needs."""
        holders = (*committee.seats, *committee.standbys)
        return tuple(self._records[h.peer_id].raw for h in holders if h.peer_id in self._records)

    def evidence(self, committee: Committee) -> tuple[bytes, ...]:
        """What the inspector needs: the records of the seats and standbys in order, then all others."""
        roster = [holder.peer_id for holder in (*committee.seats, *committee.standbys)]
        others = sorted(set(self._records).difference(roster))
        return tuple(self._records[peer_id].raw for peer_id in (*roster, *others) if peer_id in self._records)

    def _take(self, record: Record, unix_s: float) -> bool:
        known = self._records.get(record.peer_id)
        if known is not None and known.sequence >= record.sequence:
            return False
        body = record.body
        if not isinstance(body, PeerBody) or not record.is_live(unix_s):
            return False
        group = body.group(by_port=self._by_port)
        if group is None:
            return False
        if known is None and not solves_puzzle(record.public_key, self._puzzle_bits):
            return False
        if not body.roles & (PeerRole.RELAY | PeerRole.MAILBOX):
            return self._remove(record.peer_id)
        if known is None and len(self._records) >= MAX_RELAYS:
            return False
        self._records[record.peer_id] = record
        candidate = Candidate(record.peer_id, group, record.serves_since_s)
        for role, pool in ((PeerRole.RELAY, self._candidates), (PeerRole.MAILBOX, self._mailboxes)):
            if body.roles & role:
                pool[record.peer_id] = candidate
            else:
                pool.pop(record.peer_id, None)
        return known is None or _place(known) != _place(record)

    def _remove(self, peer_id: PeerId) -> bool:
        self._candidates.pop(peer_id, None)
        self._mailboxes.pop(peer_id, None)
        return self._records.pop(peer_id, None) is not None

    def _touch(self) -> None:
        self.version += 1
        self._cache.clear()


def _place(record: Record) -> tuple[object, ...]:
    """What of a record decides about seats and dials; keys and loads change all the time and decide about neither."""
    body = record.body
    assert isinstance(body, PeerBody)
    return body.addresses, body.roles, record.not_before_s, body.since_s
