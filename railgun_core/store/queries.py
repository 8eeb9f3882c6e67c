"""Reading: each function takes the reader's connection and gives plain values.

A row whose checksum does not match is never handed out: `EnvironmentFailure(database-damaged)`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, Table, bindparam, func, literal_column, select

from railgun_core.base.ids import MemberId, RoomId, Tag
from railgun_core.changes import (
    RESTORED_BACKUP,
    CommitteePut,
    Delivery,
    DutyPut,
    ExposurePut,
    Item,
    MemberPut,
    Membership,
    Message,
    MixTagsAdd,
    OutboxRange,
    PeerPut,
    ReplayAdd,
    RoomPut,
    SecretPut,
    StoredRoom,
    StoredState,
    TrafficAdd,
)
from railgun_core.store.conversation import Place, Whole, compressed, whole_messages
from railgun_core.store.failures import damaged
from railgun_core.store.mail import stored_mail
from railgun_core.store.rows import AnyRow, Wanted, full, sound
from railgun_core.store.schema import (
    COMMITTEES,
    DUTIES,
    EXPOSURE,
    ITEMS,
    MEMBERS,
    MIX_TAGS,
    NO_ROOM,
    OUTBOX,
    PEERS,
    REPLAY,
    ROOMS,
    SECRETS,
    SETTINGS,
    STREAMS,
    TRAFFIC,
)
from railgun_core.store.vault import Vault

_IS_OWN: Final = ITEMS.c.own == literal_column("1")  # a literal, so that the partial index is used
_SIZE: Final = func.length(ITEMS.c.body).label("size")  # from the row's header: the body itself is not read
_PLACE: Final = (ITEMS.c.position, ITEMS.c.sender, ITEMS.c.seq, ITEMS.c.part, ITEMS.c.parts, _SIZE)
_SCAN_ROWS: Final = 256  # fetched at a time while looking for whole messages


_OF_RUN: Final = (
    ITEMS.c.room == bindparam("room"),
    ITEMS.c.sender == bindparam("sender"),
    ITEMS.c.seq.between(bindparam("first"), bindparam("last")),
)
_PLACES_OF_RUN: Final = select(*_PLACE).where(*_OF_RUN).order_by(ITEMS.c.seq)
_RUN: Final = full(ITEMS).where(*_OF_RUN).order_by(ITEMS.c.seq)
_AT_POSITIONS: Final = (
    full(ITEMS).add_columns(ITEMS.c.position).where(ITEMS.c.position.in_(bindparam("positions", expanding=True)))
)


def load(connection: Connection, vault: Vault) -> StoredState:
    """What the node needs at start."""
    members = _members(connection)
    outbox = _outbox(connection)
    last = {r.room: r.last_seq for r in _checked(connection, STREAMS)}
    oldest = dict(
        (r.room, r.seq)
        for r in connection.execute(
            select(ITEMS.c.room, func.min(ITEMS.c.seq).label("seq")).where(_IS_OWN).group_by(ITEMS.c.room)
        )
    )
    secrets = _secrets(connection, vault)
    rooms = []
    for put in _rooms(connection, vault):
        next_seq = last.get(put.room, 0) + 1
        rooms.append(
            StoredRoom(
                room=put,
                members=members.get(put.room, ()),
                next_seq=next_seq,
                outbox=outbox.get(put.room, ()),
                first_kept=oldest.get(put.room, next_seq),
                secrets=secrets.get(put.room, ()),
            )
        )
    return StoredState(
        rooms=tuple(rooms),
        replay=_replay(connection),
        secrets=secrets.get(RoomId(NO_ROOM), ()),
        mix_tags=_mix_tags(connection),
        mail=stored_mail(connection),
        restored_backup=RESTORED_BACKUP in settings(connection),
    )


def own_items(connection: Connection, room: RoomId, first: int, last: int) -> tuple[Item, ...]:
    """Own items first..last that are kept."""
    wanted = full(ITEMS).where(_IS_OWN, ITEMS.c.room == room, ITEMS.c.seq.between(first, last)).order_by(ITEMS.c.seq)
    return tuple(
        Item(seq=r.seq, part=r.part, parts=r.parts, body=r.body, at_s=r.at_s, opaque=bool(r.opaque))
        for r in sound(connection.execute(wanted), ITEMS)
    )


def messages(
    connection: Connection, room: RoomId, *, after: int, limit: int, max_bytes: int | None = None
) -> tuple[Message, ...]:
    """Whole messages above `after`, oldest first."""
    scan = select(*_PLACE).where(ITEMS.c.room == room, ITEMS.c.position > after).order_by(ITEMS.c.position)
    return _found(connection, room, scan, limit=limit, max_bytes=max_bytes)


def latest_messages(
    connection: Connection, room: RoomId, *, limit: int, max_bytes: int | None = None
) -> tuple[Message, ...]:
    """The newest whole messages, oldest first."""
    scan = select(*_PLACE).where(ITEMS.c.room == room).order_by(ITEMS.c.position.desc())
    return _found(connection, room, scan, limit=limit, max_bytes=max_bytes)[::-1]


def committees(connection: Connection, *, room: RoomId | None, tag: Tag | None) -> tuple[CommitteePut, ...]:
    """Oldest epoch first."""
    wanted = full(COMMITTEES).order_by(COMMITTEES.c.epoch, COMMITTEES.c.tag, COMMITTEES.c.room)
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
        for r in sound(connection.execute(wanted), COMMITTEES)
    )


def duties(connection: Connection, *, limit: int) -> tuple[DutyPut, ...]:
    """Newest first."""
    wanted = full(DUTIES).order_by(DUTIES.c.since_s.desc(), DUTIES.c.tag).limit(limit)
    return tuple(
        DutyPut(
            tag=Tag(r.tag),
            epoch=r.epoch,
            seat=r.seat,
            committee_size=r.committee_size,
            state=r.state,
            since_s=r.since_s,
            until_s=r.until_s,
            members=r.members,
            envelopes=r.envelopes,
            relayed_bytes=r.relayed_bytes,
        )
        for r in sound(connection.execute(wanted), DUTIES)
    )


def traffic(connection: Connection, *, since_hour: int) -> tuple[TrafficAdd, ...]:
    """Oldest first."""
    wanted = full(TRAFFIC).where(TRAFFIC.c.hour >= since_hour).order_by(TRAFFIC.c.hour)
    return tuple(
        TrafficAdd(
            hour=r.hour,
            up_bytes=r.up_bytes,
            down_bytes=r.down_bytes,
            envelopes=r.envelopes,
            relayed_bytes=r.relayed_bytes,
        )
        for r in sound(connection.execute(wanted), TRAFFIC)
    )


def peers(connection: Connection, *, limit: int) -> tuple[PeerPut, ...]:
    """Most recently seen first."""
    wanted = full(PEERS).order_by(PEERS.c.seen_s.desc(), PEERS.c.peer_id).limit(limit)
    return tuple(
        PeerPut(peer_id=r.peer_id, raw=r.raw, seen_s=r.seen_s) for r in sound(connection.execute(wanted), PEERS)
    )


def exposure(connection: Connection, *, day: int) -> tuple[ExposurePut, ...]:
    """By role, then what."""
    wanted = full(EXPOSURE).where(EXPOSURE.c.day == day).order_by(EXPOSURE.c.role, EXPOSURE.c.what)
    return tuple(ExposurePut(*tuple(r)[1:]) for r in sound(connection.execute(wanted), EXPOSURE))


def settings(connection: Connection) -> dict[str, str]:
    """All of them."""
    return {r.name: r.value for r in _checked(connection, SETTINGS)}


def _found(
    connection: Connection, room: RoomId, scan: Wanted, *, limit: int, max_bytes: int | None
) -> tuple[Message, ...]:
    def siblings(sender: MemberId, first: int, last: int) -> list[Place]:
        run = {"room": room, "sender": sender, "first": first, "last": last}
        return [_place(r) for r in connection.execute(_PLACES_OF_RUN, run)]

    with connection.execute(scan, execution_options={"yield_per": _SCAN_ROWS}) as rows:
        wholes = whole_messages(map(_place, rows), siblings, limit=limit, max_bytes=max_bytes)
    parts = _parts(connection, room, wholes)
    waiting = _waiting(connection, room, [p for run in parts for p in run if p.own])
    return tuple(_message(whole, run, waiting) for whole, run in zip(wholes, parts, strict=True))


def _place(row: AnyRow) -> Place:
    return Place(row.position, MemberId(row.sender), row.seq, row.part, row.parts, row.size)


def _parts(connection: Connection, room: RoomId, wholes: Sequence[Whole]) -> list[list[AnyRow]]:
    """The stored parts of each message. Messages of one part, nearly all, are fetched many at a time."""
    single: dict[int, AnyRow] = {}
    positions = [whole.position for whole in wholes if whole.first_seq == whole.last_seq]
    for start in range(0, len(positions), _SCAN_ROWS):
        some = {"positions": positions[start : start + _SCAN_ROWS]}
        single.update((r.position, r) for r in sound(connection.execute(_AT_POSITIONS, some), ITEMS))
    found: list[list[AnyRow]] = []
    for whole in wholes:
        if whole.first_seq == whole.last_seq:
            found.append([single[whole.position]])
        else:
            run = {"room": room, "sender": whole.sender, "first": whole.first_seq, "last": whole.last_seq}
            found.append(list(sound(connection.execute(_RUN, run), ITEMS)))
    return found


def _waiting(connection: Connection, room: RoomId, own: Sequence[AnyRow]) -> dict[int, Delivery]:
    """The delivery of own items that are still in the outbox, by sequence."""
    if not own:
        return {}
    wanted = full(OUTBOX).where(
        OUTBOX.c.room == room, OUTBOX.c.seq.between(min(r.seq for r in own), max(r.seq for r in own))
    )
    return {r.seq: Delivery(r.delivery) for r in sound(connection.execute(wanted), OUTBOX)}


def _message(whole: Whole, parts: Sequence[AnyRow], waiting: dict[int, Delivery]) -> Message:
    last = parts[-1]
    return Message(
        position=whole.position,
        sender=whole.sender,
        seq=whole.last_seq,
        body=parts[0].body if len(parts) == 1 else b"".join(p.body for p in parts),
        at_s=last.at_s,
        delivery=min(waiting.get(p.seq, Delivery.DELIVERED) for p in parts) if last.own else None,
        opaque=any(p.opaque for p in parts),
    )


def _rooms(connection: Connection, vault: Vault) -> list[RoomPut]:
    rows = sound(connection.execute(full(ROOMS).order_by(ROOMS.c.created_s, ROOMS.c.room)), ROOMS)
    return [
        RoomPut(
            room=RoomId(r.room),
            name=r.name,
            root=vault.open(r.root, table="rooms", room=r.room, name="root"),
            member_seed=vault.open(r.member_seed, table="rooms", room=r.room, name="member_seed"),
            created_s=r.created_s,
            membership=Membership(r.membership),
            secure=bool(r.secure),
        )
        for r in rows
    ]


def _members(connection: Connection) -> dict[RoomId, tuple[MemberPut, ...]]:
    rows = sound(connection.execute(full(MEMBERS).order_by(MEMBERS.c.room, MEMBERS.c.member)), MEMBERS)
    puts = (
        MemberPut(
            room=RoomId(r.room),
            member=MemberId(r.member),
            name=r.name,
            have=r.have,
            baseline=r.baseline,
            membership=Membership(r.membership),
            heard_s=r.heard_s,
            secure=bool(r.secure),
            key=r.key,
        )
        for r in rows
    )
    return {room: tuple(same) for room, same in itertools.groupby(puts, lambda put: put.room)}


def _outbox(connection: Connection) -> dict[RoomId, tuple[OutboxRange, ...]]:
    rows = sound(connection.execute(full(OUTBOX).order_by(OUTBOX.c.room, OUTBOX.c.seq)), OUTBOX)
    return {
        RoomId(room): compressed((r.seq, Delivery(r.delivery), r.epoch) for r in same)
        for room, same in itertools.groupby(rows, lambda r: r.room)
    }


def _replay(connection: Connection) -> tuple[ReplayAdd, ...]:
    ids: dict[tuple[int, bytes], list[bytes]] = {}
    for row in sound(connection.execute(full(REPLAY).order_by(REPLAY.c.id)), REPLAY):
        ids.setdefault((row.epoch, row.tag), []).append(row.ids)
    return tuple(ReplayAdd(Tag(tag), epoch, b"".join(ids[epoch, tag])) for epoch, tag in sorted(ids))


def _secrets(connection: Connection, vault: Vault) -> dict[RoomId, tuple[SecretPut, ...]]:
    """By room; b"" are those of the device."""
    rows = sound(connection.execute(full(SECRETS).order_by(SECRETS.c.room, SECRETS.c.name)), SECRETS)
    puts = (
        SecretPut(RoomId(r.room), r.name, vault.open(r.value, table="secrets", room=r.room, name=r.name)) for r in rows
    )
    return {room: tuple(same) for room, same in itertools.groupby(puts, lambda put: put.room)}


def _mix_tags(connection: Connection) -> tuple[MixTagsAdd, ...]:
    tags: dict[int, list[bytes]] = {}
    for row in sound(connection.execute(full(MIX_TAGS).order_by(MIX_TAGS.c.id)), MIX_TAGS):
        tags.setdefault(row.period, []).append(row.tags)
    return tuple(MixTagsAdd(period, b"".join(tags[period])) for period in sorted(tags))


def _records(packed: bytes) -> tuple[bytes, ...]:
    try:
        return msgspec.msgpack.decode(packed, type=tuple[bytes, ...])
    except msgspec.MsgspecError as error:
        raise damaged() from error


def _checked(connection: Connection, table: Table) -> Iterator[AnyRow]:
    return sound(connection.execute(full(table)), table)
