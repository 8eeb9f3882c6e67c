"""Who may say that a relay has died: two who heard nothing for 30 s, in distinct groups, and hear the others."""

from __future__ import annotations

import pytest

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import Group, PeerId, handle_of
from railgun_core.base.keys import Identity
from railgun_core.committee.view import RelayView
from railgun_core.events import Announce, Noticed
from railgun_core.relay.deaths import MAX_PEERS
from railgun_core.wire.frames import Ping, Pong
from railgun_core.wire.mail import Obituary, sign_obituary
from railgun_core.wire.records import AnnouncementBody, PeerBody, Record, decode_record, sign_record
from tests.unit.relay.desk import (
    COMMITTEE,
    FELLOWS,
    KEYS,
    OUTSIDER,
    OWN,
    RECORDS,
    STANDBYS,
    START,
    Desk,
    Wire,
    envelope,
)
from tests.unit.relay.floor import Floor, Guest, Station

HANDLE = handle_of(KEYS.tag)
SEATS = (OWN, *FELLOWS)
DEAD = FELLOWS[0]
RECORD = next(record for record in RECORDS if record.peer_id == DEAD.peer_id)


def renewed(after_s: float) -> Record:
    """The dead relay's next record."""
    assert isinstance(RECORD.body, PeerBody)
    sequence = RECORD.sequence + int(after_s * 1000)
    return sign_record(
        DEAD, RECORD.body, sequence=sequence, not_before_s=RECORD.not_before_s, expires_s=RECORD.expires_s
    )


def word(desk: Desk, by: Identity, about: PeerId = DEAD.peer_id, **other: int) -> Obituary:
    """A true obituary unless told otherwise."""
    facts = {"sequence": RECORD.sequence, "silent_s": int(desk.now.unix_s) - 31, "at_s": int(desk.now.unix_s)}
    return sign_obituary(by, about, **{**facts, **other})


def notices(desk: Desk) -> int:
    return sum(isinstance(effect, Noticed) and effect.code == "relay-died" for effect in desk.out)


def quiet_desk(*, met: bool = False) -> tuple[Desk, list[Wire]]:
    """A relay with three fellows; the fourth never had a link, or has had one and lost it."""
    desk = Desk()
    desk.member()
    if met:
        desk.fellow(0).drop()
    fellows = [desk.fellow(number) for number in (1, 2, 3)]
    return desk, fellows


def later(desk: Desk, seconds: float, *alive: Wire) -> list[Obituary]:
    """Time passes and these fellows answer; the obituaries that the first of them was sent."""
    found = []
    for _ in range(round(seconds * 2)):
        desk.after(0.5)
        for wire in alive:
            for frame in wire.control():
                if isinstance(frame, Ping):
                    wire.say(Pong(frame.nonce).encode())
                elif isinstance(frame, Obituary) and wire is alive[0]:
                    found.append(frame)
    return found


def test_an_observer_says_after_30_s_of_silence_what_it_did_not_hear_and_alone_declares_nothing() -> None:
    desk, fellows = quiet_desk(met=True)
    assert later(desk, 29.0, *fellows) == []
    (said,) = later(desk, 10.0, *fellows)
    assert said.is_signed()
    assert (said.observer, said.peer_id, said.sequence) == (OWN.peer_id, DEAD.peer_id, RECORD.sequence)
    assert 30 <= said.at_s - said.silent_s <= 36
    assert (notices(desk), desk.trust.dead) == (0, [])
    assert len(later(desk, 60.0, *fellows)) == 2  # said again, in case the others had lost their network


def test_two_observers_in_distinct_groups_are_a_death_and_it_is_said_once() -> None:
    desk, fellows = quiet_desk(met=True)
    later(desk, 36.0, *fellows)
    for number in (1, 2):
        fellows[number - 1].say(word(desk, FELLOWS[number]).encode())
    assert notices(desk) == 1
    assert desk.trust.dead == [(DEAD.peer_id, 2)]
    later(desk, 31.0, *fellows)
    assert later(desk, 60.0, *fellows) == []
    assert notices(desk) == 1
    assert desk.duty.committee == COMMITTEE


def test_two_observers_count_for_a_relay_that_had_nothing_to_do_with_the_dead() -> None:
    desk = Desk()
    desk.member()
    fellows = [desk.fellow(number) for number in (1, 2)]
    fellows[0].say(word(desk, FELLOWS[1]).encode())
    assert notices(desk) == 0
    fellows[1].say(word(desk, FELLOWS[2]).encode())
    assert desk.trust.dead == [(DEAD.peer_id, 2)]


