"""The vote on the time: who is right is left alone, who is a little off is corrected, who is far off is told so."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.skew import LIMIT_S, MAX_VOTES, MIN_VOTES, VOTE_LIFE_S, ClockState, Judgement, Skew

MONO_S = 5_000.0
UNIX_S = 1_800_000_000.0


def peer(number: int) -> bytes:
    return number.to_bytes(20, "big")


def voted(offsets: list[float], *, skew: Skew | None = None, mono_s: float = MONO_S, unix_s: float = UNIX_S) -> Skew:
    """One vote of each of so many peers, whose clocks are that far ahead."""
    found = skew or Skew()
    for number, offset_s in enumerate(offsets):
        assert found.vote(peer(number), unix_s + offset_s, asked_s=mono_s - 0.1, answered_s=mono_s + 0.1)
    return found


def judged(offsets: list[float]) -> Judgement:
    return voted(offsets).judge(mono_s=MONO_S, unix_s=UNIX_S)


def test_seven_peers_say_nothing_and_eight_do() -> None:
    assert judged([50.0] * (MIN_VOTES - 1)) == Judgement(peers=MIN_VOTES - 1)
    assert judged([50.0] * MIN_VOTES) == Judgement(ClockState.CORRECTED, 50.0, MIN_VOTES, 50.0)


@pytest.mark.parametrize(
    ("offset_s", "state", "correction_s"),
    [
        (0.0, ClockState.RIGHT, 0.0),
        (-1.9, ClockState.RIGHT, 0.0),
        (2.1, ClockState.CORRECTED, 2.1),
        (-110.0, ClockState.CORRECTED, -110.0),
        (120.0, ClockState.CORRECTED, 120.0),
        (120.1, ClockState.WRONG, 0.0),
        (-600.0, ClockState.WRONG, 0.0),
    ],
)
def test_what_follows_from_how_far_off_a_clock_is(offset_s: float, state: ClockState, correction_s: float) -> None:
    found = judged([offset_s] * 9)
    assert (found.state, found.correction_s) == (state, pytest.approx(correction_s, abs=0.001))


def test_a_machine_with_a_hundred_ids_moves_no_clock() -> None:
    skew = Skew()
    for number in range(10):
        skew.vote(peer(number), UNIX_S, asked_s=MONO_S, answered_s=MONO_S, net=b"honest %d" % number)
    for number in range(100, 200):
        skew.vote(peer(number), UNIX_S + 600.0, asked_s=MONO_S, answered_s=MONO_S, net=b"liar")
    assert skew.judge(mono_s=MONO_S, unix_s=UNIX_S).state is ClockState.RIGHT
    assert len(skew) == 12


def test_a_peer_has_one_vote_and_it_is_its_newest() -> None:
    skew = voted([0.0] * 10)
    for _ in range(50):
        skew.vote(peer(0), UNIX_S + 600.0, asked_s=MONO_S, answered_s=MONO_S)
    assert skew.judge(mono_s=MONO_S, unix_s=UNIX_S).offset_s == 0.0
    assert len(skew) == 10


def test_an_answer_that_took_two_seconds_is_no_vote() -> None:
    skew = Skew()
    assert not skew.vote(peer(1), UNIX_S, asked_s=10.0, answered_s=12.0)
    assert not skew.vote(peer(1), UNIX_S, asked_s=10.0, answered_s=9.0)
    assert skew.vote(peer(1), UNIX_S, asked_s=10.0, answered_s=11.9)


def test_votes_are_forgotten_after_an_hour_and_what_they_said_stands() -> None:
    skew = voted([60.0] * 9)
    assert skew.judge(mono_s=MONO_S, unix_s=UNIX_S).state is ClockState.CORRECTED
    late_s = VOTE_LIFE_S + 1
    found = skew.judge(mono_s=MONO_S + late_s, unix_s=UNIX_S + late_s)
    assert (found.peers, found.state, found.correction_s) == (0, ClockState.CORRECTED, 60.0)


def test_a_clock_that_is_set_wrong_is_judged_at_once_by_the_votes_that_are_there() -> None:
    skew = voted([0.0] * 9)
    assert skew.judge(mono_s=MONO_S, unix_s=UNIX_S).state is ClockState.RIGHT
    assert skew.judge(mono_s=MONO_S + 1, unix_s=UNIX_S + 1 - 600).state is ClockState.WRONG
    assert skew.judge(mono_s=MONO_S + 2, unix_s=UNIX_S + 2).state is ClockState.RIGHT


def test_a_correction_does_not_come_and_go_at_its_edge() -> None:
    skew = voted([2.1] * 9)
    assert skew.judge(mono_s=MONO_S, unix_s=UNIX_S).correction_s == pytest.approx(2.1)
    for offset_s in (1.9, 2.2, 1.7):
        found = voted([offset_s] * 9, skew=skew).judge(mono_s=MONO_S, unix_s=UNIX_S)
        assert found.correction_s == pytest.approx(2.1)
    assert voted([0.9] * 9, skew=skew).judge(mono_s=MONO_S, unix_s=UNIX_S).correction_s == 0.0


def test_memory_is_bounded() -> None:
    assert len(voted([0.0] * (MAX_VOTES + 50))) == MAX_VOTES


@given(
    honest=st.lists(st.floats(-1.0, 1.0), min_size=9, max_size=40),
    lies=st.lists(st.floats(-1e7, 1e7), max_size=8),
    seed=st.integers(0, 2**32),
)
def test_a_minority_of_liars_never_moves_a_clock_that_is_right(
    honest: list[float], lies: list[float], seed: int
) -> None:
    votes = [*honest, *lies]
    random.Random(seed).shuffle(votes)
    found = judged(votes)
    assert found.state is ClockState.RIGHT
    assert found.correction_s == 0.0


@given(offsets=st.lists(st.floats(-1e9, 1e9), max_size=60))
def test_no_votes_whatever_correct_by_more_than_the_limit(offsets: list[float]) -> None:
    assert abs(judged(offsets).correction_s) <= LIMIT_S


@given(share=st.integers(0, 20), seed=st.integers(0, 2**32))
def test_with_a_fifth_of_the_network_off_by_110_s_everybody_agrees_on_the_time(share: int, seed: int) -> None:
    rng = random.Random(seed)
    errors = [rng.choice((-110.0, 110.0)) if number < share else rng.uniform(-0.5, 0.5) for number in range(100)]
    for number, own_s in enumerate(errors):
        others = rng.sample([*errors[:number], *errors[number + 1 :]], 40)
        if sum(abs(error_s) > 100 for error_s in others) >= 18:
            continue  # a draw that is almost a majority is not what this is about
        found = judged([other_s - own_s for other_s in others])
        assert abs(own_s + found.correction_s) <= 2.6
