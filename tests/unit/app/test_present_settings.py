"""Settings in words, and what a person typed as values."""

from __future__ import annotations

import msgspec
import pytest

from app.present_settings import (
    closing_question,
    mail_view,
    mode_view,
    room_of,
    servers_of,
    share_note,
    shrinking_question,
)
from railgun_core.local_api.messages import MailboxInfo, ModeInfo, TelemetryDay
from railgun_core.status import CentralStatus, MailboxStatus

NOW_S = 1_764_000_000.0
SERVER = "server.example.org:4222"
HYBRID = ModeInfo("hybrid", (), True, (SERVER,), True, CentralStatus(configured=True, up=True))
HOLDS = MailboxInfo(
    True,
    1_073_741_824,
    MailboxStatus(serving=True, envelopes=214, used_bytes=38_000_000, limit_bytes=1_073_741_824),
    last_expires_unix_s=NOW_S + 5.6 * 86_400,
    disk_free_bytes=84_000_000_000,
)


@pytest.mark.parametrize(
    ("info", "says"),
    [
        (ModeInfo("p2p", (), True, (), False), "No server is set."),
        (ModeInfo("p2p", (), True, (SERVER,), False), "Not used in this mode; kept for later."),
        (HYBRID, "The server answers."),
        (
            msgspec.structs.replace(HYBRID, status=CentralStatus(configured=True, why="unreachable")),
            "Not now: it cannot be reached. Messages go the other ways meanwhile.",
        ),
    ],
)
def test_the_server_is_spoken_of_as_it_is(info: ModeInfo, says: str) -> None:
    assert mode_view(info).note.sentence == says
    assert not mode_view(info).note.bad


def test_starting_points_are_shown_as_they_were_named() -> None:
    assert mode_view(HYBRID).starts == "None is named."
    named = ModeInfo("full", ("192.0.2.7:7000", "[2001:db8::7]:7000"), False, (), False)
    assert mode_view(named).starts == "Named: 192.0.2.7:7000, [2001:db8::7]:7000"


def test_addresses_are_taken_one_by_one_and_twice_is_once() -> None:
    assert servers_of(f" {SERVER}, 192.0.2.1:4222 {SERVER}") == ((SERVER, "192.0.2.1:4222"), "")
    assert servers_of("[2001:db8::1]:4222") == (("[2001:db8::1]:4222",), "")


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("  ", "Write the server's address first"),
        ("server", "“server” is no address"),
        ("server:port", "“server:port” is no address"),
        (f"{SERVER} nats://a:1/x", "“nats://a:1/x” is no address"),
        (":4222", "“:4222” is not whole"),
        ("server:0", "“server:0” is not whole"),
    ],
)
def test_what_is_no_address_is_named_and_what_one_looks_like(typed: str, says: str) -> None:
    servers, problem = servers_of(typed)
    assert servers == ()
    assert problem.startswith(says)


@pytest.mark.parametrize("typed", ["", "much", "-5", "1.5", "\u0661", "9" * 13])
def test_space_that_is_no_whole_number_is_refused(typed: str) -> None:
    room_bytes, problem = room_of(typed)
    assert room_bytes is None
    assert problem == "Write the space as a whole number of MB, as in 1000."


def test_space_may_be_written_in_groups_as_it_is_shown() -> None:
    assert room_of(mail_view(HOLDS, NOW_S).room) == (1_074_000_000, "")


def test_a_mailbox_says_how_much_it_keeps_and_for_how_long() -> None:
    view = mail_view(HOLDS, NOW_S)
    assert view.summary == "Keeps 214 envelopes, 38 MB of 1.1 GB; the last expires within 6 days."
    assert view.part == pytest.approx(0.035, abs=0.001)
    assert (view.on, view.emptying, view.note.sentence) == (True, False, "84 GB are free on this disk.")
    soon = msgspec.structs.replace(HOLDS, last_expires_unix_s=NOW_S + 3_600)
    assert mail_view(soon, NOW_S).summary.endswith("the last expires within a day.")


def test_off_is_said_with_what_is_left() -> None:
    off = msgspec.structs.replace(HOLDS, on=False)
    assert (
        mail_view(off, NOW_S).summary == "Takes nothing new. Hands out 214 envelopes until they expire, within 6 days."
    )
    assert mail_view(off, NOW_S).emptying
    empty = MailboxInfo(False, 10**9)
    assert (mail_view(empty, NOW_S).summary, mail_view(empty, NOW_S).part) == ("Off. No mail of others lies here.", 0.0)
    assert mail_view(msgspec.structs.replace(empty, on=True), NOW_S).summary == "Nothing is kept now."


def test_questions_say_how_many_for_how_long_and_that_it_cannot_be_undone() -> None:
    closing = closing_question(HOLDS, NOW_S)
    assert closing.title == "214 sealed envelopes of others are kept here"
    assert "within 6 days" in closing.words
    assert "cannot be undone" in closing.words
    one = msgspec.structs.replace(HOLDS, status=MailboxStatus(serving=True, envelopes=1))
    assert closing_question(one, NOW_S).title == "1 sealed envelope of others is kept here"
    assert "38 MB are in use. With 20 MB the oldest" in shrinking_question(HOLDS, 20_000_000).words


@pytest.mark.parametrize(
    ("goes", "says"),
    [
        ("nowhere", "Nothing leaves this device."),
        ("not-hybrid", "Nothing leaves this device yet: that needs the mode with a server."),
        ("central", "Yesterday's sums go to your server once a day."),
    ],
)
def test_where_figures_go_is_said_plainly(goes: str, says: str) -> None:
    assert share_note(TelemetryDay(NOW_S, (), goes, "p2p")).sentence == says
