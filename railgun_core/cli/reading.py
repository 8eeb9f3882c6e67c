"""`railgun room read`: the messages of a room, one a line, byte for byte, in pages of bounded size."""

from __future__ import annotations

import base64
import sys
from collections import deque
from collections.abc import AsyncIterator

import click

from railgun_core.base.errors import UsageError
from railgun_core.cli.frame import Place, common, run_async
from railgun_core.cli.outcome import print_json
from railgun_core.local_api.client import Client
from railgun_core.local_api.messages import MessageOut, Messages, RoomFollow, RoomRead

PAGE = 1_000


@click.command()
@click.argument("room_name", metavar="ROOM")
@click.option(
    "--count",
    type=click.IntRange(0, 10_000_000),
    help="The newest N; with --since the first N after it; with --follow end after N.",
)
@click.option("--follow", is_flag=True, help="Go on with new messages as they come.")
@click.option("--since", type=click.IntRange(0, 2**62), metavar="POS", help="Only what came after this position.")
@common
def read(place: Place, room_name: str, count: int | None, follow: bool, since: int | None) -> int:
    """The messages of ROOM as they were sent, one a line: all of them, unless --count or --since say otherwise."""
    if follow and place.json and count is None:
        raise UsageError("--json prints one object, and --follow never ends without --count: choose one.")
    run_async(_read(place, room_name, count=count, follow=follow, since=since))
    return 0


async def _read(place: Place, room: str, *, count: int | None, follow: bool, since: int | None) -> None:
    async with await Client.connect(place.data_dir) as client:
        if count is not None and since is None and not follow:
            pages = _newest(client, room, count)
        else:
            pages = _first(_onwards(client, room, since or 0, follow=follow), count)
        kept: list[MessageOut] = []
        out = sys.stdout.buffer
        async for page in pages:
            if place.json:
                kept.extend(page.messages)
                continue
            for message in page.messages:
                out.write(message.body + b"\n")
            out.flush()
        if place.json:
            last = kept[-1].position if kept else since or 0
            print_json({"room": room, "messages": [_json_of(message) for message in kept], "last": last})


async def _onwards(client: Client, room: str, since: int, *, follow: bool) -> AsyncIterator[Messages]:
    while True:
        page = await client.call("room.read", RoomRead(room, since, PAGE), Messages)
        if not page.messages:
            break
        since = max(since, page.last, page.messages[-1].position)
        yield page
    if follow:
        async for page in client.stream("room.follow", RoomFollow(room, since), Messages):
            yield page


async def _first(pages: AsyncIterator[Messages], count: int | None) -> AsyncIterator[Messages]:
    """The first `count` messages and not one more; all when it is None."""
    left = count
    if left == 0:
        return
    async for page in pages:
        if left is not None and len(page.messages) >= left:
            yield Messages(page.room, page.messages[:left], page.last)
            return
        yield page
        if left is not None:
            left -= len(page.messages)


async def _newest(client: Client, room: str, count: int) -> AsyncIterator[Messages]:
    """The newest `count`, oldest first. One answer where it fits in one, else a walk through all."""
    if count <= PAGE:
        page = await client.call("room.read", RoomRead(room, None, max(count, 1)), Messages)
        if len(page.messages) >= count:
            yield Messages(page.room, page.messages[len(page.messages) - count :], page.last)
            return
    newest: deque[MessageOut] = deque(maxlen=count)
    last = 0
    async for page in _onwards(client, room, 0, follow=False):
        newest.extend(page.messages)
        last = page.last
    yield Messages(room, tuple(newest), last)


def _json_of(message: MessageOut) -> dict[str, object]:
    found: dict[str, object] = {
        "position": message.position,
        "sender": message.sender,
        "me": message.me,
        "seq": message.seq,
        "unix_s": message.unix_s,
        "delivery": message.delivery,
    }
    try:
        found["body"] = message.body.decode()
    except UnicodeDecodeError:
        found["body_base64"] = base64.b64encode(message.body).decode()
    return found
