"""The verbs of rooms: create, list, invite, join, leave, members, send, read, follow. Thin: decode, ask, encode.

Everything that changes something is committed before the answer says so.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Mapping

from railgun_core.base.errors import UsageError
from railgun_core.changes import Message
from railgun_core.engine.engine import Engine
from railgun_core.events import Effect
from railgun_core.local_api import messages as m
from railgun_core.local_api.handlers import Handler, call, stream
from railgun_core.local_api.outbox import outbox_of
from railgun_core.local_api.outgoing import check_messages, hand_over
from railgun_core.rooms.epoch_keys import room_id_of
from railgun_core.rooms.invite import LIFETIME_S, Invite, decode_invite, encode_invite
from railgun_core.rooms.naming import find_room, member_text
from railgun_core.rooms.room import Room

PAGE = 500
MOST_IN_A_PAGE = 1_000
MAX_NAME_BYTES = 120


class RoomVerbs:
    """The handlers of one engine's rooms."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._joining = asyncio.Lock()

    def room_handlers(self) -> Mapping[str, Handler]:
        """Verb to handler."""
        return {
            "room.create": call(m.RoomCreate, self.room_create),
            "room.list": call(m.Empty, self.room_list),
            "room.invite": call(m.RoomRef, self.room_invite),
            "room.join": call(m.RoomJoin, self.room_join),
            "room.leave": call(m.RoomRef, self.room_leave),
            "room.members": call(m.RoomRef, self.room_members),
            "room.outbox": call(m.RoomRef, self.room_outbox),
            "room.send": call(m.RoomSend, self.room_send),
            "room.read": call(m.RoomRead, self.room_read),
            "room.follow": stream(m.RoomFollow, self.room_follow),
        }

    async def room_create(self, args: m.RoomCreate) -> m.RoomInfo:
        name = _checked_name(args.name)
        if any(room.put.name == name for room in self._rooms()):
            raise UsageError(f"You have a room called {name} already.", code="name-taken")
        room = await self._enter(name, secrets.token_bytes(32), joining=False)
        return room_info(room)

    async def room_join(self, args: m.RoomJoin) -> m.RoomInfo:
        invite = decode_invite(args.link, self._engine.clock.instant().unix_s)
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
        return room_info(room)

    async def _enter(self, name: str, root: bytes, *, joining: bool) -> Room:
        self._check_disk()
        effects: list[Effect] = []
        room = self._engine.node.rooms.create(name, root, self._engine.clock.instant(), effects, joining=joining)
        self._engine.carry_out(effects)
        await self._engine.settled()
        return room

    async def room_list(self, _: m.Empty) -> m.Rooms:
        now, board, node = self._engine.clock.instant(), self._engine.board, self._engine.node
        rooms = tuple(self._rooms())
        return m.Rooms(tuple(map(room_info, rooms)), tuple(board.room(room, node, now) for room in rooms))

    async def room_invite(self, args: m.RoomRef) -> m.Invite:
        room = self._room(args.room)
        hints = self._engine.entering.contact_hints()
        link = encode_invite(
            Invite(room.put.root, room.put.name, int(self._engine.clock.instant().unix_s) + LIFETIME_S, hints)
        )
        return m.Invite(room.id.hex(), link)

    async def room_leave(self, args: m.RoomRef) -> m.RoomInfo:
        async with self._joining:
            room = self._room(args.room)
            effects: list[Effect] = []
            self._engine.node.rooms.leave(room, self._engine.clock.instant(), effects)
            self._engine.carry_out(effects)
            await self._engine.settled()
        return room_info(room)

    async def room_members(self, args: m.RoomRef) -> m.Members:
        room = self._room(args.room)
        me = m.MemberInfo(
            member=member_text(room.me),
            me=True,
            have=room.outbox.last_seq,
            confirmed=room.outbox.last_seq,
            heard_unix_s=self._engine.clock.instant().unix_s,
            left=False,
            secure=room.put.secure,
        )
        others = tuple(
            m.MemberInfo(
                member=member_text(inbox.member),
                me=False,
                have=inbox.committed - (inbox.baseline or 0),
                confirmed=inbox.confirmed,
                heard_unix_s=inbox.heard_s,
                left=inbox not in room.others,
                secure=room.member_put(inbox).secure,
            )
            for inbox in room.inboxes.values()
        )
        return m.Members(room.id.hex(), (me, *others))

    async def room_outbox(self, args: m.RoomRef) -> m.Outbox:
        engine = self._engine
        now = engine.clock.instant()
        clock = engine.node.config.clock
        return outbox_of(self._room(args.room), clock, now, disk_refuses=engine.save_failure is not None)

    async def room_send(self, args: m.RoomSend) -> m.Sent:
        room = self._room(args.room)
        check_messages(args.lines, args.wait)
        self._check_disk()
        node = self._engine.node
        return await hand_over(
            self._engine,
            room,
            args.lines,
            submit=lambda effects: node.rooms.submit(room, args.lines, self._engine.clock.instant(), effects),
            wait=args.wait,
            wait_s=args.wait_s,
        )

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

    def _rooms(self) -> list[Room]:
        return list(self._engine.node.rooms.rooms.values())

    def _room(self, name: str) -> Room:
        return find_room(self._rooms(), name)

    def _check_disk(self) -> None:
        failure = self._engine.save_failure
        if failure is not None:
            raise failure


def room_info(room: Room) -> m.RoomInfo:
    """A room as the API shows it."""
    return m.RoomInfo(
        room=room.id.hex(),
        name=room.put.name,
        members=room.members,
        created_unix_s=room.put.created_s,
        left=room.left,
        waiting=room.joining,
        high_security=room.put.secure,
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
            opaque=message.opaque,
        )
        for message in found
    )
    return m.Messages(room.id.hex(), out, found[-1].position if found else last)
