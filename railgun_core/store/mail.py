"""What a mailbox keeps: the statements over `mail`, `mail_tags` and `mail_notices`.

The envelopes stay on the disk. A start reads names and sizes from an index that has them all, and so no page with an
envelope on it; their rows were compared with their checksums when the file was opened. A position is never given twice
under a tag: `mail_tags` keeps the last one until the tag's day is long over.
"""

from __future__ import annotations

import itertools
from typing import Final

from sqlalchemy import Connection, Integer, bindparam, delete, func, select
from sqlalchemy.dialects.sqlite import insert

from railgun_core.base.ids import Tag
from railgun_core.changes import MailAdd, MailDrop, MailEvict, StoredMail
from railgun_core.store.rows import full, sound
from railgun_core.store.schema import MAIL, MAIL_NOTICES, MAIL_TAGS, Value, summed

_Rows = list[dict[str, Value]]

_FRESH_MAIL: Final = insert(MAIL)
_ADD: Final = _FRESH_MAIL.on_conflict_do_update(
    index_elements=["tag", "digest"],
    set_={name: _FRESH_MAIL.excluded[name] for name in ("position", "day", "expiry_s", "size", "crc", "frame")},
)
_EXPIRED: Final = (
    select(MAIL.c.id)
    .where(MAIL.c.expiry_s <= bindparam("unix_s", type_=Integer))
    .order_by(MAIL.c.expiry_s, MAIL.c.id)
    .limit(bindparam("most", type_=Integer))
)
_FRESH_TAG: Final = insert(MAIL_TAGS)
_PUT_TAG: Final = _FRESH_TAG.on_conflict_do_update(
    index_elements=["tag"],
    set_={
        "last": _FRESH_TAG.excluded["last"],
        "crc": func.row_crc(MAIL_TAGS.c.tag, MAIL_TAGS.c.day, _FRESH_TAG.excluded["last"]),
    },
    where=MAIL_TAGS.c["last"] < _FRESH_TAG.excluded["last"],
)
_FRESH_NOTICE: Final = insert(MAIL_NOTICES)
_PUT_NOTICE: Final = _FRESH_NOTICE.on_conflict_do_update(
    index_elements=["tag", "first"],
    set_={name: _FRESH_NOTICE.excluded[name] for name in ("day", "last", "crc", "notice")},
)
_EVICTED: Final = delete(MAIL).where(
    MAIL.c.tag == bindparam("of_tag", type_=MAIL.c.tag.type),
    MAIL.c.position.between(bindparam("first", type_=Integer), bindparam("last", type_=Integer)),
)
_NAMES: Final = select(MAIL.c.tag, MAIL.c.position, MAIL.c.digest, MAIL.c.size, MAIL.c.expiry_s)
_PAGE: Final = (
    full(MAIL)
    .where(
        MAIL.c.tag == bindparam("of_tag", type_=MAIL.c.tag.type),
        MAIL.c.position >= bindparam("from_position", type_=Integer),
    )
    .order_by(MAIL.c.position)
    .limit(bindparam("most", type_=Integer))
)


def add_mail(connection: Connection, adds: list[MailAdd]) -> None:
    """Keep envelopes; the same one that is there makes way: it has expired, and is about to be dropped."""
    rows: _Rows = [
        summed(
            MAIL,
            tag=a.tag,
            position=a.position,
            day=a.day,
            digest=a.digest,
            expiry_s=a.expiry_s,
            size=len(a.frame),
            frame=a.frame,
        )
        for a in adds
    ]
    connection.execute(_ADD, rows)
    _note_positions(connection, [(a.tag, a.day, a.position) for a in adds])


def drop_mail(connection: Connection, drops: list[MailDrop]) -> None:
    """Remove what has expired, and what is known of days that are long over."""
    for drop in drops:
        connection.execute(delete(MAIL).where(MAIL.c.id.in_(_EXPIRED)), {"unix_s": drop.unix_s, "most": drop.most})
        connection.execute(delete(MAIL_NOTICES).where(MAIL_NOTICES.c.day < drop.before_day))
        over = MAIL_TAGS.c.day < drop.before_day
        connection.execute(delete(MAIL_TAGS).where(over, MAIL_TAGS.c.tag.not_in(select(MAIL.c.tag))))


def evict_mail(connection: Connection, evictions: list[MailEvict]) -> None:
    """Remove mail before its time and keep the notice; a longer notice from the same place replaces a shorter one."""
    spans = [{"of_tag": e.tag, "first": e.first, "last": e.last} for e in evictions]
    connection.execute(_EVICTED, spans)
    _note_positions(connection, [(e.tag, e.day, e.last) for e in evictions])
    rows: _Rows = [
        summed(MAIL_NOTICES, tag=e.tag, first=e.first, day=e.day, last=e.last, notice=e.notice) for e in evictions
    ]
    connection.execute(_PUT_NOTICE, rows)


def mail_from(connection: Connection, tag: Tag, position: int, limit: int) -> tuple[tuple[int, bytes], ...]:
    """Frames from `position` on, at most `limit`, in order."""
    rows = connection.execute(_PAGE, {"of_tag": tag, "from_position": position, "most": limit})
    return tuple((r.position, r.frame) for r in sound(rows, MAIL))


def stored_mail(connection: Connection) -> tuple[StoredMail, ...]:
    """What is kept under each tag, oldest day first: nothing of it costs anything where nothing is kept."""
    tags = list(sound(connection.execute(full(MAIL_TAGS).order_by(MAIL_TAGS.c.day, MAIL_TAGS.c.tag)), MAIL_TAGS))
    if not tags:
        return ()
    names = connection.execute(_NAMES.order_by(MAIL.c.tag, MAIL.c.position))
    kept = {
        tag: tuple((r.position, r.digest, r.size, r.expiry_s) for r in same)
        for tag, same in itertools.groupby(names, lambda r: r.tag)
    }
    by_place = full(MAIL_NOTICES).order_by(MAIL_NOTICES.c.tag, MAIL_NOTICES.c.first)
    said = sound(connection.execute(by_place), MAIL_NOTICES)
    notices = {tag: tuple(r.notice for r in same) for tag, same in itertools.groupby(said, lambda r: r.tag)}
    return tuple(StoredMail(Tag(r.tag), r.day, r.last + 1, kept.get(r.tag, ()), notices.get(r.tag, ())) for r in tags)


def _note_positions(connection: Connection, given: list[tuple[Tag, int, int]]) -> None:
    """Remember the last position of each tag; the day of its first mail stays."""
    last: dict[Tag, tuple[int, int]] = {}
    for tag, day, position in given:
        first_day, known = last.get(tag, (day, 0))
        last[tag] = (first_day, max(known, position))
    connection.execute(
        _PUT_TAG, [summed(MAIL_TAGS, tag=tag, day=day, last=position) for tag, (day, position) in last.items()]
    )
