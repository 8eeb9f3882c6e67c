"""An engine for the window's tests: scripted answers behind the real server, on a real socket in a real data dir.

Started as a program (`python tests/gui/fake_engine.py node --data-dir D`) it stands for the engine process, so that it
can be killed. The figures it gives are plain inputs of tests, chosen to look like a small network.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from railgun_core.base.errors import UsageError
from railgun_core.local_api.handlers import call, latest, stream
from railgun_core.local_api.messages import (
    Check,
    Doctor,
    Duties,
    Empty,
    Exposure,
    ExposureAsk,
    ExposureRole,
    InspectArgs,
    Inspection,
    Inspections,
    Invite,
    LogLines,
    MailboxInfo,
    MailboxSet,
    MemberInfo,
    MemberRef,
    Members,
    MessageOut,
    Messages,
    ModeInfo,
    ModeSet,
    PeerInfo,
    Peers,
    Price,
    PriceAsk,
    RoomCreate,
    RoomFollow,
    RoomInfo,
    RoomJoin,
    RoomRead,
    RoomRef,
    Rooms,
    RoomSecure,
    RoomSend,
    Safety,
    Seat,
    Sent,
    TelemetryAsk,
    TelemetryDay,
    TelemetrySet,
)
from railgun_core.local_api.server import ApiServer
from railgun_core.status import (
    Anonymity,
    CentralStatus,
    DutyState,
    DutyStatus,
    MailboxStatus,
    MixStatus,
    NodeStatus,
    Notice,
    Quantiles,
    RoomStatus,
    Share,
    State,
    Targets,
    Traffic,
)

LINK = "railgun://join/" + "k7" * 40
_SIZE = 5


def duty(tag: str, state: DutyState, *, now_s: float, seat: int | None = 1, epoch: int = 2_941) -> DutyStatus:
    """One duty, placed so that `now_s` lies where its state says."""
    starts = {
        DutyState.PREPARING: now_s + 40,
        DutyState.SERVING: now_s - 250,
        DutyState.OVERLAP: now_s - 660,
        DutyState.RETIRED: now_s - 1_400,
    }[state]
    return DutyStatus(
        tag=f"{tag[:4]} {tag[4:8]}",
        tag_id=tag,
        epoch=epoch,
        state=state,
        seat=seat,
        committee_size=_SIZE,
        starts_unix_s=starts,
        ends_unix_s=starts + 600,
        overlap_s=120,
        members=6,
        envelopes_per_s=6.2 if state is DutyState.SERVING else 0.0,
        envelopes=4_120,
        held=310,
    )


def relaying(now_s: float) -> NodeStatus:
    """A node that relays for three rooms and has one of its own."""
    return NodeStatus(
        revision=1,
        peer_id="9c41d07e" * 8,
        version="0.1.0",
        mode="p2p",
        state=State.RELAYING,
        reason="",
        reachable=True,
        nat="none",
        peers=412,
        relays=212,
        groups=38,
        young_network=False,
        uptime_s=11_520,
        epoch_s=600,
        overlap_s=120,
        unix_s=now_s,
        roles=("relay", "mix"),
        mix=MixStatus(packets=18_402, pool=11, late=2, per_s=51.3),
        duties=(
            duty("7f3a91c2aa00", DutyState.SERVING, now_s=now_s),
            duty("c09d14ee1b22", DutyState.SERVING, now_s=now_s - 140, seat=3),
            duty("51b8e7a00c77", DutyState.SERVING, now_s=now_s - 60, seat=None),
            duty("e4420b9177d1", DutyState.OVERLAP, now_s=now_s, seat=0, epoch=2_940),
        ),
        rooms=(
            RoomStatus("ab12cd34", "Garden", 4, 2_941, _SIZE, 5, 0, 2),
            RoomStatus("ef56ab78", "Night shift", 3, 2_941, _SIZE, 4, 1, 0),
        ),
        share=Share(1 / 212, 1 / 204),
        traffic=Traffic(1.2e6, 1.1e6, 312_000_000, 3_100_000_000, None, 48_211, 14),
        targets=Targets(
            dht_ms=Quantiles(182.4, 420.0, 37),
            direct_ms=Quantiles(3.4, 9.1, 1_204),
            relayed_ms=Quantiles(41.0, 118.0, 8_210),
        ),
        transports={"quic": 18, "tls": 3, "webrtc": 0},
        notices=(Notice("relay-replaced", "info", now_s - 90, 1, "A relay of one of your rooms stopped answering."),),
    )


class FakeEngine:
    """Set `status` by `publish`; watchers get it at once. Rooms and messages live in memory and behave."""

    def __init__(self, status: NodeStatus | None = None) -> None:
        self.status = status or relaying(time.time())
        self.past = (duty("0b7712fe9911", DutyState.RETIRED, now_s=time.time(), epoch=2_939),)
        self.said: dict[str, list[MessageOut]] = {room.room: [] for room in self.status.rooms}
        self.left: list[str] = []
        self.removed: list[str] = []
        self.mixes, self.why = 36, ""
        self.prices: list[float | None] = []
        self.exposed = True
        self.mode = ModeInfo("p2p", ("192.0.2.7:7000",), True, (), False)
        self.mailbox = MailboxInfo(False, 1_073_741_824, disk_free_bytes=84_000_000_000)
        self.shares = False
        self.watchers = 0
        self._changed = asyncio.Condition()
        self._server = ApiServer(
            {
                "status": call(Empty, self._status),
                "status.watch": latest(Empty, self._watch),
                "duties": call(Empty, self._duties),
                "inspect": call(InspectArgs, self._inspect),
                "peers": call(Empty, self._peers),
                "doctor": call(Empty, self._doctor),
                "logs": call(Empty, self._logs),
                "room.list": call(Empty, self._rooms),
                "room.create": call(RoomCreate, self._create),
                "room.join": call(RoomJoin, self._join),
                "room.leave": call(RoomRef, self._leave),
                "room.invite": call(RoomRef, self._invite),
                "room.members": call(RoomRef, self._members),
                "room.read": call(RoomRead, self._read),
                "room.send": call(RoomSend, self._send),
                "room.follow": stream(RoomFollow, self._follow),
                "room.price": call(PriceAsk, self._price),
                "room.secure": call(RoomSecure, self._secure),
                "room.safety": call(MemberRef, self._safety),
                "room.remove": call(MemberRef, self._remove),
                "exposure": call(ExposureAsk, self._exposure),
                "mode.get": call(Empty, self._mode),
                "mode.set": call(ModeSet, self._set_mode),
                "mailbox.get": call(Empty, self._mailbox),
                "mailbox.set": call(MailboxSet, self._set_mailbox),
                "telemetry": call(TelemetryAsk, self._telemetry),
                "telemetry.set": call(TelemetrySet, self._set_telemetry),
            }
        )

    async def start(self, data_dir: Path) -> None:
        """Open the door of a data dir."""
        await self._server.start(data_dir)

    async def close(self) -> None:
        """Shut it."""
        await self._server.close()

    async def publish(self, **changes: object) -> None:
        """Change fields of the status and tell everybody."""
        grown = {**changes, "revision": self.status.revision + 1}
        self.status = msgspec.structs.replace(self.status, **grown)
        await self._tell()

    async def say(self, room: str, text: str, *, sender: str = "", delivery: str = "") -> None:
        """A message appears in a room; without a sender it is this person's own."""
        said = self.said[room]
        body = text.encode()
        said.append(MessageOut(len(said) + 1, sender or "me000000", not sender, 1, body, time.time(), delivery))
        await self._tell()

    async def settle(self, room: str, delivery: str) -> None:
        """All own messages of a room reach a state."""
        said = self.said[room]
        said[:] = [msgspec.structs.replace(m, delivery=delivery) if m.me else m for m in said]
        await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _status(self, _args: Empty) -> NodeStatus:
        return self.status

    async def _watch(self, _args: Empty) -> AsyncGenerator[NodeStatus, None]:
        self.watchers += 1
        try:
            while True:
                yield self.status
                async with self._changed:
                    await self._changed.wait()
        finally:
            self.watchers -= 1

    async def _duties(self, _args: Empty) -> Duties:
        return Duties(self.status.duties, self.past)

    async def _inspect(self, args: InspectArgs) -> Inspections:
        names = ("9c41d07e", "17aa02bb", "e01f44c9", "5cd2aa10", "b0b1c2d3")
        why = "rank {n} of 212 in group {g}, which is rank {n} of 38 for this epoch's seed"
        seats = tuple(
            Seat(n, name * 8, f"10.{n}", n + 1, why.format(n=n + 1, g=f"10.{n}")) for n, name in enumerate(names)
        )
        standbys = (Seat(5, "77aa88bb" * 8, "10.9", 6, why.format(n=6, g="10.9")),)
        found = Inspection(args.tag or "", args.epoch or 0, "8f1e22c0" * 8, seats, standbys, True, ())
        return Inspections((found,))

    async def _peers(self, _args: Empty) -> Peers:
        now_s = self.status.unix_s
        peers = tuple(
            PeerInfo(f"{n * 7_919:08x}" * 8, f"10.{n}", ("relay",), "0.1.0", now_s - 4_000 * n, now_s + 600, n % 3)
            for n in range(1, 13)
        )
        return Peers(412, peers)

    async def _doctor(self, _args: Empty) -> Doctor:
        return Doctor((Check("store", True, "The store can be written."),))

    async def _logs(self, _args: Empty) -> LogLines:
        return LogLines(('{"event":"started"}',))

    async def _rooms(self, _args: Empty) -> Rooms:
        infos = tuple(RoomInfo(room.room, room.name, room.members, 0.0) for room in self.status.rooms)
        return Rooms(infos, self.status.rooms)

    async def _add(self, name: str) -> RoomInfo:
        if any(room.name == name for room in self.status.rooms):
            raise UsageError("You already have a room with this name.", code="room-exists")
        room = f"{len(self.status.rooms):08x}"
        self.said[room] = []
        added = RoomStatus(room, name, 1, 2_941, _SIZE, 0, 0, 0)
        await self.publish(rooms=(*self.status.rooms, added))
        return RoomInfo(room, name, 1, time.time())

    async def _create(self, args: RoomCreate) -> RoomInfo:
        return await self._add(args.name)

    async def _join(self, args: RoomJoin) -> RoomInfo:
        if args.link != LINK:
            raise UsageError("That is no invite.", code="bad-invite")
        return await self._add("Joined")

    async def _leave(self, args: RoomRef) -> RoomInfo:
        self.left.append(args.room)
        await self.publish(rooms=tuple(room for room in self.status.rooms if room.room != args.room))
        return RoomInfo(args.room, "", 0, 0.0, left=True)

    async def _invite(self, args: RoomRef) -> Invite:
        return Invite(args.room, LINK)

    async def _members(self, args: RoomRef) -> Members:
        now_s = time.time()
        me = MemberInfo("me000000" * 4, True, 12, 12, now_s, False)
        return Members(args.room, (me, MemberInfo("aa11bb22" * 4, False, 30, 28, now_s - 42, False, secure=True)))

    async def _price(self, args: PriceAsk) -> Price:
        self.prices.append(args.gb_month)
        gb_month = args.gb_month or 30.0
        per_s = gb_month / 60
        wait_ms = 500 / per_s
        return Price(
            args.room,
            820 + wait_ms,
            1_480 + 3 * wait_ms,
            gb_month,
            gb_month / 0.72,
            per_s,
            self.mixes,
            not self.why,
            self.why,
        )

    async def _secure(self, args: RoomSecure) -> RoomInfo:
        rooms = tuple(
            msgspec.structs.replace(room, high_security=args.on, badge=args.on and self.mixes >= 32, secure_members=3)
            if room.room == args.room
            else room
            for room in self.status.rooms
        )
        why = "" if self.mixes >= 32 else f"{self.mixes} mixes are known and 32 are needed"
        now = Anonymity(not why, why, self.mixes, 21, 13.8, 9.4, 0.985, 412, guards=3, packets_per_s=0.5, gb_month=30.0)
        await self.publish(rooms=rooms, anonymity=now)
        return RoomInfo(args.room, "", 4, 0.0, high_security=args.on)

    async def _safety(self, args: MemberRef) -> Safety:
        digits = " ".join(f"{(n + 3) * 7_919 % 100_000:05d}" for n in range(12))
        words = ("anchor", "bottle", "candle", "dragon", "engine", "forest") * 4
        return Safety(args.room, args.member, digits, words, "railgun-safety:1:" + digits.replace(" ", ""))

    async def _remove(self, args: MemberRef) -> RoomInfo:
        self.removed.append(args.member)
        return RoomInfo(args.room, "", 3, 0.0)

    def hold(self, envelopes: int) -> None:
        """The mailbox is on and holds this many envelopes for nearly six days."""
        used = envelopes * 178_000
        status = MailboxStatus(serving=True, envelopes=envelopes, used_bytes=used, limit_bytes=1_073_741_824)
        self.mailbox = msgspec.structs.replace(
            self.mailbox, on=True, status=status, last_expires_unix_s=time.time() + 5.6 * 86_400
        )

    async def _mode(self, _args: Empty) -> ModeInfo:
        return self.mode

    async def _set_mode(self, args: ModeSet) -> ModeInfo:
        mode, servers = args.mode or self.mode.mode, args.central or self.mode.central
        if servers and servers[0].startswith("refused"):
            raise UsageError("That server is not wanted here.")
        first = self.mode.central_first if args.central_first is None else args.central_first
        status = CentralStatus(configured=mode == "hybrid", up=mode == "hybrid", first=first)
        self.mode = ModeInfo(mode, self.mode.bootstrap, mode != "full", servers, first, status)
        return self.mode

    async def _mailbox(self, _args: Empty) -> MailboxInfo:
        return self.mailbox

    async def _set_mailbox(self, args: MailboxSet) -> MailboxInfo:
        now = self.mailbox
        limit, on = args.limit_bytes or now.limit_bytes, now.on if args.on is None else args.on
        if limit < 2_000_000:
            raise UsageError("Space for mail can be 2 MB to 1,099,511 MB.", code="bad-limit")
        if now.status.envelopes and not args.kept and ((now.on and not on) or limit < now.status.used_bytes):
            raise UsageError("Mail of others is kept here.", code="mail-inside")
        status = msgspec.structs.replace(now.status, serving=on)
        if args.kept == "drop":
            status = MailboxStatus(serving=on)
        last_s = now.last_expires_unix_s if status.envelopes else None
        self.mailbox = MailboxInfo(on, limit, status, last_s, now.disk_free_bytes)
        return self.mailbox

    async def _telemetry(self, _args: TelemetryAsk) -> TelemetryDay:
        goes = "nowhere" if not self.shares else "central" if self.mode.mode == "hybrid" else "not-hybrid"
        return TelemetryDay(self.status.unix_s // 86_400 * 86_400, (), goes, self.mode.mode)

    async def _set_telemetry(self, args: TelemetrySet) -> TelemetryDay:
        self.shares = args.share
        return await self._telemetry(TelemetryAsk())

    async def _exposure(self, args: ExposureAsk) -> Exposure:
        day_s = self.status.unix_s // 86_400 * 86_400 - 86_400 * args.days_ago
        if args.days_ago or not self.exposed:
            return Exposure(day_s, ())
        direct = ExposureRole(
            "relay-direct",
            5,
            ("Your internet address, in 14 sessions.", "When 214 envelopes were sent for 6 tags, and their sizes."),
            ("Which room a tag stands for.", "What is in an envelope."),
            {"sessions": 14, "envelopes": 214, "tags": 6},
        )
        guard = ExposureRole(
            "guard",
            3,
            ("Your internet address, and that 3 links were open for 9 h 12 min.",),
            ("The rooms that you read through it.", "Whether a packet holds words or nothing."),
            {"links": 3},
        )
        return Exposure(day_s, (direct, guard))

    async def _read(self, args: RoomRead) -> Messages:
        said = self.said[args.room]
        shown = said[-args.count :] if args.since is None else [m for m in said if m.position > args.since]
        return Messages(args.room, tuple(shown), len(said))

    async def _send(self, args: RoomSend) -> Sent:
        for line in args.lines:
            await self.say(args.room, line.decode(), delivery="queued")
        return Sent(len(args.lines), len(args.lines), args.wait, 1, len(args.lines), 0)

    async def _follow(self, args: RoomFollow) -> AsyncGenerator[Messages, None]:
        last = args.since
        while True:
            fresh = tuple(m for m in self.said[args.room] if m.position > last)
            if fresh:
                last = fresh[-1].position
                yield Messages(args.room, fresh, last)
                continue
            async with self._changed:
                await self._changed.wait()


async def _serve(data_dir: Path, *, per_s: float, mixes: int | None) -> None:
    engine = FakeEngine()
    if mixes is not None:
        engine.mixes = mixes
        await engine._secure(RoomSecure("ab12cd34", True))
    await engine.start(data_dir)
    for line, sender in (("Is the greenhouse open tonight?", "aa11bb22"), ("Yes, until ten. Key is in the shed.", "")):
        await engine.say("ab12cd34", line, sender=sender, delivery="" if sender else "delivered")
    await engine.say("ab12cd34", "Bring the long hose please, the short one leaks.", delivery="stored")
    try:
        while True:
            await asyncio.sleep(1 / per_s)
            now_s = time.time()
            wave = 1 + 0.4 * math.sin(now_s / 5) + 0.15 * math.sin(now_s * 2.1)
            traffic = msgspec.structs.replace(
                engine.status.traffic, up_bps=1.2e6 * wave, down_bps=0.95e6 * wave * (1 + 0.1 * math.sin(now_s * 3))
            )
            await engine.publish(traffic=traffic, unix_s=now_s)
    finally:
        await engine.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("verb")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--per-s", type=float, default=4.0)
    parser.add_argument(
        "--mixes", type=int, help="the first room is a high-security one, and this many mixes are known"
    )
    options = parser.parse_args()
    asyncio.run(_serve(options.data_dir, per_s=options.per_s, mixes=options.mixes))
