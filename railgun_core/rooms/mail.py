"""The mail of one room, as its member keeps count of it: keys by day, what is kept where, and how far it was collected.

Mail is the same content as a committee's, sealed under a key of the day, on the disks of mailboxes (or of a central
server) until its readers come. Pure state. What has to survive a restart is one secret of the room, `mail`: own items
that are kept, so that they are not deposited anew, and how far each mailbox was read. A position is saved only once
everything before it is durable here, so that a crash makes this member read again and never miss.
Source: protocol.md 6.5 and 9.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.hashing import u64
from railgun_core.base.ids import MsgId, PeerId, RoomId, Tag
from railgun_core.base.keys import SEED_BYTES, Identity
from railgun_core.base.rng import Rng
from railgun_core.changes import SecretPut
from railgun_core.committee.epoch import DAY_S, MAIL_TTL_DAYS, EpochClock
from railgun_core.committee.rotation import Rotation
from railgun_core.rooms.content import Mood
from railgun_core.rooms.epoch_keys import mail_keys
from railgun_core.rooms.lane import Lane
from railgun_core.wire.codec import Reader, u16, u32
from railgun_core.wire.kinds import Refusal

DAYS = EpochClock(DAY_S, 0.0)
CENTRAL = PeerId(bytes(32))  # in the place of a mailbox: the central server
GONE_AFTER_S = 3.0  # no relay took an item, or none was there: protocol.md 9
UNSTORED_AFTER_S = 5.0  # one relay took it and no majority holds it: the others are gone
SECURE_AFTER_S = 15.0  # through mixes an answer takes seconds, and posts wait for their turn
UNCONFIRMED_AFTER_S = 10.0  # protocol.md 6.5
EARLY_S = 900.0  # other clocks are behind by less: mail of a day may come this long after its end
KEEP_FORMERS = 2  # former roots whose mail is collected, the newest
MAX_SECRET_ROWS = 4_096
_VERSION = 1


Places = dict[tuple[int, Tag, PeerId], int]  # day, tag, mailbox -> position to read on from


class Keeper(enum.IntEnum):
    """Who keeps an own item."""

    MAILBOX = 1
    CENTRAL = 2


@dataclass(frozen=True, slots=True)
class Kept:
    """An own item that is kept: by whom, and under the mail of which day."""

    keeper: Keeper
    day: int


class MailLane(Lane):
    """A room's mail of one day. It has no sessions; what is read from it goes the way of every envelope."""


