"""The verbs that look and change nothing: status, duties, peers, doctor, logs."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import click
import msgspec

from railgun_core.base.errors import RailGunError, UsageError
from railgun_core.cli.frame import Place, ask, common, run_async
from railgun_core.cli.outcome import print_json
from railgun_core.cli.tables import (
    counted,
    moment_words,
    or_unknown,
    pairs,
    plain,
    rate_words,
    share_words,
    size_words,
    span_words,
    table,
)
from railgun_core.local_api.messages import Check, Doctor, Duties, LogLines, LogsArgs, Peers
from railgun_core.status import (
    CentralStatus,
    ClockStatus,
    DutyStatus,
    Failovers,
    MailboxStatus,
    NodeStatus,
    Quantiles,
    RoomStatus,
)


@click.command()
@common
def status(place: Place) -> int:
    """What this node is doing: state, reachability, duties, traffic and measured times."""
    found = ask(place, "status", None, NodeStatus)
    if place.json:
        print_json(found)
        return 0
    click.echo(pairs(_status_rows(found)))
    if found.duties:
        click.echo("\n" + _duty_table(found.duties))
    return 0


@click.command()
@common
def duties(place: Place) -> int:
    """Where this node relays now, and where it did before."""
    found = ask(place, "duties", None, Duties)
    if place.json:
        print_json(found)
        return 0
    click.echo("Now\n" + (_duty_table(found.now) or "No committee needs this node now. That is normal."))
    click.echo("\nBefore\n" + (_duty_table(found.past) or "No duty has ended yet."))
    return 0


@click.command()
@common
def peers(place: Place) -> int:
    """The relays that this node knows. Addresses are not shown."""
    found = ask(place, "peers", None, Peers)
    if place.json:
        print_json(found)
        return 0
    head = ("PEER", "GROUP", "ROLES", "SOFTWARE", "SERVES SINCE", "RECORD UNTIL", "LINKS")
    rows = [
        (
            peer.peer_id[:10],
            peer.group[:10],
            ",".join(peer.roles) or "none",
            peer.software,
            moment_words(peer.serving_since_unix_s),
            moment_words(peer.expires_unix_s),
            peer.links,
        )
        for peer in found.peers
    ]
    click.echo(table(head, rows, none="No relay is known yet."))
    click.echo(f"\n{counted(found.contacts, 'contact')} in the directory.")
    return 0


@click.command()
@common
def doctor(place: Place) -> int:
    """Check that everything a relay needs is there. Exit 1 when something is not, 3 when no engine runs."""
    from railgun_core.cli.checks import local_checks

    checks = list(local_checks(place.data_dir))
    status_code = 0
    try:
        checks.append(Check("engine", True, "The engine answers."))
        checks[-1:] = [checks[-1], *ask(place, "doctor", None, Doctor).checks]
    except RailGunError as error:
        checks[-1] = Check("engine", False, error.detail)
        status_code = error.exit_status
    bad = [check for check in checks if not check.good]
    if place.json:
        print_json({"good": not bad, "checks": checks})
    else:
        click.echo(table(("", "CHECK", ""), [("ok" if c.good else "BAD", c.name, c.sentence) for c in checks], none=""))
    if bad:
        click.echo(f"railgun: {len(bad)} of {len(checks)} checks failed: {', '.join(c.name for c in bad)}.", err=True)
        return status_code or 1
    return 0


@click.command()
@click.option("--count", type=click.IntRange(1, 1_000), default=100, show_default=True, help="How many lines.")
@click.option("--follow", is_flag=True, help="Go on with new lines as they come.")
@common
def logs(place: Place, count: int, follow: bool) -> int:
    """The newest lines of the engine's log. They hold no ids, rooms, addresses or keys."""
    if follow and place.json:
        raise UsageError("--json prints one object, and --follow never ends: choose one.")
    if follow:
        run_async(_follow_logs(place, count))
        return 0
    lines = ask(place, "logs", LogsArgs(count), LogLines).lines
    if place.json:
        print_json({"lines": [_parsed(line) for line in lines]})
    else:
        _print_lines(lines)
    return 0


async def _follow_logs(place: Place, count: int) -> None:
    from railgun_core.local_api.client import Client

    async with await Client.connect(place.data_dir) as client:
        async for batch in client.stream("logs.follow", LogsArgs(count), LogLines):
            _print_lines(batch.lines)


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        found = _parsed(line)
        rest = " ".join(
            f"{name}={plain(value)}" for name, value in found.items() if name not in ("timestamp", "level", "event")
        )
        said = f"{found.get('timestamp', '')}  {found.get('level', ''):<7}  {found.get('event', '')}  {rest}"
        click.echo(plain(said.rstrip()))
    sys.stdout.flush()


