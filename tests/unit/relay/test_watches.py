"""What is heard of the fellows, and what that says about this node's own network."""

from __future__ import annotations

from railgun_core.base.heartbeat import DEAD_AFTER_S, IDLE_EVERY_S, PING_EVERY_S, Beat
from railgun_core.base.ids import PeerId
from railgun_core.relay.duty import Duty
from railgun_core.relay.watches import MAX_FALLEN, Watch, Watches
from tests.unit.relay.desk import Desk, envelope

PEERS = [PeerId(bytes((n,)) * 32) for n in range(1, 6)]


def duty() -> Duty:
    desk = Desk()
    desk.member()
    return desk.duty


def watches(*, met: int) -> tuple[Watches, list[Watch]]:
    """Watches of five peers that began at 0; so many have had a link."""
    found, one = Watches(), duty()
    begun = [watch for peer in PEERS if (watch := found.add(one, peer, 0.0)) is not None]
    for watch in begun[:met]:
        watch.meet(0.0)
    return found, begun


def test_a_watch_lasts_as_long_as_a_duty_needs_it() -> None:
    found, (one, two) = Watches(), (duty(), duty())
    two.handle = type(one.handle)(b"another!")
    assert found.add(one, PEERS[0], 0.0) is not None
    assert found.add(two, PEERS[0], 1.0) is None
    assert found.add(one, PEERS[1], 1.0) is not None
    assert found.remove(one, 1.0, keep=(PEERS[1],)) == []
    assert found.remove(two, 1.0) == [PEERS[0]]
    assert found.remove(one, 1.0) == [PEERS[1]]
    assert found.all() == []


def test_only_a_link_of_a_busy_duty_is_looked_at_each_second() -> None:
    desk = Desk()
    writer = desk.member()
    found = Watches()
    watch = found.add(desk.duty, PEERS[0], desk.now.mono_s)
    assert watch is not None
    assert found.look(watch, desk.now.mono_s, linked=True)[1] == desk.now.mono_s + IDLE_EVERY_S
    writer.say(envelope(1))
    assert found.look(watch, desk.now.mono_s, linked=False)[1] == desk.now.mono_s + IDLE_EVERY_S
    assert found.look(watch, desk.now.mono_s, linked=True)[1] == desk.now.mono_s + PING_EVERY_S


def test_the_next_look_at_the_dead_is_always_ahead() -> None:
    found, begun = watches(met=1)
    now_s, said = 0.0, Beat.QUIET
    for _ in range(30):
        said, again_s = found.look(begun[0], now_s, linked=True)
        assert again_s > now_s
        now_s = again_s
    assert said is Beat.DEAD
    assert now_s > DEAD_AFTER_S


def test_fewer_than_half_of_the_fellows_that_answer_mean_that_this_node_is_cut_off() -> None:
    for answering, expected in ((0, True), (1, True), (2, False), (4, False)):
        found, begun = watches(met=4)
        for watch in begun[:4]:
            found.look(watch, 5.0, linked=True)
        for watch in begun[:answering]:
            watch.beat.heard(5.1)
        assert not found.is_cut_off(7.0)
        assert found.is_cut_off(7.2) is expected


def test_who_was_never_met_and_one_alone_say_nothing_about_the_network() -> None:
    for met in (0, 1):
        found, begun = watches(met=met)
        for watch in begun:
            found.look(watch, 5.0, linked=True)
        assert not found.is_cut_off(20.0)


def test_silences_that_begin_together_have_one_cause() -> None:
    found, begun = watches(met=4)
    for watch, heard_s in zip(begun, (10.0, 15.0, 40.0, 45.0), strict=False):
        watch.beat.heard(heard_s)
    assert found.fell_with_others(begun[0])
    begun[1].beat.heard(44.0)
    assert not found.fell_with_others(begun[0])


def test_two_of_many_that_fall_silent_together_may_be_half_of_a_network() -> None:
    found, begun = watches(met=5)
    for watch, heard_s in zip(begun, (10.0, 15.0, 45.0, 45.0, 45.0), strict=True):
        watch.beat.heard(heard_s)
    assert found.fell_with_others(begun[0])
    assert found.fell_with_others(begun[1])


def test_who_fell_silent_with_a_fellow_that_is_not_needed_any_more_did_not_fall_alone() -> None:
    found, begun = watches(met=4)
    one = next(iter(begun[0].duties.values()))
    for now_s in (5.0, 10.0, 15.0, 20.0):
        for watch in begun:
            found.look(watch, now_s, linked=True)
        for watch in begun[2:4]:
            watch.beat.heard(now_s)
    kept = tuple(watch.peer_id for watch in begun if watch is not begun[1])
    assert found.remove(one, 20.0, keep=kept) == [PEERS[1]]
    assert found.fell_with_others(begun[0])
    again = found.add(one, PEERS[1], 21.0)
    assert again is not None
    assert found.fell_with_others(begun[0])
    again.meet(22.0)
    assert not found.fell_with_others(begun[0])


def test_who_is_let_go_in_good_health_excuses_nobody() -> None:
    found, begun = watches(met=4)
    one = next(iter(begun[0].duties.values()))
    for watch in begun:
        watch.beat.heard(44.0)
    found.remove(one, 45.0, keep=tuple(watch.peer_id for watch in begun if watch is not begun[1]))
    for watch in begun[2:]:
        watch.beat.heard(80.0)
    assert not found.fell_with_others(begun[0])


def test_what_is_remembered_of_the_silent_has_a_bound() -> None:
    found, one = Watches(), duty()
    for number in range(3 * MAX_FALLEN):
        watch = found.add(one, PeerId(number.to_bytes(32, "big")), 0.0)
        assert watch is not None
        watch.meet(0.0)
        found.look(watch, 5.0, linked=True)
    found.remove(one, 10.0)
    assert len(found._fallen) == MAX_FALLEN


def test_whoever_was_met_since_does_not_hide_that_silences_began_together() -> None:
    found, begun = watches(met=2)
    for watch in begun[:2]:
        watch.beat.heard(10.0)
    for watch in begun[2:]:
        watch.meet(14.0)
        watch.beat.heard(50.0)
    assert found.fell_with_others(begun[0])


def test_a_node_that_was_away_begins_anew() -> None:
    found, begun = watches(met=4)
    for watch in begun:
        for now_s in (5.0, 10.0, 15.0, 20.0):
            found.look(watch, now_s, linked=True)
    assert found.is_suspect(PEERS[0])
    assert found.is_cut_off(21.0)
    found.restart(21.0)
    assert not found.is_suspect(PEERS[0])
    assert not found.is_cut_off(21.0)
    assert not found.is_suspect(PeerId(b"x" * 32))
