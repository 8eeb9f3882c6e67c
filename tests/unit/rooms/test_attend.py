"""Signs of life of relays: who is asked how often, who becomes a suspect, and what that changes."""

from __future__ import annotations

import pytest

from railgun_core.base.heartbeat import DEAD_AFTER_S
from railgun_core.changes import Delivery
from railgun_core.events import Hangup
from railgun_core.rooms.lane import CALM_S
from railgun_core.wire.frames import Ack, Bye, Have, Open, Pull, Slice, Want
from tests.unit.rooms.table import HANDLE, ScriptedRelay, Table, met, read, seated

SUSPECT_WITHIN_S = 4.2  # three pings, a second for the last answer, and the grid of looks


def silence(*relays: ScriptedRelay) -> None:
    for relay in relays:
        relay.silent = True


def hung_up(table: Table, relay: ScriptedRelay) -> bool:
    return any(isinstance(effect, Hangup) and effect.link == relay.link for effect in table.out)


def test_a_silent_pusher_is_replaced_within_five_seconds_and_nothing_is_closed() -> None:
    table = seated()
    pusher, second = table.relay(Slice.PUSH), table.relay(Slice.ANNOUNCE)
    silence(pusher)
    second.asked.clear()
    table.after(SUSPECT_WITHIN_S)
    assert table.session(pusher).is_suspect
    assert second.slice is Slice.PUSH
    assert Pull(HANDLE, 0) in second.asked
    assert not hung_up(table, pusher)
    assert len(table.relays) == 4, "a suspect does not count: a fourth was dialled"
    (failover,) = table.measured("failover")
    assert failover.cause == "silent"
    assert 3_000 < failover.ms < 5_000


def test_what_only_the_suspect_has_goes_to_another_and_late_answers_count() -> None:
    table = seated()
    ann = met(table)
    pusher = table.relay(Slice.PUSH)
    table.submit(b"one", b"two")
    pusher.ack(stored=0)  # taken, and then it stops before a majority has them
    silence(pusher)
    table.after(SUSPECT_WITHIN_S)
    other = table.relay(Slice.PUSH)
    assert other is not pusher
    assert other.items() == [1, 2]
    assert table.room.outbox.waiting == 2
    pusher.silent = False
    pusher.ack()
    assert table.moved[-1] == (1, 2, Delivery.STORED)
    assert table.room.outbox.waiting == 0
    before = list(table.moved)
    other.ack()
    assert table.moved == before, "what is stored is not stored again"
    other.push(ann.has(table, 2))
    assert table.moved[-1] == (1, 2, Delivery.DELIVERED)


def test_a_late_refusal_of_a_suspect_disturbs_nothing() -> None:
    table = seated()
    pusher = table.relay(Slice.PUSH)
    table.submit(b"words")
    silence(pusher)
    table.after(SUSPECT_WITHIN_S)
    for relay in table.relays:
        if relay is not pusher:
            relay.ack()
    assert table.room.outbox.waiting == 0
    pusher.silent = False
    pusher.ack()
    assert table.room.outbox.waiting == 0
    assert not table.session(pusher).untaken


def test_the_failover_lasts_until_another_has_taken_what_was_open() -> None:
    table = seated()
    pusher = table.relay(Slice.PUSH)
    table.submit(b"words")
    pusher.die()
    assert table.measured("failover") == []
    table.after(0.1)
    table.relay(Slice.PUSH).ack(stored=0)
    (failover,) = table.measured("failover")
    assert (failover.cause, round(failover.ms)) == ("closed", 100)


def test_a_failover_is_over_when_the_hedge_has_taken_it_before_the_relay_is_suspect() -> None:
    table = seated()
    pusher = table.relay(Slice.PUSH)
    silence(pusher)
    table.submit(b"words")
    table.after(1.0)
    for relay in table.relays:
        if relay is not pusher and relay.published:
            relay.ack(stored=0)
    table.after(SUSPECT_WITHIN_S)
    (failover,) = table.measured("failover")
    assert failover.cause == "silent"
    assert failover.ms < 5_000


def test_a_relay_that_leaves_its_duty_is_refused_and_one_that_only_stands_by_is_no_failover() -> None:
    table = seated()
    table.relay(Slice.QUIET).die()
    assert table.measured("failover") == []
    table.relay(Slice.PUSH).say(Bye(HANDLE).encode())
    assert [failover.cause for failover in table.measured("failover")] == ["refused"]


def test_own_hangups_are_no_failovers() -> None:
    table = seated()
    table.rooms.leave(table.room, table.now, table.out)
    table.carry()
    assert table.measured("failover") == []


