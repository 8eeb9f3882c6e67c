"""The life of a duty: only time moves it, only forwards, and it always ends."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from railgun_core.committee.epoch import make_clock
from railgun_core.committee.rotation import TRANSITIONS, Rotation, Turn
from railgun_core.status import DutyState

ORDER = [DutyState.PREPARING, DutyState.SERVING, DutyState.OVERLAP, DutyState.RETIRED]
CLOCK = make_clock(600)


@given(st.lists(st.floats(-10_000, 10_000), max_size=40))
def test_every_duty_ends_retired_whatever_jumps_the_clock_makes(jumps: list[float]) -> None:
    rotation, unix_s, path = Rotation(100, CLOCK), 60_000.0, [DutyState.PREPARING]
    for jump_s in jumps:
        unix_s += jump_s
        path += rotation.advance(unix_s)
        due_s = rotation.next_turn_s()
        assert due_s is None or due_s > unix_s
        assert rotation.state == path[-1]
    path += rotation.advance(CLOCK.retire_s(100))
    assert path == ORDER
    assert rotation.next_turn_s() is None


def test_a_machine_that_slept_through_everything_takes_all_turns_at_once() -> None:
    rotation = Rotation(100, CLOCK)
    assert rotation.advance(1e12) == tuple(ORDER[1:])
    assert rotation.advance(1e13) == ()


def test_a_clock_that_goes_back_undoes_nothing() -> None:
    rotation = Rotation(100, CLOCK)
    rotation.advance(CLOCK.end_s(100))
    assert rotation.state is DutyState.OVERLAP
    assert rotation.advance(0.0) == ()
    assert rotation.state is DutyState.OVERLAP


def test_turns_come_at_their_second() -> None:
    rotation = Rotation(100, CLOCK)
    for at_s, entered in zip((60_000.0, 60_600.0, 60_720.0), ORDER[1:], strict=True):
        assert rotation.next_turn_s() == at_s
        assert rotation.advance(at_s - 0.001) == ()
        assert rotation.advance(at_s) == (entered,)


def test_the_table_has_one_way_out_of_every_state_but_the_last() -> None:
    assert {state for state, _ in TRANSITIONS} == set(ORDER[:-1])
    assert {turn for _, turn in TRANSITIONS} == set(Turn)
    assert [TRANSITIONS[state, turn] for state, turn in zip(ORDER, Turn, strict=False)] == ORDER[1:]
