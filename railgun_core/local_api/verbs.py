"""What each verb of the local API does with the engine. Thin: decode, ask, encode.

Everything that changes something is committed before the answer says so.
"""

from __future__ import annotations

import asyncio
import resource
import secrets
import time
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from railgun_core.base.errors import EnvironmentFailure, UsageError
from railgun_core.base.ids import Tag
from railgun_core.changes import Delivery, DutyPut, Message
from railgun_core.engine.engine import Engine, instant
from railgun_core.events import Effect
from railgun_core.local_api import messages as m
from railgun_core.local_api.handlers import Handler, call, latest, stream
from railgun_core.local_api.health import checks
from railgun_core.local_api.inspection import inspection_of
from railgun_core.logs import EngineLog
from railgun_core.rooms.content import split_message
from railgun_core.rooms.epoch_keys import room_id_of
from railgun_core.rooms.invite import LIFETIME_S, Invite, decode_invite, encode_invite
from railgun_core.rooms.room import Room
from railgun_core.rooms.rooms import find_room, member_text
from railgun_core.status import DutyState, DutyStatus, NodeStatus
from railgun_core.wire.records import PeerBody, PeerRole

WATCH_EVERY_S = 0.25
PAGE = 500
MOST_IN_A_PAGE = 1_000
MAX_NAME_BYTES = 120
PAST_DUTIES = 200
WAITS = {"accepted": Delivery.ACCEPTED, "stored": Delivery.STORED, "delivered": Delivery.DELIVERED}


