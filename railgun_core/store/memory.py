"""The same store without a disk: for the simulator, where hundreds of nodes share one process.

Behaves as `sqlite.SqliteStore` does (one contract suite runs on both). Nothing is copied on a commit: the values are
frozen, the containers are dicts. Deterministic: no thread, no clock, no await that gives way. A simulated crash keeps
what was committed and loses what `commit_soon` had not yet joined to a commit, as a real one may.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.base.ids import MemberId, RoomId, Tag
from railgun_core.changes import (
    RESTORED_BACKUP,
    Change,
    CommitteePut,
    Delivery,
    DutyPut,
    ExposurePut,
    Item,
    ItemsAdd,
    MailAdd,
    MailDrop,
    MailEvict,
    MemberPut,
    Message,
    MixTagsAdd,
    MixTagsDrop,
    OutboxMark,
    PeerPut,
    ReplayAdd,
    ReplayDrop,
    RoomPut,
    SecretPut,
    SettingPut,
    StoredRoom,
    StoredState,
    TrafficAdd,
)
from railgun_core.store.conversation import Place, Whole, compressed, whole_messages
from railgun_core.store.failures import disk_full
from railgun_core.store.memory_mail import MemoryMail
from railgun_core.store.removal import HOURS_A_DAY, PEERS_KEPT


@dataclass(frozen=True, slots=True)
class _Stored:
    place: Place
    item: Item
    own: bool


@dataclass(slots=True)
class _Conversation:
    """The items of one room. `order` holds the positions, ascending."""

    order: list[int] = field(default_factory=list)
    at: dict[int, _Stored] = field(default_factory=dict)
    by_seq: dict[tuple[MemberId, int], _Stored] = field(default_factory=dict)
    own: dict[int, _Stored] = field(default_factory=dict)
    outbox: dict[int, tuple[Delivery, int]] = field(default_factory=dict)
    last_own_seq: int = 0

    def copy(self) -> _Conversation:
        return _Conversation(
            list(self.order), dict(self.at), dict(self.by_seq), dict(self.own), dict(self.outbox), self.last_own_seq
        )

    def add(self, stored: _Stored) -> None:
        self.order.append(stored.place.position)
        self.at[stored.place.position] = stored
        self.by_seq[stored.place.sender, stored.item.seq] = stored
        if stored.own:
            seq = stored.item.seq
            self.own[seq] = stored
            self.outbox.setdefault(seq, (Delivery.QUEUED, 0))
            self.last_own_seq = max(self.last_own_seq, seq)

    def drop_before(self, at_s: float) -> None:
        old = [stored for stored in self.at.values() if stored.item.at_s < at_s]
        if not old:
            return
        for stored in old:
            del self.at[stored.place.position]
            del self.by_seq[stored.place.sender, stored.item.seq]
            if stored.own:
                self.own.pop(stored.item.seq, None)
        self.order = list(self.at)
        self.outbox = {seq: state for seq, state in self.outbox.items() if seq in self.own}

    def disown(self) -> None:
        """What was own becomes somebody's who was here before."""
        for stored in self.own.values():
            fresh = replace(stored, own=False)
            self.at[stored.place.position] = self.by_seq[stored.place.sender, stored.item.seq] = fresh
        self.own, self.outbox, self.last_own_seq = {}, {}, 0

    def siblings(self, sender: MemberId, first: int, last: int) -> list[Place]:
        if last - first >= len(self.by_seq):  # a claim of more parts than there are items: nobody counts that far
            return []
        found = (self.by_seq.get((sender, seq)) for seq in range(first, last + 1))
        return [stored.place for stored in found if stored is not None]

    def message(self, whole: Whole) -> Message:
        parts = [self.by_seq[whole.sender, seq] for seq in range(whole.first_seq, whole.last_seq + 1)]
        last = parts[-1]
        delivery = None
        if last.own:
            done = (Delivery.DELIVERED, 0)
            delivery = min(self.outbox.get(part.item.seq, done)[0] for part in parts)
        body = b"".join(part.item.body for part in parts)
        opaque = any(part.item.opaque for part in parts)
        return Message(whole.position, whole.sender, whole.last_seq, body, last.item.at_s, delivery, opaque)


