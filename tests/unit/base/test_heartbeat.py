"""Signs of life: asked for after a silence, suspect after three without an answer, dead after thirty seconds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.heartbeat import DEAD_AFTER_S, PING_EVERY_S, SUSPECT_AFTER_PINGS, Beat, Heartbeat


def looks(beat: Heartbeat, *, until_s: float) -> list[tuple[float, Beat]]:
    """Look whenever it is due."""
    seen = []
    while (at_s := beat.next_s()) <= until_s:
        seen.append((at_s, beat.look(at_s)))
        if seen[-1][1] is Beat.DEAD:
            break
    return seen


def test_a_silent_link_is_asked_every_second_suspected_after_three_and_dead_after_thirty() -> None:
    seen = looks(Heartbeat(0.0), until_s=60.0)
    assert [beat for _, beat in seen[:4]] == [Beat.PING, Beat.PING, Beat.PING, Beat.SUSPECT]
    assert seen[3][0] == (SUSPECT_AFTER_PINGS + 1) * PING_EVERY_S, "three pings, and a second for the last answer"
    assert seen[-1] == (DEAD_AFTER_S, Beat.DEAD)


def test_anything_that_arrives_ends_the_suspicion() -> None:
    beat = Heartbeat(0.0)
    looks(beat, until_s=6.0)
    assert beat.is_suspect
    assert beat.heard(6.5)
    assert not beat.is_suspect
    assert not beat.heard(6.6)
    assert beat.look(7.0) is Beat.QUIET


def test_a_busy_link_is_never_pinged() -> None:
    beat = Heartbeat(0.0)
    for step in range(1, 200):
        beat.heard(step * 0.5)
        assert beat.look(step * 0.5 + 0.1) is Beat.QUIET


def test_a_node_that_slept_suspects_nobody_for_it() -> None:
    beat = Heartbeat(0.0)
    assert beat.look(1.0) is Beat.PING
    assert beat.look(3_600.0) in (Beat.QUIET, Beat.PING), "an hour of this node's own silence"
    assert not beat.is_suspect
    assert beat.look(3_601.5) is Beat.PING


def test_a_faster_pace_is_no_absence_of_this_node() -> None:
    beat = Heartbeat(0.0, every_s=5.0)
    assert beat.look(5.0) is Beat.PING
    beat.every_s = 1.0
    assert beat.look(10.0) is Beat.PING, "the look was planned for then"
    assert beat.unanswered == 1
    beat.every_s = 1.0
    assert beat.look(14.0) is Beat.PING, "this one was not: three seconds late"
    assert beat.unanswered == 0


@given(st.lists(st.tuples(st.floats(0.01, 2.5), st.booleans()), max_size=80))
def test_who_answers_within_a_second_is_never_a_suspect(steps: list[tuple[float, bool]]) -> None:
    beat, now_s = Heartbeat(0.0), 0.0
    for step_s, chatty in steps:
        now_s += step_s
        if beat.look(now_s) in (Beat.PING, Beat.SUSPECT) or chatty:
            beat.heard(now_s + 0.005)
        assert not beat.is_suspect
