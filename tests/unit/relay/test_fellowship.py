"""Relays of one committee: signs of life, standbys that step in, and when a fellow counts as dead."""

from __future__ import annotations

import pytest

from railgun_core.base.clock import Instant
from railgun_core.base.ids import PeerId
from railgun_core.base.keys import Identity
from railgun_core.events import Announce, Hangup, Noticed
from railgun_core.relay.fellowship import SEEK_EVERY_S
from railgun_core.wire.frames import Ack, Got, Ping, Pong, Pull
from railgun_core.wire.heads import Head
from railgun_core.wire.mail import Obituary, sign_obituary
from railgun_core.wire.records import AnnouncementBody, sign_record
from tests.unit.relay.desk import (
    COMMITTEE,
    FELLOWS,
    OUTSIDER,
    RECORDS,
    RELAYS,
    Desk,
    Wire,
    envelope,
    identity_of,
)

STANDBYS = [holder.peer_id for holder in COMMITTEE.standbys]
SEATS = list(COMMITTEE.members)


def seated(desk: Desk, *, without: tuple[int, ...] = ()) -> dict[int, Wire]:
    """A member published, and fellows are linked, but for some."""
    wires = {n: desk.fellow(n) for n in range(4) if n not in without}
    for wire in wires.values():
        wire.heard()
    return wires


def answering(desk: Desk, wires: list[Wire], seconds: float) -> None:
    """Let time pass in small steps; these answer every ping."""
    for _ in range(int(seconds * 4)):
        desk.after(0.25)
        for wire in wires:
            for frame in wire.control():
                if isinstance(frame, Ping):
                    wire.say(Pong(frame.nonce).encode())


def published(desk: Desk, number: int = 1) -> Wire:
    member = desk.member()
    member.say(envelope(number))
    return member


def stored(member: Wire) -> int:
    acks = [frame for frame in member.control() if isinstance(frame, Ack)]
    return acks[-1].stored if acks else 0


def test_a_silent_fellow_is_pinged_each_second_and_a_standby_is_dialled_after_three() -> None:
    desk = Desk()
    member = desk.member()
    wires = seated(desk)
    member.say(envelope(1))
    answering(desk, [wires[1], wires[2], wires[3]], 3.5)
    asked = [frame for frame in wires[0].control() if isinstance(frame, Ping)]
    assert len(asked) >= 2
    assert STANDBYS[0] not in desk.dialled
    answering(desk, [wires[1], wires[2], wires[3]], 2.0)
    assert desk.dialled[-1] == STANDBYS[0], "one seat is in doubt: the first standby holds a copy"
    assert not wires[0].hung_up, "a suspect keeps its link"


def test_a_suspect_that_speaks_again_is_a_fellow_as_before() -> None:
    desk = Desk()
    member = desk.member()
    wires = seated(desk)
    member.say(envelope(1))
    answering(desk, [wires[1], wires[2], wires[3]], 6.0)
    assert desk.duty.fellows[-1] in STANDBYS
    wires[0].say(Pong(0).encode())
    assert desk.duty.fellows == tuple(f.peer_id for f in FELLOWS)


@pytest.mark.parametrize("gone", [1, 2, 4])
def test_with_standbys_in_place_of_lost_seats_an_envelope_is_stored_again(gone: int) -> None:
    desk = Desk()
    member = desk.member()
    wires = seated(desk)
    for number in range(gone):
        wires[number].drop()
        desk.relay.dial_failed(FELLOWS[number].peer_id, desk.now, desk.out)
    desk.after(SEEK_EVERY_S)
    promoted = STANDBYS[: min(gone, 3)]
    assert [p for p in desk.dialled if p in STANDBYS] == promoted
    copies = [*list(wires.values())[gone:], *(desk.relay_of(p) for p in promoted)]
    for wire in copies:
        wire.heard()
    member.say(envelope(1))
    assert stored(member) == 0
    for wire in copies[:2]:
        wire.say(Got(desk.duty.handle, 1).encode())
    assert stored(member) == 1, "two others hold it besides this relay: three copies of five"