def test_a_suspect_that_comes_back_waits_behind_the_others_and_then_pushes_again_once() -> None:
    table = seated()
    pusher = table.relay(Slice.PUSH)
    silence(pusher)
    table.after(SUSPECT_WITHIN_S)
    pusher.silent = False
    for _ in range(3):  # again and again: nothing moves while it is on trial
        table.after(3.0)
        silence(pusher)
        table.after(SUSPECT_WITHIN_S)
        pusher.silent = False
    opens = sum(isinstance(frame, Open) for relay in table.relays for frame in relay.asked)
    table.after(CALM_S / 2)
    assert opens == sum(isinstance(frame, Open) for relay in table.relays for frame in relay.asked)
    assert table.relay(Slice.PUSH) is not pusher
    table.after(CALM_S)
    assert table.relay(Slice.PUSH) is pusher
    assert len(table.measured("failover")) == 1
    for relay in table.relays:
        relay.ack()  # syncs
    table.after(2.0)
    assert len(table.relays) == 3, "the surplus session is closed"
    assert sorted(relay.slice for relay in table.relays) == [Slice.QUIET, Slice.PUSH, Slice.ANNOUNCE]


def test_a_dead_relay_is_closed_after_thirty_seconds() -> None:
    table = seated()
    pusher = table.relay(Slice.PUSH)
    silence(pusher)
    table.after(DEAD_AFTER_S - 1.0)
    assert not hung_up(table, pusher)
    table.after(2.0)
    assert hung_up(table, pusher)
    assert len(table.measured("failover")) == 1, "its end is not counted a second time"


def test_a_member_that_is_cut_off_declares_nobody_dead_and_goes_on_where_it_was() -> None:
    table = seated()
    relays = list(table.relays)
    silence(*relays)
    table.answers = False
    table.after(DEAD_AFTER_S + 20.0)
    assert not any(hung_up(table, relay) for relay in relays)
    assert all(table.session(relay).is_suspect for relay in relays)
    for relay in relays:
        relay.silent = False
    table.after(3.0)
    assert not any(table.session(relay).is_suspect for relay in relays)
    assert table.measured("failover") == [], "the relays came back: none was replaced"
    assert sorted(relay.slice for relay in relays) == [Slice.QUIET, Slice.PUSH, Slice.ANNOUNCE]


def test_all_three_silent_at_once_others_push_within_five_seconds() -> None:
    table = seated()
    silence(*table.relays)
    table.after(SUSPECT_WITHIN_S)
    pusher = table.relay(Slice.PUSH)
    assert not pusher.silent
    assert len(table.measured("failover")) >= 1
    assert all(failover.ms < 5_000 for failover in table.measured("failover"))
    silent = [relay for relay in table.relays if relay.silent]
    table.after(DEAD_AFTER_S)
    assert all(hung_up(table, relay) for relay in silent), "others answer: it is not this member that is cut off"


def test_a_successor_that_does_not_answer_is_passed_over_before_it_is_suspect() -> None:
    table = seated()
    pusher, second, third = (table.relay(s) for s in (Slice.PUSH, Slice.ANNOUNCE, Slice.QUIET))
    silence(second)
    pusher.die()
    assert second.slice is Slice.PUSH
    table.after(2.4)
    assert not table.session(second).is_suspect
    assert third.slice is Slice.PUSH
    (failover,) = table.measured("failover")
    assert (failover.cause, failover.ms < 2_500) == ("closed", True)


def test_the_silence_of_a_relay_before_it_was_used_is_no_part_of_a_failover() -> None:
    table = seated()
    table.after(4.0)  # the third relay is asked every five seconds
    third = table.relay(Slice.QUIET)
    silence(third)
    table.after(0.9)
    for relay in list(table.relays):
        if relay is not third:
            table.dead.add(relay.peer_id)
            relay.die()
    began_s = table.now.mono_s
    table.after(6.0)
    assert all(failover.ms <= (table.now.mono_s - began_s) * 1000 for failover in table.measured("failover"))


def test_an_item_is_with_another_relay_when_all_sessions_are_silent() -> None:
    table = seated()
    old = list(table.relays)
    silence(*old)
    table.submit(b"words")
    table.after(3.5)
    assert any(relay.items() == [1] for relay in table.relays if relay not in old)


def test_a_session_that_is_not_opened_in_time_is_given_up() -> None:
    table = Table(opens=False)
    table.enter()
    first = list(table.relays)
    table.after(1.0)
    assert table.relays == first
    table.after(5.0)
    assert all(hung_up(table, relay) for relay in first)
    assert table.measured("failover") == []


def test_what_a_relay_never_answers_costs_no_wake_ups_beyond_the_grid() -> None:
    table = Table(answers=False)
    table.enter()
    assert wake_ups(table, 20.0) < 20 * 8


