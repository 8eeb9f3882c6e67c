"""Changes as statements: what one transaction does.

Changes of one kind that follow each other go to SQLite as one `executemany`; the order between kinds is kept. Every
row is written with its checksum, secrets are sealed first. Nothing here commits.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar, cast

import msgspec
from sqlalchemy import Connection, Integer, LargeBinary, Table, bindparam, delete, func, select, update
from sqlalchemy.dialects.sqlite import Insert, insert

from railgun_core.base.ids import RoomId
from railgun_core.changes import (
    Change,
    CommitteePut,
    Delivery,
    DutyPut,
    ExposurePut,
    ItemsAdd,
    MailAdd,
    MailDrop,
    MailEvict,
    MemberPut,
    MixTagsAdd,
    MixTagsDrop,
    OutboxMark,
    PeerPut,
    ReplayAdd,
    ReplayDrop,
    RoomPut,
    SecretPut,
    SettingPut,
    TrafficAdd,
)
from railgun_core.store.mail import add_mail, drop_mail, evict_mail
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
    Value,
    summed,
)
from railgun_core.store.vault import Vault

_ROW_BYTES: Final = 8192  # a larger envelope counts as several rows

C = TypeVar("C")
_Rows = list[dict[str, Value]]


def _replace(table: Table, *key: str) -> Insert:
    statement = insert(table)
    fresh = {c.name: statement.excluded[c.name] for c in table.columns if c.name not in key and c.name != "id"}
    return statement.on_conflict_do_update(index_elements=list(key), set_=fresh)


def _add_traffic() -> Insert:
    statement = insert(TRAFFIC)
    names = ("up_bytes", "down_bytes", "envelopes", "relayed_bytes")
    total = {name: TRAFFIC.c[name] + statement.excluded[name] for name in names}
    crc = func.row_crc(TRAFFIC.c.hour, *(total[name] for name in names))
    return statement.on_conflict_do_update(index_elements=["hour"], set_={**total, "crc": crc})


_PUT_ROOM: Final = _replace(ROOMS, "room")
_PUT_MEMBER: Final = _replace(MEMBERS, "room", "member")
_PUT_STREAM: Final = _replace(STREAMS, "room")
_PUT_COMMITTEE: Final = _replace(COMMITTEES, "tag", "epoch", "room")
_PUT_DUTY: Final = _replace(DUTIES, "tag")
_PUT_PEER: Final = _replace(PEERS, "peer_id")
_PUT_SETTING: Final = _replace(SETTINGS, "name")
_ADD_ITEMS: Final = insert(ITEMS).on_conflict_do_nothing(index_elements=["room", "sender", "seq"])
_ADD_OUTBOX: Final = insert(OUTBOX).on_conflict_do_nothing(index_elements=["room", "seq"])
_ADD_REPLAY: Final = insert(REPLAY)
_ADD_MIX_TAGS: Final = insert(MIX_TAGS)
_PUT_SECRET: Final = _replace(SECRETS, "room", "name")
_PUT_EXPOSURE: Final = _replace(EXPOSURE, "day", "role", "what")
_ADD_TRAFFIC: Final = _add_traffic()

_IN_RANGE: Final = (
    OUTBOX.c.room == bindparam("in_room", type_=LargeBinary),
    OUTBOX.c.seq.between(bindparam("first", type_=Integer), bindparam("last", type_=Integer)),
)
_NEW_DELIVERY: Final = bindparam("new_delivery", type_=Integer)
_NEW_EPOCH: Final = bindparam("new_epoch", type_=Integer)
_MARK: Final = (
    update(OUTBOX)
    .where(*_IN_RANGE)
    .values(
        delivery=_NEW_DELIVERY,
        epoch=_NEW_EPOCH,
        crc=func.row_crc(OUTBOX.c.room, OUTBOX.c.seq, _NEW_DELIVERY, _NEW_EPOCH),
    )
)
_DELIVERED: Final = delete(OUTBOX).where(*_IN_RANGE)


def apply_changes(connection: Connection, vault: Vault, changes: Iterable[Change]) -> None:
    """Carry out `changes` in order, inside the transaction that is open on `connection`."""
    for kind, same in itertools.groupby(changes, type):
        if kind is RoomPut:
            _put_rooms(connection, vault, [c for c in same if isinstance(c, RoomPut)])
        elif kind is SecretPut:
            _put_secrets(connection, vault, [c for c in same if isinstance(c, SecretPut)])
        else:
            _APPLY[kind](connection, list(same))


def rows_of(changes: Sequence[Change]) -> int:
    """About how many rows the changes touch: what bounds a transaction."""
    return sum(_rows_of(c) for c in changes)


def _rows_of(change: Change) -> int:
    match change:
        case ItemsAdd():
            return len(change.items)
        case MailAdd():
            return 1 + len(change.frame) // _ROW_BYTES
        case MailDrop():
            return change.most
        case MailEvict():
            return change.last - change.first + 1
        case _:
            return 1


def has_own_items(changes: Sequence[Change]) -> bool:
    """Whether the changes hold something this person wrote and that must not be accepted on a full disk."""
    return any(isinstance(c, ItemsAdd) and c.own for c in changes)


def _put_rooms(connection: Connection, vault: Vault, puts: list[RoomPut]) -> None:
    rows: _Rows = [
        summed(
            ROOMS,
            room=p.room,
            name=p.name,
            root=vault.seal(p.root, table="rooms", room=p.room, name="root"),
            member_seed=vault.seal(p.member_seed, table="rooms", room=p.room, name="member_seed"),
            created_s=float(p.created_s),
            membership=int(p.membership),
            secure=int(p.secure),
        )
        for p in puts
    ]
    connection.execute(_PUT_ROOM, rows)


def _put_members(connection: Connection, puts: list[MemberPut]) -> None:
    rows: _Rows = [
        summed(
            MEMBERS,
            room=p.room,
            member=p.member,
            name=p.name,
            have=p.have,
            baseline=p.baseline,
            membership=int(p.membership),
            heard_s=float(p.heard_s),
            secure=int(p.secure),
            key=p.key,
        )
        for p in puts
    ]
    connection.execute(_PUT_MEMBER, rows)


def _add_items(connection: Connection, adds: list[ItemsAdd]) -> None:
    for own, same in itertools.groupby(adds, lambda add: add.own):
        batch = list(same)
        queued = _new_own(connection, batch) if own else {}
        rows: _Rows = [
            summed(
                ITEMS,
                room=add.room,
                sender=add.sender,
                seq=i.seq,
                part=i.part,
                parts=i.parts,
                own=int(own),
                opaque=int(i.opaque),
                at_s=float(i.at_s),
                body=i.body,
            )
            for add in batch
            for i in add.items
        ]
        if rows:
            connection.execute(_ADD_ITEMS, rows)
        for room, seqs in queued.items():
            _queue(connection, room, seqs)


def _new_own(connection: Connection, adds: list[ItemsAdd]) -> dict[RoomId, list[int]]:
    """The own sequences of each room that are not in the store yet: those, and only those, enter the outbox."""
    asked: dict[tuple[RoomId, bytes], list[int]] = {}
    for add in adds:
        if add.items:
            asked.setdefault((add.room, add.sender), []).extend(item.seq for item in add.items)
    fresh: dict[RoomId, list[int]] = {}
    for (room, sender), seqs in asked.items():
        there = select(ITEMS.c.seq).where(
            ITEMS.c.room == room, ITEMS.c.sender == sender, ITEMS.c.seq.between(min(seqs), max(seqs))
        )
        seen = set(connection.execute(there).scalars())
        new = sorted(set(seqs) - seen)
        if new:
            fresh.setdefault(room, []).extend(new)
    return fresh


def _queue(connection: Connection, room: RoomId, seqs: list[int]) -> None:
    rows: _Rows = [summed(OUTBOX, room=room, seq=seq, delivery=int(Delivery.QUEUED), epoch=0) for seq in seqs]
    connection.execute(_ADD_OUTBOX, rows)
    last = connection.execute(select(STREAMS.c.last_seq).where(STREAMS.c.room == room)).scalar()
    newest = max(seqs)
    if last is None or newest > last:
        connection.execute(_PUT_STREAM, [summed(STREAMS, room=room, last_seq=newest)])


def _mark_outbox(connection: Connection, marks: list[OutboxMark]) -> None:
    for gone, same in itertools.groupby(marks, lambda mark: mark.delivery is Delivery.DELIVERED):
        if gone:
            connection.execute(_DELIVERED, [{"in_room": m.room, "first": m.first, "last": m.last} for m in same])
            continue
        rows: _Rows = [
            {"in_room": m.room, "first": m.first, "last": m.last, "new_delivery": int(m.delivery), "new_epoch": m.epoch}
            for m in same
        ]
        connection.execute(_MARK, rows)


def _put_committees(connection: Connection, puts: list[CommitteePut]) -> None:
    rows: _Rows = [
        summed(
            COMMITTEES,
            room=NO_ROOM if p.room is None else p.room,
            tag=p.tag,
            epoch=p.epoch,
            epoch_s=p.epoch_s,
            computed_s=float(p.computed_s),
            size=p.size,
            records=msgspec.msgpack.encode(p.records),
        )
        for p in puts
    ]
    connection.execute(_PUT_COMMITTEE, rows)


def _put_duties(connection: Connection, puts: list[DutyPut]) -> None:
    rows: _Rows = [
        summed(
            DUTIES,
            tag=p.tag,
            epoch=p.epoch,
            seat=p.seat,
            committee_size=p.committee_size,
            state=p.state,
            since_s=float(p.since_s),
            until_s=float(p.until_s),
            members=p.members,
            envelopes=p.envelopes,
            relayed_bytes=p.relayed_bytes,
        )
        for p in puts
    ]
    connection.execute(_PUT_DUTY, rows)


def _add_replay(connection: Connection, adds: list[ReplayAdd]) -> None:
    connection.execute(_ADD_REPLAY, [summed(REPLAY, tag=a.tag, epoch=a.epoch, ids=a.ids) for a in adds])


def _drop_replay(connection: Connection, drops: list[ReplayDrop]) -> None:
    connection.execute(delete(REPLAY).where(REPLAY.c.epoch < max(d.before_epoch for d in drops)))


def _add_traffic_rows(connection: Connection, adds: list[TrafficAdd]) -> None:
    rows: _Rows = [
        summed(
            TRAFFIC,
            hour=a.hour,
            up_bytes=a.up_bytes,
            down_bytes=a.down_bytes,
            envelopes=a.envelopes,
            relayed_bytes=a.relayed_bytes,
        )
        for a in adds
    ]
    connection.execute(_ADD_TRAFFIC, rows)


def _put_peers(connection: Connection, puts: list[PeerPut]) -> None:
    connection.execute(_PUT_PEER, [summed(PEERS, peer_id=p.peer_id, seen_s=float(p.seen_s), raw=p.raw) for p in puts])


def _put_settings(connection: Connection, puts: list[SettingPut]) -> None:
    for put in puts:
        if put.value is None:
            connection.execute(delete(SETTINGS).where(SETTINGS.c.name == put.name))
        else:
            connection.execute(_PUT_SETTING, [summed(SETTINGS, name=put.name, value=put.value)])


def _put_secrets(connection: Connection, vault: Vault, puts: list[SecretPut]) -> None:
    last = {(p.room, p.name): p.value for p in puts}  # the last word counts: what it replaces is not even sealed
    gone = [(room, name) for (room, name), value in last.items() if value is None]
    for room, name in gone:
        connection.execute(delete(SECRETS).where(SECRETS.c.room == room, SECRETS.c.name == name))
    rows: _Rows = [
        summed(SECRETS, room=room, name=name, value=vault.seal(value, table="secrets", room=room, name=name))
        for (room, name), value in last.items()
        if value is not None
    ]
    if rows:
        connection.execute(_PUT_SECRET, rows)


def _add_mix_tags(connection: Connection, adds: list[MixTagsAdd]) -> None:
    connection.execute(_ADD_MIX_TAGS, [summed(MIX_TAGS, period=a.period, tags=a.tags) for a in adds])


def _drop_mix_tags(connection: Connection, drops: list[MixTagsDrop]) -> None:
    connection.execute(delete(MIX_TAGS).where(MIX_TAGS.c.period < max(d.before_period for d in drops)))


def _put_exposure(connection: Connection, puts: list[ExposurePut]) -> None:
    rows: _Rows = [summed(EXPOSURE, day=p.day, role=p.role, what=p.what, count=p.count) for p in puts]
    connection.execute(_PUT_EXPOSURE, rows)


def _entry(
    kind: type[C], carry_out: Callable[[Connection, list[C]], None]
) -> tuple[type[Change], Callable[[Connection, list[Change]], None]]:
    return cast("tuple[type[Change], Callable[[Connection, list[Change]], None]]", (kind, carry_out))


_APPLY: Final = dict(
    (
        _entry(MemberPut, _put_members),
        _entry(ItemsAdd, _add_items),
        _entry(OutboxMark, _mark_outbox),
        _entry(CommitteePut, _put_committees),
        _entry(DutyPut, _put_duties),
        _entry(ReplayAdd, _add_replay),
        _entry(ReplayDrop, _drop_replay),
        _entry(TrafficAdd, _add_traffic_rows),
        _entry(PeerPut, _put_peers),
        _entry(SettingPut, _put_settings),
        _entry(MixTagsAdd, _add_mix_tags),
        _entry(MixTagsDrop, _drop_mix_tags),
        _entry(ExposurePut, _put_exposure),
        _entry(MailAdd, add_mail),
        _entry(MailDrop, drop_mail),
        _entry(MailEvict, evict_mail),
    )
)
