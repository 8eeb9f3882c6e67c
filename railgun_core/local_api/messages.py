"""Requests and answers of the local API: one JSON object a line, both directions.

Client: {"id": 1, "verb": "room.send", "args": {...}}
Engine: {"id": 1, "ok": {...}}  or  {"id": 1, "error": {"code": "...", "sentence": "..."}}
Streams (`status.watch`, `room.follow`, `logs.follow`): {"id": 1, "event": {...}} until the client sends
{"id": 1, "verb": "cancel"} or closes. Bytes travel as base64 (msgspec's default for `bytes`).

On Windows, where the socket is loopback TCP, the first line must be {"token": "..."} from the 0600 file beside the
data; on Unix the socket's mode 0600 is the lock.
"""

from __future__ import annotations

from typing import Any

import msgspec

from railgun_core.status import CentralStatus, DutyStatus, MailboxStatus, RoomStatus
from railgun_core.status import Exposure as Exposure  # these four the engine makes itself: the layer below has them
from railgun_core.status import ExposureRole as ExposureRole
from railgun_core.status import Price as Price
from railgun_core.status import Safety as Safety

MAX_LINE_BYTES = 8 * 1024 * 1024
MAX_LINES_PER_SEND = 1_000
MAX_MESSAGE_BYTES = 4 * 1024 * 1024  # one message, split into envelopes by the engine

MAX_PAGE_BYTES = 4 * 1024 * 1024  # bodies in one answer: with base64 well below MAX_LINE_BYTES


class Request(msgspec.Struct, frozen=True):
    """One call. `args` is decoded by the verb's own type."""

    id: int
    verb: str
    args: msgspec.Raw = msgspec.Raw(b"{}")


class Failure(msgspec.Struct, frozen=True):
    """Why a call did not do what was asked: a stable code and one sentence for a person."""

    code: str
    sentence: str
    exit_status: int = 1


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """An answer, an error or one event of a stream."""

    id: int
    ok: Any = None
    error: Failure | None = None
    event: Any = None
    done: bool = False


class RoomCreate(msgspec.Struct, frozen=True):
    """`room.create` -> RoomInfo."""

    name: str


class RoomRef(msgspec.Struct, frozen=True):
    """`room.invite` -> Invite; `room.leave` -> RoomInfo; `room.members` -> Members. `room`: name or id prefix."""

    room: str


class RoomJoin(msgspec.Struct, frozen=True):
    """`room.join` -> RoomInfo, once a member has answered or `wait_s` has passed (RoomInfo.waiting then)."""

    link: str
    wait_s: float = 20.0


class RoomSend(msgspec.Struct, frozen=True):
    """`room.send` -> Sent, when every line has reached `wait` (accepted, stored, delivered) or `wait_s` passed.

    The lines are committed to the outbox in any case: what is not stored yet is sent again, also after a restart.
    """

    room: str
    lines: tuple[bytes, ...]
    wait: str = "stored"
    wait_s: float = 60.0


class RoomRead(msgspec.Struct, frozen=True):
    """`room.read` -> Messages. `since` is a position; without it the newest `count`.

    One answer holds at most 1,000 messages and, past its first, MAX_PAGE_BYTES of bodies (without `since` the oldest
    are left out): read on from `last` until an answer is empty.
    """

    room: str
    since: int | None = None
    count: int = 1_000


class RoomFollow(msgspec.Struct, frozen=True):
    """`room.follow`: a stream of Messages from `since` (a position) on."""

    room: str
    since: int = 0


class RoomSecure(msgspec.Struct, frozen=True):
    """`room.secure` -> RoomInfo. `gb_month`: also set the budget for cover while a room is high-security."""

    room: str
    on: bool
    gb_month: float | None = None


class PriceAsk(msgspec.Struct, frozen=True):
    """`room.price` -> Price: what high security would cost now, at `gb_month` or the budget that is set."""

    room: str
    gb_month: float | None = None


class MemberRef(msgspec.Struct, frozen=True):
    """`room.safety` -> Safety; `room.remove` -> RoomInfo. `member`: its id or the start of it."""

    room: str
    member: str


class RoomSendOpaque(msgspec.Struct, frozen=True):
    """`room.send_opaque` -> Sent: bytes that the caller has encrypted itself. They reach members' callers as they are.

    Each at most MAX_MESSAGE_BYTES. Waiting works as in `room.send`.
    """

    room: str
    messages: tuple[bytes, ...]
    wait: str = "stored"
    wait_s: float = 60.0


