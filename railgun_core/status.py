"""What the engine tells the world about itself: one whole, frozen value, latest wins.

Safe to put on a screenshot: no secret, no address, no room key, no full id of anybody but this peer.
The window, `railgun status --json` and messenger apps read the same value. Fields are added freely, never renamed.
"""

from __future__ import annotations

import enum

import msgspec


class State(enum.StrEnum):
    """What the node is doing. The order is the precedence: the first that applies is shown."""

    ERROR = "error"
    OFFLINE = "offline"
    PAUSED_BY_PERSON = "paused-by-you"
    PAUSED_BY_RULE = "paused-by-rule"
    DEGRADED = "degraded"
    RELAYING = "relaying"
    STANDBY = "standby"
    JOINING = "joining"
    STARTING = "starting"


class DutyState(enum.StrEnum):
    """Where a duty is in its life (committee/rotation.py)."""

    PREPARING = "preparing"
    SERVING = "serving"
    OVERLAP = "overlap"
    RETIRED = "retired"


class Quantiles(msgspec.Struct, frozen=True):
    """A time in milliseconds. All None while nothing was measured (`count` 0)."""

    p50: float | None = None
    p95: float | None = None
    count: int = 0


class Targets(msgspec.Struct, frozen=True):
    """Measured here, against the promises: lookup 500, direct 100, relayed 300, mixnet 2,000, failover 5,000 ms."""

    dht_ms: Quantiles = Quantiles()
    direct_ms: Quantiles = Quantiles()
    relayed_ms: Quantiles = Quantiles()
    mixnet_ms: Quantiles = Quantiles()
    failover_ms: Quantiles = Quantiles()


class Traffic(msgspec.Struct, frozen=True):
    """Bytes through this node's links and DHT socket. `cap_bytes` None: no cap set."""

    up_bps: float = 0.0
    down_bps: float = 0.0
    today_bytes: int = 0
    month_bytes: int = 0
    cap_bytes: int | None = None
    today_envelopes: int = 0
    today_duties: int = 0  # served or being served; which of them are one room, a relay cannot know


class Share(msgspec.Struct, frozen=True):
    """Fair share of the network's seats (1/N) and the share held here; None while unknown."""

    fair: float | None = None
    actual: float | None = None


class Standing(msgspec.Struct, frozen=True):
    """Public standing. `known` is False until testers exist in this version of the network."""

    known: bool = False
    score: float | None = None
    uptime: float | None = None
    success: float | None = None
    latency_p95_ms: float | None = None
    level: int = 0


class Trust(msgspec.Struct, frozen=True):
    """What stands where standing and blinded tokens will be asked for. `none`: every valid record is eligible."""

    standing: str = "none"
    tokens: str = "none"


class MixStatus(msgspec.Struct, frozen=True):
    """This relay's work as a mix, since start. `pool`: packets waiting now."""

    packets: int = 0
    pool: int = 0
    late: int = 0
    replayed: int = 0
    malformed: int = 0
    full: int = 0
    per_s: float = 0.0


class Failovers(msgspec.Struct, frozen=True):
    """How long it took to go on without a relay, ms: until others pushed and had taken what was unacknowledged.

    `causes`: how many of each: closed (its link ended), silent (three pings unanswered), refused (it left the duty).
    """

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    worst: float | None = None
    count: int = 0
    causes: dict[str, int] = {}


class MailboxStatus(msgspec.Struct, frozen=True):
    """This peer's work as a mailbox. Counts since start; `evicted`: envelopes it could not keep until their expiry."""

    serving: bool = False
    tags: int = 0
    envelopes: int = 0
    used_bytes: int = 0
    limit_bytes: int = 0
    deposits: int = 0
    collections: int = 0
    refused_quota: int = 0
    evicted: int = 0


class ClockStatus(msgspec.Struct, frozen=True):
    """This machine's clock against the median of other peers'. `offset_s` None: fewer than eight were asked yet.

    `state`: unknown, right, corrected (by `offset_s`), wrong (further off than 120 s: this peer relays for nobody).
    """

    state: str = "unknown"
    offset_s: float | None = None
    peers: int = 0


class CentralStatus(msgspec.Struct, frozen=True):
    """The central server of hybrid mode. `why` is a code while it is down."""

    configured: bool = False
    up: bool = False
    first: bool = False
    why: str = ""
    kept: int = 0
    brought: int = 0


