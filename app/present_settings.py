"""The page Settings in words, and what a person typed there as values. Pure.

A refusal is one sentence that says what is wrong and what would be right; it stands beside the field it is about.
"""

from __future__ import annotations

from dataclasses import dataclass

from app import figures, messages
from app.messages import grouped, tr, tr_count
from app.present_upkeep import central_reason
from railgun_core.base.errors import UsageError
from railgun_core.config import HostPort
from railgun_core.local_api.messages import MailboxInfo, ModeInfo, TelemetryDay

MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Note:
    """One line under a control; `bad` when it says why something was not done."""

    sentence: str
    bad: bool = False


@dataclass(frozen=True, slots=True)
class ModeView:
    """The card of the mode."""

    mode: str
    starts: str
    servers: str
    central_first: bool
    note: Note


@dataclass(frozen=True, slots=True)
class MailView:
    """The card of the mailbox. `part` of the room that is used, 0 to 1. `emptying`: off, and something still inside."""

    on: bool
    emptying: bool
    room: str
    part: float
    summary: str
    note: Note


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked before mail of others goes before its time."""

    title: str
    words: str


def mode_view(info: ModeInfo) -> ModeView:
    """The mode and its server as they are now."""
    starts = tr("Named: {places}", places=", ".join(info.bootstrap)) if info.bootstrap else tr("None is named.")
    return ModeView(info.mode, starts, ", ".join(info.central), info.central_first, Note(_server_sentence(info)))


def _server_sentence(info: ModeInfo) -> str:
    if not info.central:
        return tr("No server is set.")
    if info.mode != "hybrid":
        return tr("Not used in this mode; kept for later.")
    if info.status.up:
        return tr("The server answers.")
    return tr("Not now: {why}. Messages go the other ways meanwhile.", why=central_reason(info.status))


def servers_of(text: str) -> tuple[tuple[str, ...], str]:
    """Server addresses that a person typed, or none and what is wrong with them."""
    parts = text.replace(",", " ").split()
    if not parts:
        return (), tr(messages.NO_SERVER)
    for part in parts:
        try:
            place = HostPort.parse(part)
        except UsageError:
            return (), tr(
                "“{part}” is no address: write a name or number, a colon and a port, as in {like}.", **_like(part)
            )
        if part.startswith(":") or not place.port:
            return (), tr("“{part}” is not whole: a name and a port are needed, as in {like}.", **_like(part))
    return tuple(dict.fromkeys(parts)), ""


def _like(part: str) -> dict[str, object]:
    return {"part": part[:40], "like": "server.example.org:4222"}


def room_of(text: str) -> tuple[int | None, str]:
    """Bytes for a number of MB that a person typed, or what is wrong with it; the engine knows the limits."""
    digits = "".join(text.split())
    if not digits.isascii() or not digits.isdigit() or len(digits) > 12:
        return None, tr("Write the space as a whole number of MB, as in 1000.")
    return int(digits) * MB, ""


def mail_view(info: MailboxInfo, now_s: float) -> MailView:
    """The mailbox as it is now."""
    status, limit = info.status, max(1, info.limit_bytes)
    free = tr("{free} are free on this disk.", free=figures.total(info.disk_free_bytes)) if info.disk_free_bytes else ""
    return MailView(
        on=info.on,
        emptying=not info.on and status.envelopes > 0,
        room=grouped(round(info.limit_bytes / MB)),
        part=min(1.0, status.used_bytes / limit) if status.envelopes else 0.0,
        summary=_mail_summary(info, now_s),
        note=Note(free),
    )


def _mail_summary(info: MailboxInfo, now_s: float) -> str:
    status = info.status
    if not status.envelopes:
        return tr("Nothing is kept now.") if info.on else tr("Off. No mail of others lies here.")
    kept = tr_count("{n} envelope", "{n} envelopes", status.envelopes)
    last = _days_left(info, now_s)
    if not info.on:
        return tr("Takes nothing new. Hands out {kept} until they expire, {last}.", kept=kept, last=last)
    used, room = figures.total(status.used_bytes), figures.total(info.limit_bytes)
    return tr("Keeps {kept}, {used} of {room}; the last expires {last}.", kept=kept, used=used, room=room, last=last)


def _days_left(info: MailboxInfo, now_s: float) -> str:
    left_s = max(0.0, (info.last_expires_unix_s or now_s) - now_s)
    if left_s < 86_400:
        return tr("within a day")
    return tr_count("within {n} day", "within {n} days", -int(-left_s // 86_400))


def closing_question(info: MailboxInfo, now_s: float) -> Question:
    """What is asked when keeping mail is switched off while some is kept."""
    one, many = "{n} sealed envelope of others is kept here", "{n} sealed envelopes of others are kept here"
    title = tr_count(one, many, info.status.envelopes)
    words = tr(
        "They wait for people who are away; the last expires {last}. You can take nothing new and hand out the rest "
        "until then. Or drop them now: that cannot be undone. Two other mailboxes should have each of them too; what "
        "nobody else has must be sent again by who wrote it.",
        last=_days_left(info, now_s),
    )
    return Question(title, words)


def shrinking_question(info: MailboxInfo, room_bytes: int) -> Question:
    """What is asked when there would be less room than is used."""
    words = tr(
        "{used} are in use. With {room} the oldest would go before its time, with a signed notice for who comes "
        "for it. It cannot be brought back.",
        used=figures.total(info.status.used_bytes),
        room=figures.total(room_bytes),
    )
    return Question(tr("Drop the oldest mail of others?"), words)


def share_note(day: TelemetryDay) -> Note:
    """Whether the sums go anywhere."""
    if day.goes == "nowhere":
        return Note(tr("Nothing leaves this device."))
    if day.goes == "not-hybrid":
        return Note(tr("Nothing leaves this device yet: that needs the mode with a server."))
    return Note(tr("Yesterday's sums go to your server once a day."))
