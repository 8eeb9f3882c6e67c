"""What a screen shows, made from one NodeStatus. Pure: no Qt, no clock; every `*_view` is a function of its arguments.

A state speaks by shape and word first; its colour is a token of the palette, never a value. Words for numbers come from
`app.figures`. What is unknown is a dash with the reason beside it, never a zero.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from app import figures, messages
from app.messages import grouped, tr, tr_count
from railgun_core.status import DutyState, DutyStatus, NodeStatus, State


class Connection(enum.StrEnum):
    """How the app stands to its engine."""

    STARTING = "starting"
    CONNECTED = "connected"
    LOST = "lost"
    STOPPED = "stopped"  # it will not be started again by itself


class Shape(enum.StrEnum):
    """The glyph of a state, told apart without colour."""

    RING = "ring"
    ARC = "arc"
    FILLED = "filled"
    DOT = "dot"
    BARS = "bars"
    BARS_CORNER = "bars-corner"
    TRIANGLE = "triangle"
    SLASH = "slash"
    EXCLAMATION = "exclamation"


class Act(enum.StrEnum):
    """What a button or a menu item asks for."""

    OPEN = "open"
    ROOMS = "rooms"
    DUTIES = "duties"
    NETWORK = "network"
    EXPOSURE = "exposure"
    SETTINGS = "settings"
    WHY_NOT_NEEDED = "why-not-needed"
    COPY_STATUS = "copy-status"
    COPY_DIAGNOSTICS = "copy-diagnostics"
    QUIT = "quit"


@dataclass(frozen=True, slots=True)
class Seen:
    """All the app knows: the last status, how it stands to the engine, and why if it stopped."""

    status: NodeStatus | None
    connection: Connection
    reason: str = ""

    @property
    def state(self) -> State:
        """The state to show. What the app knows of its engine goes before what the engine last said."""
        if self.connection is Connection.STOPPED:
            return State.ERROR
        if self.connection is not Connection.CONNECTED or self.status is None:
            return State.STARTING
        return self.status.state


@dataclass(frozen=True, slots=True)
class Headline:
    """A state in words: title and sentence for the card, one line for tray and clipboard."""

    shape: Shape
    colour: str
    title: str
    sentence: str
    line: str
    button: tuple[Act, str] | None = None


@dataclass(frozen=True, slots=True)
class TrayView:
    """The tray: icon, tooltip and menu. A menu item without an act is a line to read."""

    shape: Shape
    colour: str
    tooltip: str
    menu: tuple[tuple[Act | None, str], ...]


@dataclass(frozen=True, slots=True)
class NumberView:
    """One number card. `part` (0 to 1) draws a bar under it; None draws none."""

    title: str
    value: str
    small: str
    part: float | None = None


@dataclass(frozen=True, slots=True)
class DutyRow:
    """One duty as a row. Positions on the epoch bar are parts of its length; `now` None means not on the bar."""

    tag: str
    epoch: int
    tag_text: str
    role: str
    chip: str
    chip_colour: str
    overlap_from: float
    now: float | None
    served: float
    rate: str
    detail: str
    spoken: str


@dataclass(frozen=True, slots=True)
class HomeView:
    """The page Home."""

    headline: Headline
    numbers: tuple[NumberView, ...]
    up: str
    down: str
    duties: tuple[DutyRow, ...]
    empty: str


@dataclass(frozen=True, slots=True)
class DutiesView:
    """The page Duties, first half: now; `past` comes from the engine when asked."""

    now: tuple[DutyRow, ...]
    summary: str


_SHAPES: dict[State, tuple[Shape, str]] = {
    State.ERROR: (Shape.EXCLAMATION, "bad"),
    State.OFFLINE: (Shape.SLASH, "muted"),
    State.PAUSED_BY_PERSON: (Shape.BARS, "muted"),
    State.PAUSED_BY_RULE: (Shape.BARS_CORNER, "muted"),
    State.DEGRADED: (Shape.TRIANGLE, "warn"),
    State.RELAYING: (Shape.DOT, "good"),
    State.STANDBY: (Shape.FILLED, "good"),
    State.JOINING: (Shape.ARC, "accent"),
    State.STARTING: (Shape.RING, "accent"),
}


def rooms_helped(status: NodeStatus) -> int:
    """For how many rooms this node relays now: committees of the running epoch, else those handing over."""
    serving = {duty.tag for duty in status.duties if duty.state is DutyState.SERVING}
    return len(serving or {duty.tag for duty in status.duties if duty.state is DutyState.OVERLAP})


def headline(seen: Seen, now_s: float) -> Headline:
    """The state in words."""
    state = seen.state
    shape, colour = _SHAPES[state]
    title, sentence, line, button = _words(seen, state, now_s)
    return Headline(shape, colour, title, sentence, line, button)


_Words = tuple[str, str, str, tuple[Act, str] | None]


def _words(seen: Seen, state: State, now_s: float) -> _Words:
    status = seen.status
    if state is State.STARTING or status is None:
        return _words_without_engine(seen)
    reason = status.reason
    if state is State.ERROR:
        why = seen.reason if seen.connection is Connection.STOPPED else reason
        return _stopped(why)
    if state is State.RELAYING:
        return _relaying(status, now_s)
    see_network = (Act.NETWORK, tr("See network"))
    table: dict[State, _Words] = {
        State.OFFLINE: _plain(tr("Offline"), reason or tr("No network. It resumes by itself."), see_network),
        State.PAUSED_BY_PERSON: _paused(reason),
        State.PAUSED_BY_RULE: _plain(tr("Paused: {rule}", rule=reason or tr("by a rule")), tr("It ends by itself.")),
        State.DEGRADED: _plain(tr("Few can reach you"), reason or nat_sentence(status), see_network),
        State.STANDBY: _plain(
            tr("Ready"),
            tr("No committee needs you now. That is normal."),
            (Act.WHY_NOT_NEEDED, tr("Why am I not needed?")),
        ),
        State.JOINING: _joining(status, see_network),
    }
    return table[state]


def _plain(title: str, sentence: str, button: tuple[Act, str] | None = None) -> _Words:
    return title, sentence, f"{title}. {sentence}", button


def _words_without_engine(seen: Seen) -> _Words:
    if seen.connection is Connection.STOPPED:
        return _stopped(seen.reason)
    if seen.connection is Connection.LOST:
        title = tr("Starting again…")
        sentence = seen.reason or tr("The engine stopped answering. Totals and rooms are kept.")
        return title, sentence, f"{title} {sentence}", None
    title = tr("Starting…")
    reason = seen.status.reason if seen.status is not None else ""
    return title, reason or tr("The engine opens its store and its ports."), title, None


def _stopped(why: str) -> _Words:
    why = why or tr("The engine gave no reason.")
    title = tr("Engine stopped")
    return title, why, tr("{title}: {why}", title=title, why=why), (Act.COPY_DIAGNOSTICS, tr("Copy diagnostics"))


def _joining(status: NodeStatus, button: tuple[Act, str]) -> _Words:
    title = tr("Finding peers")
    found = tr("{n} found", n=grouped(status.peers))
    reason = status.reason if status.reason.casefold() != "finding peers" else ""  # that is the title already
    sentence = f"{found}. {reason}" if reason else tr("{found} so far.", found=found)
    return title, sentence, tr("{title} ({found})…", title=title, found=found), button


def _paused(reason: str) -> _Words:
    title = tr("Paused {until}", until=reason) if reason.startswith("until") else tr("Paused by you")
    sentence = tr("Nothing is relayed for others. Your own rooms go on.")
    return title, sentence, title, None


def _relaying(status: NodeStatus, now_s: float) -> _Words:
    rooms = rooms_helped(status)
    title = tr_count("Relaying for {n} room", "Relaying for {n} rooms", rooms)
    traffic = figures.rate_pair(status.traffic.up_bps, status.traffic.down_bps)
    ends = [duty.ends_unix_s for duty in status.duties if duty.state is DutyState.SERVING and duty.ends_unix_s > now_s]
    button = (Act.DUTIES, tr("Duties"))
    if not ends:
        return title, tr(messages.SEALED), f"{title} · {traffic}", button
    wait = min(ends) - now_s
    sentence = tr("Next handover in {wait}. {sealed}", wait=figures.duration(wait), sealed=tr(messages.SEALED))
    line = tr("{title} · {traffic} · next handover {wait}", title=title, traffic=traffic, wait=figures.countdown(wait))
    return title, sentence, line, button


def nat_sentence(status: NodeStatus) -> str:
    """One line on reachability."""
    if status.reachable is None:
        return tr("Not checked yet whether others can reach you.")
    if status.reachable:
        return tr("Others can reach you directly.")
    return tr("Others reach you only through a relay ({nat}).", nat=status.nat) if status.nat else tr("Few reach you.")


def tray_view(seen: Seen, now_s: float) -> TrayView:
    """The tray. The tooltip's first words stay the same, so that hosts remember where the icon was put."""
    head = headline(seen, now_s)
    menu: tuple[tuple[Act | None, str], ...] = (
        (None, head.line),
        (Act.OPEN, tr("Open")),
        (Act.ROOMS, tr("Rooms…")),
        (Act.COPY_STATUS, tr("Copy status")),
        (Act.SETTINGS, tr("Settings…")),
        (Act.QUIT, tr("Quit")),
    )
    return TrayView(head.shape, head.colour, f"{tr(messages.APP_NAME)}\n{head.line}", menu)


