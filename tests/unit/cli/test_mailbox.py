"""`railgun mailbox`: shown, switched, and what becomes of mail of others is never guessed."""

from __future__ import annotations

import json

import msgspec

from railgun_core.local_api.messages import MailboxInfo, MailboxSet
from railgun_core.status import MailboxStatus
from tests.unit.cli.conftest import NO_MAILBOX, Cli, Engine

HOLDS = MailboxInfo(
    True,
    1_000_000_000,
    MailboxStatus(serving=True, tags=3, envelopes=214, used_bytes=38_000_000, limit_bytes=1_000_000_000),
    last_expires_unix_s=1_764_338_400.0,
)
INSIDE = "214 envelopes of others are kept here."


def test_without_arguments_nothing_is_changed(cli: Cli, engine: Engine) -> None:
    assert cli("mailbox").out.decode().splitlines() == [
        "Mailbox  off: no mail of others is kept",
        "Space    0 of 1,000 MB used",
        "Disk     12,000 MB free",
    ]
    assert engine.asked == []
    assert json.loads(cli("mailbox", "--json").out)["on"] is False


def test_on_with_its_room_says_what_is_kept_and_until_when(cli: Cli, engine: Engine) -> None:
    engine.mailbox_info = HOLDS
    assert cli("mailbox", "on", "--limit-mb", "1000").out.decode().splitlines() == [
        "Mailbox  on: mail for members who are away is taken",
        "Space    38 of 1,000 MB used",
        "Kept     214 envelopes, the last until 2025-11-28 14:00 UTC",
    ]
    assert engine.asked == [MailboxSet(True, 1_000_000_000)]


def test_switching_off_with_mail_of_others_inside_takes_a_word(cli: Cli, engine: Engine) -> None:
    engine.mailbox_refuses = INSIDE
    refused = cli("mailbox", "off")
    assert (refused.status, refused.err) == (2, f"railgun: {INSIDE} Add --keep or --drop.\n")
    less = cli("mailbox", "--limit-mb", "2")
    assert (less.status, less.err) == (2, f"railgun: {INSIDE} Add --drop.\n")
    engine.mailbox_info = msgspec.structs.replace(HOLDS, on=False)
    assert "handed out until it expires" in cli("mailbox", "off", "--keep").out.decode()
    engine.mailbox_info = NO_MAILBOX
    assert cli("mailbox", "off", "--drop").status == 0
    assert engine.asked[2:] == [MailboxSet(False, None, "keep"), MailboxSet(False, None, "drop")]


def test_a_word_on_what_is_kept_without_a_change_is_a_mistake(cli: Cli, engine: Engine) -> None:
    assert cli("mailbox", "--drop").status == 2
    assert engine.asked == []