def test_slander_by_one_does_nothing_however_often_it_is_said() -> None:
    desk, fellows = quiet_desk()
    for _ in range(20):
        fellows[0].say(word(desk, FELLOWS[1]).encode())
        later(desk, 1.0, *fellows)
    assert (notices(desk), desk.trust.dead) == (0, [])


def test_slander_by_two_against_a_relay_that_is_heard_here_does_nothing() -> None:
    desk = Desk()
    desk.member()
    fellows = [desk.fellow(number) for number in range(4)]
    later(desk, 40.0, *fellows)
    for number in (1, 2, 3):
        fellows[number].say(word(desk, FELLOWS[number]).encode())
    assert (notices(desk), desk.trust.dead) == (0, [])


def test_only_a_fellows_own_word_counts() -> None:
    desk, fellows = quiet_desk()
    member = desk.wire(Identity(b"m" * 32).public_key)
    stranger = desk.wire(OUTSIDER.public_key)
    for wire, by in ((member, FELLOWS[1]), (stranger, OUTSIDER), (fellows[0], FELLOWS[2]), (fellows[0], STANDBYS[0])):
        wire.say(word(desk, by).encode())
    fellows[1].say(word(desk, FELLOWS[2]).encode())
    assert notices(desk) == 0


def test_nobody_outside_the_common_committee_is_declared_dead() -> None:
    desk, fellows = quiet_desk()
    outside = next(record for record in RECORDS if record.peer_id == OUTSIDER.peer_id)
    for number in (1, 2, 3):
        said = word(desk, FELLOWS[number], OUTSIDER.peer_id, sequence=outside.sequence)
        fellows[number - 1].say(said.encode())
        fellows[number - 1].say(word(desk, FELLOWS[number], OWN.peer_id).encode())
    assert notices(desk) == 0


@pytest.mark.parametrize("at_s", [-121, 121])
def test_an_obituary_that_is_not_of_now_is_refused(at_s: int) -> None:
    desk, fellows = quiet_desk()
    now_s = int(desk.now.unix_s)
    for number in (1, 2, 3):
        said = word(desk, FELLOWS[number], silent_s=now_s + at_s - 31, at_s=now_s + at_s)
        fellows[number - 1].say(said.encode())
    assert notices(desk) == 0


@pytest.mark.parametrize("silent_for_s", [24, 0, -5])
def test_an_obituary_of_somebody_who_was_silent_for_a_moment_is_refused(silent_for_s: int) -> None:
    desk, fellows = quiet_desk()
    for number in (1, 2, 3):
        said = word(desk, FELLOWS[number], silent_s=int(desk.now.unix_s) - silent_for_s)
        fellows[number - 1].say(said.encode())
    assert notices(desk) == 0


def test_a_forged_obituary_ends_the_link_it_came_on() -> None:
    desk, fellows = quiet_desk()
    true = word(desk, FELLOWS[1])
    forged = Obituary(true.peer_id, true.sequence, true.silent_s - 1, true.at_s, true.key, true.signature)
    with pytest.raises(MalformedFrame):
        fellows[0].say(forged.encode())
    fellows[1].say(word(desk, FELLOWS[2]).encode())
    assert notices(desk) == 0


def test_two_observers_of_one_address_group_are_one_observer() -> None:
    class OneGroup(RelayView):
        def group(self, peer_id: PeerId) -> Group:
            return Group(b"one")

    view = OneGroup(by_port=False, puzzle_bits=0)
    view.merge(RECORDS, START.unix_s)
    desk = Desk(view=view)
    desk.member()
    for number in (1, 2, 3):
        desk.fellow(number).say(word(desk, FELLOWS[number]).encode())
    assert notices(desk) == 0


def test_what_is_remembered_of_words_has_a_bound() -> None:
    desk, fellows = quiet_desk()
    for step in range(2 * MAX_PEERS):
        fellows[0].say(word(desk, FELLOWS[1], PeerId(step.to_bytes(32, "big"))).encode())
        fellows[0].say(word(desk, FELLOWS[1], sequence=RECORD.sequence + step).encode())
    assert len(desk.relay._deaths._words) == 1
    assert notices(desk) == 0


def test_words_about_different_records_are_not_the_same_word() -> None:
    desk, fellows = quiet_desk()
    fellows[0].say(word(desk, FELLOWS[1]).encode())
    fellows[1].say(word(desk, FELLOWS[2], sequence=RECORD.sequence + 1).encode())
    fellows[2].say(word(desk, FELLOWS[3], sequence=RECORD.sequence - 1).encode())
    assert notices(desk) == 0


