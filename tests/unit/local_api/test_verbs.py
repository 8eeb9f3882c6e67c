"""Every verb against a real engine: what it does, what it says, and how it says no."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from railgun_core.base.errors import RailGunError
from railgun_core.base.ids import Tag
from railgun_core.config import HostPort
from railgun_core.engine.engine import Engine
from railgun_core.local_api import messages as m
from railgun_core.local_api.verbs import SHORT_ID, Verbs
from railgun_core.status import DutyState
from tests.unit.local_api.alone import alone

WAIT_S = 20.0


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[tuple[Engine, Verbs]]:
    async with alone(tmp_path) as pair:
        yield pair


async def room_in(verbs: Verbs, name: str = "talk") -> str:
    return (await verbs.room_create(m.RoomCreate(name=name))).room


async def said_no(verbs: Verbs, verb: str, args: object) -> str:
    """The code with which a verb refuses."""
    handler = verbs.handlers()[verb]
    assert handler.answer is not None
    with pytest.raises(RailGunError) as refused:
        await handler.answer(args)
    return refused.value.code


async def test_rooms_are_made_listed_and_named_once(running: tuple[Engine, Verbs]) -> None:
    _, verbs = running
    room = await room_in(verbs)
    listed = await verbs.room_list(m.Empty())
    assert [(info.room, info.name, info.members, info.waiting) for info in listed.rooms] == [(room, "talk", 1, False)]
    assert len(listed.status) == 1
    assert await said_no(verbs, "room.create", m.RoomCreate(name="talk")) == "name-taken"
    for bad in ("", "  ", "a\nb", "x" * 121):
        assert await said_no(verbs, "room.create", m.RoomCreate(name=bad)) == "bad-name"
    (me,) = (await verbs.room_members(m.RoomRef(room="talk"))).members
    assert me.me


async def test_a_room_is_found_by_its_name_or_the_start_of_its_id(running: tuple[Engine, Verbs]) -> None:
    _, verbs = running
    room = await room_in(verbs)
    for name in ("talk", room, room[:6]):
        assert (await verbs.room_invite(m.RoomRef(room=name))).room == room
    assert await said_no(verbs, "room.invite", m.RoomRef(room="nobody")) == "no-such-room"
    assert await said_no(verbs, "room.read", m.RoomRead(room=room[:3])) == "no-such-room"


async def test_what_is_sent_is_stored_and_read_back_in_pages(running: tuple[Engine, Verbs]) -> None:
    _, verbs = running
    room = await room_in(verbs)
    lines = tuple(b"%d" % n for n in range(25))
    sent = await verbs.room_send(m.RoomSend(room=room, lines=lines, wait_s=WAIT_S))
    assert (sent.lines, sent.reached, sent.waiting, sent.first_seq, sent.last_seq) == (25, 25, 0, 1, 25)
    newest = await verbs.room_read(m.RoomRead(room=room, count=3))
    assert [message.body for message in newest.messages] == [b"22", b"23", b"24"]
    assert all(message.me for message in newest.messages)
    async with asyncio.timeout(WAIT_S):  # how far it came is written within a second
        while (await verbs.room_read(m.RoomRead(room=room, count=1))).messages[0].delivery != "stored":  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    since, read = 0, []
    while (page := await verbs.room_read(m.RoomRead(room=room, since=since, count=10))).messages:
        read += [message.body for message in page.messages]
        since = page.last
    assert read == list(lines)


async def test_what_was_answered_is_on_the_disk_however_short_the_wait(running: tuple[Engine, Verbs]) -> None:
    _, verbs = running
    room = await room_in(verbs)
    sent = await verbs.room_send(m.RoomSend(room=room, lines=(b"x", b"y"), wait="delivered", wait_s=0.0))
    assert (sent.reached, sent.waiting) == (0, 2)
    found = await verbs.room_read(m.RoomRead(room=room))
    assert [message.body for message in found.messages] == [b"x", b"y"]


async def test_nobody_confirms_in_an_empty_room_and_the_answer_says_what_waits(running: tuple[Engine, Verbs]) -> None:
    _, verbs = running
    room = await room_in(verbs)
    sent = await verbs.room_send(m.RoomSend(room=room, lines=(b"a", b"b"), wait="delivered", wait_s=0.3))
    assert (sent.reached, sent.waiting, sent.missing) == (0, 2, ((1, 2),))


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ({"lines": ()}, "usage"),
        ({"lines": (b"x",) * (m.MAX_LINES_PER_SEND + 1)}, "usage"),
        ({"lines": (b"x",), "wait": "read"}, "usage"),
        ({"lines": (b"x" * (m.MAX_MESSAGE_BYTES + 1),)}, "message-too-long"),
    ],
)
async def test_a_send_that_cannot_be_is_refused_and_takes_no_sequence(
    running: tuple[Engine, Verbs], args: dict[str, object], code: str
) -> None:
    _, verbs = running
    room = await room_in(verbs)
    assert await said_no(verbs, "room.send", m.RoomSend(room=room, **args)) == code  # type: ignore[arg-type]
    assert (await verbs.room_send(m.RoomSend(room=room, lines=(b"x",), wait_s=WAIT_S))).first_seq == 1


async def test_following_tells_what_was_and_what_comes(running: tuple[Engine, Verbs]) -> None:
    engine, verbs = running
    room = await room_in(verbs)
    await verbs.room_send(m.RoomSend(room=room, lines=(b"old",), wait_s=WAIT_S))
    stream = verbs.room_follow(m.RoomFollow(room=room))
    async with asyncio.timeout(WAIT_S), contextlib.aclosing(stream):
        first = await anext(stream)
        assert [message.body for message in first.messages] == [b"old"]
    (own,) = engine.node.rooms.rooms.values()
    assert not engine.waiting._growth[own.id]


async def test_leaving_ends_the_room_and_the_link_brings_back_in(running: tuple[Engine, Verbs]) -> None:
    _, verbs = running
    room = await room_in(verbs)
    await verbs.room_send(m.RoomSend(room=room, lines=(b"before",), wait_s=WAIT_S))
    link = (await verbs.room_invite(m.RoomRef(room=room))).link
    assert await said_no(verbs, "room.join", m.RoomJoin(link=link)) == "already-joined"
    assert (await verbs.room_leave(m.RoomRef(room=room))).left
    assert await said_no(verbs, "room.read", m.RoomRead(room=room)) == "no-such-room"
    back = await verbs.room_join(m.RoomJoin(link=link, wait_s=0.1))
    assert (back.room, back.waiting) == (room, True)
    sent = await verbs.room_send(m.RoomSend(room=room, lines=(b"after",), wait_s=WAIT_S))
    assert (sent.first_seq, sent.reached) == (1, 1)
    bodies = [message.body for message in (await verbs.room_read(m.RoomRead(room=room))).messages]
    assert bodies == [b"before", b"after"]


async def test_a_link_that_is_none_is_refused(running: tuple[Engine, Verbs]) -> None:
    _, verbs = running
    assert await said_no(verbs, "room.join", m.RoomJoin(link="railgun:nothing")) != ""


async def test_duties_and_committees_can_be_looked_into(running: tuple[Engine, Verbs]) -> None:
    engine, verbs = running
    room = await room_in(verbs)
    await verbs.room_send(m.RoomSend(room=room, lines=(b"x",), wait_s=WAIT_S))
    duties = await verbs.duties(m.Empty())
    assert DutyState.SERVING in {duty.state for duty in duties.now}
    tag = Tag(bytes.fromhex(duties.now[0].tag_id))
    for args in (m.InspectArgs(room=room), m.InspectArgs(tag=tag.hex()), m.InspectArgs(tag=tag.hex()[:8])):
        await engine.settled()
        found = await verbs.inspect(args)
        assert found.inspections
        assert all(one.verified for one in found.inspections)
    assert await said_no(verbs, "inspect", m.InspectArgs()) == "usage"
    assert await said_no(verbs, "inspect", m.InspectArgs(room=room, tag="ab")) == "usage"
    assert await said_no(verbs, "inspect", m.InspectArgs(tag="z" * 64)) == "usage"
    assert await said_no(verbs, "inspect", m.InspectArgs(tag="abcd" * 16)) == "no-such-committee"


async def test_status_counters_peers_and_logs_tell_of_this_engine(running: tuple[Engine, Verbs]) -> None:
    engine, verbs = running
    room = await room_in(verbs)
    await verbs.room_send(m.RoomSend(room=room, lines=(b"x",), wait_s=WAIT_S))
    async with contextlib.aclosing(verbs.watch(m.Empty())) as stream:
        watched = await anext(stream)
    status = await verbs.status(m.Empty())
    assert type(watched) is type(status)
    counters = await verbs.counters(m.Empty())
    assert counters.sizes["4096"] >= 1
    assert counters.rss_bytes > 1_000_000
    (peer,) = (await verbs.peers(m.Empty())).peers
    assert peer.peer_id == engine.node.identity.peer_id.hex()
    assert peer.roles == ("relay",)
    assert isinstance((await verbs.traffic(m.Empty())).hours, tuple)
    assert (await verbs.logs(m.LogsArgs(count=50))).lines


async def test_how_relays_performed_is_told_for_each_day_that_is_kept(running: tuple[Engine, Verbs]) -> None:
    _, verbs = running
    await verbs.room_create(m.RoomCreate("talk"))
    await verbs.room_send(m.RoomSend("talk", (b"one", b"two"), wait_s=WAIT_S))
    today = await verbs.telemetry(m.TelemetryAsk())
    (one,) = today.relays
    assert (await verbs.status(m.Empty())).peer_id.startswith(one.relay)
    assert len(one.relay) == SHORT_ID
    assert one.attempts >= one.stored >= 1
    assert one.ack_p50_ms is not None
    before = await verbs.telemetry(m.TelemetryAsk(30))
    assert (before.relays, today.day_unix_s - before.day_unix_s) == ((), 30 * 86_400)
    for days_ago in (-1, 31):
        with pytest.raises(RailGunError, match="kept for 30 days"):
            await verbs.telemetry(m.TelemetryAsk(days_ago))


async def test_the_answer_says_whether_anybody_else_gets_to_know(running: tuple[Engine, Verbs]) -> None:
    engine, verbs = running
    assert (await verbs.telemetry(m.TelemetryAsk())).goes == "nowhere"
    engine.config = replace(engine.config, telemetry="share")
    assert (await verbs.telemetry(m.TelemetryAsk())).goes == "not-hybrid"
    engine.config = replace(engine.config, mode="hybrid", central=(HostPort("127.0.0.1", 9),))
    told = await verbs.telemetry(m.TelemetryAsk())
    assert (told.goes, told.mode, told.told_unix_s) == ("central", "hybrid", None)
    engine.telemetry.telemetry.shared_day = 20_000
    assert (await verbs.telemetry(m.TelemetryAsk())).told_unix_s == 20_000 * 86_400.0
