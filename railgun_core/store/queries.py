"""Reading: each function takes the reader's connection and gives plain values.

A row whose checksum does not match is never handed out: `EnvironmentFailure(database-damaged)`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, Select, Table, func, literal_column, select

from railgun_core.base.ids import MemberId, RoomId, Tag
from railgun_core.changes import (
    CommitteePut,
    Delivery,
    DutyPut,
    Item,
    MemberPut,
    Membership,
    Message,
    OutboxRange,
    PeerPut,
    ReplayAdd,
    RoomPut,
    StoredRoom,
    StoredState,
    TrafficAdd,
)
from railgun_core.store.conversation import Place, Whole, whole_messages
from railgun_core.store.failures import damaged
from railgun_core.store.schema import (
    COMMITTEES,
    DUTIES,
    ITEMS,
    MEMBERS,
    NO_ROOM,
    OUTBOX,
    PEERS,
    REPLAY,
    ROOMS,
    SETTINGS,
    STREAMS,
    SUMMED,
    TRAFFIC,
    row_crc,
)

_Row = Row[*tuple[Any, ...]]
_Wanted = Select[*tuple[Any, ...]]

_IS_OWN: Final = ITEMS.c.own == literal_column("1")  # a literal, so that the partial index is used
_PLACE: Final = (ITEMS.c.position, ITEMS.c.sender, ITEMS.c.seq, ITEMS.c.part, ITEMS.c.parts)
_SCAN_ROWS: Final = 256  # fetched at a time while looking for whole messages


def load(connection: Connection) -> StoredState:
    """What the node needs at start."""
    members = _members(connection)
    outbox = _outbox(connection)
    last = {r.room: r.last_seq for r in _checked(connection, STREAMS)}
    oldest = dict(
        (r.room, r.seq)
        for r in connection.execute(select(ITEMS.c.room, func.min(ITEMS.c.seq).label("seq")).where(_IS_OWN)
                                    .group_by(ITEMS.c.room))
    )
    rooms = []
    for put in _rooms(connection):
        next_seq = last.get(put.room, 0) + 1
        rooms.append(
            StoredRoom(
                room=put,
                members=members.get(put.room, ()),
                next_seq=next_seq,
                outbox=outbox.get(put.room, ()),
                first_kept=oldest.get(put.room, next_seq),
            )
        )
    return StoredState(rooms=tuple(rooms), replay=_replay(connection))


def own_items(connection: Connection, room: RoomId, first: int, last: int) -> tuple[Item, ...]:
    """Own items first..last that are kept."""
    wanted = _full(ITEMS).where(_IS_OWN, ITEMS.c.room == room, ITEMS.c.seq.between(first, last)).order_by(ITEMS.c.seq)
    return tuple(
        Item(seq=r.seq, part=r.part, parts=r.parts, body=r.body, at_s=r.at_s)
        for r in _sound(connection.execute(wanted), ITEMS)
    )


def messages(connection: Connection, room: RoomId, *, after: int, limit: int) -> tuple[Message, ...]:
    """Whole messages above `after`, oldest first."""
    scan = select(*_PLACE).where(ITEMS.c.room == room, ITEMS.c.position > after).order_by(ITEMS.c.position)
    return _found(connection, room, scan, limit=limit)


def latest_messages(connection: Connection, room: RoomId, *, limit: int) -> tuple[Message, ...]:
    """The newest whole messages, oldest first."""
    scan = select(*_PLACE).where(ITEMS.c.room == room).order_by(ITEMS.c.position.desc())
    return _found(connection, room, scan, limit=limit)[::-1]


def committees(connection: Connection, *, room: RoomId | None, tag: Tag | None) -> tuple[CommitteePut, ...]:
    """Oldest epoch first."""
    wanted = _full(COMMITTEES).order_by(COMMITTEES.c.epoch, COMMITTEES.c.tag, COMMITTEES.c.room)
    if room is not None:
        wanted = wanted.where(COMMITTEES.c.room == room)
    if tag is not None:
        wanted = wanted.where(COMMITTEES.c.tag == tag)
    return tuple(
        CommitteePut(
            room=None if r.room == NO_ROOM else RoomId(r.room),
            tag=Tag(r.tag),
            epoch=r.epoch,
            epoch_s=r.epoch_s,
            computed_s=r.computed_s,
            size=r.size,
            records=_records(r.records),
        )
        for r in _sound(connection.execute(wanted), COMMITTEES)
    )


def duties(connection: Connection, *, limit: int) -> tuple[DutyPut, ...]:
    """Newest first."""
    wanted = _full(DUTIES).order_by(DUTIES.c.since_s.desc(), DUTIES.c.tag).limit(limit)
    return tuple(
        DutyPut(
            tag=Tag(r.tag), epoch=r.epoch, seat=r.seat, committee_size=r.committee_size, state=r.state,
            since_s=r.since_s, until_s=r.until_s, members=r.members, envelopes=r.envelopes,
            relayed_bytes=r.relayed_bytes,
        )
        for r in _sound(connection.execute(wanted), DUTIES)
    )


def traffic(connection: Connection, *, since_hour: int) -> tuple[TrafficAdd, ...]:
    """Oldest first."""
    wanted = _full(TRAFFIC).where(TRAFFIC.c.hour >= since_hour).order_by(TRAFFIC.c.hour)
    return tuple(
        TrafficAdd(hour=r.hour, up_bytes=r.up_bytes, down_bytes=r.down_bytes, envelopes=r.envelopes,
                   relayed_bytes=r.relayed_bytes)
        for r in _sound(connection.execute(wanted), TRAFFIC)
    )


def peers(connection: Connection, *, limit: int) -> tuple[PeerPut, ...]:
    """Most recently seen first."""
    wanted = _full(PEERS).order_by(PEERS.c.seen_s.desc(), PEERS.c.peer_id).limit(limit)
    return tuple(
        PeerPut(peer_id=r.peer_id, raw=r.raw, seen_s=r.seen_s) for r in _sound(connection.execute(wanted), PEERS)
    )


def settings(connection: Connection) -> dict[str, str]:
    """All of them."""
    return {r.name: r.value for r in _checked(connection, SETTINGS)}


def _found(connection: Connection, room: RoomId, scan: _Wanted, *, limit: int) -> tuple[Message, ...]:
    def siblings(sender: MemberId, first: int, last: int) -> list[Place]:
        run = select(*_PLACE).where(
            ITEMS.c.room == room, ITEMS.c.sender == sender, ITEMS.c.seq.between(first, last)
        )
        return [_place(r) for r in connection.execute(run.order_by(ITEMS.c.seq))]

    with connection.execution_options(yield_per=_SCAN_ROWS).execute(scan) as rows:
        wholes = whole_messages(map(_place, rows), siblings, limit=limit)
    return tuple(_message(connection, room, whole) for whole in wholes)


def _place(row: _Row) -> Place:
    return Place(row.position, MemberId(row.sender), row.seq, row.part, row.parts)


def _message(connection: Connection, room: RoomId, whole: Whole) -> Message:
    run = _full(ITEMS).where(
        ITEMS.c.room == room, ITEMS.c.sender == whole.sender, ITEMS.c.seq.between(whole.first_seq, whole.last_seq)
    )
    parts = list(_sound(connection.execute(run.order_by(ITEMS.c.seq)), ITEMS))
    last = parts[-1]
    delivery = None
    if last.own:
        waiting = select(func.min(OUTBOX.c.delivery)).where(
            OUTBOX.c.room == room, OUTBOX.c.seq.between(whole.first_seq, whole.last_seq)
        )
        lowest = connection.execute(waiting).scalar()
        delivery = Delivery.DELIVERED if lowest is None else Delivery(lowest)
    return Message(
        position=whole.position,
        sender=whole.sender,
        seq=whole.last_seq,
        body=parts[0].body if len(parts) == 1 else b"".join(p.body for p in parts),
        at_s=last.at_s,
        delivery=delivery,
    )


def _rooms(connection: Connection) -> list[RoomPut]:
    rows = _sound(connection.execute(_full(ROOMS).order_by(ROOMS.c.created_s, ROOMS.c.room)), ROOMS)
    return [
        RoomPut(room=RoomId(r.room), name=r.name, root=r.root, member_seed=r.member_seed, created_s=r.created_s,
                membership=Membership(r.membership))
        for r in rows
    ]


def _members(connection: Connection) -> dict[RoomId, tuple[MemberPut, ...]]:
    rows = _sound(connection.execute(_full(MEMBERS).order_by(MEMBERS.c.room, MEMBERS.c.member)), MEMBERS)
    puts = (
        MemberPut(room=RoomId(r.room), member=MemberId(r.member), name=r.name, have=r.have, baseline=r.baseline,
                  membership=Membership(r.membership), heard_s=r.heard_s)
        for r in rows
    )
    return {room: tuple(same) for room, same in itertools.groupby(puts, lambda put: put.room)}


def _outbox(connection: Connection) -> dict[RoomId, tuple[OutboxRange, ...]]:
    rows = _sound(connection.execute(_full(OUTBOX).order_by(OUTBOX.c.room, OUTBOX.c.seq)), OUTBOX)
    return {
        RoomId(room): compressed((r.seq, Delivery(r.delivery), r.epoch) for r in same)
        for room, same in itertools.groupby(rows, lambda r: r.room)
    }


def compressed(entries: Iterable[tuple[int, Delivery, int]]) -> tuple[OutboxRange, ...]:
    """Runs of consecutive sequences in the same state, from the same epoch. Entries by sequence."""
    ranges: list[OutboxRange] = []
    for seq, delivery, epoch in entries:
        if ranges:
            run = ranges[-1]
            if run.last + 1 == seq and run.delivery is delivery and run.epoch == epoch:
                ranges[-1] = OutboxRange(run.first, seq, delivery, epoch)
                continue
        ranges.append(OutboxRange(seq, seq, delivery, epoch))
    return tuple(ranges)


def _replay(connection: Connection) -> tuple[ReplayAdd, ...]:
    ids: dict[tuple[int, bytes], list[bytes]] = {}
    for row in _sound(connection.execute(_full(REPLAY).order_by(REPLAY.c.id)), REPLAY):
        ids.setdefault((row.epoch, row.tag), []).append(row.ids)
    return tuple(ReplayAdd(Tag(tag), epoch, b"".join(ids[epoch, tag])) for epoch, tag in sorted(ids))


def _records(packed: bytes) -> tuple[bytes, ...]:
    try:
        return msgspec.msgpack.decode(packed, type=tuple[bytes, ...])
    except msgspec.MsgspecError as error:
        raise damaged() from error


def _full(table: Table) -> _Wanted:
    return select(*(table.c[name] for name in ("crc", *SUMMED[table.name])))


def _checked(connection: Connection, table: Table) -> Iterator[_Row]:
    return _sound(connection.execute(_full(table)), table)


def _sound(rows: Iterable[_Row], table: Table) -> Iterator[_Row]:
    """The rows of a `_full` query, each one compared with its checksum."""
    for row in rows:
        crc, *values = tuple(row)
        if any(v is None for v in values) or row_crc(*values) != crc:
            raise damaged()
        yield row
