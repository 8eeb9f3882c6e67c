"""What each verb of the local API does with the engine. Thin: decode, ask, encode.

Here: the engine's state, the network and health. Rooms are in verbs_rooms.py, what protects them in verbs_privacy.py.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from railgun_core.base.errors import UsageError
from railgun_core.base.ids import Tag
from railgun_core.central.telemetry import DAYS_KEPT, OTHERS
from railgun_core.changes import DutyPut
from railgun_core.config import HostPort
from railgun_core.engine.engine import Engine
from railgun_core.engine.telemetry import DAY_S
from railgun_core.local_api import messages as m
from railgun_core.local_api.handlers import Handler, call, latest, stream
from railgun_core.local_api.health import checks
from railgun_core.local_api.inspection import inspection_of
from railgun_core.local_api.verbs_privacy import PrivacyVerbs
from railgun_core.local_api.verbs_rooms import RoomVerbs
from railgun_core.logs import EngineLog
from railgun_core.status import DutyState, DutyStatus, NodeStatus
from railgun_core.store.sqlite import disk_free_bytes
from railgun_core.wire.records import PeerBody, PeerRole

WATCH_EVERY_S = 0.25
PAST_DUTIES = 200
SHORT_ID = 8  # hex digits of a relay's id where people compare, not look up


class Verbs(RoomVerbs):
    """The handlers of one engine."""

    def __init__(self, engine: Engine, log: EngineLog) -> None:
        super().__init__(engine)
        self._log = log

    def handlers(self) -> Mapping[str, Handler]:
        """Verb to handler."""
        return {
            "status": call(m.Empty, self.status),
            "status.watch": latest(m.Empty, self.watch),
            **self.room_handlers(),
            "mode.get": call(m.Empty, self.mode),
            "mode.set": call(m.ModeSet, self.set_mode),
            **PrivacyVerbs(self._engine, self._engine.privacy).handlers(),
            "mailbox.get": call(m.Empty, self.mailbox),
            "mailbox.set": call(m.MailboxSet, self.set_mailbox),
            "telemetry": call(m.TelemetryAsk, self.telemetry),
            "telemetry.set": call(m.TelemetrySet, self.set_telemetry),
            "duties": call(m.Empty, self.duties),
            "peers": call(m.Empty, self.peers),
            "inspect": call(m.InspectArgs, self.inspect),
            "doctor": call(m.Empty, self.doctor),
            "logs": call(m.LogsArgs, self.logs),
            "logs.follow": stream(m.LogsArgs, self.logs_follow),
            "traffic": call(m.Empty, self.traffic),
            "counters": call(m.Empty, self.counters),
        }

    # ------------------------------------------------------------ status

    async def status(self, _: m.Empty) -> NodeStatus:
        return self._engine.status()

    async def watch(self, _: m.Empty) -> AsyncGenerator[NodeStatus, None]:
        while True:
            yield self._engine.status()
            await asyncio.sleep(WATCH_EVERY_S)

    # ------------------------------------------------------------ modes

    async def mode(self, _: m.Empty) -> m.ModeInfo:
        return self._mode()

    async def set_mode(self, args: m.ModeSet) -> m.ModeInfo:
        central = None if args.central is None else tuple(HostPort.parse(server) for server in args.central)
        await self._engine.set_mode(args.mode, central=central, central_first=args.central_first)
        return self._mode()

    def _mode(self) -> m.ModeInfo:
        config = self._engine.config
        return m.ModeInfo(
            mode=config.mode,
            bootstrap=tuple(map(str, config.bootstrap)),
            bootstrap_used=bool(config.entries),
            central=tuple(map(str, config.central)),
            central_first=config.central_first,
            status=self._engine.modes.status(),
        )

    # ------------------------------------------------------------ mail of others

    async def mailbox(self, _: m.Empty) -> m.MailboxInfo:
        engine = self._engine
        mailbox, folder = engine.node.mailbox, engine.config.data_dir
        last_s = mailbox.last_expiry_s
        return m.MailboxInfo(
            on=engine.keeping.is_on,
            limit_bytes=engine.config.mailbox_bytes,
            status=mailbox.status(),
            last_expires_unix_s=None if last_s is None else float(last_s),
            disk_free_bytes=await asyncio.to_thread(_free_bytes, folder),
        )

    async def set_mailbox(self, args: m.MailboxSet) -> m.MailboxInfo:
        await self._engine.keeping.change(args.on, limit_bytes=args.limit_bytes, kept=args.kept)
        return await self.mailbox(m.Empty())

    # ------------------------------------------------------------ the network

    async def duties(self, _: m.Empty) -> m.Duties:
        engine, now = self._engine, self._engine.clock.instant()
        live = tuple(engine.board.duty(d, engine.node, now.unix_s) for d in engine.node.relay.duties.values())
        tags = {duty.tag for duty in engine.node.relay.duties.values()}
        rows = await engine.store.duties(limit=PAST_DUTIES)
        past = tuple(self._past(row) for row in rows if row.tag not in tags)
        return m.Duties(live, past)

    def _past(self, row: DutyPut) -> DutyStatus:
        clock = self._engine.node.config.clock
        return DutyStatus(
            tag=f"{row.tag.hex()[:4]} {row.tag.hex()[4:8]}",
            epoch=row.epoch,
            state=DutyState.RETIRED,
            seat=row.seat if 0 <= row.seat < row.committee_size else None,
            committee_size=row.committee_size,
            starts_unix_s=row.since_s,
            ends_unix_s=row.until_s,
            overlap_s=clock.overlap_s,
            members=row.members,
            envelopes_per_s=0.0,
            envelopes=row.envelopes,
            held=0,
            tag_id=row.tag.hex(),
        )

    async def peers(self, _: m.Empty) -> m.Peers:
        engine = self._engine
        found = []
        for record in engine.node.view.records:
            assert isinstance(record.body, PeerBody)
            group = engine.node.view.group(record.peer_id)
            found.append(
                m.PeerInfo(
                    peer_id=record.peer_id.hex(),
                    group="" if group is None else group.hex(),
                    roles=tuple(role.name.lower() for role in PeerRole if record.body.roles & role and role.name),
                    software=record.body.software,
                    serving_since_unix_s=float(record.not_before_s),
                    expires_unix_s=float(record.expires_s),
                    links=engine.links.with_key(record.public_key),
                )
            )
        return m.Peers(engine.dht.contacts, tuple(sorted(found, key=lambda p: p.peer_id)))

    async def inspect(self, args: m.InspectArgs) -> m.Inspections:
        if (args.room is None) == (args.tag is None):
            raise UsageError("Name a room or a tag, one of the two.", code="usage")
        store, config = self._engine.store, self._engine.config
        if args.room is not None:
            saved = await store.committees(room=self._room(args.room).id)
        else:
            saved = await store.committees(tag=await self._tag(args.tag or ""))
        found = [row for row in saved if args.epoch is None or row.epoch == args.epoch]
        if not found:
            raise UsageError("No committee of that epoch is known here.", code="no-such-committee")
        return m.Inspections(
            tuple(
                inspection_of(
                    row.records,
                    tag=row.tag,
                    epoch=row.epoch,
                    epoch_s=row.epoch_s,
                    size=row.size,
                    by_port=config.group_by == "port",
                    computed_unix_s=row.computed_s,
                    with_records=args.with_records,
                )
                for row in found
            )
        )

    async def _tag(self, text: str) -> Tag:
        """A tag from its hex, whole or the first digits of one that was served here."""
        wanted = text.replace(" ", "").lower()
        if len(wanted) == 64:
            try:
                return Tag(bytes.fromhex(wanted))
            except ValueError:
                raise UsageError("A tag is written in hex digits.", code="usage") from None
        rows = await self._engine.store.duties(limit=PAST_DUTIES)
        tags = {duty.tag for duty in self._engine.node.relay.duties.values()} | {row.tag for row in rows}
        found = [tag for tag in tags if len(wanted) >= 4 and tag.hex().startswith(wanted)]
        if len(found) != 1:
            raise UsageError("No single tag starts with that.", code="no-such-committee")
        return found[0]

    # ------------------------------------------------------------ health

    async def telemetry(self, args: m.TelemetryAsk) -> m.TelemetryDay:
        if not 0 <= args.days_ago < DAYS_KEPT:
            raise UsageError(f"How relays performed is kept for {DAYS_KEPT - 1} days.", code="usage")
        config, counts = self._engine.config, self._engine.telemetry
        now = self._engine.clock.instant()
        shares = config.telemetry == "share"
        told = counts.telemetry.shared_day
        return m.TelemetryDay(
            day_unix_s=float((now.unix_s // DAY_S - args.days_ago) * DAY_S),
            relays=tuple(
                m.RelayPerformance(
                    relay=row.relay if row.relay == OTHERS else row.relay[:SHORT_ID],
                    attempts=row.attempts,
                    stored=row.stored,
                    failures=row.failures,
                    unreached=row.unreached,
                    ack_p50_ms=row.p50_ms,
                    ack_p95_ms=row.p95_ms,
                )
                for row in counts.rows(args.days_ago, now)
            ),
            goes="nowhere" if not shares else "central" if config.mode == "hybrid" else "not-hybrid",
            mode=config.mode,
            told_unix_s=float(told * DAY_S) if told else None,
        )

    async def set_telemetry(self, args: m.TelemetrySet) -> m.TelemetryDay:
        await self._engine.keep_options(telemetry="share" if args.share else "local")
        return await self.telemetry(m.TelemetryAsk())

    async def doctor(self, _: m.Empty) -> m.Doctor:
        return m.Doctor(await checks(self._engine))

    async def logs(self, args: m.LogsArgs) -> m.LogLines:
        return m.LogLines(self._log.lines(args.count))

    async def logs_follow(self, args: m.LogsArgs) -> AsyncGenerator[m.LogLines, None]:
        async for lines in self._log.follow(args.count):
            yield m.LogLines(lines)

    async def traffic(self, _: m.Empty) -> m.TrafficHistory:
        rows = await self._engine.store.traffic(since_hour=int(self._engine.clock.instant().unix_s // 3600) - 31 * 24)
        return m.TrafficHistory(
            tuple(m.TrafficHour(r.hour, r.up_bytes, r.down_bytes, r.envelopes, r.relayed_bytes) for r in rows)
        )

    async def counters(self, _: m.Empty) -> m.Counters:
        engine = self._engine
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return m.Counters(
            sizes={str(size): count for size, count in engine.links.sizes.items()},
            packet_sizes={str(size): count for size, count in engine.links.packet_sizes.items()},
            relayed_bytes=engine.node.relay.carried()[1],
            links=dict(engine.links.opened),
            rotations=engine.node.relay.rotations,
            failover_ms=engine.board.times("failover"),
            ack_ms=engine.board.times("ack"),
            cpu_s=usage.ru_utime + usage.ru_stime,
            rss_bytes=_rss_bytes(),
        )


def _free_bytes(folder: Path) -> int | None:
    """Room on the disk of a folder; None where it does not tell."""
    try:
        return disk_free_bytes(folder)
    except OSError:
        return None


def _rss_bytes() -> int:
    """Resident memory now; the peak where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * resource.getpagesize()