@dataclass(slots=True)
class _Tables:
    rooms: dict[RoomId, RoomPut] = field(default_factory=dict)
    members: dict[tuple[RoomId, MemberId], MemberPut] = field(default_factory=dict)
    conversations: dict[RoomId, _Conversation] = field(default_factory=dict)
    committees: dict[tuple[Tag, int, RoomId | None], CommitteePut] = field(default_factory=dict)
    duties: dict[Tag, DutyPut] = field(default_factory=dict)
    replay: dict[tuple[int, Tag], list[bytes]] = field(default_factory=dict)
    traffic: dict[int, TrafficAdd] = field(default_factory=dict)
    peers: dict[bytes, PeerPut] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    secrets: dict[tuple[RoomId, str], SecretPut] = field(default_factory=dict)
    mix_tags: dict[int, list[bytes]] = field(default_factory=dict)
    exposure: dict[tuple[int, str, str], ExposurePut] = field(default_factory=dict)
    mail: MemoryMail = field(default_factory=MemoryMail)
    last_position: int = 0

    def copy(self) -> _Tables:
        return _Tables(
            dict(self.rooms),
            dict(self.members),
            {room: c.copy() for room, c in self.conversations.items()},
            dict(self.committees),
            dict(self.duties),
            {key: list(ids) for key, ids in self.replay.items()},
            dict(self.traffic),
            dict(self.peers),
            dict(self.settings),
            dict(self.secrets),
            {period: list(tags) for period, tags in self.mix_tags.items()},
            dict(self.exposure),
            self.mail.copy(),
            self.last_position,
        )


@dataclass(frozen=True, slots=True)
class MemorySnapshot:
    """What was committed at one moment. Opaque; goes back in with `MemoryStore.restore`."""

    tables: _Tables = field(repr=False)