def _parsed(line: str) -> dict[str, object]:
    try:
        return msgspec.json.decode(line.encode(), type=dict[str, object])
    except msgspec.DecodeError:
        return {"event": line}


def _status_rows(found: NodeStatus) -> list[tuple[str, object]]:
    traffic, targets = found.traffic, found.targets
    reachable = "not known yet" if found.reachable is None else "yes" if found.reachable else "no"
    cap = f", cap {size_words(traffic.cap_bytes)}" if traffic.cap_bytes is not None else ""
    return [
        ("State", f"{found.state.value}: {found.reason}" if found.reason else found.state.value),
        (
            "Peer",
            f"{found.peer_id[:10]}, version {found.version}, mode {found.mode}, {','.join(found.roles) or 'no role'}",
        ),
        ("Running", span_words(found.uptime_s)),
        ("Reachable", f"{reachable}{f' ({found.nat})' if found.nat else ''}"),
        ("Network", _network_words(found)),
        ("Links", ", ".join(f"{count} {name}" for name, count in sorted(found.transports.items())) or "none"),
        ("Epoch", f"{span_words(found.epoch_s)}, overlap {span_words(found.overlap_s)}"),
        ("Standing", _standing(found)),
        ("Tokens", "none yet" if found.trust.tokens == "none" else found.trust.tokens),
        ("Share", f"fair {share_words(found.share.fair)}, held {share_words(found.share.actual)}"),
        ("Traffic", f"up {rate_words(traffic.up_bps)}, down {rate_words(traffic.down_bps)}"),
        (
            "Today",
            f"{size_words(traffic.today_bytes)}, {counted(traffic.today_envelopes, 'envelope')}"
            f" in {counted(traffic.today_duties, 'duty', 'duties')}",
        ),
        ("This month", size_words(traffic.month_bytes) + cap),
        ("Lookup", _against(targets.dht_ms, 500)),
        ("Direct", _against(targets.direct_ms, 100)),
        ("Relayed", _against(targets.relayed_ms, 300)),
        ("Failover", failover_words(found.failovers, targets.failover_ms)),
        ("Mixnet", _against(targets.mixnet_ms, 2_000)),
        ("Anonymity", anonymity_words(found)),
        ("Mix", mix_words(found)),
        ("Mailbox", mailbox_words(found.mailbox)),
        ("Clock", clock_words(found.clock)),
        ("Central", central_words(found)),
        ("Rooms", ", ".join(map(_room_words, found.rooms)) or "none"),
        *(("Notice", f"{notice.level}: {notice.code} {notice.detail}".rstrip()) for notice in found.notices),
    ]


def _network_words(found: NodeStatus) -> str:
    peers, relays = counted(found.peers, "peer"), counted(found.relays, "relay")
    young = " (young network, weak protection)" if found.young_network else ""
    return f"{peers}, {relays} in {counted(found.groups, 'address group')}{young}"


def _standing(found: NodeStatus) -> str:
    if found.standing.known:
        return f"score {found.standing.score}, level {found.standing.level}"
    return "none yet" if found.trust.standing == "none" else found.trust.standing


def _room_words(room: RoomStatus) -> str:
    words = f"{room.name} ({room.unread} unread"
    if room.high_security:
        badge = "high security" if room.badge else "high security, not anonymous yet"
        words += f", {badge}, {room.secure_members} of {room.members} send through mixes"
    if room.queued:
        words += f", {room.queued:,} not stored yet"
    if room.way not in ("", "committee"):
        words += f", way: {room.way}"
    if room.kept_in_mailboxes:
        words += f", {room.kept_in_mailboxes:,} in mailboxes"
    if room.kept_centrally:
        words += f", {room.kept_centrally:,} at the central server"
    return words + ")"