class RoomMail:
    """See the module."""

    def __init__(self, now_s: float, unix_s: float) -> None:
        self.since_s = now_s
        self.lanes: dict[int, Lane] = {}
        self.collected_s = unix_s  # when the last complete collection began
        self.no_way_s: float | None = None  # since when no relay is there
        self.own: dict[int, Kept] = {}
        self.told: set[tuple[MsgId, bool]] = set()  # letters that were left since the start; only at the server
        self.letters: deque[bytes] = deque(maxlen=256)  # that no relay took: they are deposited, items or not
        self.wanted = True  # mail is to be collected
        self.misses = 0  # collections in a row that did not get everywhere
        self.not_before_s = now_s
        self.poll_s = float("inf")
        self.follow_until_s = now_s
        self.saved_s = float("-inf")
        self.sync_due: Mood | None = None  # something to say, and no relay to say it to
        self.synced_s = float("-inf")
        self.fetch: tuple[int, int] | None = None  # own items that are being read back for a deposit
        self.evictions: set[tuple[Tag, PeerId]] = set()  # that were noticed
        self.noticed_day = -1  # the day on which a full mailbox was noticed
        self.dirty = False  # something of `own` is to be saved
        self.way = "none"
        self.lack: Refusal | None = None  # too few mailboxes take mail, because there is no room in others
        self._first_day = -1
        self._read: Places = {}
        self._safe: Places = {}  # what of it is saved
        self._safe_s = unix_s

    # ------------------------------------------------------------ days

    def forget_before(self, day: int) -> None:
        """Nobody keeps mail of the days before this one. Cheap to ask again on the same day."""
        if day == self._first_day:
            return
        self._first_day = day
        self.told.clear()  # letters have another name on every day
        self.evictions.clear()
        self.lanes = {key: lane for key, lane in self.lanes.items() if key >= day}
        self._read = {key: at for key, at in self._read.items() if key[0] >= day}
        self._safe = {key: at for key, at in self._safe.items() if key[0] >= day}
        self.own = {seq: kept for seq, kept in self.own.items() if kept.day >= day}

    def first_day(self, unix_s: float) -> int:
        """The oldest day with mail that may not have been collected."""
        collected_s = self.collected_s - EARLY_S
        week = oldest_day(unix_s)
        return week if collected_s > unix_s else max(week, day_of(collected_s))  # the future was a wrong clock's

    def collected(self, unix_s: float) -> None:
        """Everything that lay anywhere at this moment was collected."""
        is_wrong = self.collected_s - EARLY_S > unix_s
        self.collected_s = unix_s if is_wrong else max(self.collected_s, unix_s)

    def collect_soon(self) -> None:
        """Something may wait: collect at the next look, however often it failed before."""
        self.wanted, self.misses, self.not_before_s = True, 0, float("-inf")

    # ------------------------------------------------------------ what is kept of one's own

    @property
    def kept(self) -> int:
        """Own items that mailboxes keep."""
        return sum(kept.keeper is Keeper.MAILBOX for kept in self.own.values())

    @property
    def central(self) -> int:
        """Own items that the central server keeps."""
        return sum(kept.keeper is Keeper.CENTRAL for kept in self.own.values())

    def keep(self, seq: int, keeper: Keeper, day: int) -> None:
        """An own item is kept. A mailbox's word stands above the server's."""
        known = self.own.get(seq)
        if known is None or known.keeper is Keeper.CENTRAL:
            self.own[seq] = Kept(keeper, day)
            self.dirty = True

    def begin_again(self) -> None:
        """This person is another member from now on: what was left was the former one's."""
        self.own.clear()
        self.letters.clear()
        self.dirty = True

    def confirmed(self, first_open: int) -> None:
        """Everybody has what lies before an item."""
        if self.own and min(self.own) < first_open:
            self.own = {seq: kept for seq, kept in self.own.items() if seq >= first_open}
            self.dirty = True

    # ------------------------------------------------------------ what is read of others'

    def position(self, lane: Lane, keeper: PeerId) -> int:
        """Where to read on."""
        return self._read.get((lane.epoch, lane.keys.tag, keeper), 0)

    def read(self, lane: Lane, keeper: PeerId, position: int) -> None:
        """Everything before a position was taken in. It goes back when its keeper has lost what it had."""
        self._read[lane.epoch, lane.keys.tag, keeper] = position

    @property
    def is_ahead(self) -> bool:
        """Whether more was read than is saved."""
        return self._read != self._safe or self.collected_s != self._safe_s

    def settle(self) -> None:
        """All that was read is durable here: its positions may be saved."""
        self._safe, self._safe_s = dict(self._read), self.collected_s
        self.dirty = True

    # ------------------------------------------------------------ over restarts

    def put(self, room: RoomId) -> SecretPut:
        """The row of a room."""
        rows = [u32(day) + tag + keeper + u64(at) for (day, tag, keeper), at in sorted(self._safe.items())]
        runs = _runs(self.own)[-MAX_SECRET_ROWS:]
        spans = [u64(first) + u64(last) + u32(kept.day) + bytes((kept.keeper,)) for first, last, kept in runs]
        head = bytes((_VERSION,)) + u64(int(self._safe_s))
        return SecretPut(room, "mail", head + u16(len(rows)) + b"".join(rows) + u16(len(spans)) + b"".join(spans))

    def restore(self, secrets: Iterable[SecretPut], since_s: float) -> None:
        """Take up what was saved; without it, everything since `since_s` (Unix) is collected."""
        self.collected_s = self._safe_s = since_s
        value = next((s.value for s in secrets if s.name == "mail" and s.value is not None), None)
        if value is None:
            return
        reader = Reader(value)
        try:
            if reader.u8() != _VERSION:
                return
            collected_s = float(reader.u64())
            read: Places = {}
            for _ in range(reader.u16()):
                day, tag, keeper = reader.u32(), Tag(reader.take(32)), PeerId(reader.take(32))
                read[day, tag, keeper] = reader.u64()
            own = {}
            for _ in range(reader.u16()):
                first, last, day, keeper_code = reader.u64(), reader.u64(), reader.u32(), reader.u8()
                own.update(dict.fromkeys(range(first, last + 1), Kept(Keeper(keeper_code), day)))
            reader.end()
        except (MalformedFrame, ValueError):
            return  # it is read, and deposited, once more
        self.collected_s = self._safe_s = collected_s
        self._read, self._safe, self.own = read, dict(read), own


def day_of(unix_s: float) -> int:
    """The mail day of a moment."""
    return DAYS.epoch_at(unix_s)


def oldest_day(unix_s: float) -> int:
    """The oldest day whose mail may still be kept. Days begin with 1970, where machines without a clock do."""
    return max(0, day_of(unix_s) - MAIL_TTL_DAYS)


def expiry_s(day: int) -> int:
    """Until when mail of a day is kept, Unix."""
    return (day + MAIL_TTL_DAYS) * DAY_S


def mail_lane(lanes: dict[int, Lane], root: bytes, day: int, rng: Rng) -> Lane:
    """The mail of a day under a root, out of `lanes` or new in it."""
    found = lanes.get(day)
    if found is None:
        pseudonym = Identity(rng.randbytes(SEED_BYTES))
        found = lanes[day] = MailLane(mail_keys(root, day), pseudonym, Rotation(day, DAYS))
    return found


def _runs(own: dict[int, Kept]) -> list[tuple[int, int, Kept]]:
    """Consecutive items that are kept alike."""
    runs: list[tuple[int, int, Kept]] = []
    for seq in sorted(own):
        if runs and runs[-1][1] == seq - 1 and runs[-1][2] == own[seq]:
            runs[-1] = (runs[-1][0], seq, own[seq])
        else:
            runs.append((seq, seq, own[seq]))
    return runs