def copied_status(seen: Seen, now_s: float) -> str:
    """Two lines that fit a chat. No address, no full id, no room."""
    first = f"{tr(messages.APP_NAME)}: {headline(seen, now_s).line}"
    status = seen.status
    if status is None:
        return first
    carried = figures.total(status.traffic.today_bytes)
    facts = tr(
        "carried today {carried} · {peers} peers · up {up} · version {version}",
        carried=carried,
        peers=grouped(status.peers),
        up=figures.duration(status.uptime_s),
        version=status.version,
    )
    return f"{first}\n{facts}"


_CHIPS: dict[DutyState, tuple[str, str]] = {
    DutyState.PREPARING: ("Preparing", "accent"),
    DutyState.SERVING: ("Serving", "good"),
    DutyState.OVERLAP: ("Handing over", "warn"),
    DutyState.RETIRED: ("Done", "muted"),
}


def duty_row(duty: DutyStatus, now_s: float) -> DutyRow:
    """One duty. The bar runs from its epoch's start to the end of the handover after it."""
    length = max(1e-6, duty.ends_unix_s + duty.overlap_s - duty.starts_unix_s)
    at = (now_s - duty.starts_unix_s) / length
    on_bar = 0.0 <= at <= 1.0 and duty.state is not DutyState.RETIRED
    chip, colour = _CHIPS[duty.state]
    seat = duty.seat
    role = tr("standby") if seat is None else tr("seat {seat} of {size}", seat=seat + 1, size=duty.committee_size)
    rate = figures.per_second(duty.envelopes_per_s)
    if duty.state is DutyState.RETIRED:
        rate = tr("{n} carried", n=grouped(duty.envelopes))
    served = 1.0 if duty.state is DutyState.RETIRED else min(1.0, max(0.0, at))
    return DutyRow(
        tag=duty.tag_id or duty.tag,
        epoch=duty.epoch,
        tag_text=figures.short_tag(duty.tag),
        role=role,
        chip=tr(chip),
        chip_colour=colour,
        overlap_from=(duty.ends_unix_s - duty.starts_unix_s) / length,
        now=at if on_bar else None,
        served=served,
        rate=rate,
        detail=_duty_detail(duty, now_s),
        spoken=f"{figures.short_tag(duty.tag)}, {role}, {tr(chip)}, {rate}, {_duty_detail(duty, now_s)}",
    )


