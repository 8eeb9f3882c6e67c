"""What the rim tells the node, and what the node asks of the rim.

Events are facts, effects are requests; both are frozen values, so a run can be recorded and replayed. Frames do not
come as events: `Node.frames` takes a whole read at a time, because that is the hot path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from railgun_core.base.ids import DialId, Group, LinkId, PublicKey, RoomId, Tag
from railgun_core.changes import Change, Delivery, Item
from railgun_core.wire.frames import Cell
from railgun_core.wire.records import Record

# ---------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class LinkUp:
    """A link is open and both keys are proved. `dial` names the Dial effect it answers; None for inbound links.

    `group`: the address group of the other side of an inbound link; None where it says nothing of who that is.
    """

    link: LinkId
    remote_key: PublicKey
    binding: bytes
    dial: DialId | None
    group: Group | None = None


@dataclass(frozen=True, slots=True)
class DialFailed:
    """A Dial effect brought no link."""

    dial: DialId
    code: str


@dataclass(frozen=True, slots=True)
class LinkDown:
    """A link has ended; its id is never used again."""

    link: LinkId
    code: str


@dataclass(frozen=True, slots=True)
class Saved:
    """A Save effect is durable."""

    ticket: int


@dataclass(frozen=True, slots=True)
class ItemsFetched:
    """Own items that were asked for by FetchItems."""

    room: RoomId
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class RelaysFound:
    """What a Lookup brought, verified."""

    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """A deadline has passed."""


@dataclass(frozen=True, slots=True)
class Woke:
    """This machine slept, or its address changed: every link is in doubt, and what was missed has to be pulled."""

    cause: str  # "sleep" or "address"
    gap_s: float


@dataclass(frozen=True, slots=True)
class MailFetched:
    """The answer to FetchMail: whole envelope frames with their positions, in order."""

    ticket: int
    mail: tuple[tuple[int, bytes], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class CentralState:
    """Whether the central server of hybrid mode can be used now. `code` says why not."""

    up: bool
    code: str = ""


@dataclass(frozen=True, slots=True)
class CentralKept:
    """The answer to CentralKeep: the server has it on its disk (`code` empty), or why it has not."""

    ticket: int
    code: str = ""


@dataclass(frozen=True, slots=True)
class CentralBrought:
    """Envelope frames that the central server holds under a followed tag; `position` is that of the last one."""

    tag: Tag
    position: int
    frames: tuple[bytes, ...] = field(repr=False)


Event = (
    LinkUp
    | DialFailed
    | LinkDown
    | Saved
    | ItemsFetched
    | RelaysFound
    | Tick
    | Woke
    | MailFetched
    | CentralState
    | CentralKept
    | CentralBrought
)

# ---------------------------------------------------------------- effects


@dataclass(frozen=True, slots=True)
class Send:
    """Queue these whole frames on a link."""

    link: LinkId
    chunks: Sequence[bytes | memoryview]


@dataclass(frozen=True, slots=True)
class Dial:
    """Open a link to a relay, as this node (`seed` None) or as a pseudonym.

    `via`: through this open link to a guard, so that the relay sees the guard's address and not this device's.
    """

    dial: DialId
    record: Record
    seed: bytes | None = field(repr=False)
    via: LinkId | None = None


@dataclass(frozen=True, slots=True)
class TunnelCell:
    """A cell of a tunnel stream (CellKind.CONNECT and above) came on this link: it is for the rim."""

    link: LinkId
    cell: Cell


@dataclass(frozen=True, slots=True)
class Hangup:
    """Flush and close a link; LinkDown follows."""

    link: LinkId


@dataclass(frozen=True, slots=True)
class Save:
    """Make changes durable, then answer Saved(ticket)."""

    ticket: int
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class SaveSoon:
    """Write changes within a second; a crash may lose them."""

    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class FetchItems:
    """Read own items back; ItemsFetched follows."""

    room: RoomId
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class FetchMail:
    """Read mail of a tag back, from `position` on, at most `limit` envelopes; MailFetched follows."""

    ticket: int
    tag: Tag
    position: int
    limit: int


@dataclass(frozen=True, slots=True)
class CentralKeep:
    """Give an envelope frame to the central server under a tag; CentralKept follows, within seconds."""

    ticket: int
    tag: Tag
    frame: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CentralFollow:
    """All tags to follow at the central server, each from a position on (0: all it holds). Replaces the last one."""

    tags: tuple[tuple[Tag, int], ...]


@dataclass(frozen=True, slots=True)
class Announce:
    """Publish a signed announcement in the DHT."""

    record: Record


@dataclass(frozen=True, slots=True)
class Lookup:
    """Find the relays near these ring targets, and the mailboxes near those; RelaysFound follows."""

    targets: tuple[bytes, ...]
    mailboxes: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Moved:
    """Own items first..last of a room have reached `delivery`: wake whoever waits for it."""

    room: RoomId
    first: int
    last: int
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Grew:
    """A conversation has new messages, already durable."""

    room: RoomId


@dataclass(frozen=True, slots=True)
class Welcomed:
    """A member has answered our joining: from now on every message arrives."""

    room: RoomId


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something a person may want to know; `code` is looked up where words are made."""

    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """A duration for the status: `what` is relayed, mixnet, ack or failover. `cause`: of a failover."""

    what: str
    ms: float
    cause: str = ""


Effect = (
    Send
    | Dial
    | Hangup
    | TunnelCell
    | Save
    | SaveSoon
    | FetchItems
    | FetchMail
    | CentralKeep
    | CentralFollow
    | Announce
    | Lookup
    | Moved
    | Grew
    | Welcomed
    | Noticed
    | Measured
)
