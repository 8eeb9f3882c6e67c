"""Rooms, messages and the inspector in words."""

from __future__ import annotations

import pytest

from app.present_rooms import inspection_view, member_rows, message_row, room_rows
from railgun_core.local_api.messages import Inspection, MemberInfo, Members, MessageOut, Seat
from railgun_core.status import Anonymity, RoomStatus

NOW_S = 1_000_000.0


@pytest.mark.parametrize(
    ("delivery", "tick", "settled"),
    [
        ("queued", "◷", False),
        ("accepted", "✓", False),
        ("stored", "✓✓", False),
        ("delivered", "✓✓", True),
        ("", "", False),
    ],
)
def test_an_own_message_says_how_far_it_has_come(delivery: str, tick: str, settled: bool) -> None:
    row = message_row(MessageOut(1, "aa" * 16, True, 1, b"hi", NOW_S, delivery))
    assert (row.tick, row.delivery, row.settled) == (tick, delivery, settled)


def test_a_message_of_somebody_else_has_no_tick() -> None:
    row = message_row(MessageOut(1, "aa11bb22" * 4, False, 1, b"hi", NOW_S, ""))
    assert (row.tick, row.delivery, row.settled, row.sender) == ("", "", True, "aa11bb22")


def test_bytes_that_are_no_text_are_shown_by_their_size() -> None:
    assert message_row(MessageOut(1, "aa", False, 1, b"\xff" * 2_000, NOW_S)).text == "[2 kB of data]"


def test_the_ciphertext_of_another_program_is_never_shown_as_text() -> None:
    message = MessageOut(1, "aa", False, 1, b"looks like text", NOW_S, opaque=True)
    assert message_row(message).text == "[15 B, encrypted by another program]"


def test_a_high_security_room_says_so_to_who_listens() -> None:
    room = RoomStatus("1", "Garden", 4, 1, 5, 5, 0, 0, high_security=True, unreadable=2)
    (row,) = room_rows((room,), Anonymity(why="too few mixes"))
    assert row.spoken.startswith("Garden, high security: Not anonymous yet, 4 members")
    assert row.note.startswith("End-to-end encrypted")
    assert row.note.endswith("2 messages could not be opened here.")


def test_rooms_stand_by_name_and_say_what_waits() -> None:
    rooms = (RoomStatus("2", "night", 3, 1, 5, 4, 1, 0), RoomStatus("1", "Garden", 1, 1, 5, 5, 0, 2))
    first, second = room_rows(rooms, Anonymity())
    assert (first.name, first.small, first.unread) == ("Garden", "1 member · 5 of 5 relays", 2)
    assert second.small == "3 members · 4 of 5 relays · 1 waiting"
    assert first.spoken == "Garden, 1 member · 5 of 5 relays, 2 new messages"


def test_members_stand_with_you_first_and_who_left_last() -> None:
    members = Members(
        "r",
        (
            MemberInfo("cc" * 16, False, 1, 1, NOW_S - 5, True),
            MemberInfo("bb" * 16, False, 3, 1, NOW_S - 42, False),
            MemberInfo("dd" * 16, False, 0, 0, 0.0, False),
            MemberInfo("aa" * 16, True, 1, 1, NOW_S, False),
        ),
    )
    rows = member_rows(members, NOW_S)
    assert [row.name for row in rows] == ["You (aaaaaaaa)", "bbbbbbbb", "dddddddd", "cccccccc"]
    assert [row.small for row in rows[1:]] == [
        "3 messages · heard 42 s ago",
        "not heard yet",
        "has left · 1 message",
    ]


def test_the_inspector_says_why_each_seat_is_held() -> None:
    seat = Seat(0, "9c41d07e" * 8, "10.1", 1, "rank 1 of 212")
    view = inspection_view(Inspection("7f3a91c2", 7, "8f" * 32, (seat,), (seat,), True, ()))
    assert (view.verdict, view.colour) == ("Verified", "good")
    assert [(row.place, row.peer, row.why) for row in view.seats] == [
        ("Seat 1", "9c41d07e", "rank 1 of 212"),
        ("Standby", "9c41d07e", "rank 1 of 212"),
    ]


def test_differences_are_said_and_not_hidden() -> None:
    view = inspection_view(Inspection("7f3a91c2", 7, "", (), (), False, ("seat 2: other relay", "seat 3: no record")))
    assert (view.verdict, view.sentence) == ("Differs", "seat 2: other relay; seat 3: no record")
