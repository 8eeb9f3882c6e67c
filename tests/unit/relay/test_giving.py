"""What is given again: all of it, at a rate, in turns, and nothing to a session that has ended."""

from __future__ import annotations

from railgun_core.base.ids import handle_of
from railgun_core.relay.duty import IDS_PER_WANT, WANT_BYTES, RelayLimits
from railgun_core.relay.giving import OWED_IDS
from railgun_core.rooms.epoch_keys import EpochKeys, epoch_keys
from railgun_core.wire.frames import IDS_PER_FRAME, Bye, Got, Have, Pull, Slice, Want
from tests.unit.relay.desk import CLOCK, EPOCH, KEYS, SIZE, Desk, Wire, envelope, id_of

HANDLE = handle_of(KEYS.tag)
LARGE = 65_536
ROOMY = RelayLimits(rate_per_s=10**6, burst=10**6)
SLOW = RelayLimits(rate_per_s=10**6, burst=10**6, given_bytes_per_s=1024.0 * 1024)


def want(*numbers: int, keys: EpochKeys = KEYS) -> bytes:
    return Want(handle_of(keys.tag), tuple(id_of(n) for n in numbers)).encode()


def spent(desk: Desk, reader: Wire) -> None:
    """Have a link ask for all that it may be given at once."""
    desk.member().say(*(envelope(10**6 + n, size=LARGE) for n in range(IDS_PER_WANT)))
    reader.heard()
    reader.say(want(*(10**6 + n for n in range(IDS_PER_WANT))))
    assert len(reader.raw()) == WANT_BYTES


def second_room(desk: Desk) -> EpochKeys:
    for n in range(99):
        keys = epoch_keys(bytes((n,)) * 32, EPOCH)
        if desk.view.committee(keys.tag, EPOCH, size=SIZE, clock=CLOCK).seat_of(desk.own.peer_id) is not None:
            return keys
    raise AssertionError


def test_what_cannot_be_given_now_comes_later_without_being_asked_for_again() -> None:
    desk = Desk(limits=SLOW)
    writer, reader = desk.member(Slice.QUIET), desk.member(Slice.QUIET)
    writer.say(*(envelope(n) for n in range(5)))
    spent(desk, reader)
    reader.say(want(4, 1, 3), Pull(HANDLE, 2).encode())
    assert reader.raw() == b""
    desk.after(0.5)
    control, numbers = reader.heard()
    assert numbers == [4, 1, 3]
    (have,) = control
    assert isinstance(have, Have)
    assert have.position == desk.duty.spool.position
    assert have.ids[:3] == (id_of(2), id_of(3), id_of(4))


def test_names_are_told_a_frame_at_a_time_up_to_the_last() -> None:
    desk = Desk(limits=ROOMY)
    writer, reader = desk.member(Slice.QUIET), desk.member(Slice.QUIET)
    count = 2 * IDS_PER_FRAME + 7
    writer.say(*(envelope(n) for n in range(count)))
    reader.say(Pull(HANDLE, 0).encode())
    haves = [frame for frame in reader.control() if isinstance(frame, Have)]
    assert [frame.position for frame in haves] == [IDS_PER_FRAME, 2 * IDS_PER_FRAME, count]
    assert [msg_id for frame in haves for msg_id in frame.ids] == [id_of(n) for n in range(count)]


def test_a_pull_that_waits_begins_at_the_earliest_position_asked_for() -> None:
    desk = Desk(limits=SLOW)
    reader = desk.member(Slice.QUIET)
    spent(desk, reader)
    reader.say(*(Pull(HANDLE, at).encode() for at in (9, 3, 12)))
    desk.after(0.5)
    assert [(f.position, len(f.ids)) for f in reader.control() if isinstance(f, Have)] == [(48, 45)]


def test_sessions_of_one_link_take_turns() -> None:
    desk = Desk(limits=SLOW)
    keys, reader = second_room(desk), desk.member(Slice.QUIET)
    reader.say(reader.opening(keys, slice_=Slice.QUIET))
    desk.member(keys=keys).say(envelope(1, keys=keys))
    spent(desk, reader)
    reader.say(want(*(10**6 + n for n in range(IDS_PER_WANT))), want(1, keys=keys))
    desk.after(0.3)
    assert 1 in reader.envelopes()
    desk.after(4.0)
    assert len(reader.envelopes()) > IDS_PER_WANT - 10


def test_what_a_session_was_owed_ends_with_it() -> None:
    desk = Desk(limits=SLOW)
    reader = desk.member(Slice.QUIET)
    spent(desk, reader)
    reader.say(want(10**6), Bye(HANDLE).encode())
    reader.say(reader.opening(slice_=Slice.QUIET))
    reader.heard()
    desk.after(5.0)
    assert reader.envelopes() == []
    reader.say(want(10**6))
    assert reader.envelopes() == [10**6]


def test_a_link_that_is_lost_is_owed_nothing() -> None:
    desk = Desk(limits=SLOW)
    reader = desk.member(Slice.QUIET)
    spent(desk, reader)
    reader.say(want(10**6))
    reader.drop()
    desk.after(5.0)
    assert reader.raw() == b""


def test_a_fellow_confirms_what_it_was_given_late_like_all_else() -> None:
    desk = Desk(limits=SLOW)
    fellow, writer = desk.fellow(0), desk.member(Slice.QUIET)
    fellow.heard()
    spent(desk, fellow)
    fellow.say(want(10**6))
    writer.say(envelope(1))
    assert fellow.envelopes() == [1]
    desk.after(1.0)
    assert fellow.envelopes() == [10**6]
    fellow.say(Got(HANDLE, 2 * IDS_PER_WANT + 2).encode())
    (replica,) = desk.duty.replicas.values()
    assert replica.held == len(desk.duty.published)


def test_of_names_that_wait_a_session_keeps_a_bounded_number() -> None:
    desk = Desk(limits=RelayLimits(rate_per_s=10**6, burst=10**6, given_bytes_per_s=1.0))
    writer, reader = desk.member(Slice.QUIET), desk.member(Slice.QUIET)
    writer.say(*(envelope(n) for n in range(1_000)))
    spent(desk, reader)
    reader.say(*(want(*range(at, at + 40)) for at in range(0, 1_000, 40)))
    assert len(desk.duty.members[reader.link].owed.ids) == OWED_IDS