class DutyStatus(msgspec.Struct, frozen=True):
    """One duty of this relay. `tag` is the short form people see, `tag_id` the whole; `seat` None means standby."""

    tag: str
    epoch: int
    state: DutyState
    seat: int | None
    committee_size: int
    starts_unix_s: float
    ends_unix_s: float
    overlap_s: float
    members: int
    envelopes_per_s: float
    envelopes: int
    held: int
    tag_id: str = ""


class Anonymity(msgspec.Struct, frozen=True):
    """How anonymous this device's packets are now, and why. Estimates from what mixes say of their load.

    `pool`: packets among which one hides in a mix (arrivals a second times mean delay). `entropy_bits` of the last
    message, None before one was sent. `loop_return`: share of own loops that came back, None before one was due.
    """

    anonymous: bool = False
    why: str = ""  # one sentence: what is lacking; empty when nothing is
    mixes: int = 0
    groups: int = 0
    pool: float = 0.0
    entropy_bits: float | None = None
    loop_return: float | None = None
    loops: int = 0
    alarm: bool = False  # loops vanish: somebody may be dropping this device's packets
    guards: int = 0  # sticky guards with an open link
    packets_per_s: float = 0.0  # the rate of this device's one queue
    gb_month: float = 0.0  # what that costs, both directions


class RoomStatus(msgspec.Struct, frozen=True):
    """One own room. `content_protection` says what protects its content: `end-to-end` or, for opaque bytes, `caller`.

    `secure_members`: how many of the members, oneself included, send through mixes. `badge`: high security holds now.
    """

    room: str
    name: str
    members: int
    epoch: int
    committee_size: int
    relays_open: int
    queued: int
    unread: int
    high_security: bool = False
    content_protection: str = "end-to-end"
    secure_members: int = 0
    badge: bool = False
    unreadable: int = 0  # messages that came and could not be opened here
    kept_in_mailboxes: int = 0  # own items that mailboxes hold for members who are away
    kept_centrally: int = 0  # own items that the central server holds
    way: str = "committee"  # how messages go now: committee, mailbox, central, or none


class NodeStatus(msgspec.Struct, frozen=True):
    """Everything a screen needs. `revision` grows by one with each change."""

    revision: int
    peer_id: str
    version: str
    mode: str
    state: State
    reason: str
    reachable: bool | None
    nat: str
    peers: int
    relays: int
    groups: int
    young_network: bool
    uptime_s: float
    epoch_s: int
    overlap_s: int
    unix_s: float
    roles: tuple[str, ...] = ()
    duties: tuple[DutyStatus, ...] = ()
    rooms: tuple[RoomStatus, ...] = ()
    standing: Standing = Standing()
    share: Share = Share()
    traffic: Traffic = Traffic()
    targets: Targets = Targets()
    transports: dict[str, int] = {}
    notices: tuple[Notice, ...] = ()
    anonymity: Anonymity = Anonymity()
    mix: MixStatus = MixStatus()
    trust: Trust = Trust()
    failovers: Failovers = Failovers()
    mailbox: MailboxStatus = MailboxStatus()
    clock: ClockStatus = ClockStatus()
    central: CentralStatus = CentralStatus()


class Notice(msgspec.Struct, frozen=True):
    """Something that happened, by code; `count` times, last at `unix_s`. `level` info, warning or error."""

    code: str
    level: str
    unix_s: float
    count: int = 1
    detail: str = ""


class Price(msgspec.Struct, frozen=True):
    """Answer of `room.price`: the delay that high security adds to a message (median, 95 %), and data both ways.

    `possible`: mixes and guards are there now; otherwise `why` is one sentence.
    """

    room: str
    added_ms_p50: float
    added_ms_p95: float
    gb_month: float
    mb_hour: float
    packets_per_s: float
    mixes: int
    possible: bool
    why: str = ""


class Safety(msgspec.Struct, frozen=True):
    """Answer of `room.safety`: the number of two people, the same on both devices, or somebody sits in between.

    `digits`: twelve groups of five. `words`: the same number as 24 words. `qr`: the text to show as a QR code.
    """

    room: str
    member: str
    digits: str
    words: tuple[str, ...]
    qr: str


class ExposureRole(msgspec.Struct, frozen=True):
    """What one kind of peer could have learned of this device, from the links and frames that were really used."""

    role: str
    peers: int
    learned: tuple[str, ...]
    not_learned: tuple[str, ...]
    counts: dict[str, int]


class Exposure(msgspec.Struct, frozen=True):
    """Answer of `exposure`: the ledger of one day (UTC)."""

    day_unix_s: float
    roles: tuple[ExposureRole, ...]
