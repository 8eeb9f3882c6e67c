"""Whole committees on one floor: whoever goes, however, what one relay takes is stored and comes to everybody."""

from __future__ import annotations

import pytest

from railgun_core.events import Effect
from tests.unit.relay.desk import FELLOWS, OWN, STANDBYS, envelope
from tests.unit.relay.floor import Floor, Guest, Station

SEATS = (OWN, *FELLOWS)


def room(*, guests_at: int = 8) -> tuple[Floor, list[Station], list[Guest]]:
    """Five seats and three standbys, all switched on, with the duty begun by members at the first `guests_at`."""
    floor = Floor()
    stations = floor.add(*SEATS, *STANDBYS)
    guests = [Guest(station) for station in stations[:guests_at]]
    floor.run(1.0)
    return floor, stations, guests


def publish_and_check(floor: Floor, writer: Guest, readers: list[Guest], number: int, within_s: float) -> None:
    """One envelope is stored in time and comes to all readers once."""
    before = writer.stored
    for reader in readers:
        reader.heard()
    writer.say(envelope(number))
    floor.run(within_s)
    assert writer.stored == before + 1
    assert [reader.heard() for reader in readers] == [[number]] * len(readers)


def test_a_whole_committee_needs_no_standby() -> None:
    floor, stations, guests = room(guests_at=5)
    publish_and_check(floor, guests[0], guests[1:], 1, 0.1)
    floor.run(60.0)
    assert not any(station.relay.duties for station in stations[5:])


@pytest.mark.parametrize("gone", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("silently", [True, False])
def test_with_any_number_of_seats_gone_the_others_and_the_standbys_carry_on(gone: int, *, silently: bool) -> None:
    floor, stations, guests = room()
    publish_and_check(floor, guests[0], guests[1:], 1, 0.1)
    for station in stations[:gone]:
        if silently:
            station.on = False
        else:
            floor.crash(station)
    writer = guests[gone]
    before = writer.stored
    writer.say(envelope(2))
    floor.run(5.0)
    assert writer.stored == before + 1
    publish_and_check(floor, writer, [], 3, 0.1)


@pytest.mark.parametrize("gone", [1, 2, 3, 4, 5])
def test_relays_that_dial_each_other_at_once_confirm_copies_on_the_link_that_stays(gone: int) -> None:
    floor, stations, guests = room(guests_at=5)
    for station in stations[:gone]:
        floor.crash(station)
    guests[5:] = [Guest(station) for station in stations[5 : 5 + gone]]
    floor.run(4.0)
    alive = guests[gone:]
    for number, writer in enumerate(alive):
        publish_and_check(floor, writer, [guest for guest in alive if guest is not writer], number, 0.1)


def test_standbys_without_the_duty_are_brought_in_and_serve_what_was_before() -> None:
    floor, stations, guests = room(guests_at=5)
    publish_and_check(floor, guests[4], guests[:4], 1, 0.1)
    for station in stations[:4]:
        floor.crash(station)
    guests[4].say(envelope(2))
    floor.run(4.0)
    assert guests[4].stored == 2
    late = [Guest(station) for station in stations[5:]]
    assert [sorted(station.duty.spool.order) for station in stations[5:]] == [sorted(stations[4].duty.spool.order)] * 3
    floor.crash(stations[4])
    floor.run(4.0)
    publish_and_check(floor, late[0], late[1:], 3, 0.1)


def test_less_than_a_majority_never_says_stored() -> None:
    floor, stations, guests = room()
    for station in (*stations[:4], *stations[6:]):
        floor.crash(station)
    guests[4].say(envelope(1))
    floor.run(40.0)
    assert guests[4].stored == 0


def test_who_was_gone_gets_what_it_missed() -> None:
    floor, stations, guests = room(guests_at=5)
    floor.split(stations[:2])
    for number in (1, 2):
        guests[4].say(envelope(number))
        floor.run(10.0)
    assert guests[4].stored == 2
    floor.heal()
    floor.run(40.0)
    assert sorted(guests[0].heard()) == [1, 2]


def test_a_machine_that_woke_has_all_its_sessions_back_at_once_and_mourns_nobody() -> None:
    floor, stations, guests = room(guests_at=5)
    sleeper = stations[0]
    publish_and_check(floor, guests[1], guests[2:], 1, 0.1)
    sleeper.on = False
    floor.run(100.0)
    sleeper.on = True
    floor.drop_links(sleeper)
    out: list[Effect] = []
    sleeper.relay.woke(floor.now, out)
    sleeper.do(out)
    floor.run(1.0)
    assert all(session.open for session in sleeper.duty.replicas.values())
    publish_and_check(floor, guests[1], guests[2:], 2, 0.1)
    floor.run(60.0)
    assert sleeper.deaths == 0


def test_a_relay_that_dies_is_declared_by_the_others_and_announced_by_the_standby_in_its_place() -> None:
    floor, stations, guests = room(guests_at=5)
    floor.run(10.0)
    stations[0].on = False
    guests[1].say(envelope(1))
    floor.run(80.0)
    assert [station.deaths for station in stations[1:6]] == [1] * 5
    assert [len(station.announced) for station in stations] == [0, 0, 0, 0, 0, 1, 0, 0]


@pytest.mark.parametrize("size", [2, 3])
def test_a_split_of_the_network_declares_nobody_dead_on_either_side(size: int) -> None:
    floor, stations, _ = room(guests_at=5)
    floor.run(10.0)
    floor.split(stations[:size])
    floor.run(120.0)
    assert [station.deaths for station in stations] == [0] * 8
    floor.heal()
    floor.run(60.0)
    assert not any(station.relay.cut_off(floor.now) for station in stations[:5])


def test_a_short_silence_is_nobodys_death() -> None:
    floor, stations, _ = room()
    floor.split(stations[:1])
    floor.run(20.0)
    floor.heal()
    floor.run(60.0)
    assert sum(station.deaths for station in stations) == 0
    assert not any(station.announced for station in stations)
