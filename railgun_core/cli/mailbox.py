"""`railgun mailbox`: whether this node keeps mail for others who are away, shown or changed while it runs.

Switching it off while mail of others is kept takes a word on what becomes of that: a person at a terminal is asked,
everybody else says `--keep` or `--drop`.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import click

from railgun_core.base.errors import RailGunError, UsageError, sentence_of
from railgun_core.cli.frame import Place, ask, common
from railgun_core.cli.outcome import print_json
from railgun_core.cli.tables import counted, pairs
from railgun_core.local_api.messages import MailboxInfo, MailboxSet

_MB = 1_000_000
_INSIDE = "mail-inside"


@click.command()
@click.argument("wanted", metavar="[on|off]", required=False, type=click.Choice(["on", "off"]))
@click.option("--limit-mb", metavar="MB", type=click.IntRange(min=1), help="Space on this disk for mail of others.")
@click.option(
    "--keep", "kept", flag_value="keep", help="Off: hand out what is here until it expires; take nothing new."
)
@click.option("--drop", "kept", flag_value="drop", help="Off, or less space: drop what is here before its time.")
@common
def mailbox(place: Place, wanted: str | None, limit_mb: int | None, kept: str | None) -> int:
    """Show whether this node keeps mail for others, or change it: at once, and for later starts."""
    if wanted is None and limit_mb is None:
        if kept is not None:
            raise UsageError(f"--{kept} belongs to `mailbox off` or --limit-mb.")
        found = ask(place, "mailbox.get", None, MailboxInfo)
    else:
        on = None if wanted is None else wanted == "on"
        asked = MailboxSet(on, None if limit_mb is None else limit_mb * _MB, kept or "")
        changed = _changed(place, asked)
        if changed is None:
            click.echo("Nothing was changed.", err=True)
            return RailGunError.exit_status
        found = changed
    if place.json:
        print_json(found)
    else:
        click.echo(pairs(mailbox_rows(found)))
    return 0


def _changed(place: Place, asked: MailboxSet) -> MailboxInfo | None:
    """The change, after a question where mail of others is in the way; None: the person wants it as it was."""
    try:
        return ask(place, "mailbox.set", asked, MailboxInfo)
    except RailGunError as refused:
        if refused.code != _INSIDE:
            raise
        sentence = sentence_of(refused)
    choices = ("keep", "drop") if asked.on is False else ("drop",)
    if place.json or not sys.stdin.isatty():
        flags = " or ".join(f"--{choice}" for choice in choices)
        raise UsageError(f"{sentence} Add {flags}.", code=_INSIDE)
    click.echo(sentence, err=True)
    answers = click.Choice([*choices, "cancel"])
    answer = click.prompt("What becomes of it?", type=answers, default="cancel", err=True)
    if answer == "cancel":
        return None
    return ask(place, "mailbox.set", MailboxSet(asked.on, asked.limit_bytes, answer), MailboxInfo)


def mailbox_rows(found: MailboxInfo) -> list[tuple[str, object]]:
    """Whether mail is taken, and what is kept."""
    status = found.status
    if found.on:
        state = "on: mail for members who are away is taken"
    elif status.envelopes:
        state = "off: nothing new is taken, what is kept is handed out until it expires"
    else:
        state = "off: no mail of others is kept"
    rows: list[tuple[str, object]] = [
        ("Mailbox", state),
        ("Space", f"{status.used_bytes / _MB:,.0f} of {found.limit_bytes / _MB:,.0f} MB used"),
    ]
    if found.last_expires_unix_s is not None:
        last = datetime.fromtimestamp(found.last_expires_unix_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
        rows.append(("Kept", f"{counted(status.envelopes, 'envelope')}, the last until {last}"))
    if found.disk_free_bytes is not None:
        rows.append(("Disk", f"{found.disk_free_bytes / _MB:,.0f} MB free"))
    return rows
