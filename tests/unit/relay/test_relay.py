"""Who gets a session with a relay, and how relays of one committee find each other."""

from __future__ import annotations

import pytest

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import handle_of
from railgun_core.base.keys import Identity
from railgun_core.changes import CommitteePut, DutyPut, ReplayDrop
from railgun_core.events import Effect, SaveSoon
from railgun_core.relay.duty import RelayLimits
from railgun_core.rooms.epoch_keys import epoch_keys
from railgun_core.wire.frames import Ack, Bye, Got, Misdirected, Open, Opened, Ping, Pong, Pull, Refused, Role, Slice
from railgun_core.wire.kinds import Refusal
from tests.unit.relay.desk import (
    CLOCK,
    COMMITTEE,
    EPOCH,
    FELLOWS,
    KEYS,
    OUTSIDER,
    OWN,
    RELAYS,
    Desk,
    envelope,
    id_of,
    view_of,
)

HANDLE = handle_of(KEYS.tag)
MEMBER = Identity(b"m" * 32).public_key


def changes(out: list[Effect]) -> list[object]:
    return [change for effect in out if isinstance(effect, SaveSoon) for change in effect.changes]


def refusals(desk: Desk, opening: bytes) -> list[object]:
    wire = desk.wire(MEMBER)
    wire.say(opening)
    return list(wire.control())


def test_a_member_with_the_rooms_key_gets_a_session_and_its_quota() -> None:
    desk = Desk()
    wire = desk.wire(MEMBER)
    wire.say(wire.opening())
    assert wire.control() == [Opened(HANDLE, 0, 5, desk.limits.rate_per_s, desk.limits.burst)]
    saved = changes(desk.out)
    assert [type(change) for change in saved] == [CommitteePut, DutyPut]
    assert desk.dialled == [fellow.peer_id for fellow in FELLOWS]


def test_a_signature_over_another_link_opens_nothing() -> None:
    desk = Desk()
    stolen = desk.wire(MEMBER).opening()
    assert refusals(desk, stolen) == [Refused(HANDLE, Refusal.BAD_SIGNATURE, 1_000)]
    assert not desk.relay.duties


@pytest.mark.parametrize("epoch", [EPOCH - 2, EPOCH + 2, 0, 1 << 60])
def test_an_epoch_that_is_not_now_is_refused(epoch: int) -> None:
    desk = Desk()
    keys = epoch_keys(b"r" * 32, epoch)
    wire = desk.wire(MEMBER)
    wire.say(wire.opening(keys))
    assert wire.control() == [Refused(handle_of(keys.tag), Refusal.WRONG_EPOCH, 1_000)]


def test_who_asks_the_wrong_relay_is_told_the_right_ones() -> None:
    desk = Desk(own=OUTSIDER)
    wire = desk.wire(MEMBER)
    wire.say(wire.opening())
    (answer,) = wire.control()
    assert isinstance(answer, Misdirected)
    assert set(answer.records) == set(view_of().committee_records(COMMITTEE))
    assert not desk.relay.duties


def test_a_relay_that_has_no_seat_gets_no_session_as_a_relay() -> None:
    desk = Desk()
    wire = desk.wire(OUTSIDER.public_key)
    wire.say(Open(KEYS.tag, EPOCH, Role.RELAY, Slice.QUIET, b"").encode())
    assert wire.control() == [Refused(HANDLE, Refusal.NOT_SERVING, 1_000)]


def test_a_relay_takes_no_more_duties_and_members_than_it_may() -> None:
    desk = Desk(limits=RelayLimits(duties=1, members_per_duty=2))
    desk.member(), desk.member()
    wire = desk.wire(MEMBER)
    wire.say(wire.opening())
    assert wire.control() == [Refused(HANDLE, Refusal.FULL, 5_000)]
    other = next(k for n in range(99) if (k := epoch_keys(bytes((n,)) * 32, EPOCH)) and _seated(k.tag))
    wire.say(wire.opening(other))
    assert wire.control() == [Refused(handle_of(other.tag), Refusal.FULL, 1_000)]


