"""Fellows that fall silent or go: standbys stand in, confirmed copies count, and who comes back is welcome."""

from __future__ import annotations

from railgun_core.base.clock import Instant
from railgun_core.base.ids import handle_of
from railgun_core.base.keys import Identity
from railgun_core.relay.fellowship import FIRST_MISSED_AFTER_S
from railgun_core.wire.frames import Ack, Bye, Got, Open, Opened, Ping, Pong, Pull, Refused, Role
from railgun_core.wire.kinds import Refusal
from tests.unit.relay.desk import FELLOWS, KEYS, OWN, RELAYS, STANDBYS, Desk, Wire, envelope, view_of

HANDLE = handle_of(KEYS.tag)
SEATS = (OWN, *FELLOWS)


def answer(*wires: Wire) -> int:
    """Answer every ping; how many there were."""
    pings = 0
    for wire in wires:
        for frame in wire.control():
            if isinstance(frame, Ping):
                pings += 1
                wire.say(Pong(frame.nonce).encode())
    return pings


def busy_desk() -> tuple[Desk, Wire, list[Wire]]:
    """A relay with four fellows that confirm, and a writer."""
    desk = Desk()
    writer = desk.member()
    fellows = [desk.fellow(n) for n in range(4)]
    writer.say(envelope(1))
    for fellow in fellows:
        fellow.say(Got(HANDLE, 1).encode())
        fellow.heard()
    return desk, writer, fellows


def later(desk: Desk, seconds: float, *alive: Wire) -> None:
    """Time passes; these fellows answer."""
    for _ in range(round(seconds * 4)):
        desk.after(0.25)
        answer(*alive)


def test_a_silent_fellow_of_a_busy_duty_is_asked_each_second_and_suspected_after_three_pings() -> None:
    desk, _, (silent, *others) = busy_desk()
    pings = []
    for _ in range(5):
        later(desk, 1.0, *others)
        pings.append(sum(isinstance(frame, Ping) for frame in silent.control()))
        assert desk.duty.promoted == (len(pings) >= 4)
    assert pings == [1, 1, 1, 1, 1]
    assert desk.dialled[-1] == STANDBYS[0].peer_id
    assert not silent.hung_up


def test_a_fellow_of_a_quiet_duty_is_asked_every_five_seconds() -> None:
    desk, _, fellows = busy_desk()
    later(desk, 15.0, *fellows)
    pings = 0
    for _ in range(80):
        desk.after(0.25)
        pings += answer(*fellows)
    assert pings in (16, 20)  # four fellows, 20 s
    assert desk.duty.promoted == 0


def test_a_duty_with_envelopes_again_is_watched_closely_at_once() -> None:
    desk, writer, fellows = busy_desk()
    later(desk, 21.0, *fellows)
    writer.say(envelope(2))
    for fellow in fellows:
        fellow.say(Got(HANDLE, 2).encode())
        fellow.heard()
    later(desk, 4.5, *fellows[1:])
    assert desk.duty.promoted == 1


def test_any_frame_of_a_suspect_ends_the_suspicion_and_what_it_confirmed_counted_all_along() -> None:
    desk, writer, (silent, second, *_) = busy_desk()
    later(desk, 5.0)
    assert desk.duty.promoted == 3
    writer.heard()
    writer.say(envelope(2))
    second.say(Got(HANDLE, 2).encode())
    silent.say(Got(HANDLE, 2).encode())
    assert writer.control()[-1] == Ack(HANDLE, 2, 2, 3, 5)
    assert desk.duty.promoted == 2


def test_a_promoted_standby_is_given_what_no_majority_has_and_asked_for_what_it_holds() -> None:
    desk = Desk()
    writer, first = desk.member(), desk.fellow(0)
    writer.say(envelope(1), envelope(2))
    first.say(Got(HANDLE, 2).encode())
    later(desk, FIRST_MISSED_AFTER_S + 0.5, first)
    assert desk.duty.promoted == 3
    assert [peer_id in desk.dialled for peer_id in (s.peer_id for s in STANDBYS)] == [True] * 3
    standby = desk.wire(STANDBYS[0].public_key, inbound=False)
    assert [type(frame) for frame in standby.control()] == [Open]
    standby.say(Opened(HANDLE, 5, 5, 1, 1).encode())
    control, copies = standby.heard()
    assert copies == [1, 2]
    assert Pull(HANDLE, 0) in control
    writer.heard()
    standby.say(Got(HANDLE, 2).encode())
    assert writer.control() == [Ack(HANDLE, 2, 2, 3, 5)]


