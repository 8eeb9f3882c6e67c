"""The page Network in words: reachability, targets against what was measured, relays, notices. Pure.

No map and no addresses: what this page shows can be put on a screenshot.
"""

from __future__ import annotations

from dataclasses import dataclass

from app import figures, messages
from app.messages import grouped, tr, tr_count
from app.present import Connection, Seen, nat_sentence
from app.present_privacy import mix_sentence
from app.present_upkeep import UpkeepRow, upkeep_rows
from railgun_core.local_api.messages import Peers
from railgun_core.status import NodeStatus, Notice, Quantiles


@dataclass(frozen=True, slots=True)
class FactView:
    """One number with its name and a line below."""

    title: str
    value: str
    small: str


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One promised time against the measured one. `chip` is a word, `colour` its token."""

    name: str
    target: str
    measured: str
    chip: str
    colour: str
    spoken: str


@dataclass(frozen=True, slots=True)
class NoticeRow:
    """Something that happened: a sentence, its age and a token for its mark."""

    sentence: str
    age: str
    colour: str
    word: str


@dataclass(frozen=True, slots=True)
class RelayRow:
    """A relay this node knows."""

    peer: str
    group: str
    roles: str
    software: str
    age: str
    linked: str


@dataclass(frozen=True, slots=True)
class NetworkView:
    """The page Network."""

    facts: tuple[FactView, ...]
    warning: str
    reach: str
    targets: tuple[TargetRow, ...]
    transports: str
    standing: str
    mix: str
    upkeep: tuple[UpkeepRow, ...]
    notices: tuple[NoticeRow, ...]


_LIMITS_MS = (
    ("Find a relay in the directory", "dht_ms", 500.0),
    ("Message to a member, direct", "direct_ms", 100.0),
    ("Message to a member, relayed", "relayed_ms", 300.0),
    ("Message through the mixnet", "mixnet_ms", 2_000.0),
    ("Take over when a relay fails", "failover_ms", 5_000.0),
)


def target_row(name: str, measured: Quantiles, limit_ms: float) -> TargetRow:
    """One row. The median is what the promise is about; p95 stands beside it."""
    target = tr("≤ {limit}", limit=figures.milliseconds(limit_ms))
    if measured.count == 0 or measured.p50 is None:
        text, chip, colour = figures.UNKNOWN, tr("Not measured yet"), "muted"
    else:
        samples = tr_count("{n} sample", "{n} samples", measured.count)
        p50, p95 = figures.milliseconds(measured.p50), figures.milliseconds(measured.p95)
        text = tr("{p50} · p95 {p95} · {samples}", p50=p50, p95=p95, samples=samples)
        chip, colour = (tr("Met"), "good") if measured.p50 <= limit_ms else (tr("Missed"), "warn")
    return TargetRow(name, target, text, chip, colour, f"{name}: {target}, {text}, {chip}")


def network_view(seen: Seen, now_s: float) -> NetworkView:
    """Everything but the list of relays, which is asked for while the page is seen."""
    status = seen.status
    if status is None:
        wait = tr("once the engine answers")
        names = (tr("Peers"), tr("Relays"), tr("Independent groups"))
        facts = tuple(FactView(name, figures.UNKNOWN, wait) for name in names)
        return NetworkView(facts, "", wait, (), figures.UNKNOWN, "", "", (), ())
    return NetworkView(
        facts=_facts(status),
        warning=tr(messages.YOUNG_NETWORK) if status.young_network else "",
        reach=nat_sentence(status) if seen.connection is Connection.CONNECTED else tr("Waiting for the engine."),
        targets=tuple(target_row(tr(name), getattr(status.targets, key), ms) for name, key, ms in _LIMITS_MS),
        transports=_transports(status),
        standing=_standing(status),
        mix=mix_sentence(status),
        upkeep=upkeep_rows(status),
        notices=notice_rows(status.notices, now_s),
    )


def _facts(status: NodeStatus) -> tuple[FactView, ...]:
    fair = figures.share(status.share.fair)
    return (
        FactView(tr("Peers"), grouped(status.peers), tr("in this node's table")),
        FactView(tr("Relays"), grouped(status.relays), tr("eligible for committees · fair share {f}", f=fair)),
        FactView(tr("Independent groups"), grouped(status.groups), tr("networks the relays stand in")),
    )


def _transports(status: NodeStatus) -> str:
    names = {"memory": tr("to itself")}
    shown = {names.get(name, name.upper()): links for name, links in sorted(status.transports.items()) if links}
    used = [f"{name} {grouped(links)}" for name, links in shown.items()]
    return " · ".join(used) or tr("none open")


def _standing(status: NodeStatus) -> str:
    tokens = tr("none yet") if status.trust.tokens == "none" else status.trust.tokens
    if status.standing.known and status.standing.score is not None:
        words = tr("{score} of 100, level {level}", score=f"{status.standing.score:.0f}", level=status.standing.level)
    else:
        words = tr("none yet") if status.trust.standing == "none" else status.trust.standing
    return tr("{standing} · tokens: {tokens}", standing=words, tokens=tokens)


_LEVELS = {"error": ("bad", "Error"), "warning": ("warn", "Warning")}


def notice_rows(notices: tuple[Notice, ...], now_s: float) -> tuple[NoticeRow, ...]:
    """The newest first, at most eight."""
    newest = sorted(notices, key=lambda notice: -notice.unix_s)[:8]
    rows = []
    for notice in newest:
        colour, word = _LEVELS.get(notice.level, ("muted", "Note"))
        words = notice.detail or notice.code.replace("-", " ").capitalize()
        sentence = messages.notice_sentence(notice.code, words)
        times = tr(" ({n} times)", n=grouped(notice.count)) if notice.count > 1 else ""
        age = tr("{ago} ago", ago=figures.duration(now_s - notice.unix_s))
        rows.append(NoticeRow(sentence + times, age, colour, tr(word)))
    return tuple(rows)


def relay_rows(peers: Peers, now_s: float) -> tuple[RelayRow, ...]:
    """The relays this node knows, longest serving first."""
    ordered = sorted(peers.peers, key=lambda peer: peer.serving_since_unix_s)
    return tuple(
        RelayRow(
            peer=peer.peer_id[:8],
            group=peer.group[:8],
            roles=", ".join(peer.roles) or figures.UNKNOWN,
            software=peer.software or figures.UNKNOWN,
            age=figures.duration(now_s - peer.serving_since_unix_s),
            linked=tr_count("{n} link", "{n} links", peer.links) if peer.links else tr("no link"),
        )
        for peer in ordered
    )