class Verbs:
    """The handlers of one engine."""

    def __init__(self, engine: Engine, log: EngineLog) -> None:
        self._engine = engine
        self._log = log
        self._joining = asyncio.Lock()

    def handlers(self) -> Mapping[str, Handler]:
        """Verb to handler."""
        return {
            "status": call(m.Empty, self.status),
            "status.watch": latest(m.Empty, self.watch),
            "room.create": call(m.RoomCreate, self.room_create),
            "room.list": call(m.Empty, self.room_list),
            "room.invite": call(m.RoomRef, self.room_invite),
            "room.join": call(m.RoomJoin, self.room_join),
            "room.leave": call(m.RoomRef, self.room_leave),
            "room.members": call(m.RoomRef, self.room_members),
            "room.send": call(m.RoomSend, self.room_send),
            "room.read": call(m.RoomRead, self.room_read),
            "room.follow": stream(m.RoomFollow, self.room_follow),
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
        return self._status()

    async def watch(self, _: m.Empty) -> AsyncGenerator[NodeStatus, None]:
        while True:
            yield self._status()
            await asyncio.sleep(WATCH_EVERY_S)

    def _status(self) -> NodeStatus:
        engine = self._engine
        return engine.board.status(
            engine.node,
            instant(),
            contacts=engine.dht.contacts,
            lookups_ms=engine.dht.lookup_times_ms(),
            links=engine.links.by_transport(),
        )

    # ------------------------------------------------------------ rooms

    async def room_create(self, args: m.RoomCreate) -> m.RoomInfo:
        name = _checked_name(args.name)
        if any(room.put.name == name for room in self._rooms()):
            raise UsageError(f"You have a room called {name} already.", code="name-taken")
        room = await self._enter(name, secrets.token_bytes(32), joining=False)
        return _info(room)

    async def room_join(self, args: m.RoomJoin) -> m.RoomInfo:
        invite = decode_invite(args.link, time.time())
        if invite.hints and not self._engine.dht.contacts:
            await self._engine.dht.bootstrap(invite.hints)
        async with self._joining:  # one at a time: a room that was left is cleared before it is entered again
            room_id = room_id_of(invite.room_root)
            if room_id not in self._engine.node.rooms.rooms:
                await self._engine.store.end_membership(room_id)
            name = _free_name(invite.name, {room.put.name for room in self._rooms()})
            room = await self._enter(name, invite.room_root, joining=True)
        welcome = self._engine.waiting.welcome(room.id)
        try:
            async with asyncio.timeout(args.wait_s):
                while room.joining:
                    await welcome.wait()
        except TimeoutError:
            pass
        finally:
            self._engine.waiting.leave(room.id, welcome)
        return _info(room)

    async def _enter(self, name: str, root: bytes, *, joining: bool) -> Room:
        self._check_disk()
        effects: list[Effect] = []
        room = self._engine.node.rooms.create(name, root, instant(), effects, joining=joining)
        self._engine.carry_out(effects)
        await self._engine.settled()
        return room

    async def room_list(self, _: m.Empty) -> m.Rooms:
        now, board, node = instant(), self._engine.board, self._engine.node
        rooms = tuple(self._rooms())
        return m.Rooms(tuple(map(_info, rooms)), tuple(board.room(room, node, now.unix_s) for room in rooms))

    async def room_invite(self, args: m.RoomRef) -> m.Invite:
        room = self._room(args.room)
        hints = self._engine.contact_hints()
        link = encode_invite(Invite(room.put.root, room.put.name, int(time.time()) + LIFETIME_S, hints))
        return m.Invite(room.id.hex(), link)

    async def room_leave(self, args: m.RoomRef) -> m.RoomInfo:
        async with self._joining:
            room = self._room(args.room)
            effects: list[Effect] = []
            self._engine.node.rooms.leave(room, instant(), effects)
            self._engine.carry_out(effects)
            await self._engine.settled()
        return _info(room)

    async def room_members(self, args: m.RoomRef) -> m.Members:
        room = self._room(args.room)
        me = m.MemberInfo(
            member=member_text(room.me),
            me=True,
            have=room.outbox.last_seq,
            confirmed=room.outbox.last_seq,
            heard_unix_s=time.time(),
            left=False,
        )
        others = tuple(
            m.MemberInfo(
                member=member_text(inbox.member),
                me=False,
                have=inbox.committed - (inbox.baseline or 0),
                confirmed=inbox.confirmed,
                heard_unix_s=inbox.heard_s,
                left=inbox not in room.others,
            )
            for inbox in room.inboxes.values()
        )
        return m.Members(room.id.hex(), (me, *others))

    async def room_send(self, args: m.RoomSend) -> m.Sent:
        room = self._room(args.room)
        _check_lines(args)
        self._check_disk()
        effects: list[Effect] = []
        first, last = self._engine.node.rooms.submit(room, args.lines, instant(), effects)
        wait = self._engine.waiting.send(room.id, first, last, WAITS[args.wait])
        try:
            self._engine.carry_out(effects)
            async with asyncio.timeout(args.wait_s):
                await self._made_durable()
                await wait.done.wait()
        except TimeoutError:
            pass
        finally:
            self._engine.waiting.forget(wait)
        return _sent(args, first, last, wait.remaining)

    async def room_read(self, args: m.RoomRead) -> m.Messages:
        room = self._room(args.room)
        store = self._engine.store
        count = max(1, min(args.count, MOST_IN_A_PAGE))
        if args.since is None:
            found = await store.latest_messages(room.id, limit=count, max_bytes=m.MAX_PAGE_BYTES)
        else:
            found = await store.messages(room.id, after=args.since, limit=count, max_bytes=m.MAX_PAGE_BYTES)
        return _messages(room, found, args.since or 0)

    async def room_follow(self, args: m.RoomFollow) -> AsyncGenerator[m.Messages, None]:
        room = self._room(args.room)
        growth = self._engine.waiting.growth(room.id)
        since = args.since
        try:
            while True:
                growth.clear()
                while found := await self._engine.store.messages(
                    room.id, after=since, limit=PAGE, max_bytes=m.MAX_PAGE_BYTES
                ):
                    since = found[-1].position
                    yield _messages(room, found, since)
                await growth.wait()
        finally:
            self._engine.waiting.leave(room.id, growth)

    # ------------------------------------------------------------ the network

    async def duties(self, _: m.Empty) -> m.Duties:
        engine, now = self._engine, instant()
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

    async def doctor(self, _: m.Empty) -> m.Doctor:
        return m.Doctor(await checks(self._engine))

    async def logs(self, args: m.LogsArgs) -> m.LogLines:
        return m.LogLines(self._log.lines(args.count))

    async def logs_follow(self, args: m.LogsArgs) -> AsyncGenerator[m.LogLines, None]:
        async for lines in self._log.follow(args.count):
            yield m.LogLines(lines)

    async def traffic(self, _: m.Empty) -> m.TrafficHistory:
        rows = await self._engine.store.traffic(since_hour=int(time.time() // 3600) - 31 * 24)
        return m.TrafficHistory(
            tuple(m.TrafficHour(r.hour, r.up_bytes, r.down_bytes, r.envelopes, r.relayed_bytes) for r in rows)
        )

    async def counters(self, _: m.Empty) -> m.Counters:
        engine = self._engine
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return m.Counters(
            sizes={str(size): count for size, count in engine.links.sizes.items()},
            relayed_bytes=engine.carried()[1],
            links=dict(engine.links.opened),
            rotations=engine.node.relay.rotations,
            failover_ms=engine.board.times("failover"),
            ack_ms=engine.board.times("ack"),
            cpu_s=usage.ru_utime + usage.ru_stime,
            rss_bytes=_rss_bytes(),
        )

    # ------------------------------------------------------------ inside

    def _rooms(self) -> list[Room]:
        return list(self._engine.node.rooms.rooms.values())

    def _room(self, name: str) -> Room:
        return find_room(self._rooms(), name)

    async def _made_durable(self) -> None:
        try:
            await self._engine.settled()
        except EnvironmentFailure as failure:
            rest = "These lines wait in memory: they go out when there is room, or are lost if the engine ends before."
            raise EnvironmentFailure(f"{failure.detail} {rest}", code=failure.code) from None

    def _check_disk(self) -> None:
        failure = self._engine.save_failure
        if failure is not None:
            raise failure


def _info(room: Room) -> m.RoomInfo:
    return m.RoomInfo(
        room=room.id.hex(),
        name=room.put.name,
        members=room.members,
        created_unix_s=room.put.created_s,
        left=room.left,
        waiting=room.joining,
    )


def _checked_name(name: str) -> str:
    """The name without blanks around it: two rooms that look the same could not be told apart."""
    name = name.strip()
    if not name or not name.isprintable() or len(name.encode("utf-8")) > MAX_NAME_BYTES:
        raise UsageError("A room's name has 1 to 120 bytes, all of them printable characters.", code="bad-name")
    return name


def _free_name(wanted: str, taken: set[str]) -> str:
    """The inviter's name for the room, or that with a number; never too long to be invited to again."""
    name, number = wanted, 1
    while name in taken:
        number += 1
        mark = f" ({number})"
        name = wanted.encode()[: MAX_NAME_BYTES - len(mark)].decode(errors="ignore") + mark
    return name


def _check_lines(args: m.RoomSend) -> None:
    if args.wait not in WAITS:
        raise UsageError(f"Wait for one of {', '.join(WAITS)}.", code="usage")
    if not 0 < len(args.lines) <= m.MAX_LINES_PER_SEND:
        raise UsageError(f"Send 1 to {m.MAX_LINES_PER_SEND:,} lines at once.", code="usage")
    if any(len(line) > m.MAX_MESSAGE_BYTES for line in args.lines):
        raise UsageError(f"One message has at most {m.MAX_MESSAGE_BYTES:,} bytes.", code="message-too-long")


def _sent(args: m.RoomSend, first: int, last: int, remaining: set[int]) -> m.Sent:
    runs: list[tuple[int, int]] = []
    for seq in sorted(remaining):
        if runs and runs[-1][1] == seq - 1:
            runs[-1] = (runs[-1][0], seq)
        else:
            runs.append((seq, seq))
    reached = len(args.lines) if not remaining else _reached(args.lines, first, remaining)
    return m.Sent(
        lines=len(args.lines),
        reached=reached,
        wait=args.wait,
        first_seq=first,
        last_seq=last,
        waiting=len(args.lines) - reached,
        missing=tuple(runs),
    )


def _reached(lines: tuple[bytes, ...], first: int, remaining: set[int]) -> int:
    """How many lines are there whole: a long one has several items, and counts when all of them are."""
    reached = 0
    for line in lines:
        after = first + len(split_message(line, first, 0.0))
        reached += remaining.isdisjoint(range(first, after))
        first = after
    return reached


def _messages(room: Room, found: tuple[Message, ...], last: int) -> m.Messages:
    out = tuple(
        m.MessageOut(
            position=message.position,
            sender=member_text(message.sender),
            me=message.delivery is not None,
            seq=message.seq,
            body=message.body,
            unix_s=message.at_s,
            delivery="" if message.delivery is None else message.delivery.name.lower(),
        )
        for message in found
    )
    return m.Messages(room.id.hex(), out, found[-1].position if found else last)


def _rss_bytes() -> int:
    """Resident memory now; the peak where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * resource.getpagesize()
