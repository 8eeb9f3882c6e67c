"""`railgun room …`: create, list, invite, join, leave, members.

Sending, reading, the outbox and what protects a room (secure, price, safety, remove) have modules of their own.
"""

from __future__ import annotations

import sys

import click

from railgun_core.cli.frame import Place, ask, common, data_dir_option, json_option
from railgun_core.cli.outbox import outbox
from railgun_core.cli.outcome import print_json
from railgun_core.cli.reading import read
from railgun_core.cli.securing import price, remove, safety, secure
from railgun_core.cli.sending import send
from railgun_core.cli.tables import counted, moment_words, plain, table
from railgun_core.local_api.messages import (
    Invite,
    Members,
    RoomCreate,
    RoomInfo,
    RoomJoin,
    RoomRef,
    Rooms,
)


@click.group()
@data_dir_option
@json_option
def room() -> None:
    """Rooms. ROOM is a room's name or the first digits of its id."""


for _command in (send, read, outbox, secure, price, safety, remove):
    room.add_command(_command)


@room.command()
@click.argument("name")
@common
def create(place: Place, name: str) -> int:
    """Make a room called NAME."""
    return _show(place, ask(place, "room.create", RoomCreate(name), RoomInfo), "Created")


@room.command("list")
@common
def list_rooms(place: Place) -> int:
    """All rooms of this node."""
    found = ask(place, "room.list", None, Rooms)
    if place.json:
        print_json(found)
        return 0
    live = {status.room: status for status in found.status}
    rows = []
    for info in found.rooms:
        status = live.get(info.room)
        committee = f"{status.relays_open} of {status.committee_size}" if status else ""
        state = "left" if info.left else "waiting for a member" if info.waiting else "open"
        queued, unread = (str(status.queued), str(status.unread)) if status else ("", "")
        security = "" if not info.high_security else "high" if status and status.badge else "high, not anonymous yet"
        rows.append((info.room[:10], info.name, state, info.members, committee, queued, unread, security))
    head = ("ROOM", "NAME", "STATE", "MEMBERS", "RELAYS", "QUEUED", "UNREAD", "SECURITY")
    click.echo(table(head, rows, none="No room yet."))
    return 0


@room.command()
@click.argument("room_name", metavar="ROOM")
@common
def invite(place: Place, room_name: str) -> int:
    """The link that lets somebody into ROOM. Whoever has it can read the room: hand it over in private."""
    found = ask(place, "room.invite", RoomRef(room_name), Invite)
    if place.json:
        print_json(found)
    else:
        click.echo(found.link)
    return 0


@room.command()
@click.argument("link")
@click.option(
    "--timeout-s", type=click.FloatRange(0, 3_600), default=20.0, show_default=True, help="Wait for a member."
)
@common
def join(place: Place, link: str, timeout_s: float) -> int:
    """Join the room of an invite LINK; `-` reads the link from standard input, so that it is in no process list."""
    if link == "-":
        link = sys.stdin.readline(8_192).strip()
    info = ask(place, "room.join", RoomJoin(link, timeout_s), RoomInfo)
    return _show(place, info, "Joined; no member has answered yet:" if info.waiting else "Joined")


@room.command()
@click.argument("room_name", metavar="ROOM")
@common
def leave(place: Place, room_name: str) -> int:
    """Leave ROOM."""
    return _show(place, ask(place, "room.leave", RoomRef(room_name), RoomInfo), "Left")


@room.command()
@click.argument("room_name", metavar="ROOM")
@common
def members(place: Place, room_name: str) -> int:
    """Who is in ROOM, and how much of each member's messages has arrived here."""
    found = ask(place, "room.members", RoomRef(room_name), Members)
    if place.json:
        print_json(found)
        return 0
    rows = [
        (
            member.member,
            "you" if member.me else "left" if member.left else "",
            member.have,
            member.confirmed,
            "" if member.me or not member.heard_unix_s else moment_words(member.heard_unix_s),
            "through mixes" if member.secure else "directly",
        )
        for member in found.members
    ]
    click.echo(table(("MEMBER", "", "ARRIVED", "CONFIRMED", "LAST HEARD", "SENDS"), rows, none="Nobody."))
    return 0


def _show(place: Place, info: RoomInfo, verb: str) -> int:
    if place.json:
        print_json(info)
    else:
        click.echo(f"{verb} {plain(info.name)} ({info.room[:10]}), {counted(info.members, 'member')}.")
    return 0