class MemoryStore:
    """See `port.Store`. Set `disk_full` to make every commit fail as on a full disk; deletes and reads go on."""

    def __init__(self) -> None:
        self._tables = _Tables()
        self._soon: list[Change] = []
        self._closed = False
        self.repaired: str | None = None
        self.disk_full = False

    def snapshot(self) -> MemorySnapshot:
        """What is committed now. Cost: one copy of the containers, not of the values."""
        return MemorySnapshot(self._tables.copy())

    def restore(self, snapshot: MemorySnapshot) -> None:
        """As an older database put back, and a new start: `load` says so until it is settled.

        A snapshot can be restored many times.
        """
        self.crash()
        self._tables = snapshot.tables.copy()
        self._tables.settings[RESTORED_BACKUP] = "yes"

    def crash(self) -> None:
        """As kill -9 and a new start: commits stay, what `commit_soon` left waiting is gone."""
        self._soon.clear()
        self._closed = False

    async def load(self) -> StoredState:
        """See the port."""
        tables = self._settled()
        rooms = sorted(tables.rooms.values(), key=lambda put: (put.created_s, put.room))
        seen = sorted(tables.replay)
        replay = tuple(ReplayAdd(tag, epoch, b"".join(tables.replay[epoch, tag])) for epoch, tag in seen)
        return StoredState(
            rooms=tuple(self._stored_room(put) for put in rooms),
            replay=replay,
            secrets=self._secrets(RoomId(b"")),
            mix_tags=tuple(MixTagsAdd(period, b"".join(tables.mix_tags[period])) for period in sorted(tables.mix_tags)),
            mail=tables.mail.stored(),
            restored_backup=RESTORED_BACKUP in tables.settings,
        )

    async def commit(self, changes: Sequence[Change]) -> None:
        """See the port."""
        self._open()
        if self.disk_full:
            raise disk_full()
        self._settled()
        self._apply(changes)

    def commit_soon(self, changes: Sequence[Change]) -> None:
        """See the port: applied with the next commit or read."""
        if not self._closed:
            self._soon.extend(changes)

    async def own_items(self, room: RoomId, first: int, last: int) -> tuple[Item, ...]:
        """See the port."""
        own = self._conversation(room).own
        return tuple(own[seq].item for seq in sorted(own) if first <= seq <= last)

    async def mail(self, tag: Tag, position: int, limit: int) -> tuple[tuple[int, bytes], ...]:
        """See the port."""
        return self._settled().mail.page(tag, position, limit)

    async def messages(
        self, room: RoomId, *, after: int, limit: int, max_bytes: int | None = None
    ) -> tuple[Message, ...]:
        """See the port."""
        talk = self._conversation(room)
        start = bisect_right(talk.order, after)
        places = (talk.at[talk.order[i]].place for i in range(start, len(talk.order)))
        return _messages(talk, places, limit=limit, max_bytes=max_bytes)

    async def latest_messages(self, room: RoomId, *, limit: int, max_bytes: int | None = None) -> tuple[Message, ...]:
        """See the port."""
        talk = self._conversation(room)
        places = (talk.at[position].place for position in reversed(talk.order))
        return _messages(talk, places, limit=limit, max_bytes=max_bytes)[::-1]

    async def committees(self, *, room: RoomId | None = None, tag: Tag | None = None) -> tuple[CommitteePut, ...]:
        """See the port."""
        puts = self._settled().committees.values()
        wanted = (p for p in puts if (room is None or p.room == room) and (tag is None or p.tag == tag))
        return tuple(sorted(wanted, key=lambda p: (p.epoch, p.tag, p.room or b"")))

    async def duties(self, *, limit: int) -> tuple[DutyPut, ...]:
        """See the port."""
        return tuple(sorted(self._settled().duties.values(), key=lambda put: (-put.since_s, put.tag))[:limit])

    async def traffic(self, *, since_hour: int) -> tuple[TrafficAdd, ...]:
        """See the port."""
        traffic = self._settled().traffic
        return tuple(traffic[hour] for hour in sorted(traffic) if hour >= since_hour)

    async def exposure(self, *, day: int) -> tuple[ExposurePut, ...]:
        """See the port."""
        exposure = self._settled().exposure
        return tuple(exposure[key] for key in sorted(exposure) if key[0] == day)

    async def peers(self, *, limit: int) -> tuple[PeerPut, ...]:
        """See the port."""
        return tuple(_newest_peers(self._settled().peers, limit))

    async def settings(self) -> dict[str, str]:
        """See the port."""
        return dict(self._settled().settings)

    async def end_membership(self, room: RoomId) -> None:
        """See the port."""
        tables = self._settled()
        tables.members = {key: put for key, put in tables.members.items() if put.room != room}
        tables.secrets = {key: put for key, put in tables.secrets.items() if put.room != room}
        talk = tables.conversations.get(room)
        if talk is not None:
            talk.disown()

    async def forget_room(self, room: RoomId) -> None:
        """See the port."""
        tables = self._settled()
        tables.rooms.pop(room, None)
        tables.conversations.pop(room, None)
        tables.members = {key: put for key, put in tables.members.items() if put.room != room}
        tables.committees = {key: put for key, put in tables.committees.items() if put.room != room}
        tables.secrets = {key: put for key, put in tables.secrets.items() if put.room != room}

    async def prune(self, *, items_before_s: float, traffic_before_hour: int, committees_before_s: float) -> None:
        """See the port."""
        tables = self._settled()
        for talk in tables.conversations.values():
            talk.drop_before(items_before_s)
        tables.traffic = {hour: put for hour, put in tables.traffic.items() if hour >= traffic_before_hour}
        first_day = traffic_before_hour // HOURS_A_DAY
        tables.exposure = {key: put for key, put in tables.exposure.items() if put.day >= first_day}
        tables.committees = {k: p for k, p in tables.committees.items() if p.computed_s >= committees_before_s}
        tables.duties = {tag: put for tag, put in tables.duties.items() if put.until_s >= committees_before_s}
        tables.peers = {put.peer_id: put for put in _newest_peers(tables.peers, PEERS_KEPT)}

    async def close(self) -> None:
        """See the port."""
        if not self._closed:
            self._settled()
            self._closed = True

    def _open(self) -> None:
        if self._closed:
            raise EnvironmentFailure("The store is closed.", code="unwritable")

    def _settled(self) -> _Tables:
        """The tables, with what `commit_soon` left applied."""
        self._open()
        if self._soon:
            waiting, self._soon = self._soon, []
            if not self.disk_full:
                self._apply(waiting)
        return self._tables

    def _conversation(self, room: RoomId) -> _Conversation:
        return self._settled().conversations.get(room) or _Conversation()

    def _stored_room(self, put: RoomPut) -> StoredRoom:
        talk = self._conversation(put.room)
        members = sorted((m for m in self._tables.members.values() if m.room == put.room), key=lambda m: m.member)
        next_seq = talk.last_own_seq + 1
        return StoredRoom(
            room=put,
            members=tuple(members),
            next_seq=next_seq,
            outbox=compressed((seq, *talk.outbox[seq]) for seq in sorted(talk.outbox)),
            first_kept=min(talk.own, default=next_seq),
            secrets=self._secrets(put.room),
        )

    def _secrets(self, room: RoomId) -> tuple[SecretPut, ...]:
        secrets = self._tables.secrets
        return tuple(secrets[key] for key in sorted(secrets) if key[0] == room)

    def _apply(self, changes: Iterable[Change]) -> None:
        tables = self._tables
        for change in changes:
            match change:
                case ItemsAdd():
                    self._add_items(change)
                case OutboxMark():
                    _mark(tables.conversations.get(change.room), change)
                case RoomPut():
                    tables.rooms[change.room] = change
                case MemberPut():
                    tables.members[change.room, change.member] = change
                case CommitteePut():
                    tables.committees[change.tag, change.epoch, change.room] = change
                case DutyPut():
                    tables.duties[change.tag] = change
                case ReplayAdd():
                    tables.replay.setdefault((change.epoch, change.tag), []).append(change.ids)
                case ReplayDrop():
                    tables.replay = {k: ids for k, ids in tables.replay.items() if k[0] >= change.before_epoch}
                case TrafficAdd():
                    _add_traffic(tables.traffic, change)
                case PeerPut():
                    tables.peers[change.peer_id] = change
                case SettingPut():
                    _set(tables.settings, change)
                case SecretPut():
                    _put_secret(tables.secrets, change)
                case MixTagsAdd():
                    tables.mix_tags.setdefault(change.period, []).append(change.tags)
                case MixTagsDrop():
                    tables.mix_tags = {p: tags for p, tags in tables.mix_tags.items() if p >= change.before_period}
                case ExposurePut():
                    tables.exposure[change.day, change.role, change.what] = change
                case MailAdd() | MailDrop() | MailEvict():
                    tables.mail.apply(change)
                case _:
                    assert_never(change)

    def _add_items(self, add: ItemsAdd) -> None:
        tables = self._tables
        talk = tables.conversations.setdefault(add.room, _Conversation())
        for item in add.items:
            if (add.sender, item.seq) in talk.by_seq:
                continue
            tables.last_position += 1
            place = Place(tables.last_position, add.sender, item.seq, item.part, item.parts, len(item.body))
            talk.add(_Stored(place, item, add.own))


