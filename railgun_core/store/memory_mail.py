"""What a mailbox keeps, without a disk: the part of `memory.MemoryStore` that `mail` is of the one on SQLite."""

from __future__ import annotations

from dataclasses import dataclass, field

from railgun_core.base.ids import Tag
from railgun_core.changes import MailAdd, MailDrop, MailEvict, StoredMail


@dataclass(slots=True)
class _Tag:
    """`last`: the last position given. `digests` gives positions by digest, `rows` the place of each among all mail."""

    day: int
    last: int = 0
    kept: dict[int, MailAdd] = field(default_factory=dict)
    digests: dict[bytes, int] = field(default_factory=dict)
    rows: dict[int, int] = field(default_factory=dict)
    notices: dict[int, bytes] = field(default_factory=dict)

    def copy(self) -> _Tag:
        return _Tag(self.day, self.last, dict(self.kept), dict(self.digests), dict(self.rows), dict(self.notices))

    def drop(self, positions: list[int]) -> None:
        for position in positions:
            del self.digests[self.kept.pop(position).digest], self.rows[position]


@dataclass(slots=True)
class MemoryMail:
    """Tags with their mail."""

    tags: dict[Tag, _Tag] = field(default_factory=dict)
    rows: int = 0

    def copy(self) -> MemoryMail:
        """The values are frozen: only containers are copied."""
        return MemoryMail({tag: held.copy() for tag, held in self.tags.items()}, self.rows)

    def apply(self, change: MailAdd | MailDrop | MailEvict) -> None:
        """Carry out one change."""
        match change:
            case MailAdd():
                self._add(change)
            case MailDrop():
                self._drop(change)
            case MailEvict():
                self._evict(change)

    def page(self, tag: Tag, position: int, limit: int) -> tuple[tuple[int, bytes], ...]:
        """Frames from `position` on, at most `limit`."""
        held = self.tags.get(tag)
        wanted = sorted(p for p in held.kept if p >= position)[:limit] if held else ()
        return tuple((p, held.kept[p].frame) for p in wanted) if held else ()

    def stored(self) -> tuple[StoredMail, ...]:
        """Names and sizes, oldest day first."""
        return tuple(_stored(tag, held) for tag, held in sorted(self.tags.items(), key=lambda e: (e[1].day, e[0])))

    def _add(self, add: MailAdd) -> None:
        held = self.tags.setdefault(add.tag, _Tag(add.day))
        held.last = max(held.last, add.position)
        row = self.rows + 1
        if add.digest in held.digests:
            row = held.rows[held.digests[add.digest]]
            held.drop([held.digests[add.digest]])
        self.rows = max(self.rows, row)
        held.kept[add.position], held.rows[add.position] = add, row
        held.digests[add.digest] = add.position

    def _drop(self, drop: MailDrop) -> None:
        expired = [
            (add.expiry_s, held.rows[position], held, position)
            for held in self.tags.values()
            for position, add in held.kept.items()
            if add.expiry_s <= drop.unix_s
        ]
        for _, _, held, position in sorted(expired, key=lambda entry: entry[:2])[: drop.most]:
            held.drop([position])
        for tag, held in list(self.tags.items()):
            if held.day >= drop.before_day:
                continue
            held.notices.clear()
            if not held.kept:
                del self.tags[tag]

    def _evict(self, evict: MailEvict) -> None:
        held = self.tags.setdefault(evict.tag, _Tag(evict.day))
        held.last = max(held.last, evict.last)
        held.drop([p for p in held.kept if evict.first <= p <= evict.last])
        held.notices[evict.first] = evict.notice


def _stored(tag: Tag, held: _Tag) -> StoredMail:
    kept = [held.kept[position] for position in sorted(held.kept)]
    names = tuple((add.position, add.digest, len(add.frame), add.expiry_s) for add in kept)
    notices = tuple(held.notices[first] for first in sorted(held.notices))
    return StoredMail(tag, held.day, held.last + 1, names, notices)
