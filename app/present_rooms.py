"""The pages Rooms and the inspector in words. Pure.

A tick says only what is known: queued (here, on disk), accepted (one relay), stored (a majority of the committee),
delivered (every expected member has confirmed; no relay can fake that).
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from app import figures
from app.messages import grouped, tr, tr_count
from app.present_privacy import MeterView, meter_view, protection_note
from app.present_upkeep import way_sentence
from railgun_core.local_api.messages import Inspection, Members, MessageOut, Seat
from railgun_core.status import Anonymity, RoomStatus


@dataclass(frozen=True, slots=True)
class RoomRow:
    """One room in the list. `meter` only for a high-security room."""

    room: str
    name: str
    small: str
    unread: int
    spoken: str
    note: str = ""
    meter: MeterView | None = None
    way: str = ""  # how messages go while no committee carries them


@dataclass(frozen=True, slots=True)
class MessageRow:
    """One message of a conversation. `tick` is a glyph, `delivery` its word; both empty for others' messages."""

    position: int
    me: bool
    sender: str
    text: str
    at: str
    tick: str
    delivery: str
    settled: bool


@dataclass(frozen=True, slots=True)
class MemberRow:
    """One member as seen from here. `member` is its id; empty for this person and for who has left."""

    name: str
    small: str
    member: str = ""


@dataclass(frozen=True, slots=True)
class SeatRow:
    """One seat of an inspected committee and why it is held."""

    place: str
    peer: str
    group: str
    why: str


@dataclass(frozen=True, slots=True)
class InspectionView:
    """One committee, recomputed. `verdict` is a word for a chip, `colour` its token."""

    title: str
    verdict: str
    colour: str
    sentence: str
    seed: str
    seats: tuple[SeatRow, ...]


_TICKS = {"queued": "◷", "accepted": "✓", "stored": "✓✓", "delivered": "✓✓"}
_WORDS = {"queued": "queued", "accepted": "accepted", "stored": "stored", "delivered": "delivered"}


def room_rows(rooms: tuple[RoomStatus, ...], anonymity: Anonymity) -> tuple[RoomRow, ...]:
    """Own rooms by name."""
    ordered = sorted(rooms, key=lambda room: (room.name.casefold(), room.room))
    return tuple(_room_row(room, anonymity) for room in ordered)


def _room_row(room: RoomStatus, anonymity: Anonymity) -> RoomRow:
    members = tr_count("{n} member", "{n} members", room.members)
    relays = tr("{open} of {size} relays", open=room.relays_open, size=room.committee_size)
    waiting = tr("{n} waiting", n=grouped(room.queued)) if room.queued else ""
    small = " · ".join(part for part in (members, relays, waiting) if part)
    unread = tr_count("{n} new message", "{n} new messages", room.unread) if room.unread else ""
    meter = meter_view(room, anonymity)
    security = tr("high security: {word}", word=meter.word) if meter is not None else ""
    spoken = ", ".join(part for part in (room.name, security, small, unread) if part)
    way = way_sentence(room)
    return RoomRow(room.room, room.name, small, room.unread, spoken, protection_note(room), meter, way)


def message_row(message: MessageOut) -> MessageRow:
    """One message. Bytes that are no text are shown by their size, never as garbage."""
    text = _message_text(message)
    delivery = message.delivery if message.me else ""
    return MessageRow(
        position=message.position,
        me=message.me,
        sender=tr("You") if message.me else message.sender[:8],
        text=text,
        at=time.strftime("%H:%M", time.localtime(message.unix_s)),
        tick=_TICKS.get(delivery, ""),
        delivery=tr(_WORDS[delivery]) if delivery in _WORDS else "",
        settled=not message.me or delivery == "delivered",
    )


def _message_text(message: MessageOut) -> str:
    size = figures.total(len(message.body))
    if message.opaque:
        return tr("[{size}, encrypted by another program]", size=size)
    try:
        return message.body.decode("utf-8")
    except UnicodeDecodeError:
        return tr("[{size} of data]", size=size)


def member_rows(members: Members, now_s: float) -> tuple[MemberRow, ...]:
    """You first, then who was heard last; who left comes last."""
    ordered = sorted(members.members, key=lambda member: (not member.me, member.left, -member.heard_unix_s))
    rows = []
    for member in ordered:
        name = tr("You ({id})", id=member.member[:8]) if member.me else member.member[:8]
        have = tr_count("{n} message", "{n} messages", member.have)
        if member.left:
            small = tr("has left · {have}", have=have)
        elif member.me:
            small = have
        elif member.heard_unix_s <= 0:
            small = tr("not heard yet")
        else:
            small = tr("{have} · heard {ago} ago", have=have, ago=figures.duration(now_s - member.heard_unix_s))
        if member.secure:
            small = tr("{small} · through mixes", small=small)
        rows.append(MemberRow(name, small, "" if member.me or member.left else member.member))
    return tuple(rows)


def inspection_view(inspection: Inspection) -> InspectionView:
    """A committee with the reason for every seat, and whether it follows from the signed records."""
    tag = figures.short_tag(inspection.tag)
    seats = tuple(_seat_row(seat, tr("Seat {n}", n=seat.seat + 1)) for seat in inspection.seats)
    standbys = tuple(_seat_row(seat, tr("Standby")) for seat in inspection.standbys)
    if inspection.verified:
        verdict, colour = tr("Verified"), "good"
        sentence = tr("Recomputed here from signed records: every seat is held by the relay that should hold it.")
    else:
        verdict, colour = tr("Differs"), "warn"
        sentence = "; ".join(inspection.differences) or tr("The records here do not give this committee.")
    title = tr("{tag}, epoch {epoch}", tag=tag, epoch=inspection.epoch)
    return InspectionView(title, verdict, colour, sentence, inspection.seed[:16], seats + standbys)


def _seat_row(seat: Seat, place: str) -> SeatRow:
    _, colon, reason = seat.why.partition(": ")  # the engine names the place first, the row already does
    return SeatRow(place, seat.peer_id[:8], seat.group[:8], reason if colon else seat.why)
