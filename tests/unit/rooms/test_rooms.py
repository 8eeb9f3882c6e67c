"""Sessions of a member with scripted relays, and leaving: who pushes, who takes over, what garbage costs."""

from __future__ import annotations

import pytest

from railgun_core.base.errors import MalformedFrame, UsageError
from railgun_core.wire.frames import Bye, Pull, Slice
from tests.unit.rooms.table import (
    HANDLE,
    ROOT,
    frame_of,
    met,
    read,
    seated,
)


def test_a_member_meets_three_relays_one_pushes_one_announces_one_waits() -> None:
    table = seated()
    assert sorted(relay.slice for relay in table.relays) == [Slice.QUIET, Slice.PUSH, Slice.ANNOUNCE]


def test_when_the_first_relay_dies_the_next_pushes_and_tells_what_it_holds() -> None:
    table = seated()
    second = table.relay(Slice.ANNOUNCE)
    second.asked.clear()
    table.relay(Slice.PUSH).die()
    assert table.relay(Slice.PUSH) is second
    assert Pull(HANDLE, 0) in second.asked
    assert len(table.relays) == 3


def test_what_a_relay_sent_before_its_goodbye_in_the_same_read_counts() -> None:
    table = seated()
    ann = met(table)
    table.relay(Slice.PUSH).say(frame_of(table, *ann.item(1)), Bye(HANDLE).encode())
    assert read(table) == [b"words"]


def test_garbage_in_a_frame_is_malformed_and_the_other_relays_go_on() -> None:
    table = seated()
    ann = met(table)
    with pytest.raises(MalformedFrame):
        table.relay(Slice.PUSH).say(b"\x00\x00\x00\x02\x63\x00")
    table.relay(Slice.PUSH).die()
    table.relay(Slice.PUSH).push(ann.item(1))
    assert read(table) == [b"words"]


def test_a_room_is_entered_once() -> None:
    table = seated()
    with pytest.raises(UsageError) as refused:
        table.rooms.create("again", ROOT, table.now, table.out, joining=True)
    assert refused.value.code == "already-joined"
