"""Invite links: what is written is read, what is damaged or expired says so, nothing else happens."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from railgun_core.base.errors import UsageError
from railgun_core.rooms.invite import (
    LIFETIME_S,
    MAX_HINTS,
    MAX_LINK_CHARS,
    PREFIX,
    Invite,
    decode_invite,
    encode_invite,
)
from tests.property.mutants import every_prefix
from tests.property.samples import INVITES
from tests.unit.vectors.reading import vectors

NOW_S = 1_800_000_000.0
INVITE = Invite(b"r" * 32, "Garden club", int(NOW_S) + LIFETIME_S, (("127.0.0.1", 4_000),))


def code_of(link: str, unix_s: float = NOW_S) -> str:
    with pytest.raises(UsageError) as refused:
        decode_invite(link, unix_s)
    return refused.value.code


@pytest.mark.parametrize("vector", vectors("rooms")["invites"])
def test_a_link_is_that_of_the_vectors(vector: dict[str, Any]) -> None:
    hints = tuple((host, port) for host, port in vector["hints"])
    invite = Invite(bytes.fromhex(vector["room_root"]), vector["name"], vector["expires_s"], hints)
    assert encode_invite(invite) == vector["link"]
    assert decode_invite(vector["link"], NOW_S) == invite
    assert invite.fingerprint == vector["fingerprint"]


@given(INVITES)
def test_any_invite_comes_back_as_it_was(invite: Invite) -> None:
    link = encode_invite(invite)
    assert decode_invite(link, 0.0) == invite
    assert len(link) <= MAX_LINK_CHARS


def test_spaces_and_line_breaks_around_a_link_do_not_matter() -> None:
    assert decode_invite(f" \n{encode_invite(INVITE)}\r\n", NOW_S) == INVITE


def test_a_link_broken_off_anywhere_is_bad() -> None:
    link = encode_invite(INVITE)
    for prefix in every_prefix(link.encode()):
        assert code_of(prefix.decode()) == "bad-invite"


def test_a_link_with_anything_behind_it_is_bad() -> None:
    link = encode_invite(INVITE)
    for tail in ("A", "AAAA", "=", "==", "/", "?x=1", "#", "\x00"):
        assert code_of(link + tail) == "bad-invite"


def test_any_character_changed_is_noticed() -> None:
    link = encode_invite(INVITE)
    for at in range(len(PREFIX), len(link)):
        other = "A" if link[at] != "A" else "B"
        assert code_of(link[:at] + other + link[at + 1 :]) == "bad-invite"


@pytest.mark.parametrize("link", ["", " ", "railgun://join", "railgun://join/", "https://example.org/", PREFIX + "é"])
def test_what_is_no_link_is_bad(link: str) -> None:
    assert code_of(link) == "bad-invite"


def test_a_link_of_another_case_or_scheme_is_bad() -> None:
    link = encode_invite(INVITE)
    assert code_of(link.upper()) == "bad-invite"
    assert code_of(link.replace("railgun:", "railgun2:")) == "bad-invite"


def test_a_link_longer_than_two_kilobytes_is_bad() -> None:
    assert code_of(PREFIX + "A" * MAX_LINK_CHARS) == "bad-invite"


def test_an_invite_ends_at_its_second() -> None:
    link = encode_invite(INVITE)
    assert decode_invite(link, INVITE.expires_s - 0.001) == INVITE
    assert code_of(link, INVITE.expires_s) == "invite-expired"
    assert code_of(link, INVITE.expires_s + 1e9) == "invite-expired"


@pytest.mark.parametrize("name", ["", "x" * 121, "é" * 61, "two\nlines", "bell\a", "\x1b[31mred", "\ud800", "a\u202eb"])
def test_a_name_that_cannot_be_shown_is_refused_when_writing(name: str) -> None:
    with pytest.raises(UsageError) as refused:
        encode_invite(Invite(b"r" * 32, name, int(NOW_S) + 60))
    assert refused.value.code == "bad-name"


def test_no_more_hints_go_in_than_a_reader_takes() -> None:
    hints = tuple((f"127.0.0.{n}", 4_000) for n in range(1, 9))
    link = encode_invite(Invite(b"r" * 32, "Many", int(NOW_S) + 60, hints))
    assert decode_invite(link, NOW_S).hints == hints[:MAX_HINTS]


def test_the_room_secret_does_not_show_in_a_repr() -> None:
    assert "rrrr" not in repr(INVITE)


def test_the_fingerprint_belongs_to_the_room_and_not_to_the_link() -> None:
    again = Invite(INVITE.room_root, "Other name", INVITE.expires_s + 5)
    other = Invite(b"s" * 32, INVITE.name, INVITE.expires_s)
    assert again.fingerprint == INVITE.fingerprint != other.fingerprint
    assert [len(part) for part in INVITE.fingerprint.split(" ")] == [4, 4, 4, 4]
