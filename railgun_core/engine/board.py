"""Measurements and the status made of them. Reads the node, changes nothing."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from railgun_core import __version__
from railgun_core.base.clock import Instant
from railgun_core.base.ids import RoomId
from railgun_core.config import Config
from railgun_core.node import Node
from railgun_core.relay.duty import Duty
from railgun_core.rooms.room import Room
from railgun_core.status import (
    CentralStatus,
    ClockStatus,
    DutyState,
    DutyStatus,
    Failovers,
    NodeStatus,
    Notice,
    Quantiles,
    RoomStatus,
    Share,
    State,
    Targets,
    Traffic,
)

WINDOW = 1_000  # measurements kept of each kind
NOTICES = 50
RATE_OVER_S = 10.0


@dataclass(slots=True)
class Rates:
    """Counters of the recent past, sampled once a second."""

    samples: deque[tuple[float, int, int]] = field(default_factory=lambda: deque(maxlen=12))

    def sample(self, mono_s: float, up_bytes: int, down_bytes: int) -> None:
        self.samples.append((mono_s, up_bytes, down_bytes))

    def per_s(self) -> tuple[float, float]:
        """Bits per second, up and down, over the last seconds."""
        if len(self.samples) < 2:
            return 0.0, 0.0
        new = self.samples[-1]
        old = next((s for s in self.samples if new[0] - s[0] <= RATE_OVER_S), self.samples[-2])
        span_s = max(0.001, new[0] - old[0])
        return (new[1] - old[1]) * 8 / span_s, (new[2] - old[2]) * 8 / span_s


class Board:
    """What is known about this engine's doings."""

    def __init__(self, config: Config, started: Instant) -> None:
        self._started = started
        self._times: dict[str, deque[float]] = {}
        self._causes: Counter[str] = Counter()  # of failovers, since start
        self._notices: dict[str, Notice] = {}
        self._duty_rates: dict[bytes, tuple[float, int, float]] = {}
        self.rates = Rates()
        self.on_notice: Callable[[Notice], None] = lambda notice: None
        self.revision = 0
        self.mode, self.roles = config.mode, config.roles
        self.clock = ClockStatus()
        self.central = CentralStatus()
        self.error: str | None = None
        self.unread: dict[RoomId, int] = {}
        self.today_bytes = self.month_bytes = self.today_envelopes = 0
        self.tags_today: set[bytes] = set()

    def new_day(self) -> None:
        """Midnight (UTC) has passed: today's counts begin again; the month is the last 31 days, read at each start."""
        self.today_bytes = self.today_envelopes = 0
        self.tags_today.clear()

    def measured(self, what: str, ms: float, cause: str = "") -> None:
        """One duration; `cause` of a failover."""
        self._times.setdefault(what, deque(maxlen=WINDOW)).append(ms)
        if cause:
            self._causes[cause] += 1

    @property
    def causes(self) -> dict[str, int]:
        """How many failovers of each cause, since start."""
        return dict(self._causes)

    def times(self, what: str) -> tuple[float, ...]:
        return tuple(self._times.get(what, ()))

    def notice(self, code: str, level: str, unix_s: float, detail: str = "") -> None:
        """Something happened; the same code again is counted, not listed twice."""
        before = self._notices.pop(code, None)
        count = before.count + 1 if before else 1
        self._notices[code] = found = Notice(code, level, unix_s, count, detail)
        self.on_notice(found)
        while len(self._notices) > NOTICES:
            del self._notices[next(iter(self._notices))]

    def sample(self, node: Node, now: Instant, up_bytes: int, down_bytes: int) -> None:
        """Once a second: rates of links and duties."""
        self.rates.sample(now.mono_s, up_bytes, down_bytes)
        live: dict[bytes, tuple[float, int, float]] = {}
        for handle, duty in node.relay.duties.items():
            then_s, count, rate = self._duty_rates.get(handle, (now.mono_s, duty.envelopes, 0.0))
            span_s = now.mono_s - then_s
            if span_s >= 2.0:
                rate = (duty.envelopes - count) / span_s
                then_s, count = now.mono_s, duty.envelopes
            live[handle] = (then_s, count, rate)
            if duty.rotation.state is not DutyState.PREPARING:
                self.tags_today.add(bytes(duty.tag))
        self._duty_rates = live

    def duty(self, duty: Duty, node: Node, unix_s: float) -> DutyStatus:
        """One duty as people see it."""
        clock = node.config.clock
        seats = len(duty.committee.seats)
        return DutyStatus(
            tag=f"{duty.tag.hex()[:4]} {duty.tag.hex()[4:8]}",
            epoch=duty.epoch,
            state=duty.rotation.state,
            seat=duty.seat if 0 <= duty.seat < seats else None,
            committee_size=seats,
            starts_unix_s=clock.start_s(duty.epoch),
            ends_unix_s=clock.end_s(duty.epoch),
            overlap_s=clock.overlap_s,
            members=len(duty.members),
            envelopes_per_s=round(self._duty_rates.get(duty.handle, (0, 0, 0.0))[2], 1),
            envelopes=duty.envelopes,
            held=len(duty.spool.frames),
            tag_id=duty.tag.hex(),
        )

    def room(self, room: Room, node: Node, now: Instant) -> RoomStatus:
        """One own room as people see it."""
        epoch = node.config.clock.epoch_at(now.unix_s)
        lane = room.lanes.get(epoch)
        committee = lane.committee if lane is not None else None
        return RoomStatus(
            room=room.id.hex(),
            name=room.put.name,
            members=room.members,
            epoch=epoch,
            committee_size=len(committee.seats) if committee is not None else 0,
            relays_open=len(lane.open_sessions()) if lane is not None else 0,
            queued=room.outbox.waiting,
            unread=self.unread.get(room.id, 0),
            high_security=room.secure,
            secure_members=room.secure_members,
            badge=room.secure and node.mixnet.client.anonymity(now).anonymous,
            unreadable=room.unreadable,
            content_protection="caller" if room.carries_opaque else "end-to-end",
            kept_in_mailboxes=room.mail.kept,
            kept_centrally=room.mail.central,
            way=way_of(room),
        )

    def status(
        self, node: Node, now: Instant, *, contacts: int, lookups_ms: tuple[float, ...], links: dict[str, int]
    ) -> NodeStatus:
        """The whole value."""
        self.revision += 1
        duties = tuple(self.duty(duty, node, now.unix_s) for duty in node.relay.duties.values())
        state, reason = self._state(node, duties, contacts)
        return NodeStatus(
            revision=self.revision,
            peer_id=node.identity.peer_id.hex(),
            version=__version__,
            mode=self.mode,
            state=state,
            reason=reason,
            reachable=None,
            nat="unknown",
            peers=contacts,
            relays=len(node.view),
            groups=node.view.groups,
            young_network=node.view.groups < 3 * node.config.committee_size,
            uptime_s=round(now.mono_s - self._started.mono_s, 1),
            epoch_s=node.config.clock.epoch_s,
            overlap_s=int(node.config.clock.overlap_s),
            unix_s=now.unix_s,
            roles=self.roles,
            duties=tuple(sorted(duties, key=lambda d: (d.epoch, d.tag))),
            rooms=tuple(self.room(room, node, now) for room in node.rooms.rooms.values()),
            share=self._share(node, duties),
            traffic=self._traffic(),
            targets=self._targets(lookups_ms),
            transports=links,
            notices=tuple(reversed(self._notices.values())),
            anonymity=node.mixnet.client.anonymity(now),
            mix=node.mixnet.mix.status(now),
            trust=node.trust.status,
            mailbox=node.mailbox.status(),
            clock=self.clock,
            central=self.central,
            failovers=failovers(self.times("failover"), self.causes),
        )

    def _traffic(self) -> Traffic:
        up_bps, down_bps = self.rates.per_s()
        return Traffic(
            up_bps=round(up_bps),
            down_bps=round(down_bps),
            today_bytes=self.today_bytes,
            month_bytes=self.month_bytes,
            today_envelopes=self.today_envelopes,
            today_duties=len(self.tags_today),
        )

    def _targets(self, lookups_ms: tuple[float, ...]) -> Targets:
        return Targets(
            dht_ms=quantiles(lookups_ms),
            relayed_ms=quantiles(self.times("relayed")),
            mixnet_ms=quantiles(self.times("mixnet")),
            failover_ms=quantiles(self.times("failover")),
        )

    def _state(self, node: Node, duties: tuple[DutyStatus, ...], contacts: int) -> tuple[State, str]:
        if self.error is not None:
            return State.ERROR, self.error
        serving = [d for d in duties if d.state in (DutyState.SERVING, DutyState.OVERLAP)]
        if serving:
            return State.RELAYING, f"relaying for {len({d.tag for d in serving})}"
        others = len(node.view) - (1 if node.view.get(node.identity.peer_id) else 0)
        if contacts or others:
            return State.STANDBY, "no committee needs this relay now"
        return State.JOINING, "finding peers"

    @staticmethod
    def _share(node: Node, duties: tuple[DutyStatus, ...]) -> Share:
        relays = len(node.view)
        if not relays:
            return Share()
        serving = [d for d in duties if d.state is DutyState.SERVING and d.seat is not None]
        seats = sum(d.committee_size for d in serving)
        return Share(fair=round(1 / relays, 6), actual=round(len(serving) / seats, 6) if seats else None)


def way_of(room: Room) -> str:
    """How a room's messages go now: through the committee, and otherwise as its mail says."""
    lane = room.publishing_lane()
    if lane is not None and lane.sound_sessions():
        return "committee"
    return room.mail.way


def failovers(values: tuple[float, ...], causes: dict[str, int]) -> Failovers:
    """Measured milliseconds; `count` and `causes` are of all since start, the quantiles of the last WINDOW."""
    if not values:
        return Failovers()
    ordered = sorted(values)
    p50, p95, p99 = (round(ordered[min(len(ordered) - 1, int(len(ordered) * q))], 1) for q in (0.50, 0.95, 0.99))
    count = max(len(ordered), sum(causes.values()))
    return Failovers(p50=p50, p95=p95, p99=p99, worst=round(ordered[-1], 1), count=count, causes=causes)


def quantiles(values: tuple[float, ...]) -> Quantiles:
    """p50 and p95 of measured milliseconds."""
    if not values:
        return Quantiles()
    ordered = sorted(values)
    last = len(ordered) - 1
    return Quantiles(
        p50=round(ordered[last // 2], 1), p95=round(ordered[min(last, int(len(ordered) * 0.95))], 1), count=len(ordered)
    )
