"""Receiving: in order, once, durable before it is shown; and what a hostile member can make it cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.ids import MemberId
from railgun_core.changes import Membership
from railgun_core.rooms.content import Entry, Mood
from railgun_core.rooms.mail import RoomMail
from railgun_core.rooms.receive import MAX_AHEAD_BYTES
from railgun_core.rooms.sync import MAX_MEMBERS
from railgun_core.sim.world import at_once
from railgun_core.wire.frames import Have, Slice, Want
from tests.unit.rooms.table import (
    ANN,
    HANDLE,
    KEYS,
    frame_of,
    met,
    read,
    seated,
)


def test_items_are_shown_in_order_once_and_only_when_durable() -> None:
    table = seated()
    ann = met(table)
    relay = table.relay(Slice.PUSH)
    table.saves = False
    relay.push(ann.item(2, b"two"), ann.item(1, b"one"))
    assert read(table) == []
    assert table.room.inboxes[ANN].committed == 0
    table.commit()
    assert read(table) == [b"one", b"two"]
    relay.push(ann.item(1, b"one"), ann.item(3, b"three"), ann.item(2, b"two"))
    table.commit()
    assert read(table) == [b"one", b"two", b"three"]


def test_a_members_row_never_says_more_than_the_items_beside_it() -> None:
    """Items and a farewell in one read: power goes before the items are durable."""
    table = seated()
    ann = met(table)
    table.saves = False
    table.relay(Slice.PUSH).push(ann.item(2), ann.item(1), ann.sync(mood=Mood.LEAVING))
    while table.unsaved:
        again = table.restarted()
        have = {m.member: m.have for m in at_once(again.store.load()).rooms[0].members}[ANN]
        assert len(read(again)) == have
        at_once(table.store.commit(table.unsaved.pop(0).changes))
    assert len(read(table)) == 2


def test_a_relay_cannot_keep_an_item_away_by_bringing_others_under_its_name() -> None:
    """The name is outside the seal: a carrier may put any envelope it has under any name it knows."""
    table = seated()
    ann = met(table)
    liar, honest = table.relay(Slice.PUSH), table.relay(Slice.ANNOUNCE)
    one, two, three = ann.item(1, b"one"), ann.item(2, b"two"), ann.item(3, b"three")
    liar.push(one, (two[0], one[1]), (three[0], ann.sync()[1]))
    honest.push(two, three, two, three)
    assert read(table) == [b"one", b"two", b"three"]


def test_a_gap_is_asked_for_by_name_and_then_by_a_sync() -> None:
    table = seated()
    ann = met(table)
    relay = table.relay(Slice.PUSH)
    relay.push(ann.item(1), ann.item(3))
    mark = len(relay.syncs())
    table.after(1.5)
    wanted = [frame.ids for one in table.relays for frame in one.asked if isinstance(frame, Want)]
    assert wanted[0] == (KEYS.msg_id(ANN, 2, ann.generation),)
    table.after(12.0)
    assert len(relay.syncs()) > mark
    relay.push(ann.item(2))
    assert len(read(table)) == 3


def test_a_gap_that_stays_is_looked_for_in_the_mail_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its sender leaves an item with mailboxes only some time after it was sent: the first look may be too early."""
    looks: list[RoomMail] = []
    collect_soon = RoomMail.collect_soon
    monkeypatch.setattr(RoomMail, "collect_soon", lambda mail: (looks.append(mail), collect_soon(mail))[1])
    table = seated()
    ann = met(table)
    table.relay(Slice.PUSH).push(ann.item(1), ann.item(3))
    table.after(60.0)
    assert 2 <= len(looks) <= 6


def test_what_a_relay_holds_and_this_member_lacks_is_asked_for_a_few_at_a_time() -> None:
    table = seated()
    ann = met(table)
    second = table.relay(Slice.ANNOUNCE)
    ids = tuple(KEYS.msg_id(ANN, seq, ann.generation) for seq in range(1, 101))
    second.asked.clear()
    second.say(Have(HANDLE, 100, ids).encode())
    (want,) = [frame for frame in second.asked if isinstance(frame, Want)]
    assert want.ids == ids[:32]
    second.push(*(ann.item(seq) for seq in range(1, 33)))
    assert [frame.ids for frame in second.asked if isinstance(frame, Want)] == [ids[:32], ids[32:64]]


def test_a_dropped_early_item_is_taken_when_it_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("railgun_core.rooms.receive.MAX_AHEAD_BYTES", 10)
    table = seated()
    ann = met(table)
    relay = table.relay(Slice.PUSH)
    relay.push(ann.item(2, b"x" * 20), ann.item(3, b"three"))
    assert table.room.ahead_bytes == 20
    relay.push(ann.item(1, b"one"))
    assert len(read(table)) == 2
    relay.push(ann.item(3, b"three"))
    assert read(table)[-1] == b"three"
    assert MAX_AHEAD_BYTES > 10


@given(st.permutations(list(range(1, 9))), st.lists(st.integers(0, 8), max_size=4))
def test_any_order_of_arrival_with_restarts_between_shows_each_item_once(order: list[int], restarts: list[int]) -> None:
    table = seated()
    ann = met(table)
    for index, seq in enumerate(order):
        if index in restarts:
            table = table.restarted()
        table.relay(Slice.PUSH).push(ann.item(seq, b"%d" % seq))
    table = table.restarted()
    table.relay(Slice.PUSH).push(*(ann.item(seq, b"%d" % seq) for seq in range(1, 9)))
    assert read(table) == [b"%d" % seq for seq in range(1, 9)]


def test_a_member_that_speaks_of_countless_items_costs_a_question_now_and_then() -> None:
    table = seated()
    ann = met(table)
    mark = len(table.out)
    table.relay(Slice.PUSH).push(ann.sync(last=(1 << 62) - 1))
    table.after(120.0)
    wants = sum(isinstance(frame, Want) for relay in table.relays for frame in relay.asked)
    assert wants < 40
    assert len(table.out) - mark < 400
    table.relay(Slice.PUSH).push(ann.item(1))
    assert read(table) == [b"words"]


def test_a_sync_whose_stream_begins_after_its_end_is_ignored() -> None:
    table = seated()
    ann = met(table)
    relay = table.relay(Slice.PUSH)
    relay.push(ann.sync(first=1 << 61, last=3))
    relay.push(ann.item(1))
    assert read(table) == [b"words"]


def test_invented_members_fill_neither_memory_nor_syncs() -> None:
    table = seated()
    ann = met(table)
    relay = table.relay(Slice.PUSH)
    for block in range(4):
        ghosts = (MemberId((1_000 * block + n).to_bytes(8, "big")) for n in range(1_000))
        relay.push(ann.sync(*(Entry(ghost, Membership.ACTIVE, 5) for ghost in ghosts)))
    assert len(table.room.inboxes) == MAX_MEMBERS
    relay.push(ann.item(1))
    table.after(200.0)
    assert read(table) == [b"words"]
    assert len(relay.syncs()[-1].entries) <= MAX_MEMBERS


def test_bytes_that_no_member_sealed_are_passed_over() -> None:
    table = seated()
    ann = met(table)
    relay = table.relay(Slice.PUSH)
    good = frame_of(table, *ann.item(1))
    relay.say(good[:-1] + bytes((good[-1] ^ 1,)), good)
    assert read(table) == [b"words"]
