"""Check a committee from signed records alone, on any machine, without a network.

The records are all the relays a node knew when it computed the committee. The inspector verifies each signature,
draws the committee again and says for every seat why it is held, and where it differs from what was claimed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import PeerId, Tag, short
from railgun_core.committee.epoch import EpochClock
from railgun_core.committee.selection import STANDBYS, Candidate, Committee, SeatHolder, eligible, select_committee
from railgun_core.wire.records import PeerBody, PeerRole, decode_record


@dataclass(frozen=True, slots=True)
class Finding:
    """A committee drawn again. `verified` when there is no difference."""

    committee: Committee
    differences: tuple[str, ...]

    @property
    def verified(self) -> bool:
        return not self.differences


def inspect(
    records: Sequence[bytes], *, tag: Tag, epoch: int, clock: EpochClock, size: int, by_port: bool, at_s: float
) -> Finding:
    """Draw a committee again from raw records and compare it with the roster that was claimed.

    `records` begins with those of the claimed seats and standbys, in order, as `RelayView.evidence` gives them.
    A record that does not verify is left out, and its seat named; so is a second record of one peer. Never raises for
    bad records. `at_s` is when the committee was computed: a record that was not live then does not count.
    """
    claimed = min(size + STANDBYS, len(records))
    candidates: dict[PeerId, Candidate] = {}
    differences: list[str] = []
    for index, raw in enumerate(records):
        place = seat_name(index, size) if index < claimed else f"record {index + 1}"
        try:
            candidate = _candidate(raw, by_port=by_port, at_s=at_s)
        except MalformedFrame as error:
            differences.append(f"{place} no longer verifies: {error.detail}")
            continue
        if candidates.setdefault(candidate.peer_id, candidate) is not candidate:
            differences.append(f"{place} is a second record of one peer")
    pool = eligible(candidates.values(), epoch_start_s=clock.start_s(epoch), size=size)
    committee = select_committee(tag, epoch, pool, size)
    if not differences:
        differences = _compare(committee, list(candidates)[:claimed])
    return Finding(committee, tuple(differences))


def _candidate(raw: bytes, *, by_port: bool, at_s: float) -> Candidate:
    record = decode_record(raw)
    body = record.body
    group = body.group(by_port=by_port) if isinstance(body, PeerBody) else None
    if not isinstance(body, PeerBody) or group is None or not body.roles & PeerRole.RELAY:
        raise MalformedFrame("not a relay's record")
    if not record.is_live(at_s):
        raise MalformedFrame("not valid at that time")
    return Candidate(record.peer_id, group, record.serves_since_s)


def _compare(committee: Committee, claimed: Sequence[PeerId]) -> list[str]:
    drawn = [holder.peer_id for holder in (*committee.seats, *committee.standbys)]
    return [
        f"{seat_name(seat, committee.size)}: claimed {short(was)}, the records give {short(is_)}"
        for seat, (was, is_) in enumerate(zip(claimed, drawn, strict=False))
        if was != is_
    ]


def seat_name(seat: int, size: int) -> str:
    """`seat 2` or `standby 1`, counted from one as people do."""
    return f"seat {seat + 1}" if seat < size else f"standby {seat - size + 1}"


def explain(holder: SeatHolder) -> str:
    """One sentence: why this relay holds this seat."""
    if holder.window == 1:
        why = "Its address group was the only one left"
    else:
        rank = "the nearest" if holder.distance_rank == 0 else f"number {holder.distance_rank + 1} in nearness"
        why = f"Of {holder.window} address groups near the seat's target its own ({rank}) drew the lowest ticket"
    if holder.rivals > 1:
        why += f"; in the group it drew the lowest of {holder.rivals}"
    if holder.repeated:
        why += "; every group had a seat already, so groups serve twice"
    return why + "."