def test_a_lost_seat_is_replaced_when_its_redial_fails_or_after_a_second() -> None:
    for fails in (True, False):
        desk, _, (lost, *others) = busy_desk()
        lost.drop()
        later(desk, 0.75, *others)
        assert desk.duty.promoted == 0
        if fails:
            desk.relay.dial_failed(FELLOWS[0].peer_id, desk.now, desk.out)
            desk.after(0.0)
            assert desk.duty.promoted == 1
        later(desk, 0.5, *others)
        assert desk.duty.promoted == 1
        desk.fellow(0)
        assert desk.duty.promoted == 0


def test_a_seat_that_comes_back_within_a_second_is_not_replaced() -> None:
    desk, _, (lost, *others) = busy_desk()
    lost.drop()
    later(desk, 0.75, *others)
    others.append(desk.fellow(0))
    later(desk, 5.0, *others)
    assert desk.duty.promoted == 0
    assert STANDBYS[0].peer_id not in desk.dialled


def test_a_seat_that_goes_on_refusing_is_replaced() -> None:
    desk, _, (_, *others) = busy_desk()
    others[0].drop()
    back = desk.wire(FELLOWS[1].public_key, inbound=False)
    back.heard()
    for _ in range(3):
        back.say(Refused(HANDLE, Refusal.NOT_SERVING, 1_000).encode())
        later(desk, 2.25, *others[1:])
        assert Open in [type(frame) for frame in back.control()]
    assert desk.duty.promoted >= 1


def test_a_fellow_whose_epoch_is_over_is_not_replaced() -> None:
    desk, _, (early, *others) = busy_desk()
    early.say(Bye(HANDLE).encode())
    later(desk, 4.0, early, *others)
    assert desk.duty.promoted == 0


def test_a_network_of_few_relays_has_nobody_to_promote() -> None:
    three = [n for n, relay in enumerate(RELAYS) if relay in (OWN, *FELLOWS[:2])]
    desk = Desk(view=view_of(*three))
    writer = desk.member()
    desk.after(20.0)
    assert (desk.duty.promoted, desk.duty.stands_in) == (0, False)
    one = desk.fellow(0)
    one.heard()
    writer.say(envelope(1))
    writer.heard()
    one.say(Got(HANDLE, 1).encode())
    assert writer.control() == [Ack(HANDLE, 1, 1, 2, 3)]


def test_waking_forgets_every_back_off_and_dials_all_fellows_at_once() -> None:
    desk, _, fellows = busy_desk()
    for fellow in fellows:
        fellow.drop()
    for number in range(4):
        for _ in range(6):
            desk.relay.dial_failed(FELLOWS[number].peer_id, desk.now, desk.out)
    desk.after(1.0)
    desk.dialled.clear()
    desk.relay.woke(desk.now, desk.out)
    assert desk.dialled[:4] == [fellow.peer_id for fellow in FELLOWS]
    assert desk.duty.promoted == 0
    assert not desk.relay.cut_off(desk.now)


def test_a_duty_whose_epoch_went_by_in_a_sleep_retires_at_once_on_waking() -> None:
    desk, _, _ = busy_desk()
    desk.now = Instant(desk.now.mono_s + 1.0, desk.now.unix_s + 10_000.0)  # this clock stands still in a sleep
    desk.relay.woke(desk.now, desk.out)
    desk.after(0.0)
    assert not desk.relay.duties


def test_a_suspect_that_dials_anew_is_met_on_its_new_link_whoever_dialled_the_old_one() -> None:
    for number in range(4):
        desk = Desk()
        writer = desk.member()
        old = desk.wire(FELLOWS[number].public_key, inbound=False)
        old.say(Opened(HANDLE, 1, 5, 1, 1).encode())
        writer.say(envelope(1))
        desk.after(5.0)
        new = desk.fellow(number)
        assert old.hung_up
        assert not new.hung_up
        assert new.envelopes() == [1]
        old.drop()
        assert desk.duty.replicas[FELLOWS[number].peer_id].link == new.link


def test_a_relay_speaks_its_role_only_to_relays() -> None:
    desk, _, _ = busy_desk()
    member = desk.wire(Identity(b"x" * 32).public_key)
    later(desk, 30.0)
    assert [f for f in member.control() if isinstance(f, Ping) or (isinstance(f, Open) and f.role is Role.RELAY)] == []
