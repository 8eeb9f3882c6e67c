"""What can be saved, and what is read back at start: plain values between the node and the store.

A `Save` effect carries changes; the store applies them in one transaction. Nothing here knows SQL.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Final

from railgun_core.base.ids import MemberId, RoomId, Tag

RESTORED_BACKUP: Final = "restored-backup"
"""The setting that is there while `StoredState.restored_backup` is true. `SettingPut(RESTORED_BACKUP, None)`, in the
same Save as the new keys, settles it."""


class Delivery(enum.IntEnum):
    """How far an own item has come. Never goes back, save to QUEUED when a new epoch has to carry it again."""

    QUEUED = 0
    ACCEPTED = 1  # one relay has it
    STORED = 2  # a majority of the committee has it
    DELIVERED = 3  # every member that is expected has confirmed it


class Membership(enum.IntEnum):
    """A member's state in a room. JOINING is one's own state until another member has answered."""

    ACTIVE = 1
    LEFT = 2
    JOINING = 3


@dataclass(frozen=True, slots=True)
class RoomPut:
    """A room this person is in, or was."""

    room: RoomId
    name: str
    root: bytes = field(repr=False)
    member_seed: bytes = field(repr=False)
    created_s: float
    membership: Membership
    secure: bool = False  # high security: sends through mixes, receives through guards


@dataclass(frozen=True, slots=True)
class MemberPut:
    """Another member as known here: `have` is the last sequence committed without a gap."""

    room: RoomId
    member: MemberId
    name: str
    have: int
    baseline: int
    membership: Membership
    heard_s: float
    secure: bool = False  # this member says the room is a high-security one
    key: bytes = b""  # the public member key; b"" while it is not known


@dataclass(frozen=True, slots=True)
class Item:
    """One sequenced piece of a sender's stream. A message of several parts has consecutive sequences."""

    seq: int
    part: int
    parts: int
    body: bytes = field(repr=False)
    at_s: float = 0.0
    opaque: bool = False  # ciphertext of another messenger: handed on as it came, never shown


@dataclass(frozen=True, slots=True)
class ItemsAdd:
    """Append to the conversation; an item that is there already (room, sender, seq) is left alone.

    `own` items also enter the outbox as QUEUED.
    """

    room: RoomId
    sender: MemberId
    items: tuple[Item, ...]
    own: bool


@dataclass(frozen=True, slots=True)
class OutboxMark:
    """Own items first..last (inclusive) have reached `delivery`, last published in `epoch`."""

    room: RoomId
    first: int
    last: int
    delivery: Delivery
    epoch: int


@dataclass(frozen=True, slots=True)
class CommitteePut:
    """The committee this node computed for a tag, with the records it used: what the inspector verifies.

    `room` is set for own rooms, None for duties. Replaces an earlier row of the same tag, epoch and room.
    """

    room: RoomId | None
    tag: Tag
    epoch: int
    epoch_s: int
    computed_s: float
    size: int
    records: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class DutyPut:
    """A duty of this relay, now or past. Replaces the row of the same tag."""

    tag: Tag
    epoch: int
    seat: int
    committee_size: int
    state: str
    since_s: float
    until_s: float
    members: int
    envelopes: int
    relayed_bytes: int


@dataclass(frozen=True, slots=True)
class ReplayAdd:
    """Message ids seen under a tag, 16 bytes each, joined."""

    tag: Tag
    epoch: int
    ids: bytes


@dataclass(frozen=True, slots=True)
class ReplayDrop:
    """Forget the ids of tags of epochs before this one."""

    before_epoch: int


@dataclass(frozen=True, slots=True)
class TrafficAdd:
    """Add to one hour's counters. `hour` = floor(unix / 3600)."""

    hour: int
    up_bytes: int
    down_bytes: int
    envelopes: int
    relayed_bytes: int


@dataclass(frozen=True, slots=True)
class PeerPut:
    """A peer's newest record, for the next start. `raw` is the signed record."""

    peer_id: bytes
    raw: bytes
    seen_s: float