def _duty_detail(duty: DutyStatus, now_s: float) -> str:
    members = tr_count("{n} member", "{n} members", duty.members)
    match duty.state:
        case DutyState.PREPARING:
            when = tr("starts in {wait}", wait=figures.duration(duty.starts_unix_s - now_s))
        case DutyState.SERVING:
            when = tr("handover in {wait}", wait=figures.duration(duty.ends_unix_s - now_s))
        case DutyState.OVERLAP:
            when = tr("done in {wait}", wait=figures.duration(duty.ends_unix_s + duty.overlap_s - now_s))
        case DutyState.RETIRED:
            return tr("ended {ago} ago", ago=figures.duration(now_s - duty.ends_unix_s))  # the handover included
    held = tr("{n} held", n=grouped(duty.held))
    return f"{members} · {held} · {when}"


_ORDER = (DutyState.SERVING, DutyState.OVERLAP, DutyState.PREPARING, DutyState.RETIRED)


def duty_rows(duties: tuple[DutyStatus, ...], now_s: float) -> tuple[DutyRow, ...]:
    """Rows in a steady order: serving, handing over, preparing, done; seats before standby, newest epoch first."""
    ordered = sorted(duties, key=lambda duty: (_ORDER.index(duty.state), duty.seat is None, -duty.epoch, duty.tag))
    return tuple(duty_row(duty, now_s) for duty in ordered)