def test_a_standby_reaches_the_other_standbys_when_all_seats_are_gone() -> None:
    desk = Desk(own=identity_of(STANDBYS[1]))
    member = desk.member()
    for seat in SEATS:
        desk.relay.dial_failed(seat, desk.now, desk.out)
    assert [p for p in desk.dialled if p in STANDBYS] == [STANDBYS[0], STANDBYS[2]]
    others = [desk.relay_of(p) for p in (STANDBYS[0], STANDBYS[2])]
    for wire in others:
        wire.heard()
    member.say(envelope(1))
    for wire in others:
        assert wire.envelopes() == [1]
        wire.say(Got(desk.duty.handle, 1).encode())
    assert stored(member) == 1


def test_who_steps_in_is_given_what_no_majority_holds_and_asked_what_it_holds() -> None:
    desk = Desk()
    published(desk)
    desk.relay.dial_failed(FELLOWS[0].peer_id, desk.now, desk.out)
    standby = desk.relay_of(STANDBYS[0])
    control, numbers = standby.heard()
    assert numbers == [1]
    assert Pull(desk.duty.handle, 0) in control


def silent_for_a_minute(desk: Desk) -> list[Wire]:
    """Seat 1 fell silent, three fellows did not; what they were told meanwhile is still to be heard."""
    desk.member()
    wires = seated(desk)
    wires[0].drop()
    others = [wires[1], wires[2], wires[3]]
    for _ in range(40):
        desk.relay.dial_failed(FELLOWS[0].peer_id, desk.now, desk.out)
        for wire in others:
            wire.say(Ping(1).encode())
        desk.after(1.0)
    return others


def words(wire: Wire) -> list[Obituary]:
    return [frame for frame in wire.control() if isinstance(frame, Obituary)]


def obituary_of(observer: Identity, peer: PeerId, desk: Desk, *, silent_s: float = 40.0) -> bytes:
    sequence = RECORDS[next(n for n, relay in enumerate(RELAYS) if relay.peer_id == peer)].sequence
    unix_s = int(desk.now.unix_s)
    return sign_obituary(observer, peer, sequence=sequence, silent_s=unix_s - int(silent_s), at_s=unix_s).encode()


def test_one_observer_gives_its_word_and_nobody_is_dead_by_it() -> None:
    desk = Desk()
    others = silent_for_a_minute(desk)
    told = [words(wire) for wire in others]
    assert all(len(said) == 1 for said in told), "once to each"
    assert told[0][0].peer_id == FELLOWS[0].peer_id
    assert told[0][0].is_signed()
    assert desk.trust.dead == []


def test_by_the_word_of_two_a_fellow_is_dead_once() -> None:
    desk = Desk()
    others = silent_for_a_minute(desk)
    others[0].say(obituary_of(FELLOWS[1], FELLOWS[0].peer_id, desk))
    others[1].say(obituary_of(FELLOWS[2], FELLOWS[0].peer_id, desk))
    assert desk.trust.dead == [(FELLOWS[0].peer_id, 2)]
    assert [effect for effect in desk.out if isinstance(effect, Noticed)] == [Noticed("relay-died")]


def test_the_standby_in_its_place_announces_itself() -> None:
    desk = Desk(own=identity_of(STANDBYS[0]))
    desk.member()
    wires = [desk.relay_of(p) for p in SEATS[1:]]
    desk.relay.dial_failed(SEATS[0], desk.now, desk.out)
    for number, wire in enumerate(wires[:2], start=1):
        wire.say(obituary_of(identity_of(SEATS[number]), SEATS[0], desk))
    (announced,) = [effect.record for effect in desk.out if isinstance(effect, Announce)]
    body = announced.body
    assert isinstance(body, AnnouncementBody)
    assert (body.tag, body.epoch, body.seat) == (desk.duty.tag, desk.duty.epoch, 5)
    assert SEATS[0] not in body.roster
    assert announced.is_live(desk.now.unix_s)


def test_slander_by_one_observer_under_many_words_kills_nobody() -> None:
    desk = Desk()
    desk.member()
    wires = seated(desk)
    for silent_s in range(30, 90, 5):
        wires[1].say(obituary_of(FELLOWS[1], FELLOWS[0].peer_id, desk, silent_s=silent_s))
    assert desk.trust.dead == []
    assert desk.duty.fellows == tuple(f.peer_id for f in FELLOWS), "and nobody is replaced by hearsay"


