"""`railgun inspect committee`: recompute a committee and say for every seat why it is held.

With `--records FILE` it runs offline in this process and trusts nothing in the file but the signatures.
"""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from railgun_core.base.errors import RailGunError, UsageError
from railgun_core.cli.frame import Place, ask, common, data_dir_option, json_option
from railgun_core.cli.outcome import print_json
from railgun_core.cli.tables import counted, plain, table
from railgun_core.local_api.messages import InspectArgs, Inspection, Inspections


@click.group()
@data_dir_option
@json_option
def inspect() -> None:
    """Check what others claim."""


@inspect.command()
@click.option("--room", "room_name", metavar="R", help="An own room: its name or the first digits of its id.")
@click.option("--tag", metavar="T", help="A committee's tag, in hex; with --records its first digits are enough.")
@click.option("--epoch", type=click.IntRange(0, 2**62), metavar="E", help="Only this epoch.")
@click.option("--records", type=click.Path(path_type=Path), metavar="FILE", help="Verify this file offline.")
@click.option("--with-records", is_flag=True, help="Give the signed records too, for somebody else to verify (--json).")
@common
def committee(
    place: Place, room_name: str | None, tag: str | None, epoch: int | None, records: Path | None, with_records: bool
) -> int:
    """Who holds which seat for a room or a tag, recomputed from signed records. Exit 1 when something differs."""
    if records is not None:
        if room_name is not None:
            raise UsageError("--records works offline and knows no rooms; name the --tag.")
        found = _offline(records, tag, epoch)
    else:
        if (room_name is None) == (tag is None):
            raise UsageError("Name a --room or a --tag.")
        found = ask(place, "inspect", InspectArgs(room_name, tag, epoch, with_records), Inspections).inspections
    if not found:
        raise RailGunError("No committee is saved for that.", code="nothing-saved")
    if place.json:
        print_json(_json_of(found))
    else:
        click.echo("\n\n".join(_text_of(one) for one in found))
    bad = [one for one in found if not one.verified]
    if bad:
        verb = "differs from its" if len(found) == 1 else "differ from their"
        of_all = f"{len(bad)} of {counted(len(found), 'committee')}"
        click.echo(f"railgun: {of_all} {verb} records.", err=True)
    return 1 if bad else 0


def _offline(path: Path, tag: str | None, epoch: int | None) -> tuple[Inspection, ...]:
    from railgun_core.local_api.inspection import MAX_FILE_BYTES, read_inspections, verify_again

    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    wanted = [
        claim
        for claim in read_inspections(data)
        if (tag is None or (tag and claim.tag.startswith(tag.lower()))) and epoch in (None, claim.epoch)
    ]
    if not wanted:
        raise UsageError("The file holds no committee of that tag and epoch.")
    return tuple(verify_again(claim) for claim in wanted)


def _json_of(found: tuple[Inspection, ...]) -> dict[str, object]:
    """The newest one's fields, whether all are verified, and every one in `inspections`."""
    newest = msgspec.structs.asdict(msgspec.structs.replace(found[-1], records=()))
    newest.pop("records")
    differences = [difference for one in found for difference in one.differences]
    verified = all(one.verified for one in found)
    return newest | {"verified": verified, "differences": differences, "inspections": found}


def _text_of(one: Inspection) -> str:
    rows = [(str(seat.seat + 1), seat.peer_id[:10], seat.group[:10], seat.why) for seat in one.seats]
    rows += [(f"standby {number}", s.peer_id[:10], s.group[:10], s.why) for number, s in enumerate(one.standbys, 1)]
    verdict = "Verified: the signed records give exactly this committee." if one.verified else "NOT VERIFIED."
    head = f"Committee of tag {plain(one.tag[:10])}, epoch {one.epoch}, seed {plain(one.seed[:10])}"
    lines = [head, table(("SEAT", "PEER", "GROUP", "WHY"), rows, none="No seat."), verdict]
    return "\n".join(lines + [f"  differs: {plain(difference)}" for difference in one.differences])
