"""`room.outbox` of a real engine: what waits, why, where it is meanwhile, and that delivered things leave."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from railgun_core.base.clock import Instant
from railgun_core.base.errors import EnvironmentFailure
from railgun_core.base.ids import MemberId, RoomId
from railgun_core.changes import Delivery, Item, Membership, OutboxRange, RoomPut
from railgun_core.committee.epoch import EpochClock
from railgun_core.engine.engine import Engine
from railgun_core.local_api import messages as m
from railgun_core.local_api.outbox import outbox_of
from railgun_core.local_api.verbs import Verbs
from railgun_core.logs import start_logs
from railgun_core.rooms.inbox import Inbox
from railgun_core.rooms.keyring import Keyring
from railgun_core.rooms.mail import Keeper
from railgun_core.rooms.room import Room
from railgun_core.wire.kinds import Refusal
from tests.unit.local_api.alone import config_in

NOW = Instant(100.0, 1_800_000_000.0)
CLOCK = EpochClock(600, 120.0)
EPOCH = CLOCK.epoch_at(NOW.unix_s)
BOB = MemberId(b"bob-----")


async def test_without_any_relay_the_outbox_says_so_and_since_when(tmp_path: Path) -> None:
    log = start_logs(tmp_path / "log", level="info")
    engine = Engine(replace(config_in(tmp_path / "data"), roles=()))
    verbs = Verbs(engine, log)
    try:
        await engine.start()
        await verbs.room_create(m.RoomCreate("talk"))
        sent = await verbs.room_send(m.RoomSend("talk", (b"one", b"two"), wait_s=0.2))
        assert sent.waiting == 2
        found = await verbs.room_outbox(m.RoomRef("talk"))
        (group,) = found.unsent
        assert (group.why, group.items, found.stored, found.members) == ("no-relay", 2, (), ())
        assert group.since_unix_s == pytest.approx(engine.clock.instant().unix_s, abs=30)
        engine._saver.failure = EnvironmentFailure("The disk is full.", code="disk-full")
        assert [one.why for one in (await verbs.room_outbox(m.RoomRef("talk"))).unsent] == ["no-relay"]
        engine._saver.failure = None
    finally:
        await engine.stop()
        log.close()
        structlog.reset_defaults()


def room_with(next_seq: int = 1) -> Room:
    put = RoomPut(RoomId(b"r" * 16), "talk", b"k" * 32, b"s" * 32, NOW.unix_s, Membership.ACTIVE)
    return Room(put, Keyring.create(put.member_seed, NOW.unix_s), next_seq=next_seq, first_kept=1)


def items(first: int, last: int) -> list[Item]:
    return [Item(seq, 0, 1, b"x", NOW.unix_s + seq) for seq in range(first, last + 1)]


def told(room: Room, *, disk_refuses: bool = False) -> m.Outbox:
    return outbox_of(room, CLOCK, NOW, disk_refuses=disk_refuses)


def groups(found: tuple[m.OutboxGroup, ...]) -> dict[str, int]:
    return {group.why: group.items for group in found}


def test_a_room_where_nothing_is_open_has_an_empty_outbox() -> None:
    found = told(room_with(9))
    assert (found.unsent, found.stored, found.members, found.last_seq) == ((), (), (), 8)


def test_each_step_on_the_way_is_told_apart() -> None:
    room = room_with()
    outbox = room.outbox
    outbox.next_seq = 11  # 1 and 2 at relays, 3 in the queue, 4 to 10 not on the disk yet
    outbox.add(items(1, 3))
    for relay in (b"a", b"b"):
        outbox.place(outbox.next(), EPOCH, relay, NOW.mono_s)
    outbox.accept([2])
    found = told(room, disk_refuses=True)
    assert groups(found.unsent) == {"disk": 7, "no-relay": 1, "relay-silent": 1, "no-majority": 1}
    assert groups(told(room).unsent)["saving"] == 7
    since = {group.why: group.since_unix_s for group in found.unsent}
    assert since["no-majority"] == NOW.unix_s + 2


def test_what_waits_for_the_server_first_is_no_fault_of_relays() -> None:
    room = room_with(3)
    room.outbox.add(items(1, 2))
    room.outbox.held_s[1] = NOW.mono_s + 2
    assert groups(told(room).unsent) == {"server-first": 1, "no-relay": 1}


def test_what_waits_because_mailboxes_are_full_says_so() -> None:
    room = room_with(3)
    room.outbox.add(items(1, 2))
    for lack, why in ((Refusal.QUOTA, "mail-quota"), (Refusal.FULL, "mail-full"), (None, "no-relay")):
        room.mail.lack = lack
        assert groups(told(room).unsent) == {why: 2}


def test_what_was_unsent_before_a_restart_is_being_restored() -> None:
    room = room_with(600)
    room.outbox.restore([OutboxRange(580, 599, Delivery.QUEUED, 0)])
    assert groups(told(room).unsent) == {"restoring": 20}


def test_stored_items_are_told_by_place_and_an_ended_committee_is_no_place() -> None:
    room = room_with(7)
    outbox = room.outbox
    outbox.restore([OutboxRange(1, 4, Delivery.STORED, EPOCH), OutboxRange(5, 6, Delivery.STORED, EPOCH - 50)])
    room.mail.keep(3, Keeper.MAILBOX, 1)
    room.mail.keep(4, Keeper.CENTRAL, 1)
    room.mail.keep(6, Keeper.MAILBOX, 1)
    assert groups(told(room).stored) == {"committee": 2, "committee-gone": 1, "mailbox": 2, "central": 1}


def test_members_who_lack_something_are_named_and_the_silent_are_not_awaited() -> None:
    room = room_with(11)
    room.outbox.restore([OutboxRange(6, 10, Delivery.STORED, EPOCH)])
    inbox = room.inboxes[BOB] = Inbox(BOB, baseline=0, since_s=NOW.unix_s)
    inbox.confirmed = 7
    (member,) = told(room).members
    assert (member.lacks, member.awaited) == (3, True)
    inbox.confirmed = 10
    assert told(room).members == ()
    inbox.confirmed, inbox.since_s = 2, NOW.unix_s - 30 * 86_400
    (member,) = told(room).members
    assert (member.lacks, member.awaited) == (8, False)
