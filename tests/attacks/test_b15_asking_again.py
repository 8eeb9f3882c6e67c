"""B15: making a relay build answers by the hundred megabytes, out of questions of a few bytes.

What is counted are the bytes that one read makes the relay build, before any queue of a link could act, and the bytes
a link gets over time. What this does not stop: many links that each take their rate, and read it.
"""

from __future__ import annotations

from collections import deque

import pytest

from railgun_core.base.ids import MsgId, handle_of
from railgun_core.events import Send
from railgun_core.relay.duty import IDS_PER_WANT, WANT_BYTES, RelayLimits
from railgun_core.wire.frames import ENVELOPE_HEADER_BYTES, IDS_PER_FRAME, Have, Pull, Slice, Want
from railgun_core.wire.kinds import MAX_FRAME_BYTES
from tests.unit.relay.desk import KEYS, Desk, Wire, envelope, id_of

HANDLE = handle_of(KEYS.tag)
READ_BYTES = 192 * 1024
ROOMY = RelayLimits(rate_per_s=10**6, burst=10**6)
LARGE = 65_536


def built_bytes(desk: Desk, wire: Wire, *frames: bytes) -> int:
    """What one read makes the relay build, for whomever."""
    mark = len(desk.out)
    wire.say(*frames)
    return sum(sum(map(len, effect.chunks)) for effect in desk.out[mark:] if isinstance(effect, Send))


def filled(count: int, size: int) -> tuple[Desk, Wire]:
    desk = Desk(limits=ROOMY)
    writer, reader = desk.member(Slice.QUIET), desk.member(Slice.QUIET)
    writer.say(*(envelope(n, size=size) for n in range(count)))
    desk.out.clear()
    reader.position = 0
    return desk, reader


def test_what_a_read_full_of_pulls_makes_a_relay_build_is_bounded() -> None:
    desk, reader = filled(2 * IDS_PER_FRAME, 256)
    pull = Pull(HANDLE, 0).encode()
    assert built_bytes(desk, reader, *([pull] * (READ_BYTES // len(pull)))) <= 2 * MAX_FRAME_BYTES


def test_what_a_read_full_of_wants_makes_a_relay_build_is_bounded() -> None:
    desk, reader = filled(IDS_PER_WANT, LARGE)
    want = Want(HANDLE, tuple(id_of(n) for n in range(IDS_PER_WANT))).encode()
    assert built_bytes(desk, reader, *([want] * (READ_BYTES // len(want)))) <= WANT_BYTES


@pytest.mark.parametrize("pulls", [True, False])
def test_a_link_gets_its_rate_and_no_more_however_often_it_asks(pulls: bool) -> None:
    desk, reader = filled(IDS_PER_WANT if not pulls else 2 * IDS_PER_FRAME, LARGE if not pulls else 256)
    question = Pull(HANDLE, 0) if pulls else Want(HANDLE, tuple(id_of(n) for n in range(IDS_PER_WANT)))
    began_s, got_bytes = desk.now.mono_s, 0
    for _ in range(100):
        got_bytes += built_bytes(desk, reader, *([question.encode()] * 20))
        desk.out.clear()
        desk.after(0.01)
        got_bytes += sum(sum(map(len, effect.chunks)) for effect in desk.out if isinstance(effect, Send))
        desk.out.clear()
    assert got_bytes <= WANT_BYTES + desk.limits.given_bytes_per_s * (desk.now.mono_s - began_s)


@pytest.mark.parametrize(("count", "size", "within_s"), [(20_000, 256, 0.5), (600, LARGE, 3.0)])
def test_a_member_that_pulls_a_whole_epoch_gets_all_of_it_soon(count: int, size: int, within_s: float) -> None:
    """As a member does it: 32 names at once, the next for each envelope that comes, nothing asked for twice."""
    desk, reader = filled(count, size)
    reader.say(Pull(HANDLE, 0).encode())
    lacking: deque[MsgId] = deque()
    came: set[int] = set()
    wanted, began_s = 0, desk.now.mono_s
    while len(came) < count:
        control, numbers = reader.heard()
        desk.out.clear()
        reader.position = 0
        lacking.extend(msg_id for frame in control if isinstance(frame, Have) for msg_id in frame.ids)
        came.update(numbers)
        wanted -= len(numbers)
        ids = tuple(lacking.popleft() for _ in range(min(32 - wanted, len(lacking))))
        wanted += len(ids)
        if ids:
            reader.say(Want(HANDLE, ids).encode())
        else:
            assert wanted or lacking or len(came) == count
            desk.after(0.005)
    taken_s = desk.now.mono_s - began_s
    assert taken_s <= within_s
    assert taken_s <= 0.1 + count * (size + ENVELOPE_HEADER_BYTES) / desk.limits.given_bytes_per_s