def test_a_newer_record_voids_what_was_said_of_an_older_one() -> None:
    desk, fellows = quiet_desk()
    fellows[0].say(word(desk, FELLOWS[1]).encode())
    desk.view.merge([renewed(5)], desk.now.unix_s)
    fellows[1].say(word(desk, FELLOWS[2]).encode())
    assert notices(desk) == 0
    later(desk, 6.0, *fellows)
    for number in (1, 2):
        said = word(desk, FELLOWS[number], sequence=RECORD.sequence + 5_000)
        fellows[number - 1].say(said.encode())
    assert notices(desk) == 1


def test_a_relay_that_hears_too_few_of_the_others_neither_says_nor_counts_anything() -> None:
    desk, fellows = quiet_desk(met=True)
    assert not desk.relay.cut_off(desk.now)
    said = later(desk, 20.0, fellows[0])
    assert desk.relay.cut_off(desk.now)
    said += later(desk, 30.0, fellows[0])
    assert said == []
    fellows[0].say(word(desk, FELLOWS[1]).encode())
    desk.relay._deaths.told(FELLOWS[2].peer_id, word(desk, FELLOWS[2]), desk.now, desk.out)
    assert notices(desk) == 0
    later(desk, 1.0, *fellows)  # its network is back
    assert not desk.relay.cut_off(desk.now)
    fellows[1].say(word(desk, FELLOWS[2]).encode())
    fellows[2].say(word(desk, FELLOWS[3]).encode())
    assert notices(desk) == 1


def test_a_relay_whose_network_came_back_gives_the_others_time_to_come_back_too() -> None:
    desk, fellows = quiet_desk(met=True)
    later(desk, 40.0, fellows[0])
    assert later(desk, 25.0, *fellows) == []
    (said,) = later(desk, 15.0, *fellows)
    assert said.peer_id == DEAD.peer_id


def test_one_silent_fellow_of_one_is_not_called_a_cut_network() -> None:
    desk = Desk()
    desk.member()
    desk.fellow(0)
    desk.after(40.0)
    assert not desk.relay.cut_off(desk.now)


def test_a_relay_that_was_never_met_is_not_mourned() -> None:
    desk = Desk()
    desk.member()
    fellows = [desk.fellow(number) for number in (1, 2, 3)]
    assert later(desk, 60.0, *fellows) == []


def test_who_slept_itself_begins_to_count_again() -> None:
    desk, fellows = quiet_desk(met=True)
    later(desk, 10.0, *fellows)
    desk.now = desk.now.after(3_600.0)
    desk.relay.tick(desk.now, desk.out)
    assert later(desk, 20.0, *fellows) == []


# ---------------------------------------------------------------- whole committees


def room() -> tuple[Floor, list[Station], list[Guest]]:
    floor = Floor()
    stations = floor.add(*SEATS, *STANDBYS)
    guests = [Guest(station) for station in stations[:5]]
    floor.run(10.0)
    return floor, stations, guests


def test_a_relay_that_dies_is_declared_by_all_others_and_announced_by_the_standby_that_stands_in() -> None:
    floor, stations, guests = room()
    stations[0].on = False
    guests[1].say(envelope(1))
    floor.run(5.0)
    assert [station.duty.stands_in for station in stations[5:6]] == [True]
    floor.run(45.0)
    assert [station.deaths for station in stations[1:6]] == [1] * 5
    assert [station.trust.dead[0][0] for station in stations[1:6]] == [OWN.peer_id] * 5
    assert [len(station.announced) for station in stations] == [0, 0, 0, 0, 0, 1, 0, 0]
    (told,) = stations[5].announced
    record = decode_record(told.record.raw)
    assert isinstance(record.body, AnnouncementBody)
    assert record.is_live(floor.now.unix_s)
    assert (record.peer_id, record.body.tag, record.body.seat) == (STANDBYS[0].peer_id, KEYS.tag, 5)
    assert record.body.roster == tuple(relay.peer_id for relay in (*FELLOWS, STANDBYS[0]))


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_a_split_of_the_network_declares_nobody_dead_on_either_side(size: int) -> None:
    """One lone relay on a side is the one case that cannot be told from a death; the others hear of it in time."""
    floor, stations, _ = room()
    floor.split(stations[:size])
    floor.run(120.0)
    lost_alone = 1 if size in (1, 4) else 0
    dead_by_view = {peer for station in stations for peer, _ in station.trust.dead}
    assert len(dead_by_view) <= lost_alone
    floor.heal()
    floor.run(60.0)
    assert [station.duty.promoted for station in stations[:5]] == [0] * 5
    assert not any(station.relay.cut_off(floor.now) for station in stations[:5])


def test_a_short_silence_is_nobodys_death() -> None:
    floor, stations, _ = room()
    floor.split(stations[:1])
    floor.run(20.0)
    floor.heal()
    floor.run(60.0)
    assert sum(station.deaths for station in stations) == 0
    assert not any(isinstance(effect, Announce) for station in stations for effect in station.kept)
