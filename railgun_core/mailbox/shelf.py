"""What lies in this mailbox: names, sizes and positions by tag. The envelopes themselves are on the disk.

A position is given once under a tag, and told to nobody before its envelope is durable; so a crash may give a position
again that nobody has ever heard of, and no other. Every envelope is charged at least LEAST_CHARGE_BYTES, a tag without
any as much as one envelope: its last position is remembered until its day is long over, and that costs a row too.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from railgun_core.base.clock import Instant
from railgun_core.base.ids import LinkId, MsgId, Tag, TagHandle, handle_of
from railgun_core.changes import StoredMail
from railgun_core.committee.epoch import DAY_S, MAIL_TTL_DAYS
from railgun_core.events import Effect
from railgun_core.mailbox.limits import LEAST_CHARGE_BYTES
from railgun_core.wire.codec import Reader
from railgun_core.wire.kinds import LENGTH
from railgun_core.wire.mail import Evicted
from railgun_core.wire.posts import PostAnswer

Answer = Callable[[PostAnswer, Instant, list[Effect]], None]
# From this many days after its own nothing of a tag's mail can be left: deposits come until the day after, and live for
# MAIL_TTL_DAYS and one day of clocks that differ.
OVER_AFTER_DAYS: Final = MAIL_TTL_DAYS + 3


class Kept(NamedTuple):
    """One durable envelope; `size` is that of its frame."""

    position: int
    msg_id: MsgId
    size: int
    expiry_s: int


@dataclass(slots=True, eq=False)
class Pending:
    """An envelope on its way to the disk, and who waits for that."""

    kept: Kept
    links: dict[LinkId, None] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class MailTag:
    """The mail of one tag. `kept` is in order of position; `next_durable` is one past all that ever was durable."""

    tag: Tag
    day: int
    next_position: int = 1
    next_durable: int = 1
    kept: list[Kept] = field(default_factory=list)
    ids: set[MsgId] = field(default_factory=set)  # of `kept`
    pending: dict[MsgId, Pending] = field(default_factory=dict)
    notice: Evicted | None = None
    charged_bytes: int = 0  # for `kept` and `pending`

    @property
    def handle(self) -> TagHandle:
        """What stands for the tag in frames."""
        return handle_of(self.tag)

    def since(self, position: int, most: int) -> list[Kept]:
        """What is kept from `position` on, the first `most` of it."""
        first = bisect.bisect_left(self.kept, position, key=_position)
        return self.kept[first : first + most]


class Shelf:
    """All tags. `used_bytes` is what is charged for them."""

    def __init__(self) -> None:
        self.tags: dict[Tag, MailTag] = {}
        self.used_bytes = 0
        self.unsaved_bytes = 0
        self.envelopes = 0

    def restore(self, stored: Iterable[StoredMail]) -> None:
        """Take back what was kept before a restart."""
        for one in stored:
            kept = [Kept(*entry) for entry in one.kept]
            held = MailTag(one.tag, one.day, one.next_position, one.next_position, kept, {k.msg_id for k in kept})
            held.charged_bytes = sum(charge(k.size) for k in kept)
            held.notice = _read_notice(one.notices[-1]) if one.notices else None
            self.tags[one.tag] = held
            self.used_bytes += _cost(held)
            self.envelopes += len(kept)

    def cost_of(self, held: MailTag | None, size: int) -> int:
        """By how much `used_bytes` would grow with one more envelope."""
        added = charge(size)
        return added if held is None else max(held.charged_bytes + added, LEAST_CHARGE_BYTES) - _cost(held)

    def promise(self, tag: Tag, day: int, *, msg_id: MsgId, size: int, expiry_s: int) -> tuple[MailTag, Pending]:
        """Give the next position of a tag to an envelope that is not durable yet."""
        held = self.tags.get(tag)
        if held is None:
            held = self.tags[tag] = MailTag(tag, day)
            self.used_bytes += LEAST_CHARGE_BYTES
        pending = Pending(Kept(held.next_position, msg_id, size, expiry_s))
        held.next_position += 1
        held.pending[msg_id] = pending
        self._charge(held, charge(size))
        self.unsaved_bytes += size
        return held, pending

    def keep(self, held: MailTag, pending: Pending) -> None:
        """An envelope has become durable."""
        kept = pending.kept
        del held.pending[kept.msg_id]
        bisect.insort(held.kept, kept, key=_position)
        held.ids.add(kept.msg_id)
        held.next_durable = max(held.next_durable, kept.position + 1)
        self.unsaved_bytes -= kept.size
        self.envelopes += 1

    def expire(self, unix_s: float) -> int:
        """Forget what has expired, and tags whose day is long over; gives how many envelopes went."""
        gone, first_day = 0, before_day(unix_s)
        for held in list(self.tags.values()):
            left = [kept for kept in held.kept if kept.expiry_s > unix_s]
            gone += self._leave(held, left)
            if held.day < first_day:
                held.notice = None
                if not left and not held.pending:
                    self.used_bytes -= _cost(held)
                    del self.tags[held.tag]
        return gone

    def oldest_first(self) -> Iterator[MailTag]:
        """Whom to take from when there is too much: the oldest day, and of it the biggest tag."""
        holding = [held for held in self.tags.values() if held.kept]
        return iter(sorted(holding, key=lambda held: (held.day, -held.charged_bytes, held.tag)))

    def evict(self, held: MailTag, needed_bytes: int) -> list[Kept]:
        """Take the oldest envelopes of a tag until `needed_bytes` of their charge are free, or none is left."""
        freed = cut = 0
        while cut < len(held.kept) and freed < needed_bytes:
            freed += charge(held.kept[cut].size)
            cut += 1
        taken, left = held.kept[:cut], held.kept[cut:]
        self._leave(held, left)
        return taken

    def _leave(self, held: MailTag, left: list[Kept]) -> int:
        gone = len(held.kept) - len(left)
        if gone:
            freed = sum(charge(kept.size) for kept in held.kept) - sum(charge(kept.size) for kept in left)
            held.kept = left
            held.ids = {kept.msg_id for kept in left}
            self._charge(held, -freed)
            self.envelopes -= gone
        return gone

    def _charge(self, held: MailTag, added: int) -> None:
        before = _cost(held)
        held.charged_bytes += added
        self.used_bytes += _cost(held) - before


def charge(size: int) -> int:
    """What an envelope frame of `size` bytes is charged."""
    return max(size, LEAST_CHARGE_BYTES)


def before_day(unix_s: float) -> int:
    """The first day of whose mail something can be left."""
    return int(unix_s // DAY_S) - OVER_AFTER_DAYS


def _cost(held: MailTag) -> int:
    return max(held.charged_bytes, LEAST_CHARGE_BYTES)


def _position(kept: Kept) -> int:
    return kept.position


def _read_notice(frame: bytes) -> Evicted:
    return Evicted.decode(Reader(frame, LENGTH.size + 1, len(frame)))
