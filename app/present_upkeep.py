"""What keeps messages safe when something fails, in words: mode, take-overs, mailbox, clock, a room's way. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from app import figures
from app.messages import grouped, tr, tr_count
from railgun_core.status import CentralStatus, ClockStatus, Failovers, MailboxStatus, NodeStatus, RoomStatus


@dataclass(frozen=True, slots=True)
class UpkeepRow:
    """One line: what it is, and one sentence about it."""

    name: str
    sentence: str


_MODES = {
    "p2p": "Peer to peer: starting points are asked only to enter the network.",
    "full": "Full: no configured starting points; this node enters by peers it knows, its local network and invites.",
    "hybrid": "Hybrid: a central server keeps messages when committees and mailboxes fail.",
}
_CENTRAL_WHY = {
    "unreachable": "it cannot be reached",
    "no-jetstream": "it keeps no messages (JetStream is off)",
    "refused": "it refused",
    "no-room": "no room here uses it, so it is not connected",
}
_CAUSES = {
    "closed": ("{n} closed its link", "{n} closed their links"),
    "silent": ("{n} fell silent", "{n} fell silent"),
    "refused": ("{n} left its duty", "{n} left their duties"),
}


def upkeep_rows(status: NodeStatus) -> tuple[UpkeepRow, ...]:
    """The lines that apply to this node, in a fixed order."""
    rows = [UpkeepRow(tr("Mode"), mode_sentence(status.mode, status.central))]
    if status.failovers.count:
        rows.append(UpkeepRow(tr("Take-overs"), failover_sentence(status.failovers)))
    if status.mailbox.serving or status.mailbox.envelopes:
        rows.append(UpkeepRow(tr("Mailbox"), mailbox_sentence(status.mailbox)))
    rows.append(UpkeepRow(tr("Clock"), clock_sentence(status.clock)))
    return tuple(rows)


def mode_sentence(mode: str, central: CentralStatus) -> str:
    """The mode, and in hybrid mode whether its server answers."""
    words = tr(_MODES.get(mode, mode))
    if mode != "hybrid":
        return words
    if not central.configured:
        return tr("{mode} No server is set.", mode=words)
    if central.up:
        order = tr("first") if central.first else tr("last")
        return tr("{mode} It answers, and is asked {order}.", mode=words, order=order)
    return tr("{mode} Not now: {why}.", mode=words, why=central_reason(central))


def central_reason(central: CentralStatus) -> str:
    """Why the central server is of no use now, as the rest of a sentence."""
    return tr(_CENTRAL_WHY.get(central.why, central.why or "it does not answer"))


def failover_sentence(failovers: Failovers) -> str:
    """How quickly others took over from relays that failed, and why they were needed."""
    if not failovers.count or failovers.p50 is None or failovers.worst is None:
        return tr("None was needed yet.")
    causes = [tr_count(*_CAUSES[name], count) for name, count in sorted(failovers.causes.items()) if name in _CAUSES]
    one, many = "One, within {worst}.", "{n}: half of them within {p50}, the slowest {worst}."
    times = tr(
        one if failovers.count == 1 else many,
        n=grouped(failovers.count),
        p50=figures.milliseconds(failovers.p50),
        worst=figures.milliseconds(failovers.worst),
    )
    return f"{times} {tr('Relays:')} {', '.join(causes)}." if causes else times


def mailbox_sentence(mailbox: MailboxStatus) -> str:
    """What this node keeps for members who are away."""
    if not mailbox.envelopes and not mailbox.evicted:
        return tr("Has room for {limit} of sealed envelopes; keeps none now.", limit=figures.total(mailbox.limit_bytes))
    kept = tr_count("{n} sealed envelope", "{n} sealed envelopes", mailbox.envelopes)
    if not mailbox.serving:
        return tr("Takes nothing new; hands out {kept} until they expire.", kept=kept)
    used = tr("{used} of {limit}", used=figures.total(mailbox.used_bytes), limit=figures.total(mailbox.limit_bytes))
    words = tr("Keeps {kept} for people who are away ({used}).", kept=kept, used=used)
    if not mailbox.evicted:
        return words
    gone = tr_count("{n} had to go before its time.", "{n} had to go before their time.", mailbox.evicted)
    return f"{words} {gone}"


def clock_sentence(clock: ClockStatus) -> str:
    """This machine's clock as the other peers see it."""
    if clock.state == "wrong" and clock.offset_s is not None:
        off = figures.duration(abs(clock.offset_s))
        way = tr("behind") if clock.offset_s > 0 else tr("ahead")
        return tr("{off} {way}: this node relays for nobody until it is set right.", off=off, way=way)
    if clock.state == "corrected" and clock.offset_s is not None:
        return tr("Off by {off}; this node allows for it.", off=figures.duration(abs(clock.offset_s)))
    if clock.state == "right":
        return tr("Right, by the word of {n} peers.", n=grouped(clock.peers))
    return tr("Not checked yet: that takes eight peers.")


def way_sentence(room: RoomStatus) -> str:
    """How messages of a room go when no committee carries them; empty while one does."""
    if room.way == "mailbox":
        return tr("No relay of this room answers. Messages are kept in mailboxes until it does.")
    if room.way == "central":
        return tr("No relay of this room answers. Messages go through the central server.")
    if room.way == "none" and room.queued:
        return tr("No relay of this room answers. Messages wait on this device and are sent as soon as one does.")
    return ""