def _seated(tag: bytes) -> bool:
    committee = view_of().committee(tag, EPOCH, size=5, clock=CLOCK)  # type: ignore[arg-type]
    return committee.seat_of(OWN.peer_id) is not None


def test_an_envelope_without_a_session_is_refused_by_name() -> None:
    desk = Desk()
    wire = desk.wire(MEMBER)
    wire.say(envelope(1))
    assert wire.control() == [Refused(HANDLE, Refusal.NO_SESSION, 0)]


def test_a_ping_is_answered_even_without_a_session() -> None:
    wire = Desk().wire(MEMBER)
    wire.say(Ping(77).encode())
    assert wire.control() == [Pong(77)]


def test_a_control_frame_of_a_session_that_is_not_there_is_ignored() -> None:
    wire = Desk().wire(MEMBER)
    wire.say(Got(HANDLE, 5).encode(), Pull(HANDLE, 0).encode(), Bye(HANDLE).encode(), Pong(1).encode())
    assert wire.raw() == b""


def test_garbage_is_the_links_end_and_no_other_session_notices() -> None:
    desk = Desk()
    reader, writer = desk.member(), desk.member()
    bad = desk.member()
    with pytest.raises(MalformedFrame):
        bad.say(b"\x00\x00\x00\x02\x63\x00")
    bad.drop()
    writer.say(envelope(1))
    assert reader.envelopes() == [1]
    assert len(desk.duty.members) == 2


def test_a_slice_can_be_changed_by_opening_again() -> None:
    desk = Desk()
    reader, writer = desk.member(Slice.QUIET), desk.member()
    writer.say(envelope(1))
    assert reader.envelopes() == []
    reader.say(reader.opening(slice_=Slice.PUSH))
    writer.say(envelope(2))
    assert reader.envelopes() == [2]
    assert len(desk.duty.members) == 2


def test_two_relays_that_ask_each_other_at_once_agree_on_one_session() -> None:
    """Both send OPEN on one link; each sees the other's before the answer to its own, because links keep order."""
    desk = Desk()
    writer = desk.member()
    writer.say(envelope(1))
    wire = desk.wire(FELLOWS[0].public_key, inbound=False)
    assert [type(frame) for frame in wire.control()] == [Open]
    wire.say(Open(KEYS.tag, EPOCH, Role.RELAY, Slice.QUIET, b"").encode())
    wire.say(Opened(HANDLE, 1, 5, 1, 1).encode())
    control, copies = wire.heard()
    assert copies == [1]
    assert sum(isinstance(frame, Pull) for frame in control) == 1
    assert desk.duty.replicas[FELLOWS[0].peer_id].open


def test_a_fellow_that_asks_again_has_forgotten_and_both_count_from_zero() -> None:
    desk = Desk()
    writer, other = desk.member(), desk.fellow(1)
    wire = desk.wire(FELLOWS[0].public_key, inbound=False)
    wire.say(Opened(HANDLE, 1, 5, 1, 1).encode())
    wire.heard()
    writer.say(envelope(1), envelope(2))
    wire.say(Open(KEYS.tag, EPOCH, Role.RELAY, Slice.QUIET, b"").encode())
    assert wire.envelopes() == [1, 2, 1, 2]
    other.say(Got(HANDLE, 2).encode())
    writer.heard()
    wire.say(Got(HANDLE, 1).encode())
    assert desk.duty.frontier == 0
    wire.say(Got(HANDLE, 2).encode())
    assert desk.duty.frontier == 2


def test_copies_of_a_session_that_was_forgotten_are_kept_and_not_counted() -> None:
    desk = Desk()
    desk.member()
    wire = desk.wire(FELLOWS[0].public_key, inbound=False)
    wire.say(envelope(1))
    assert not [frame for frame in wire.control() if isinstance(frame, Got)]
    wire.say(Opened(HANDLE, 1, 5, 1, 1).encode())
    wire.say(envelope(2))
    assert [frame for frame in wire.control() if isinstance(frame, Got)] == [Got(HANDLE, 1)]
    assert len(desk.duty.spool.order) == 2


