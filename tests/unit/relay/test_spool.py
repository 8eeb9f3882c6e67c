"""The spool: frames as slices of what came in, exact ids, a window that outlives a restart."""

from __future__ import annotations

import random

from railgun_core.base.ids import MsgId
from railgun_core.relay.spool import Spool


def filled(count: int, rng: random.Random) -> tuple[Spool, list[MsgId], bytes]:
    """A spool whose frames are slices of one read of ten bytes each."""
    spool, ids, read = (
        Spool(max_bytes=1_000),
        [MsgId(rng.randbytes(16)) for _ in range(count)],
        rng.randbytes(10 * count),
    )
    for n, msg_id in enumerate(ids):
        spool.frames[msg_id] = (read, 10 * n, 10 * n + 10)
        spool.order.append(msg_id)
    return spool, ids, read


def test_a_frame_is_the_very_slice_it_came_in(rng: random.Random) -> None:
    spool, ids, read = filled(5, rng)
    assert [spool.frame(msg_id) for msg_id in ids] == [read[10 * n : 10 * n + 10] for n in range(5)]
    assert spool.frame(MsgId(bytes(16))) is None


def test_ids_are_told_from_a_position_on_some_at_a_time(rng: random.Random) -> None:
    spool, ids, _ = filled(5, rng)
    assert spool.position == 5
    assert spool.ids_since(0, 9) == ids
    assert spool.ids_since(1, 2) == ids[1:3]
    assert spool.ids_since(3, 9) == ids[3:]
    assert spool.ids_since(5, 9) == spool.ids_since(2**64 - 1, 9) == []


def test_ids_are_saved_once_in_the_order_they_came(rng: random.Random) -> None:
    spool, ids, _ = filled(4, rng)
    assert spool.unsaved_ids() == ids
    assert spool.unsaved_ids() == []
    late = MsgId(rng.randbytes(16))
    spool.order.append(late)
    assert spool.unsaved_ids() == [late]


def test_the_window_outlives_a_restart_and_the_frames_do_not(rng: random.Random) -> None:
    before, ids, _ = filled(6, rng)
    saved = before.unsaved_ids()
    after = Spool(max_bytes=1_000, remembered=saved)
    assert after.remembers
    assert all(after.was_pushed_before(msg_id) for msg_id in ids)
    assert not after.was_pushed_before(MsgId(rng.randbytes(16)))
    assert after.position == 0
    assert [after.frame(msg_id) for msg_id in ids] == [None] * 6


def test_a_fresh_spool_remembers_nothing() -> None:
    spool = Spool(max_bytes=1_000)
    assert not spool.remembers
    assert not spool.was_pushed_before(MsgId(bytes(16)))
    assert (spool.held_bytes, spool.max_bytes, spool.unsaved_ids()) == (0, 1_000, [])