@dataclass(frozen=True, slots=True)
class SettingPut:
    """A small named value; None removes it."""

    name: str
    value: str | None


@dataclass(frozen=True, slots=True)
class SecretPut:
    """A named secret of a room (b"": of this device). None removes it. The store encrypts it under its key file."""

    room: RoomId
    name: str
    value: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class MixTagsAdd:
    """Replay tags of packets seen under the mix key of `period`, 16 bytes each, joined."""

    period: int
    tags: bytes


@dataclass(frozen=True, slots=True)
class MixTagsDrop:
    """Forget the tags of periods before this one: their keys are gone."""

    before_period: int


@dataclass(frozen=True, slots=True)
class ExposurePut:
    """One figure of the exposure ledger: replaces that of the same (day, role, what). `day` = floor(unix / 86,400)."""

    day: int
    role: str
    what: str
    count: int


@dataclass(frozen=True, slots=True)
class MailAdd:
    """An envelope frame that this mailbox keeps. Unique by (tag, digest): it takes the place of one that is there.

    `digest`: of its name and its bytes, for a name alone may stand for other bytes.
    """

    tag: Tag
    day: int
    position: int
    digest: bytes
    expiry_s: int
    frame: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MailDrop:
    """Forget mail whose expiry has passed, and the notices of days before `before_day`.

    Of the mail only `most` envelopes at a time, those that expired first: one large delete would hold up all writing.
    """

    unix_s: int
    before_day: int
    most: int = 500


@dataclass(frozen=True, slots=True)
class MailEvict:
    """Remove mail first..last of a tag before its time, and keep the signed notice (an EVICTED frame) instead."""

    tag: Tag
    day: int
    first: int
    last: int
    notice: bytes


Change = (
    RoomPut
    | MemberPut
    | ItemsAdd
    | OutboxMark
    | CommitteePut
    | DutyPut
    | ReplayAdd
    | ReplayDrop
    | TrafficAdd
    | PeerPut
    | SettingPut
    | SecretPut
    | MixTagsAdd
    | MixTagsDrop
    | ExposurePut
    | MailAdd
    | MailDrop
    | MailEvict
)


@dataclass(frozen=True, slots=True)
class OutboxRange:
    """Own items first..last that are in the same state, from the same epoch."""

    first: int
    last: int
    delivery: Delivery
    epoch: int


@dataclass(frozen=True, slots=True)
class StoredRoom:
    """Everything a room needs to go on after a restart."""

    room: RoomPut
    members: tuple[MemberPut, ...]
    next_seq: int  # the sequence the next own item gets; first is 1
    outbox: tuple[OutboxRange, ...]  # own items not yet DELIVERED, in order
    first_kept: int  # the oldest own item still in the store
    secrets: tuple[SecretPut, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredMail:
    """What this mailbox holds under one tag: names and sizes, not the envelopes."""

    tag: Tag
    day: int
    next_position: int  # also past what was evicted
    kept: tuple[tuple[int, bytes, int, int], ...]  # position, digest, size of the frame, expiry; in order
    notices: tuple[bytes, ...] = ()  # EVICTED frames


@dataclass(frozen=True, slots=True)
class StoredState:
    """What the store gives the node at start."""

    rooms: tuple[StoredRoom, ...]
    replay: tuple[ReplayAdd, ...]
    secrets: tuple[SecretPut, ...] = ()  # of this device
    mix_tags: tuple[MixTagsAdd, ...] = ()
    mail: tuple[StoredMail, ...] = ()
    restored_backup: bool = False  # the database is older than the mark file beside it; see RESTORED_BACKUP


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message of a conversation, its parts joined. `position` grows by arrival here."""

    position: int
    sender: MemberId
    seq: int  # of its last part
    body: bytes = field(repr=False)
    at_s: float
    delivery: Delivery | None  # None for others' messages
    opaque: bool = False
