"""A committee drawn again, as the value that the API, the window and the command line show.

`inspection_of` is what the engine answers `inspect` with; `verify_again` does the same from a file that somebody else
wrote, trusting nothing in it but the signatures.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from railgun_core.base.errors import UsageError
from railgun_core.base.ids import Tag
from railgun_core.committee.epoch import make_clock
from railgun_core.committee.inspector import explain, inspect, seat_name
from railgun_core.committee.selection import SIZE_MAX, SIZE_MIN, SeatHolder
from railgun_core.local_api.messages import Inspection, Inspections, Seat

MAX_FILE_BYTES = 64 * 1024 * 1024
_EPOCH_MAX = 2**63


def inspection_of(
    records: Sequence[bytes],
    *,
    tag: Tag,
    epoch: int,
    epoch_s: int,
    size: int,
    by_port: bool,
    computed_unix_s: float,
    with_records: bool,
) -> Inspection:
    """Draw the committee again from `records`, the claimed ones first. Never raises for bad records.

    Costs one signature check a record: about 0.1 ms each.
    """
    finding = inspect(
        records, tag=tag, epoch=epoch, clock=make_clock(epoch_s), size=size, by_port=by_port, at_s=computed_unix_s
    )
    drawn = finding.committee
    return Inspection(
        tag=tag.hex(),
        epoch=epoch,
        seed=drawn.seed.hex(),
        seats=tuple(_seat(holder) for holder in drawn.seats),
        standbys=tuple(_seat(holder) for holder in drawn.standbys),
        verified=finding.verified and bool(drawn.seats),
        differences=finding.differences or (() if drawn.seats else ("no valid record, so no seat",)),
        records=tuple(records) if with_records else (),
        epoch_s=epoch_s,
        size=size,
        by_port=by_port,
        computed_unix_s=computed_unix_s,
    )


def verify_again(claim: Inspection) -> Inspection:
    """Recompute what a file claims. Differences between the file's seats and the records' are named too."""
    tag = _tag(claim.tag)
    if not claim.records:
        raise UsageError("The file holds no records; write it with: railgun inspect committee --json --with-records.")
    if not (SIZE_MIN <= claim.size <= SIZE_MAX and 0 < claim.epoch_s <= 86_400 and 0 <= claim.epoch < _EPOCH_MAX):
        raise UsageError("The file names an epoch or a committee size that cannot be.")
    again = inspection_of(
        claim.records,
        tag=tag,
        epoch=claim.epoch,
        epoch_s=claim.epoch_s,
        size=claim.size,
        by_port=claim.by_port,
        computed_unix_s=claim.computed_unix_s,
        with_records=True,
    )
    told = [seat.peer_id for seat in (*claim.seats, *claim.standbys)]
    drawn = [seat.peer_id for seat in (*again.seats, *again.standbys)]
    differences = list(again.differences)
    for index in range(max(len(told), len(drawn))):
        was, gives = (told[index : index + 1] or ["nobody"])[0], (drawn[index : index + 1] or ["nobody"])[0]
        if was != gives:
            differences.append(
                f"{seat_name(index, claim.size)}: the file says {was[:10]}, the records give {gives[:10]}"
            )
    if claim.seed != again.seed:
        differences.append("the file's seed is not that of its tag and epoch")
    return msgspec.structs.replace(again, verified=not differences, differences=tuple(differences))


def read_inspections(data: bytes) -> tuple[Inspection, ...]:
    """The committees in a records file. UsageError when it is none."""
    if len(data) > MAX_FILE_BYTES:
        raise UsageError("The records file is larger than 64 MiB.")
    try:
        return msgspec.json.decode(data, type=Inspections).inspections
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UsageError("The file is not what railgun inspect committee --json --with-records writes.") from None


def _tag(text: str) -> Tag:
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(raw) != 32 or len(text) != 64:
        raise UsageError("A tag is 64 hex digits.")
    return Tag(raw)


def _seat(holder: SeatHolder) -> Seat:
    return Seat(
        seat=holder.seat,
        peer_id=holder.peer_id.hex(),
        group=holder.group.hex(),
        rank=holder.distance_rank,
        why=explain(holder),
    )
