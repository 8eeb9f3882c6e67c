"""What lies in this mailbox: digests, sizes and positions by tag. The envelopes themselves are on the disk.

An envelope is known by a digest of its name and its bytes. Members choose names, and can guess those of others: who
leaves junk under one takes the place of nothing, it is only one envelope more in the tag's share.

A position is given once under a tag, and told to nobody before its envelope is durable; so a crash may give a position
again that nobody has ever heard of, and no other. Two things are counted: bytes of envelopes against a tag's share (at
least LEAST_CHARGE_BYTES each), and what they take on the disk against the whole. A tag without mail counts as one small
envelope: its last position is remembered until its day is long over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from railgun_core.base.clock import Instant
from railgun_core.base.ids import LinkId, Tag, TagHandle, handle_of
from railgun_core.changes import StoredMail
from railgun_core.committee.epoch import DAY_S, MAIL_TTL_DAYS
from railgun_core.events import Effect
from railgun_core.mailbox.limits import DISK_PAGE_BYTES, LEAST_CHARGE_BYTES
from railgun_core.mailbox.names import Kept, Names
from railgun_core.wire.codec import Reader
from railgun_core.wire.kinds import LENGTH
from railgun_core.wire.mail import Evicted
from railgun_core.wire.posts import PostAnswer

Answer = Callable[[PostAnswer, Instant, list[Effect]], None]
# From this many days after its own nothing of a tag's mail can be left: deposits come until the day after, and live for
# MAIL_TTL_DAYS and one day of clocks that differ.
OVER_AFTER_DAYS: Final = MAIL_TTL_DAYS + 3


@dataclass(slots=True, eq=False)
class Pending:
    """An envelope on its way to the disk, and who waits for that."""

    kept: Kept
    links: dict[LinkId, None] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)


BEYOND = 2**32  # positions; no mailbox gives so many between a copy of its store and its return


@dataclass(slots=True, eq=False)
class MailTag:
    """The mail of one tag. `kept` is in order of position; `next_durable` is one past all that ever was durable."""

    tag: Tag
    day: int
    next_position: int = 1
    next_durable: int = 1
    kept: Names = field(default_factory=Names)
    pending: dict[bytes, Pending] = field(default_factory=dict)
    notice: Evicted | None = None
    charged_bytes: int = 0  # against the tag's share: for `kept` and `pending`
    disk_bytes: int = 0  # against the whole: what they take on the disk

    @property
    def handle(self) -> TagHandle:
        """What stands for the tag in frames."""
        return handle_of(self.tag)


class Shelf:
    """All tags. `used_bytes` is what is charged for them."""

    def __init__(self) -> None:
        self.tags: dict[Tag, MailTag] = {}
        self.used_bytes = 0
        self.unsaved_bytes = 0
        self.envelopes = 0
        self._skipped = 0

    def restore(self, stored: Iterable[StoredMail], *, restored_backup: bool) -> None:
        """Take back what was kept before a restart.

        An older copy of the store does not know which positions it gave since: readers have passed some of them, and
        what came under these again would be hidden from them. So it goes on far beyond.
        """
        self._skipped = BEYOND if restored_backup else 0
        for one in stored:
            next_position = one.next_position + self._skipped
            held = MailTag(one.tag, one.day, next_position, next_position)
            held.kept = Names(Kept(*entry) for entry in one.kept)
            held.charged_bytes = sum(charge(kept.size) for kept in held.kept)
            held.disk_bytes = sum(on_disk(kept.size) for kept in held.kept)
            held.notice = _read_notice(one.notices[-1]) if one.notices else None
            self.tags[one.tag] = held
            self.used_bytes += _cost(held)
            self.envelopes += len(held.kept)

    def cost_of(self, held: MailTag | None, size: int) -> int:
        """By how much `used_bytes` would grow with one more envelope."""
        added = on_disk(size)
        return added if held is None else max(held.disk_bytes + added, LEAST_CHARGE_BYTES) - _cost(held)

    def promise(self, tag: Tag, day: int, *, digest: bytes, size: int, expiry_s: int) -> tuple[MailTag, Pending]:
        """Give the next position of a tag to an envelope that is not durable yet."""
        held = self.tags.get(tag)
        if held is None:
            held = self.tags[tag] = MailTag(tag, day, 1 + self._skipped, 1 + self._skipped)
            self.used_bytes += LEAST_CHARGE_BYTES
        pending = Pending(Kept(held.next_position, digest, size, expiry_s))
        held.next_position += 1
        held.pending[digest] = pending
        self._charge(held, (size,), 1)
        self.unsaved_bytes += size
        return held, pending

    def keep(self, held: MailTag, pending: Pending) -> None:
        """An envelope has become durable."""
        kept = pending.kept
        del held.pending[kept.digest]
        held.kept.add(kept)
        held.next_durable = max(held.next_durable, kept.position + 1)
        self.unsaved_bytes -= kept.size
        self.envelopes += 1

    def expire(self, unix_s: float) -> int:
        """Forget what has expired, and tags whose day is long over; gives how many envelopes went."""
        gone, first_day = 0, before_day(unix_s)
        for held in list(self.tags.values()):
            gone += self._gone(held, held.kept.expire(unix_s))
            if held.day < first_day:
                held.notice = None
                if not held.kept and not held.pending:
                    self.used_bytes -= _cost(held)
                    del self.tags[held.tag]
        return gone

    def oldest_first(self) -> Iterator[MailTag]:
        """Whom to take from when there is too much: the oldest day, and of it the biggest tag."""
        holding = [held for held in self.tags.values() if held.kept]
        return iter(sorted(holding, key=lambda held: (held.day, -held.charged_bytes, held.tag)))

    def evict(self, held: MailTag, needed_bytes: int, most: int) -> list[Kept]:
        """Take the oldest envelopes of a tag until `needed_bytes` of the disk are free; at most `most` of them."""
        freed, taken = 0, []
        for kept in held.kept.since(0, most):
            if freed >= needed_bytes:
                break
            freed += on_disk(kept.size)
            taken.append(kept)
        held.kept.cut(len(taken))
        self._gone(held, taken)
        return taken

    def _gone(self, held: MailTag, gone: list[Kept]) -> int:
        self._charge(held, [kept.size for kept in gone], -1)
        self.envelopes -= len(gone)
        return len(gone)

    def _charge(self, held: MailTag, sizes: Iterable[int], sign: int) -> None:
        before = _cost(held)
        for size in sizes:
            held.charged_bytes += sign * charge(size)
            held.disk_bytes += sign * on_disk(size)
        self.used_bytes += _cost(held) - before


def charge(size: int) -> int:
    """What an envelope frame of `size` bytes takes of its tag's share."""
    return max(size, LEAST_CHARGE_BYTES)


def on_disk(size: int) -> int:
    """What it takes of the disk: the store gives whole pages to all but the smallest."""
    return -(-size // DISK_PAGE_BYTES) * DISK_PAGE_BYTES if size > LEAST_CHARGE_BYTES else LEAST_CHARGE_BYTES


def before_day(unix_s: float) -> int:
    """The first day of whose mail something can be left."""
    return int(unix_s // DAY_S) - OVER_AFTER_DAYS


def _cost(held: MailTag) -> int:
    return max(held.disk_bytes, LEAST_CHARGE_BYTES)


def _read_notice(frame: bytes) -> Evicted:
    return Evicted.decode(Reader(frame, LENGTH.size + 1, len(frame)))
