"""Who serves a tag in an epoch: a pure function of the tag, the epoch and the candidates.

Two-level rendezvous hashing. Each seat has a random place on the ring; of the 16 address groups nearest to it one
wins by hash, and in that group one relay wins by hash. So a view that misses a few relays changes only their
seats, and an adversary's share of seats is its share of address groups, not of ids.
Measured on 1,000 relays: two views that each miss 1 % share 96-98 % of the seats. Source: Thaler and
Ravishankar, "Using Name-Based Mappings to Increase Hit Rates", 1998; PROTOCOL.md, "Committee".
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from railgun_core.base.errors import UsageError
from railgun_core.base.hashing import tagged_hash, u64
from railgun_core.base.ids import Group, PeerId, Tag, group_key

WINDOW_GROUPS = 16
SIZE_DEFAULT = 5
SIZE_MIN, SIZE_MAX = 3, 7
STANDBYS = 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """An eligible relay: its id, its address group, and since when it serves."""

    peer_id: PeerId
    group: Group
    since_s: int


@dataclass(frozen=True, slots=True)
class SeatHolder:
    """A relay in a seat, and the facts that put it there.

    `distance_rank`: how many groups were nearer to the seat's target (0 is the nearest); `window`: how many
    groups drew for the seat; `repeated`: the seat was filled from groups that hold one already.
    """

    seat: int
    peer_id: PeerId
    group: Group
    distance_rank: int
    window: int
    rivals: int
    repeated: bool


@dataclass(frozen=True, slots=True)
class Committee:
    """The relays of a tag for an epoch: at most `size` seats, then the standbys, best first."""

    tag: Tag
    epoch: int
    seed: bytes
    size: int
    seats: tuple[SeatHolder, ...]
    standbys: tuple[SeatHolder, ...]

    @property
    def members(self) -> tuple[PeerId, ...]:
        """The peer ids in the seats, in order."""
        return tuple(holder.peer_id for holder in self.seats)

    @property
    def majority(self) -> int:
        """How many seats must hold an envelope before it counts as stored."""
        return len(self.seats) // 2 + 1

    def seat_of(self, peer_id: PeerId) -> int | None:
        """The seat of a peer; standbys follow the seats; None when it has neither."""
        for holder in (*self.seats, *self.standbys):
            if holder.peer_id == peer_id:
                return holder.seat
        return None


def committee_seed(tag: Tag, epoch: int) -> bytes:
    """The 32 bytes from which every draw of an epoch follows."""
    return tagged_hash("committee", tag, u64(epoch))


def seat_target(seed: bytes, seat: int) -> bytes:
    """A seat's place on the ring, 20 bytes."""
    return hashlib.sha256(seed + bytes((seat,))).digest()[:20]


def seat_targets(tag: Tag, epoch: int, size: int) -> tuple[bytes, ...]:
    """The ring places of all seats and standbys: what to look up in the directory."""
    seed = committee_seed(tag, epoch)
    return tuple(seat_target(seed, seat) for seat in range(size + STANDBYS))


def eligible(candidates: Iterable[Candidate], *, epoch_start_s: float, size: int) -> tuple[Candidate, ...]:
    """Those who may hold a seat in an epoch.

    Relays that served before the epoch began, so that a newcomer does not move seats in the middle of it;
    all of them while fewer than `size` groups have such a relay (a young network).
    """
    everyone = tuple(candidates)
    settled = tuple(candidate for candidate in everyone if candidate.since_s <= epoch_start_s)
    return settled if len({candidate.group for candidate in settled}) >= size else everyone


def select_committee(tag: Tag, epoch: int, candidates: Sequence[Candidate], size: int) -> Committee:
    """The committee of a tag: same input, same answer on every machine, whatever the order of `candidates`.

    size: 3..7. Fewer seats when there are fewer relays, down to none. Cost: one ring distance per group and seat,
    about 3 ms at 1,000 groups. UsageError for a size outside its limits.
    """
    if not SIZE_MIN <= size <= SIZE_MAX:
        raise UsageError(f"a committee has {SIZE_MIN} to {SIZE_MAX} seats, not {size}")
    return _draw(tag, epoch, committee_seed(tag, epoch), candidates, size)


def select_committee_for_room(room_id: str, epoch: int, pool: Sequence[Candidate], size: int) -> tuple[PeerId, ...]:
    """The seed document's form: by room id instead of tag. Public ids are predictable, so rooms use tags."""
    name = room_id.encode("utf-8")
    seed = hashlib.sha256(len(name).to_bytes(2, "big") + name + u64(epoch)).digest()
    return _draw(Tag(seed), epoch, seed, pool, size).members


def _draw(tag: Tag, epoch: int, seed: bytes, candidates: Sequence[Candidate], size: int) -> Committee:
    by_group: dict[Group, list[PeerId]] = {}
    for candidate in candidates:
        by_group.setdefault(candidate.group, []).append(candidate.peer_id)
    ring = {group: int.from_bytes(group_key(group), "big") for group in by_group}
    unseated = set(by_group)
    taken: set[PeerId] = set()
    holders: list[SeatHolder] = []
    for seat in range(min(size + STANDBYS, len({c.peer_id for c in candidates}))):
        repeated = not unseated
        pool = unseated or {g for g, peers in by_group.items() if any(p not in taken for p in peers)}
        holder = _fill_seat(seed, seat, pool, by_group, ring, taken, repeated=repeated)
        holders.append(holder)
        taken.add(holder.peer_id)
        unseated.discard(holder.group)
    return Committee(tag, epoch, seed, size, tuple(holders[:size]), tuple(holders[size:]))


def _fill_seat(
    seed: bytes,
    seat: int,
    pool: set[Group],
    by_group: dict[Group, list[PeerId]],
    ring: dict[Group, int],
    taken: set[PeerId],
    *,
    repeated: bool,
) -> SeatHolder:
    target = int.from_bytes(seat_target(seed, seat), "big")
    window = heapq.nsmallest(WINDOW_GROUPS, pool, key=lambda group: ring[group] ^ target)
    group = min(window, key=lambda g: _ticket(seed, bytes((seat,)) + g))
    free = [peer_id for peer_id in by_group[group] if peer_id not in taken]
    peer_id = min(free, key=lambda p: _ticket(seed, b"p" + p))
    return SeatHolder(seat, peer_id, group, window.index(group), len(window), len(free), repeated)


def _ticket(seed: bytes, value: bytes) -> bytes:
    return hashlib.blake2b(value, key=seed, digest_size=16).digest()