def anonymity_words(found: NodeStatus) -> str:
    """How anonymous this device's packets are now, or why they are not yet."""
    if not any(room.high_security for room in found.rooms):
        return "no high-security room"
    now = found.anonymity
    parts = [
        counted(now.mixes, "mix", "mixes"),
        counted(now.groups, "address group"),
        f"pool {now.pool:.1f}",
        "no message measured yet" if now.entropy_bits is None else f"{now.entropy_bits:.1f} bits last message",
        "no loop due yet" if now.loop_return is None else f"{now.loop_return * 100:.0f} % of {now.loops:,} loops back",
        f"{counted(now.guards, 'guard')} open",
        f"{now.packets_per_s:.2f} packets/s, {now.gb_month:.1f} GB/month",
    ]
    alarm = "ALARM, own loops vanish: somebody may be dropping your packets; " if now.alarm else ""
    head = "anonymous" if now.anonymous else f"not anonymous yet: {now.why or 'the floor is not reached'}"
    return f"{alarm}{head.rstrip('.')}; {', '.join(parts)}"


def mix_words(found: NodeStatus) -> str:
    """This relay's work as a mix."""
    if "mix" not in found.roles:
        return "not a mix"
    mix = found.mix
    refused = mix.late + mix.replayed + mix.malformed + mix.full
    dropped = f", {refused:,} dropped" if refused else ""
    return f"{counted(mix.packets, 'packet')} passed, {mix.per_s:.1f} a second, {mix.pool:,} waiting{dropped}"


def failover_words(found: Failovers, measured: Quantiles) -> str:
    """How long it took to go on without a relay, and why that had to be."""
    if not found.count:
        return _against(measured, 5_000)
    causes = ", ".join(f"{count:,} {cause}" for cause, count in sorted(found.causes.items()))
    times = ", ".join(
        f"{name} {or_unknown(value, 'ms')}"
        for name, value in (("p50", found.p50), ("p95", found.p95), ("worst", found.worst))
    )
    return f"{times} of {found.count:,}{f' ({causes})' if causes else ''} (promised 5000 ms)"


def mailbox_words(found: MailboxStatus) -> str:
    """This peer's work as a mailbox."""
    if not found.serving:
        return "not a mailbox"
    used = f"{size_words(found.used_bytes)} of {size_words(found.limit_bytes)}"
    lost = f", {counted(found.evicted, 'envelope')} given up before their time" if found.evicted else ""
    refused = f", {counted(found.refused_quota, 'deposit')} refused for want of room" if found.refused_quota else ""
    held = f"{counted(found.envelopes, 'envelope')} under {counted(found.tags, 'tag')}, {used}"
    return f"{held}; {counted(found.deposits, 'deposit')}, {counted(found.collections, 'collection')}{refused}{lost}"


def clock_words(found: ClockStatus) -> str:
    """This machine's clock against other peers'."""
    if found.offset_s is None:
        return f"not compared yet: {found.peers} of 8 peers have told the time"
    way = "behind" if found.offset_s > 0 else "ahead of"
    away = f"{abs(found.offset_s):,.1f} s {way} the median of {counted(found.peers, 'peer')}"
    match found.state:
        case "wrong":
            return f"WRONG, {away}: this node relays for nobody until it is set right"
        case "corrected":
            return f"corrected, {away}"
        case _:
            return f"right, {away}"


def central_words(found: NodeStatus) -> str:
    """The central server of mode hybrid."""
    server = found.central
    if not server.configured:
        return "none" if found.mode != "hybrid" else "no server is configured"
    order = "asked first" if server.first else "asked when committees and mailboxes fail"
    return f"{central_state(server)}, {order}; {server.kept:,} given, {server.brought:,} brought"


def central_state(server: CentralStatus) -> str:
    """Whether the central server is connected, in a word or two."""
    if server.why == "no-room":
        return "not connected, because no room uses it"
    return "up" if server.up else f"down ({server.why})" if server.why else "down"


def _against(measured: Quantiles, promise_ms: int) -> str:
    if not measured.count:
        return f"not measured yet (promised {promise_ms} ms)"
    middle, high = or_unknown(measured.p50, "ms"), or_unknown(measured.p95, "ms")
    return f"p50 {middle}, p95 {high} of {measured.count} (promised {promise_ms} ms)"


def _duty_table(found: Iterable[DutyStatus]) -> str:
    head = ("COMMITTEE", "EPOCH", "STATE", "SEAT", "FROM", "UNTIL", "MEMBERS", "ENVELOPES", "A SECOND", "HELD")
    rows = [
        (
            duty.tag,
            duty.epoch,
            duty.state.value,
            "standby" if duty.seat is None else f"{duty.seat + 1} of {duty.committee_size}",
            moment_words(duty.starts_unix_s),
            moment_words(duty.ends_unix_s),
            duty.members,
            duty.envelopes,
            f"{duty.envelopes_per_s:.1f}",
            duty.held,
        )
        for duty in found
    ]
    return table(head, rows, none="")
