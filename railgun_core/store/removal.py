"""Taking things out: a forgotten room, and what is past its time.

Within one membership sequences are never given twice: `streams`, the last own sequence of a room, outlives its items.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, Table, and_, delete, exists, func, literal, literal_column, select, update

from railgun_core.base.ids import RoomId
from railgun_core.store.schema import (
    COMMITTEES,
    DUTIES,
    EXPOSURE,
    ITEMS,
    MEMBERS,
    OUTBOX,
    PEERS,
    ROOMS,
    SECRETS,
    STREAMS,
    SUMMED,
    TRAFFIC,
)

PRUNE_ROWS: Final = 2000  # of items in one transaction: about 10 MB of pages
PEERS_KEPT: Final = 4096  # guess: a start needs some dozens, the rest is a second and third try

_OF_A_ROOM: Final[tuple[Table, ...]] = (OUTBOX, ITEMS, MEMBERS, COMMITTEES, STREAMS, SECRETS, ROOMS)
HOURS_A_DAY: Final = 24


def forget_room(connection: Connection, room: RoomId) -> None:
    """Remove every row of the room."""
    for table in _OF_A_ROOM:
        connection.execute(delete(table).where(table.c.room == room))


def end_membership(connection: Connection, room: RoomId) -> None:
    """Keep the conversation, and drop the stream, the outbox, the keys and what was known of the members."""
    names = [ITEMS.c[name] if name != "own" else literal(0) for name in SUMMED["items"]]
    mine = update(ITEMS).where(ITEMS.c.room == room, ITEMS.c.own == literal_column("1"))
    connection.execute(mine.values(own=0, crc=func.row_crc(*names)))
    for table in (OUTBOX, MEMBERS, STREAMS, SECRETS):
        connection.execute(delete(table).where(table.c.room == room))


def prune_chunk(
    connection: Connection, *, items_before_s: float, traffic_before_hour: int, committees_before_s: float
) -> int:
    """Remove up to PRUNE_ROWS old items, and the rest of what is past its time. Gives how many items went."""
    old = select(ITEMS.c.position).where(ITEMS.c.at_s < items_before_s).order_by(ITEMS.c.position).limit(PRUNE_ROWS)
    positions = connection.execute(old).scalars().all()
    if positions:
        # By the scan's own bounds, not by a list of two thousand numbers.
        connection.execute(
            delete(ITEMS).where(ITEMS.c.position.between(positions[0], positions[-1]), ITEMS.c.at_s < items_before_s)
        )
        kept = select(ITEMS.c.position).where(
            and_(ITEMS.c.room == OUTBOX.c.room, ITEMS.c.seq == OUTBOX.c.seq, ITEMS.c.own == 1)
        )
        connection.execute(delete(OUTBOX).where(~exists(kept)))
    connection.execute(delete(TRAFFIC).where(TRAFFIC.c.hour < traffic_before_hour))
    connection.execute(delete(EXPOSURE).where(EXPOSURE.c.day < traffic_before_hour // HOURS_A_DAY))
    connection.execute(delete(COMMITTEES).where(COMMITTEES.c.computed_s < committees_before_s))
    connection.execute(delete(DUTIES).where(DUTIES.c.until_s < committees_before_s))
    newest = select(PEERS.c.peer_id).order_by(PEERS.c.seen_s.desc(), PEERS.c.peer_id).limit(PEERS_KEPT)
    connection.execute(delete(PEERS).where(PEERS.c.peer_id.not_in(newest)))
    return len(positions)