@pytest.mark.parametrize("mine_first", [True, False])
def test_of_two_links_that_cross_one_stays_and_keeps_replicating(mine_first: bool) -> None:
    desk = Desk()
    writer = desk.member()
    fellow = FELLOWS[0]
    wires = {}
    for inbound in (not mine_first, mine_first):
        wires[inbound] = desk.wire(fellow.public_key, inbound=inbound)
        wires[inbound].say(Open(KEYS.tag, EPOCH, Role.RELAY, Slice.QUIET, b"").encode())
    mine_stays = desk.own.peer_id < fellow.peer_id
    stays, goes = (wires[False], wires[True]) if mine_stays else (wires[True], wires[False])
    if mine_stays:
        assert goes.hung_up
    goes.drop()
    assert not stays.hung_up
    stays.say(Open(KEYS.tag, EPOCH, Role.RELAY, Slice.QUIET, b"").encode())
    stays.heard()
    writer.say(envelope(5))
    assert stays.envelopes() == [5]


def test_a_fellow_that_is_lost_is_sought_again() -> None:
    desk = Desk()
    desk.member()
    wire = desk.fellow(0)
    desk.relay.dial_failed(FELLOWS[0].peer_id, desk.now, desk.out)
    wire.drop()
    desk.dialled.clear()
    desk.after(3.0)
    assert FELLOWS[0].peer_id in desk.dialled


def test_a_fellow_that_refuses_is_asked_again() -> None:
    desk = Desk()
    desk.member()
    wire = desk.wire(FELLOWS[0].public_key, inbound=False)
    wire.heard()
    wire.say(Refused(HANDLE, Refusal.NOT_SERVING, 1_000).encode())
    assert FELLOWS[0].peer_id not in desk.duty.replicas
    desk.after(2.5)
    assert [type(frame) for frame in wire.control()] == [Open]


def test_retiring_says_goodbye_and_forgets_everything() -> None:
    desk = Desk(limits=RelayLimits(rate_per_s=10_000))
    reader, fellow = desk.member(), desk.fellow(0)
    reader.say(envelope(1))
    reader.heard(), fellow.heard()
    desk.after(CLOCK.retire_s(EPOCH) - desk.now.unix_s + 1)
    assert Bye(HANDLE) in reader.control()
    assert Bye(HANDLE) in fellow.control()
    assert not desk.relay.duties
    assert ReplayDrop(EPOCH) in changes(desk.out)
    assert desk.relay.carried()[0] == 1
    reader.say(envelope(2))
    assert reader.control() == [Refused(HANDLE, Refusal.NO_SESSION, 0)]


def test_a_rotation_is_counted_when_the_next_epoch_begins() -> None:
    desk = Desk()
    desk.member()
    desk.after(CLOCK.end_s(EPOCH) - desk.now.unix_s - 1)
    assert desk.relay.rotations == 0
    desk.after(2)
    assert desk.relay.rotations == 1


def test_a_better_view_moves_the_seats_and_new_fellows_are_sought() -> None:
    known = [n for n, relay in enumerate(RELAYS) if relay.peer_id != FELLOWS[0].peer_id]
    desk = Desk(view=view_of(*known))
    desk.member()
    before = desk.duty.committee.members
    assert FELLOWS[0].peer_id not in before
    desk.view.merge(view_of().records, desk.now.unix_s)
    desk.relay.view_changed(desk.now, desk.out)
    assert desk.duty.committee.members == COMMITTEE.members
    assert FELLOWS[0].peer_id in desk.dialled


def test_the_replay_window_survives_a_restart_without_a_second_push() -> None:
    desk = Desk()
    writer = desk.member()
    writer.say(envelope(1), envelope(2))
    desk.after(1.5)
    saved = desk.saved_ids()
    assert b"".join(add.ids for add in saved) == id_of(1) + id_of(2)

    again = Desk()
    again.relay.restore(saved)
    reader, writer, fellow = again.member(), again.member(), again.fellow(0)
    fellow.heard()
    writer.say(envelope(1), envelope(3), envelope(2))
    assert reader.envelopes() == [3]
    assert sorted(fellow.envelopes()) == [1, 2, 3]
    assert [frame.taken for frame in writer.control() if isinstance(frame, Ack)] == [3]
