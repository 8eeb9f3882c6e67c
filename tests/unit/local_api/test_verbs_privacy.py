"""The privacy verbs against a real engine: what they do, and how each says no in one sentence."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from railgun_core.base.errors import RailGunError
from railgun_core.engine.engine import Engine
from railgun_core.local_api import messages as m
from railgun_core.local_api.verbs import Verbs
from tests.unit.local_api.alone import alone

WAIT_S = 20.0


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[tuple[Engine, Verbs]]:
    async with alone(tmp_path) as pair:
        yield pair


async def ask(verbs: Verbs, verb: str, args: object) -> object:
    handler = verbs.handlers()[verb]
    assert handler.answer is not None
    return await handler.answer(args)


async def said_no(verbs: Verbs, verb: str, args: object) -> str:
    """The code with which a verb refuses."""
    with pytest.raises(RailGunError) as refused:
        await ask(verbs, verb, args)
    return refused.value.code


async def test_the_price_is_told_without_changing_anything(running: tuple[Engine, Verbs]) -> None:
    engine, verbs = running
    room = (await verbs.room_create(m.RoomCreate("talk"))).room
    price = await ask(verbs, "room.price", m.PriceAsk("talk", 10.0))
    assert isinstance(price, m.Price)
    assert price.room == room
    assert price.gb_month == pytest.approx(10.0, rel=0.05)
    assert not price.possible  # nobody mixes here
    assert price.why
    assert not (await verbs.room_list(m.Empty())).rooms[0].high_security
    assert engine.config.secure_gb_month == 30.0
    for budget in (0.01, 1e6, float("nan")):
        assert await said_no(verbs, "room.price", m.PriceAsk("talk", budget)) == "usage"
    assert await said_no(verbs, "room.price", m.PriceAsk("nowhere")) == "no-such-room"


async def test_high_security_is_switched_and_its_budget_is_kept(running: tuple[Engine, Verbs]) -> None:
    engine, verbs = running
    await verbs.room_create(m.RoomCreate("talk"))
    info = await ask(verbs, "room.secure", m.RoomSecure("talk", True, 12.0))
    assert isinstance(info, m.RoomInfo)
    assert info.high_security
    assert engine.config.secure_gb_month == 12.0
    assert (await verbs.room_members(m.RoomRef("talk"))).members[0].secure
    (status,) = (await verbs.status(m.Empty())).rooms
    assert (status.high_security, status.badge) == (True, False)
    info = await ask(verbs, "room.secure", m.RoomSecure("talk", False))
    assert isinstance(info, m.RoomInfo)
    assert not info.high_security


async def test_members_are_named_by_enough_digits_and_never_oneself(running: tuple[Engine, Verbs]) -> None:
    _, verbs = running
    await verbs.room_create(m.RoomCreate("talk"))
    (me,) = (await verbs.room_members(m.RoomRef("talk"))).members
    for verb in ("room.safety", "room.remove"):
        assert await said_no(verbs, verb, m.MemberRef("talk", me.member)) == "that-is-you"
        assert await said_no(verbs, verb, m.MemberRef("talk", "")) == "no-such-member"
        assert await said_no(verbs, verb, m.MemberRef("talk", "zz")) == "no-such-member"
        assert await said_no(verbs, verb, m.MemberRef("talk", "zzzz")) == "no-such-member"


async def test_opaque_bytes_come_back_as_they_went_and_are_marked(running: tuple[Engine, Verbs]) -> None:
    _, verbs = running
    await verbs.room_create(m.RoomCreate("talk"))
    bodies = (bytes(range(256)), b"\xff" * 20_000)
    sent = await ask(verbs, "room.send_opaque", m.RoomSendOpaque("talk", bodies, wait_s=WAIT_S))
    assert isinstance(sent, m.Sent)
    assert (sent.lines, sent.reached, sent.waiting) == (2, 2, 0)
    found = (await verbs.room_read(m.RoomRead("talk"))).messages
    assert [(message.body, message.opaque) for message in found] == [(body, True) for body in bodies]
    assert await said_no(verbs, "room.send_opaque", m.RoomSendOpaque("talk", ())) == "usage"
    assert await said_no(verbs, "room.send_opaque", m.RoomSendOpaque("talk", (b"x",), wait="never")) == "usage"


async def test_the_ledger_answers_for_each_day_that_is_kept(running: tuple[Engine, Verbs]) -> None:
    _, verbs = running
    today = await ask(verbs, "exposure", m.ExposureAsk())
    before = await ask(verbs, "exposure", m.ExposureAsk(30))
    assert isinstance(today, m.Exposure)
    assert isinstance(before, m.Exposure)
    assert today.day_unix_s - before.day_unix_s == 30 * 86_400
    assert before.roles == ()
    for days_ago in (-1, 31):
        assert await said_no(verbs, "exposure", m.ExposureAsk(days_ago)) == "usage"
