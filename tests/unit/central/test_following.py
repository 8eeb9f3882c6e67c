"""Which messages of a stream are passed on, and with what position."""

from __future__ import annotations

from typing import cast

from hypothesis import given
from hypothesis import strategies as st
from nats.aio.msg import Msg

from railgun_core.base.ids import MsgId, Tag, handle_of
from railgun_core.central.connection import Connection
from railgun_core.central.following import BATCH, MAX_POSITION, Followed, Following
from railgun_core.central.port import BATCH_BYTES, BATCH_FRAMES
from railgun_core.wire.envelope import SizeClass
from railgun_core.wire.frames import envelope_frame

TAG = Tag(b"t" * 32)
FRAME = envelope_frame(handle_of(TAG), expiry_s=1, msg_id=MsgId(bytes(16)), envelope=bytes(256))


def message(position: int, data: bytes = FRAME, *, pending: int = 0) -> Msg:
    reply = f"$JS.ACK.RAILGUN.consumer.1.{position}.1.1800000000000000000.{pending}"
    return Msg(cast("object", None), subject="railgun.x", reply=reply, data=data)  # type: ignore[arg-type]


async def handed_on(messages: list[Msg], position: int = 0) -> tuple[list[tuple[int, tuple[bytes, ...]]], int, int]:
    """What was brought, what still waits, and the position after."""
    brought: list[tuple[int, tuple[bytes, ...]]] = []
    following = Following(cast(Connection, None), lambda _tag, at, frames: brought.append((at, frames)))
    followed = Followed(TAG, position)
    waiting = following._hand_on(followed, messages)
    return brought, waiting, followed.position


async def test_frames_come_in_one_batch_with_the_last_position() -> None:
    brought, waiting, position = await handed_on([message(3), message(9, pending=4)])
    assert brought == [(9, (FRAME, FRAME))]
    assert (waiting, position) == (4, 9)


async def test_garbage_moves_the_position_and_is_not_brought() -> None:
    brought, _, position = await handed_on([message(3, b"garbage"), message(4, b"")])
    assert brought == []
    assert position == 4


async def test_what_was_seen_before_is_left_out() -> None:
    brought, _, position = await handed_on([message(3), message(4), message(4)], position=3)
    assert brought == [(4, (FRAME,))]
    assert position == 4


async def test_a_position_no_store_can_have_is_left_out() -> None:
    brought, _, position = await handed_on([message(MAX_POSITION + 1), message(7)])
    assert brought == [(7, (FRAME,))]
    assert position == 7


def test_a_batch_fits_whatever_its_frames_are() -> None:
    assert BATCH <= BATCH_FRAMES
    assert BATCH * (SizeClass.LARGE + 33) <= BATCH_BYTES


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=30))
async def test_positions_only_grow_and_nothing_new_is_left_out(told: list[tuple[int, bool]]) -> None:
    messages = [message(at, FRAME if good else b"x") for at, good in told]
    brought, _, position = await handed_on(messages)
    wanted, top = 0, 0
    for at, good in told:
        if at > top:
            top = at
            wanted += good
    assert sum(len(frames) for _, frames in brought) == wanted
    assert position == top
