"""High security, safety numbers and the exposure ledger in words. Pure.

A badge speaks by shape and word first; a room is called anonymous only while the engine says so, and otherwise the
reason stands beside it. Nothing here rounds in the flattering direction.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from app import figures, messages
from app.messages import grouped, tr, tr_count
from app.present import Shape
from railgun_core.local_api.messages import Exposure, ExposureRole, Price, Safety
from railgun_core.status import Anonymity, MixStatus, NodeStatus, RoomStatus

MIXES_NEEDED = 32
POOL_NEEDED = 10.0
BUDGETS_GB = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 50.0, 100.0, 200.0, 500.0)
_DIGIT_GROUPS_A_LINE = 4
_WORDS_A_LINE = 6


@dataclass(frozen=True, slots=True)
class Figure:
    """One value of the meter, and what it is."""

    value: str
    caption: str


@dataclass(frozen=True, slots=True)
class MeterView:
    """How anonymous one high-security room is now."""

    shape: Shape
    colour: str
    word: str
    sentence: str
    figures: tuple[Figure, ...]
    spoken: str


@dataclass(frozen=True, slots=True)
class PriceView:
    """The price as figures, the state of the network for it, and whether it can be switched on."""

    figures: tuple[Figure, ...]
    state: str
    warns: bool
    possible: bool


@dataclass(frozen=True, slots=True)
class SafetyView:
    """A safety number in lines that are read out easily."""

    member: str
    digits: tuple[str, ...]
    words: tuple[str, ...]
    qr: str


@dataclass(frozen=True, slots=True)
class RoleView:
    """What one kind of peer could have learned."""

    title: str
    peers: str
    learned: tuple[str, ...]
    not_learned: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExposureView:
    """One day of the ledger."""

    day: str
    roles: tuple[RoleView, ...]
    empty: str


def meter_view(room: RoomStatus, anonymity: Anonymity) -> MeterView | None:
    """The meter of a room; None for an ordinary one."""
    if not room.high_security:
        return None
    if anonymity.alarm:
        shape, colour, word, sentence = Shape.EXCLAMATION, "bad", tr("Alarm"), tr(messages.LOOPS_VANISH)
    elif room.badge:
        shape, colour, word = Shape.FILLED, "good", tr("Anonymous")
        sentence = _who_sends(room)
    else:
        shape, colour, word = Shape.ARC, "warn", tr("Not anonymous yet")
        sentence = _sentence(anonymity.why) or _who_sends(room)
    shown = _meter_figures(anonymity)
    spoken = ", ".join([tr("{word}: {why}", word=word, why=sentence), *(f"{f.caption} {f.value}" for f in shown)])
    return MeterView(shape, colour, word, sentence, shown, spoken)


def _who_sends(room: RoomStatus) -> str:
    if room.secure_members >= room.members:
        return tr("Every member sends through mixes.")
    return tr("{n} of {all} members send through mixes.", n=room.secure_members, all=room.members)


def _meter_figures(now: Anonymity) -> tuple[Figure, ...]:
    unknown = figures.UNKNOWN
    return (
        Figure(f"{now.pool:.1f}", tr("pool, of {n} needed", n=round(POOL_NEEDED))),
        Figure(grouped(now.mixes), tr("mixes, of {n} needed", n=MIXES_NEEDED)),
        Figure(unknown if now.entropy_bits is None else f"{now.entropy_bits:.1f}", tr("bits, last message")),
        Figure(grouped(now.groups), tr("address groups")),
        Figure(unknown if now.loop_return is None else f"{int(now.loop_return * 100)} %", tr("loops returned")),
    )


def price_view(price: Price) -> PriceView:
    """What stands in the dialog before high security is switched on."""
    shown = (
        Figure(_added(price.added_ms_p50), tr("a message, typically")),
        Figure(_added(price.added_ms_p95), tr("at most for 95 of 100")),
        Figure(tr("{n} GB", n=_number(price.gb_month)), tr("a month, always on")),
        Figure(tr("{n} MB", n=_number(price.mb_hour)), tr("an hour")),
    )
    known = tr_count("{n} mix is known.", "{n} mixes are known.", price.mixes)
    if not price.possible:
        why = _sentence(price.why) or tr("Mixes or guards are missing.")
        return PriceView(shown, tr("Not possible now. {why} {known}", why=why, known=known), True, False)
    if price.mixes < MIXES_NEEDED:
        state = tr("{known} {n} are needed to be anonymous: until then the room says so.", known=known, n=MIXES_NEEDED)
        return PriceView(shown, state, True, True)
    return PriceView(shown, known, False, True)


def safety_view(safety: Safety) -> SafetyView:
    """The number as three lines of digits and four of words."""
    groups = safety.digits.split()
    digits = tuple(
        "  ".join(groups[at : at + _DIGIT_GROUPS_A_LINE]) for at in range(0, len(groups), _DIGIT_GROUPS_A_LINE)
    )
    words = tuple(" ".join(safety.words[at : at + _WORDS_A_LINE]) for at in range(0, len(safety.words), _WORDS_A_LINE))
    return SafetyView(safety.member[:8], digits, words, safety.qr)


def exposure_view(exposure: Exposure) -> ExposureView:
    """A day in sentences; the engine wrote them from what really happened."""
    day = time.strftime("%Y-%m-%d", time.gmtime(exposure.day_unix_s))
    return ExposureView(day, tuple(map(_role_view, exposure.roles)), "" if exposure.roles else tr(messages.NO_EXPOSURE))


def _role_view(role: ExposureRole) -> RoleView:
    title = tr(messages.ROLES.get(role.role, role.role))
    return RoleView(title, tr_count("{n} peer", "{n} peers", role.peers), role.learned, role.not_learned)


def mix_sentence(status: NodeStatus) -> str:
    """This relay's work as a mix; empty when it is none."""
    if "mix" not in status.roles:
        return ""
    mix: MixStatus = status.mix
    passed = tr_count("{n} packet", "{n} packets", mix.packets)
    refused = mix.late + mix.replayed + mix.malformed + mix.full
    dropped = tr(" · {n} dropped", n=grouped(refused)) if refused else ""
    return tr(
        "{passed} mixed · {rate} a second · {n} waiting{dropped}",
        passed=passed,
        rate=f"{mix.per_s:.1f}",
        n=grouped(mix.pool),
        dropped=dropped,
    )


def protection_note(room: RoomStatus) -> str:
    """What protects the content of a room, and what could not be opened here."""
    note = tr(messages.CALLER_NOTE if room.content_protection == "caller" else messages.END_TO_END_NOTE)
    if not room.unreadable:
        return note
    lost = tr_count("{n} message could not be opened here.", "{n} messages could not be opened here.", room.unreadable)
    return f"{note} {lost}"


def nearest_budget(gb_month: float) -> int:
    """The place of the slider for a budget."""
    return min(range(len(BUDGETS_GB)), key=lambda place: abs(BUDGETS_GB[place] - gb_month))


def _added(ms: float) -> str:
    return tr("+{ms}", ms=figures.milliseconds(ms)) if ms >= 0 else tr("no end")


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


def _sentence(text: str) -> str:
    text = text.strip()
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
