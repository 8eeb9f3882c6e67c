"""Which relays a member meets, in which order, and whom it dials when some do not answer."""

from __future__ import annotations

from railgun_core.base.ids import DialId, LinkId, PeerId
from railgun_core.base.keys import Identity
from railgun_core.committee.rotation import Rotation
from railgun_core.rooms.lane import ANSWER_WITHIN_S, CALM_S, SESSIONS, Lane
from railgun_core.rooms.session import Phase, RelaySession, Sent
from railgun_core.wire.frames import Slice
from tests.unit.relay.desk import CLOCK, COMMITTEE, EPOCH, KEYS, START

NOW_S = START.mono_s


def lane_of() -> Lane:
    lane = Lane(KEYS, Identity(b"m" * 32), Rotation(EPOCH, CLOCK))
    lane.rotation.advance(START.unix_s)
    lane.appoint(COMMITTEE)
    return lane


def dialled(lane: Lane, peer_id: PeerId, now_s: float = NOW_S) -> RelaySession:
    session = lane.sessions[peer_id] = RelaySession.begin(peer_id, DialId(1), now_s, tunnelled=False)
    return session


def opened(lane: Lane, peer_id: PeerId, slice_: Slice = Slice.QUIET) -> RelaySession:
    session = dialled(lane, peer_id)
    session.phase, session.link, session.slice = Phase.OPEN, LinkId(1), slice_
    session.grant(100, 100, NOW_S)
    return session


def three(lane: Lane) -> list[RelaySession]:
    return [opened(lane, p, s) for p, s in zip(lane.order, (Slice.PUSH, Slice.ANNOUNCE, Slice.QUIET), strict=False)]


def test_a_dial_that_takes_long_no_longer_counts_and_the_next_is_dialled_beside_it() -> None:
    lane = lane_of()
    assert lane.to_dial(NOW_S) == list(lane.order[:SESSIONS])
    for peer_id in lane.to_dial(NOW_S):
        dialled(lane, peer_id)
    assert lane.to_dial(NOW_S + ANSWER_WITHIN_S - 0.01) == []
    assert lane.review_s(NOW_S) == NOW_S + ANSWER_WITHIN_S
    assert lane.to_dial(NOW_S + ANSWER_WITHIN_S) == list(lane.order[SESSIONS : 2 * SESSIONS])


def test_a_suspect_is_last_does_not_count_and_loses_its_slice() -> None:
    lane = lane_of()
    first, second, third = three(lane)
    first.heart.unanswered = 3
    assert lane.open_sessions() == [second, third, first]
    assert lane.sound_sessions() == [second, third]
    assert lane.to_dial(NOW_S) == [lane.order[3]]
    assert lane.wanted_slices() == [(second, Slice.PUSH), (third, Slice.ANNOUNCE), (first, Slice.QUIET)]


def test_while_all_are_suspect_nothing_moves_and_others_are_dialled() -> None:
    lane = lane_of()
    for session in three(lane):
        session.heart.unanswered = 3
    assert lane.wanted_slices() == []
    assert lane.to_dial(NOW_S) == list(lane.order[3:6])


def test_one_relay_in_doubt_changes_nothing_and_all_in_doubt_call_for_more() -> None:
    lane = lane_of()
    first, second, _ = three(lane)
    first.heart.unanswered = 1
    assert lane.to_dial(NOW_S) == []
    second.heart.unanswered = 1
    assert lane.to_dial(NOW_S) == list(lane.order[3:5])


def test_envelopes_that_nobody_answers_call_for_more_relays() -> None:
    lane = lane_of()
    for session in three(lane):
        session.sent(Sent(KEYS.msg_id(b"m" * 32, 1, 1), 1, 256, NOW_S))  # type: ignore[arg-type]
    assert lane.to_dial(NOW_S + 1.0) == []
    assert lane.to_dial(NOW_S + 1.3) == list(lane.order[3:6])


def test_surplus_is_kept_until_all_is_well_for_a_while_and_then_the_last_silent_one_goes() -> None:
    lane = lane_of()
    sessions = three(lane)
    fourth = opened(lane, lane.order[3])
    lane.troubled_s = NOW_S
    assert lane.surplus(NOW_S + CALM_S - 1) == []
    assert lane.surplus(NOW_S + CALM_S) == [fourth]
    sessions[2].heart.unanswered = 1
    assert lane.surplus(NOW_S + CALM_S) == []
    sessions[2].heart.unanswered = 0
    fourth.sent(Sent(KEYS.msg_id(b"m" * 32, 1, 1), 1, 256, NOW_S))  # type: ignore[arg-type]
    assert lane.surplus(NOW_S + CALM_S) == []


def test_after_waking_every_relay_may_be_dialled_and_old_dials_are_forgotten() -> None:
    lane = lane_of()
    for peer_id in lane.order:
        lane.avoid(peer_id, NOW_S)
    dialled(lane, lane.order[0])
    assert lane.to_dial(NOW_S) == []
    lane.forget_failures()
    assert lane.to_dial(NOW_S) == list(lane.order[:SESSIONS])


def test_near_an_epochs_end_goodbyes_are_in_order() -> None:
    lane = lane_of()
    retire_s = CLOCK.retire_s(EPOCH)
    lane.rotation.advance(CLOCK.end_s(EPOCH) + 1)
    assert lane.is_working
    assert not lane.is_ending(CLOCK.end_s(EPOCH) + 1)
    assert lane.is_ending(retire_s - 2)