def _messages(
    talk: _Conversation, places: Iterable[Place], *, limit: int, max_bytes: int | None
) -> tuple[Message, ...]:
    wholes = whole_messages(places, talk.siblings, limit=limit, max_bytes=max_bytes)
    return tuple(talk.message(whole) for whole in wholes)


def _mark(talk: _Conversation | None, mark: OutboxMark) -> None:
    if talk is None:
        return
    if mark.last - mark.first < len(talk.outbox):
        seqs = [seq for seq in range(mark.first, mark.last + 1) if seq in talk.outbox]
    else:
        seqs = [seq for seq in talk.outbox if mark.first <= seq <= mark.last]
    for seq in seqs:
        if mark.delivery is Delivery.DELIVERED:
            del talk.outbox[seq]
        else:
            talk.outbox[seq] = (mark.delivery, mark.epoch)


def _add_traffic(traffic: dict[int, TrafficAdd], add: TrafficAdd) -> None:
    old = traffic.get(add.hour)
    if old is None:
        traffic[add.hour] = add
        return
    traffic[add.hour] = replace(
        old,
        up_bytes=old.up_bytes + add.up_bytes,
        down_bytes=old.down_bytes + add.down_bytes,
        envelopes=old.envelopes + add.envelopes,
        relayed_bytes=old.relayed_bytes + add.relayed_bytes,
    )


def _set(settings: dict[str, str], put: SettingPut) -> None:
    if put.value is None:
        settings.pop(put.name, None)
    else:
        settings[put.name] = put.value


def _put_secret(secrets: dict[tuple[RoomId, str], SecretPut], put: SecretPut) -> None:
    if put.value is None:
        secrets.pop((put.room, put.name), None)
    else:
        secrets[put.room, put.name] = put


def _newest_peers(peers: dict[bytes, PeerPut], limit: int) -> list[PeerPut]:
    return sorted(peers.values(), key=lambda put: (-put.seen_s, put.peer_id))[:limit]