def test_words_that_are_forged_stale_early_or_of_a_stranger_do_not_count() -> None:
    desk = Desk()
    others = silent_for_a_minute(desk)
    target = FELLOWS[0].peer_id
    others[0].say(obituary_of(FELLOWS[3], target, desk))  # not its own word
    others[0].say(obituary_of(OUTSIDER, target, desk))
    others[0].say(obituary_of(FELLOWS[1], target, desk, silent_s=10.0))
    unix_s, sequence = int(desk.now.unix_s), RECORDS[RELAYS.index(FELLOWS[0])].sequence
    late = sign_obituary(FELLOWS[1], target, sequence=sequence, silent_s=unix_s - 900, at_s=unix_s - 600)
    others[0].say(late.encode())
    older = sign_obituary(FELLOWS[1], target, sequence=sequence - 1, silent_s=unix_s - 40, at_s=unix_s)
    others[0].say(older.encode())
    stranger = desk.wire(OUTSIDER.public_key)
    stranger.say(obituary_of(OUTSIDER, target, desk))
    assert desk.trust.dead == []


def test_a_newer_record_of_the_peer_voids_every_word_about_it() -> None:
    desk = Desk()
    others = silent_for_a_minute(desk)
    number = RELAYS.index(FELLOWS[0])
    old = RECORDS[number]
    fresh = sign_record(
        FELLOWS[0],
        old.body,
        sequence=int(desk.now.unix_s * 1000),
        not_before_s=old.not_before_s,
        expires_s=int(desk.now.unix_s) + 1_000,
    )
    desk.view.merge([fresh], desk.now.unix_s)
    others[0].say(obituary_of(FELLOWS[1], FELLOWS[0].peer_id, desk))
    assert desk.trust.dead == []


def test_a_relay_that_lost_most_of_its_links_declares_nobody_dead_and_closes_none() -> None:
    desk = Desk()
    desk.member()
    wires = seated(desk)
    desk.after(60.0)  # nobody answers: it is this relay that is cut off
    assert desk.relay.cut_off(desk.now)
    assert not any(isinstance(effect, Hangup) for effect in desk.out)
    assert all(not words(wire) for wire in wires.values())
    wires[0].say(obituary_of(FELLOWS[0], FELLOWS[3].peer_id, desk))
    wires[1].say(obituary_of(FELLOWS[1], FELLOWS[3].peer_id, desk))
    assert desk.trust.dead == []


def test_after_a_sleep_fellows_are_dialled_at_once() -> None:
    desk = Desk()
    published(desk)
    for fellow in FELLOWS:
        for _ in range(6):
            desk.relay.dial_failed(fellow.peer_id, desk.now, desk.out)
    desk.dialled.clear()
    desk.relay.woke(desk.now, desk.out)
    assert set(desk.dialled) >= {fellow.peer_id for fellow in FELLOWS}


def test_listening_members_get_the_signed_order_of_what_came() -> None:
    desk = Desk()
    listener, sender = desk.member(), desk.member()
    sender.say(*(envelope(number) for number in range(1, 18)))
    desk.after(1.1)
    (head,) = [frame for frame in listener.control() if isinstance(frame, Head)]
    assert head.is_signed()
    assert (head.relay, head.tag, head.count) == (desk.own.peer_id, desk.duty.tag, 16)
    desk.after(5.0)
    assert not [frame for frame in listener.control() if isinstance(frame, Head)], "nothing new was signed"


def test_a_duty_that_comes_again_as_the_clock_is_set_back_signs_no_second_story() -> None:
    """Two chains from one start would differ, and members would convict an honest relay."""
    desk = Desk()
    for begin in (1, 101):
        listener, sender = desk.member(), desk.member()
        sender.say(*(envelope(number) for number in range(begin, begin + 17)))
        desk.after(1.1)
        heads = [frame for frame in listener.control() if isinstance(frame, Head)]
        assert len(heads) == (begin == 1)
        desk.after(900.0)
        assert not desk.relay.duties
        desk.now = Instant(desk.now.mono_s, desk.now.unix_s - 901.1)
