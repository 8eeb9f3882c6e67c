"""`railgun room outbox`: what has not come all the way, where it is meanwhile, and for whom it waits."""

from __future__ import annotations

import click

from railgun_core.cli.frame import Place, ask, common
from railgun_core.cli.outcome import print_json
from railgun_core.cli.tables import counted, moment_words, table
from railgun_core.local_api.messages import Outbox, OutboxGroup, RoomRef

_WHY = {
    "disk": "not written to this disk, which refuses; nothing leaves before it is",
    "saving": "being written to this disk",
    "restoring": "from before a restart, about to be read back and sent",
    "no-relay": "no relay of this room answers, and no mailbox or server has it yet",
    "mail-quota": "no relay of this room answers, and its mailboxes keep no more for this room; asked again slowly",
    "mail-full": "no relay of this room answers, and its mailboxes are full; asked again slowly",
    "server-first": "with the central server, which is asked first; relays come next",
    "turn": "waiting for its turn at the relays",
    "relay-silent": "given to a relay that has not said that it has it",
    "no-majority": "at one relay at least, but not at a majority of the committee",
}
_PLACE = {
    "committee": "at a majority of the committee, until that one ends",
    "mailbox": "in mailboxes, on disk for seven days",
    "central": "at the central server",
    "committee-gone": "only here: the committee that had it has ended; it is sent again when a member asks",
}


@click.command()
@click.argument("room_name", metavar="ROOM")
@common
def outbox(place: Place, room_name: str) -> int:
    """What of your messages in ROOM is not stored, not delivered, and why. A long message has several pieces."""
    found = ask(place, "room.outbox", RoomRef(room_name), Outbox)
    if place.json:
        print_json(found)
    else:
        click.echo(outbox_text(found))
    return 0


def outbox_text(found: Outbox) -> str:
    """The whole answer in words."""
    if not (found.unsent or found.stored or found.members):
        return "Everything that you sent was delivered to everybody."
    parts = [
        "Not stored yet\n" + _groups(found.unsent, _WHY, none="Nothing: all of it is stored."),
        "Stored, not yet delivered to everybody\n" + _groups(found.stored, _PLACE, none="Nothing."),
    ]
    rows = [
        (
            member.member,
            counted(member.lacks, "piece"),
            moment_words(member.heard_unix_s) if member.heard_unix_s else "never",
            "" if member.awaited else "silent for a week: no longer waited for",
        )
        for member in found.members
    ]
    parts.append("Waits for\n" + table(("MEMBER", "LACKS", "LAST HEARD", ""), rows, none="Nobody."))
    return "\n\n".join(parts)


def _groups(groups: tuple[OutboxGroup, ...], words: dict[str, str], *, none: str) -> str:
    lines = []
    for group in groups:
        since = f" (since {moment_words(group.since_unix_s)})" if group.since_unix_s is not None else ""
        lines.append(f"{counted(group.items, 'piece')}: {words.get(group.why, group.why)}{since}")
    return "\n".join(lines) or none