def duties_view(seen: Seen, now_s: float) -> DutiesView:
    """What this relay does now."""
    duties = seen.status.duties if seen.status is not None else ()
    serving = sum(1 for duty in duties if duty.state is DutyState.SERVING and duty.seat is not None)
    standby = sum(1 for duty in duties if duty.seat is None)
    seats = tr_count("{n} seat", "{n} seats", serving)
    summary = tr("{seats} held now, standby for {n}", seats=seats, n=standby)
    return DutiesView(duty_rows(duties, now_s), summary if duties else "")


def home_view(seen: Seen, now_s: float) -> HomeView:
    """The page Home."""
    status = seen.status
    if status is None:
        dash = figures.UNKNOWN
        wait = tr("once the engine answers")
        titles = (tr("Carried today"), tr("Your share of the network"), tr("This month"))
        numbers = tuple(NumberView(title, dash, wait) for title in titles)
        return HomeView(headline(seen, now_s), numbers, dash, dash, (), tr(messages.NO_DUTIES))
    traffic = status.traffic
    live = seen.connection is Connection.CONNECTED
    return HomeView(
        headline(seen, now_s),
        (_carried(status), _share(status), _month(status)),
        figures.rate(traffic.up_bps) if live else figures.UNKNOWN,
        figures.rate(traffic.down_bps) if live else figures.UNKNOWN,
        duty_rows(status.duties, now_s),
        tr(messages.NO_DUTIES),
    )


def _carried(status: NodeStatus) -> NumberView:
    duties = tr_count("in {n} duty", "in {n} duties", status.traffic.today_duties)
    envelopes = tr_count("{n} envelope", "{n} envelopes", status.traffic.today_envelopes)
    return NumberView(tr("Carried today"), figures.total(status.traffic.today_bytes), f"{duties} · {envelopes}")


def _share(status: NodeStatus) -> NumberView:
    title, share = tr("Your share of the network"), status.share
    if share.fair is None or share.actual is None or share.fair <= 0:
        return NumberView(title, figures.UNKNOWN, tr("known once relays are found"))
    value = f"{share.actual / share.fair:.2f}×"
    small = tr("fair share {fair} · held {actual}", fair=figures.share(share.fair), actual=figures.share(share.actual))
    return NumberView(title, value, small)


def _month(status: NodeStatus) -> NumberView:
    used, cap = status.traffic.month_bytes, status.traffic.cap_bytes
    title, value = tr("This month"), figures.total(used)
    if cap is None or cap <= 0:
        return NumberView(title, value, tr("no cap set; everything is counted"))
    return NumberView(title, value, tr("of {cap}", cap=figures.total(cap)), min(1.0, used / cap))