class ExposureAsk(msgspec.Struct, frozen=True):
    """`exposure` -> Exposure: the ledger of today, or of `days_ago`."""

    days_ago: int = 0


class TelemetryAsk(msgspec.Struct, frozen=True):
    """`telemetry` -> TelemetryDay: how relays performed for this device today, or `days_ago`."""

    days_ago: int = 0


class InspectArgs(msgspec.Struct, frozen=True):
    """`inspect` -> Inspections. Either an own `room`, or a `tag` in hex; all saved epochs or one.

    `with_records` asks for the signed records too: what somebody else needs to verify it offline.
    """

    room: str | None = None
    tag: str | None = None
    epoch: int | None = None
    with_records: bool = False


class Empty(msgspec.Struct, frozen=True):
    """No arguments, or nothing to say."""


class RoomInfo(msgspec.Struct, frozen=True):
    """A room of this person. `invite` only where it was asked for."""

    room: str
    name: str
    members: int
    created_unix_s: float
    left: bool = False
    waiting: bool = False
    high_security: bool = False


class Rooms(msgspec.Struct, frozen=True):
    """`room.list`."""

    rooms: tuple[RoomInfo, ...]
    status: tuple[RoomStatus, ...] = ()


class Invite(msgspec.Struct, frozen=True):
    """The link that lets somebody in. Whoever has it can read the room."""

    room: str
    link: str


class MemberInfo(msgspec.Struct, frozen=True):
    """A member as seen from here: `have` is how many of its messages have arrived without a gap."""

    member: str
    me: bool
    have: int
    confirmed: int
    heard_unix_s: float
    left: bool
    secure: bool = False


class Members(msgspec.Struct, frozen=True):
    """`room.members`."""

    room: str
    members: tuple[MemberInfo, ...]


class Sent(msgspec.Struct, frozen=True):
    """What became of the lines: how many reached the asked state, and how many wait.

    `missing`: the sequences of those that wait, as first and last of each run.
    """

    lines: int
    reached: int
    wait: str
    first_seq: int
    last_seq: int
    waiting: int
    missing: tuple[tuple[int, int], ...] = ()


class MessageOut(msgspec.Struct, frozen=True):
    """One message of a conversation. `delivery`: queued, accepted, stored, delivered for own ones, else empty."""

    position: int
    sender: str
    me: bool
    seq: int
    body: bytes
    unix_s: float
    delivery: str = ""
    opaque: bool = False


class Messages(msgspec.Struct, frozen=True):
    """`room.read`, and the events of `room.follow`. `last` is the position to go on from."""

    room: str
    messages: tuple[MessageOut, ...]
    last: int


class OutboxGroup(msgspec.Struct, frozen=True):
    """Own items in one state. `why` is a code; `since_unix_s` is when the oldest was written, None while unknown."""

    why: str
    items: int
    since_unix_s: float | None = None


class OutboxMember(msgspec.Struct, frozen=True):
    """A member that has not confirmed everything. `awaited`: False when it was silent for more than seven days."""

    member: str
    lacks: int
    heard_unix_s: float
    awaited: bool = True


class Outbox(msgspec.Struct, frozen=True):
    """`room.outbox`: what has not come all the way. A long message has several items.

    `unsent`: stored nowhere yet but here; why: disk, saving, restoring, server-first, no-relay, mail-quota, mail-full,
    turn, relay-silent, no-majority.
    `stored`: where; why: committee, mailbox, central, committee-gone. `members`: who has not confirmed all of it.
    """

    room: str
    unsent: tuple[OutboxGroup, ...] = ()
    stored: tuple[OutboxGroup, ...] = ()
    members: tuple[OutboxMember, ...] = ()
    last_seq: int = 0


class RelayPerformance(msgspec.Struct, frozen=True):
    """One relay on one day; `relay`: the first digits of its id, or "others" past the 500th. Envelopes, not items.

    `attempts`: given to it; `stored`: held by a majority of its committee; `failures`: refused, or unconfirmed when
    its link ended; `unreached`: times no link came about. Times to its answer are the upper edges of coarse classes,
    None while nothing was measured; the last class, 3,200, is open: more than 1,600.
    """

    relay: str
    attempts: int
    stored: int
    failures: int
    unreached: int
    ack_p50_ms: int | None
    ack_p95_ms: int | None


class TelemetryDay(msgspec.Struct, frozen=True):
    """`telemetry`: one day (UTC), the most used relays first.

    `goes`: nowhere (option `telemetry` local), not-hybrid (share, but no central server in this mode) or central: the
    sums of a day go there once it is over. `told_unix_s`: the newest day that went there, None: none did.
    """

    day_unix_s: float
    relays: tuple[RelayPerformance, ...]
    goes: str
    mode: str
    told_unix_s: float | None = None