def wake_ups(table: Table, seconds: float) -> int:
    """How often the member wakes up by itself."""
    count, end = 0, table.now.mono_s + seconds
    while (due_s := table.rooms.timers.next_s()) is not None and due_s <= end:
        table.now = table.now.after(max(0.0, due_s - table.now.mono_s))
        table.rooms.tick(table.now, table.out)
        table.carry()
        count += 1
    table.now = table.now.after(end - table.now.mono_s)
    return count


def test_an_idle_member_of_two_rooms_wakes_up_about_once_a_second() -> None:
    table = seated()
    table.rooms.create("second", b"another root of another room!!!!", table.now, table.out, joining=False)
    table.carry()
    table.after(60.0)
    assert wake_ups(table, 60.0) <= 90


def test_after_waking_everything_is_dialled_anew_at_once_and_is_no_failover() -> None:
    table = seated()
    table.answers = False
    for relay in list(table.relays):
        relay.die()
    table.after(8.0)  # back-offs grow
    table.answers = True
    table.dials.clear()
    before = table.measured("failover")
    table.rooms.woke(table.now, table.out)
    table.carry()
    assert sorted(relay.slice for relay in table.relays) == [Slice.QUIET, Slice.PUSH, Slice.ANNOUNCE]
    table.after(1.0)
    assert table.measured("failover") == before
    assert table.relay(Slice.PUSH).syncs(), "it says where it stands"


@pytest.mark.parametrize("frame", [Ack(HANDLE, 0, 0, 3, 5).encode()])
def test_any_frame_is_a_sign_of_life(frame: bytes) -> None:
    table = seated()
    pusher = table.relay(Slice.PUSH)
    silence(pusher)
    for _ in range(12):
        table.after(1.5)
        pusher.say(frame)
    assert not table.session(pusher).is_suspect
    assert pusher.slice is Slice.PUSH


def test_a_relay_that_keeps_back_what_another_one_brings_stops_pushing_and_stays_open() -> None:
    table = seated()
    ann = met(table)
    table.after(3.0)
    idle, second = table.relay(Slice.PUSH), table.relay(Slice.ANNOUNCE)
    for seq in range(1, 5):
        assert idle.slice is Slice.PUSH or seq > 3
        item = ann.item(seq)
        second.say(Have(HANDLE, seq, (item[0],)).encode())
        second.push(item)
        table.after(2.5)
    assert len(read(table)) == 4
    assert (idle.slice, second.slice) == (Slice.QUIET, Slice.PUSH)
    assert idle in table.relays


def test_an_own_item_that_no_other_relay_speaks_of_goes_to_one_that_stands_by_though_it_is_said_to_be_stored() -> None:
    table = seated()
    met(table)
    liar, second, third = (table.relay(slice_) for slice_ in (Slice.PUSH, Slice.ANNOUNCE, Slice.QUIET))
    table.submit(b"words")
    liar.ack()
    table.after(1.1)
    assert (liar.items(), second.items(), third.items()) == ([1], [], [])
    table.after(0.2)
    assert (liar.items(), second.items(), third.items()) == ([1], [], [1])
    third.ack()
    second.say(Have(HANDLE, 1, (third.published[-1][0],)).encode())
    table.after(2.5)
    assert table.room.lanes_by_use()[0].esteem.level(liar.peer_id) > 0
    assert second.items() == []


def test_an_own_item_that_another_relay_names_is_sent_once() -> None:
    table = seated()
    met(table)
    first, second, third = (table.relay(slice_) for slice_ in (Slice.PUSH, Slice.ANNOUNCE, Slice.QUIET))
    table.submit(b"words")
    first.ack()
    second.say(Have(HANDLE, 1, tuple(msg_id for msg_id, _ in first.published)).encode())
    table.after(5.0)
    assert (first.items(), second.items(), third.items()) == ([1], [], [])


def test_after_three_seconds_of_silence_a_relay_that_stands_by_is_asked_what_the_others_keep_back() -> None:
    table = seated()
    ann = met(table)
    third = table.relay(Slice.QUIET)
    third.asked.clear()
    table.after(4.2)
    assert any(isinstance(frame, Pull) for frame in third.asked)
    item = ann.item(1)
    third.say(Have(HANDLE, 1, (item[0],)).encode())
    assert [frame.ids for frame in third.asked if isinstance(frame, Want)] == [(item[0],)]
    third.push(item)
    assert len(read(table)) == 1
    third.asked.clear()
    table.after(4.2)
    assert [frame.position for frame in third.asked if isinstance(frame, Pull)] == [1]