class TelemetrySet(msgspec.Struct, frozen=True):
    """`telemetry.set` -> TelemetryDay of today: whether the sums of a day go to the central server, from now on."""

    share: bool


class MailboxSet(msgspec.Struct, frozen=True):
    """`mailbox.set` -> MailboxInfo: now and for later starts. What is None stays as it is.

    `kept`: what becomes of mail that is kept already, when it is switched off or gets less room: `keep` (hand it out
    until it expires; nothing new is taken) or `drop`. Without a word where it matters: the error `mail-inside`.
    """

    on: bool | None = None
    limit_bytes: int | None = None
    kept: str = ""


class MailboxInfo(msgspec.Struct, frozen=True):
    """`mailbox.get`, `mailbox.set`. Off with envelopes: those are handed out until the last of them expires."""

    on: bool
    limit_bytes: int
    status: MailboxStatus = MailboxStatus()
    last_expires_unix_s: float | None = None
    disk_free_bytes: int | None = None


class ModeSet(msgspec.Struct, frozen=True):
    """`mode.set` -> ModeInfo: now and for later starts. What is None stays as it is. `central`: HOST:PORT each."""

    mode: str | None = None
    central: tuple[str, ...] | None = None
    central_first: bool | None = None


class ModeInfo(msgspec.Struct, frozen=True):
    """`mode.get`, `mode.set`. `bootstrap_used`: whether these entries are asked; mode full keeps them for later."""

    mode: str
    bootstrap: tuple[str, ...]
    bootstrap_used: bool
    central: tuple[str, ...]
    central_first: bool
    status: CentralStatus = CentralStatus()


class Duties(msgspec.Struct, frozen=True):
    """`duties`: now and past."""

    now: tuple[DutyStatus, ...]
    past: tuple[DutyStatus, ...]


class PeerInfo(msgspec.Struct, frozen=True):
    """A relay in this node's view. No address."""

    peer_id: str
    group: str
    roles: tuple[str, ...]
    software: str
    serving_since_unix_s: float
    expires_unix_s: float
    links: int


class Peers(msgspec.Struct, frozen=True):
    """`peers`."""

    contacts: int
    peers: tuple[PeerInfo, ...]


class Seat(msgspec.Struct, frozen=True):
    """One seat and why it is held."""

    seat: int
    peer_id: str
    group: str
    rank: int
    why: str


class Inspection(msgspec.Struct, frozen=True):
    """One committee, recomputed from signed records. `records` with the fields after it repeat the computation."""

    tag: str
    epoch: int
    seed: str
    seats: tuple[Seat, ...]
    standbys: tuple[Seat, ...]
    verified: bool
    differences: tuple[str, ...]
    records: tuple[bytes, ...] = ()
    epoch_s: int = 0
    size: int = 0
    by_port: bool = False
    computed_unix_s: float = 0.0


class Inspections(msgspec.Struct, frozen=True):
    """`inspect`."""

    inspections: tuple[Inspection, ...]


class Check(msgspec.Struct, frozen=True):
    """One line of `doctor`."""

    name: str
    good: bool
    sentence: str


class Doctor(msgspec.Struct, frozen=True):
    """`doctor`."""

    checks: tuple[Check, ...]


class LogsArgs(msgspec.Struct, frozen=True):
    """`logs` -> LogLines, the newest `count` (at most 1,000); `logs.follow`: those, then new ones as they come."""

    count: int = 1_000


class LogLines(msgspec.Struct, frozen=True):
    """`logs`, and the events of `logs.follow`: JSON lines, already redacted."""

    lines: tuple[str, ...]


class TrafficHour(msgspec.Struct, frozen=True):
    """One hour of `traffic`."""

    hour: int
    up_bytes: int
    down_bytes: int
    envelopes: int
    relayed_bytes: int


class TrafficHistory(msgspec.Struct, frozen=True):
    """`traffic`: at most 31 days by hour."""

    hours: tuple[TrafficHour, ...]


class Counters(msgspec.Struct, frozen=True):
    """`counters`: totals since start, for the demo's report and for tests."""

    sizes: dict[str, int]  # of envelopes, wherever they were received
    packet_sizes: dict[str, int]  # of frames on links to guards and between mixes, wherever they were received
    relayed_bytes: int
    links: dict[str, int]
    rotations: int
    failover_ms: tuple[float, ...]
    ack_ms: tuple[float, ...]
    cpu_s: float
    rss_bytes: int
