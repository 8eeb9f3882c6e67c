"""Deposits: who may leave what, when it counts as kept, and what goes before its time."""

from __future__ import annotations

import dataclasses

import pytest

from railgun_core.base.clock import Instant
from railgun_core.base.ids import Group
from railgun_core.changes import MailDrop
from railgun_core.committee.epoch import DAY_S
from railgun_core.events import Noticed
from railgun_core.mailbox.limits import DISK_PAGE_BYTES, EVICT_AT_ONCE, LEAST_CHARGE_BYTES, MailboxLimits
from railgun_core.mailbox.mailbox import DISK_REST_S, EXPIRE_EVERY_S, MAX_TTL_S
from railgun_core.wire.kinds import Refusal
from railgun_core.wire.mail import Deposit
from railgun_core.wire.posts import PostStatus
from tests.property.networks import NOW_S
from tests.unit.mailbox.desk import START, TODAY, TTL_S, Desk, deposit, id_of, room

MEDIUM_FRAME = 4_096 + 33


def small(**limits: float) -> MailboxLimits:
    return dataclasses.replace(MailboxLimits(), **limits)  # type: ignore[arg-type]


def test_a_receipt_leaves_only_when_the_envelope_is_durable() -> None:
    desk = Desk()
    member = desk.wire()
    assert member.leave(deposit(1)) == []
    save = desk.commit()
    assert member.receipts() == []
    desk.then.pop(save.ticket)(desk.now, desk.out)
    desk.sort()
    (receipt,) = member.receipts()
    assert (receipt.msg_id, receipt.code) == (id_of(1), None)
    assert desk.kept() == [1]
    assert desk.mailbox.status().deposits == 1


def test_a_repeated_deposit_waits_for_the_first_and_is_kept_once() -> None:
    desk = Desk()
    one, other = desk.wire(), desk.wire()
    assert one.leave(deposit(1)) == []
    assert other.leave(deposit(1)) == []
    assert len(desk.saves) == 1
    desk.save()
    assert [r.code for r in one.receipts() + other.receipts()] == [None, None]
    assert [r.code for r in other.leave(deposit(1))] == [None]
    assert desk.kept() == [1]
    assert not desk.saves


def test_a_repeated_deposit_after_a_restart_is_known() -> None:
    desk = Desk()
    desk.wire().leave(deposit(1), deposit(2))
    desk.save(1)
    desk.crash()
    member = desk.wire()
    assert [(r.msg_id, r.code) for r in member.leave(deposit(1), deposit(2))] == [(id_of(1), None)]
    desk.save()
    assert desk.kept() == [1, 2]


def test_a_receipt_is_not_sent_to_a_link_that_ended() -> None:
    desk = Desk()
    member = desk.wire()
    member.leave(deposit(1))
    member.drop()
    desk.save()
    assert member.heard == b""
    assert desk.kept() == [1]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (deposit(1, day=TODAY - 2, key=room(0, TODAY - 2)), Refusal.WRONG_EPOCH),
        (deposit(1, day=TODAY + 1, key=room(0, TODAY + 1)), Refusal.WRONG_EPOCH),
        (deposit(1, expiry_s=NOW_S), Refusal.EXPIRED),
        (deposit(1, expiry_s=NOW_S + MAX_TTL_S + 1), Refusal.EXPIRED),
        (dataclasses.replace(deposit(1), envelope=bytes(256)), Refusal.BAD_SIGNATURE),
        (dataclasses.replace(deposit(1), msg_id=id_of(2)), Refusal.BAD_SIGNATURE),
        (dataclasses.replace(deposit(1), expiry_s=NOW_S + 9), Refusal.BAD_SIGNATURE),
        (dataclasses.replace(deposit(1, day=TODAY - 1), day=TODAY), Refusal.BAD_SIGNATURE),
        (deposit(1, key=room(0, ours=False)), Refusal.NOT_SERVING),
    ],
)
def test_what_may_not_be_left_here_is_refused_with_its_reason(wrong: Deposit, code: Refusal) -> None:
    desk = Desk()
    (receipt,) = desk.wire().leave(wrong)
    assert receipt.code is code
    assert not desk.saves
    assert [a.code for a in desk.post(wrong)] == [code]


@pytest.mark.parametrize(("day", "left_s"), [(TODAY, 0.0), (TODAY - 1, 0.0), (TODAY + 1, 3_600.0)])
def test_mail_of_yesterday_of_today_and_soon_of_tomorrow_is_taken(day: int, left_s: float) -> None:
    unix_s = START.unix_s if not left_s else (TODAY + 1) * DAY_S - left_s
    desk = Desk(now=Instant(1_000.0, unix_s))
    assert desk.mailbox.wants(day, desk.now)
    member = desk.wire()
    member.leave(deposit(1, day=day, key=room(3, day)))
    desk.save()
    assert member.codes() == [None]
    assert not desk.mailbox.wants(TODAY + 1, Instant(1.0, (TODAY + 1) * DAY_S - 3_601.0))


def test_a_tag_that_was_served_once_is_served_on_but_only_for_its_day() -> None:
    desk = Desk()
    member = desk.wire()
    member.leave(deposit(1))
    (receipt,) = member.leave(deposit(2, key=room(0), day=TODAY - 1))
    assert receipt.code is Refusal.NOT_SERVING


def test_a_peer_without_the_role_takes_nothing_and_still_hands_out_what_it_has() -> None:
    desk = Desk()
    desk.wire().leave(deposit(1))
    desk.save()
    desk.serves = False
    desk.begin()
    member = desk.wire()
    assert [r.code for r in member.leave(deposit(2))] == [Refusal.NOT_SERVING]
    assert member.collect() == ([1], 2)
    assert not desk.mailbox.status().serving


def test_each_envelope_is_charged_a_page_and_each_tag_has_its_share() -> None:
    desk = Desk(small(tag_bytes=3 * LEAST_CHARGE_BYTES))
    member = desk.wire()
    receipts = member.leave(*(deposit(n) for n in range(1, 5)))
    assert [(r.msg_id, r.code) for r in receipts] == [(id_of(4), Refusal.QUOTA)]
    assert receipts[0].retry_after_ms > 0
    member.leave(deposit(5, key=room(1)))
    desk.save()
    status = desk.mailbox.status()
    assert (status.tags, status.envelopes, status.refused_quota) == (2, 4, 1)
    assert status.used_bytes == 4 * LEAST_CHARGE_BYTES


def test_all_tags_together_have_the_disk_that_was_granted_and_no_more() -> None:
    desk = Desk(small(bytes=2 * DISK_PAGE_BYTES))
    member = desk.wire()
    receipts = member.leave(*(deposit(n, key=room(n), size=4_096) for n in range(1, 4)))
    assert [(r.msg_id, r.code) for r in receipts] == [(id_of(3), Refusal.FULL)]
    desk.save()
    assert desk.mailbox.status().used_bytes == 2 * DISK_PAGE_BYTES


def test_tags_take_bounded_memory_and_those_that_are_known_are_served_on() -> None:
    desk = Desk(small(tags=2))
    member = desk.wire()
    receipts = member.leave(*(deposit(n, key=room(n % 3)) for n in range(1, 5)))
    assert [(r.msg_id, r.code) for r in receipts] == [(id_of(3), Refusal.FULL)]
    desk.save()
    assert (desk.mailbox.status().tags, desk.kept(room(1)), desk.kept(room(0))) == (2, [1, 4], [])
    assert desk.mailbox.status().refused_quota == 1


def test_what_is_not_yet_durable_takes_bounded_memory() -> None:
    desk = Desk(small(unsaved_bytes=2 * MEDIUM_FRAME))
    member = desk.wire()
    assert [r.code for r in member.leave(*(deposit(n, size=4_096) for n in range(1, 4)))] == [Refusal.FULL]
    desk.save()
    member.all()
    assert member.leave(deposit(4, size=4_096)) == []


def test_a_link_leaves_no_more_than_its_rate_and_hears_when_to_come_again() -> None:
    desk = Desk(small(rate_per_s=2, burst=2))
    member = desk.wire()
    (receipt,) = member.leave(deposit(1), deposit(2), deposit(3))
    assert (receipt.msg_id, receipt.code) == (id_of(3), Refusal.RATE)
    desk.after(receipt.retry_after_ms / 1000)
    assert member.leave(deposit(3)) == []
    assert desk.wire().leave(deposit(4)) == []


def test_who_tries_one_tag_after_the_other_is_held_up() -> None:
    desk = Desk(small(draws_per_s=1.0, draws_burst=3))
    member = desk.wire()
    receipts = member.leave(*(deposit(1, key=room(n, ours=False)) for n in range(5)))
    assert [r.code for r in receipts] == [Refusal.NOT_SERVING] * 3 + [Refusal.RATE] * 2


def test_links_beyond_the_bound_are_refused() -> None:
    desk = Desk(small(links=1))
    desk.wire()
    late = desk.wire()
    assert [r.code for r in late.leave(deposit(1))] == [Refusal.FULL]
    late.ask()
    assert late.codes() == [Refusal.FULL]
    late.drop()


def test_one_address_group_has_its_share_of_links() -> None:
    desk = Desk(small(group_links=2))
    one, other = Group(b"\x14\x01"), Group(b"\x14\x02")
    crowd = [desk.wire(group=one) for _ in range(3)]
    late, unknown = desk.wire(group=other), desk.wire()
    for n, wire in enumerate((*crowd, late, unknown), 1):
        wire.leave(deposit(n))
    desk.save()
    assert desk.kept() == [1, 2, 4, 5]
    crowd[2].drop()  # it had no place to give back
    assert [r.code for r in desk.wire(group=one).leave(deposit(6))] == [Refusal.FULL]
    crowd[0].drop()
    assert desk.wire(group=one).leave(deposit(6)) == []


def test_a_deposit_through_the_mixnet_is_answered_once_it_is_durable() -> None:
    desk = Desk()
    answers = desk.post(deposit(1, size=4_096))
    again = desk.post(deposit(1, size=4_096))
    assert (answers, again) == ([], [])
    desk.save()
    assert [a.status for a in answers + again] == [PostStatus.STORED] * 2
    assert [a.status for a in desk.post(deposit(1, size=4_096))] == [PostStatus.STORED]
    assert desk.kept() == [1]


def test_no_more_than_some_wait_for_one_envelope() -> None:
    desk = Desk()
    answers = [desk.post(deposit(1)) for _ in range(20)]
    assert [a[0].code for a in answers if a] == [Refusal.RATE] * 4


def test_the_mixnet_has_a_rate_too() -> None:
    desk = Desk(small(rate_per_s=1, burst=2))
    answers = [desk.post(deposit(n)) for n in range(3)]
    assert [a[0].code for a in answers if a] == [Refusal.RATE]


def test_what_has_expired_goes_within_the_hour_and_makes_room() -> None:
    desk = Desk(small(tag_bytes=2 * LEAST_CHARGE_BYTES))
    member = desk.wire()
    member.leave(deposit(1, expiry_s=NOW_S + 60), deposit(2))
    desk.save()
    member.all()
    desk.after(EXPIRE_EVERY_S)
    assert desk.kept() == [2]
    assert desk.soon == [MailDrop(int(desk.now.unix_s), TODAY - 10)]
    assert member.leave(deposit(3)) == []
    desk.save()
    assert member.collect() == ([2, 3], 4)


def test_a_wrong_clock_takes_nothing_for_expired() -> None:
    """Set a year ahead, before a start or while it runs: what was promised lies there still when it is right again."""
    desk = Desk()
    desk.wire().leave(deposit(1))
    desk.save()
    right, ahead_s = desk.now, 365 * DAY_S
    desk.now = Instant(right.mono_s, right.unix_s + ahead_s)
    desk.begin()
    desk.after(EXPIRE_EVERY_S - 1)
    desk.mailbox.clock_is_wrong = True  # eight peers have said so
    desk.after(5 * EXPIRE_EVERY_S)
    desk.mailbox.clock_is_wrong = False
    desk.now = Instant(desk.now.mono_s, desk.now.unix_s - ahead_s)
    desk.after(EXPIRE_EVERY_S)
    assert desk.mailbox.status().envelopes == 1


def test_positions_go_on_after_everything_expired_and_after_a_restart() -> None:
    desk = Desk()
    member = desk.wire()
    member.leave(deposit(1, expiry_s=NOW_S + 60), deposit(2, expiry_s=NOW_S + 60))
    desk.save()
    desk.after(EXPIRE_EVERY_S)
    assert desk.mailbox.status().used_bytes == LEAST_CHARGE_BYTES  # the last position is remembered
    desk.crash()
    member = desk.wire()
    assert member.collect(3) == ([], 3)
    member.leave(deposit(3))
    desk.save()
    member.all()
    assert member.collect(3) == ([3], 4)


def test_a_tag_is_forgotten_when_its_day_is_long_over() -> None:
    desk = Desk()
    desk.wire().leave(deposit(1))
    desk.save()
    desk.after(11 * DAY_S)
    assert desk.disk.tags == {}
    assert desk.mailbox.status().used_bytes == 0


def test_a_quiet_mailbox_writes_nothing() -> None:
    desk = Desk()
    desk.wire().leave(deposit(1))
    desk.save()
    desk.after(DAY_S)
    assert desk.soon == []


def test_less_room_takes_the_oldest_day_first_then_the_biggest_tag_and_leaves_signed_notices() -> None:
    desk = Desk()
    member = desk.wire()
    old = room(5, TODAY - 1)
    member.leave(deposit(1, key=old, day=TODAY - 1))
    member.leave(*(deposit(n, key=room(1)) for n in range(2, 4)))
    member.leave(*(deposit(n, key=room(2)) for n in range(4, 9)))
    desk.save()
    member.all()
    # Eight envelopes in three tags: room for five, and the emptied tag's own charge.
    desk.do(lambda box, now, out: box.set_limits(small(bytes=5 * LEAST_CHARGE_BYTES), now, out))
    assert desk.notices == [Noticed("mail-evicted", "4")]
    assert (desk.kept(old), len(desk.saves)) == ([1], 1)
    desk.save()
    assert (desk.kept(old), desk.kept(room(1)), desk.kept(room(2))) == ([], [2, 3], [7, 8])
    assert desk.mailbox.status().evicted == 4
    member.ask(key=room(2))
    desk.read()
    (notice,) = member.evictions()
    assert (notice.first, notice.last, notice.count, notice.day) == (1, 3, 3, TODAY)
    assert notice.is_signed()


def test_a_notice_grows_is_shown_to_whom_it_concerns_and_outlives_a_restart() -> None:
    desk = Desk()
    desk.wire().leave(*(deposit(n) for n in range(1, 6)))
    desk.save()
    for left in (4, 2):
        limits = small(bytes=left * LEAST_CHARGE_BYTES)
        desk.do(lambda box, now, out, limits=limits: box.set_limits(limits, now, out))  # type: ignore[misc]
        desk.save()
    desk.crash()
    member = desk.wire()
    member.ask(1)
    desk.read()
    (notice,) = member.evictions()
    assert (notice.first, notice.last, notice.count) == (1, 3, 3)
    member.ask(4)
    desk.read()
    assert member.evictions() == []
    assert desk.disk.stored()[0].notices == (notice.encode(),)


def test_a_disk_in_trouble_gets_room_back_and_rest() -> None:
    desk = Desk()
    member = desk.wire()
    member.leave(*(deposit(n) for n in range(1, 4)))
    desk.save()
    member.all()
    desk.do(lambda box, now, out: box.evict(2 * LEAST_CHARGE_BYTES, now, out))
    desk.save()
    assert desk.kept() == [3]
    assert [r.code for r in member.leave(deposit(4))] == [Refusal.FULL]
    desk.after(DISK_REST_S)
    assert member.leave(deposit(4)) == []


def test_more_than_fits_after_a_restart_is_evicted_at_once() -> None:
    desk = Desk()
    desk.wire().leave(*(deposit(n) for n in range(1, 4)))
    desk.save()
    desk.limits = small(bytes=LEAST_CHARGE_BYTES)
    desk.begin()
    desk.save()
    assert desk.kept() == [3]


def test_what_was_evicted_may_be_left_again_under_a_new_position() -> None:
    desk = Desk()
    member = desk.wire()
    member.leave(deposit(1))
    desk.save()
    desk.do(lambda box, now, out: box.evict(1, now, out))
    desk.after(DISK_REST_S)
    member.leave(deposit(1))
    desk.save()
    member.all()
    assert member.collect(2) == ([1], 3)


def test_much_is_evicted_part_by_part_so_that_others_get_to_write() -> None:
    desk = Desk(small(bytes=10**9, burst=10**6))
    desk.wire().leave(*(deposit(n) for n in range(1, EVICT_AT_ONCE + 11)))
    desk.save()
    desk.do(lambda box, now, out: box.set_limits(small(bytes=5 * LEAST_CHARGE_BYTES), now, out))
    for left in (10, 5):
        assert len(desk.saves) == 1
        desk.save()
        assert len(desk.kept()) == left
    assert not desk.saves
    member = desk.wire()
    member.ask()
    desk.read()
    (notice,) = member.evictions()
    assert (notice.first, notice.last, notice.count) == (1, EVICT_AT_ONCE + 5, EVICT_AT_ONCE + 5)
    assert len(desk.disk.stored()[0].notices) == 1


def test_much_that_expired_leaves_the_disk_part_by_part_and_the_books_at_once() -> None:
    desk = Desk(small(bytes=10**9, burst=10**6))
    desk.wire().leave(*(deposit(n, expiry_s=NOW_S + 60) for n in range(1, 702)))
    desk.save()
    desk.after(EXPIRE_EVERY_S)
    assert (desk.mailbox.status().envelopes, len(desk.kept())) == (0, 201)
    member = desk.wire()
    assert member.collect() == ([], 702)
    member.leave(deposit(701))  # known to the disk still, under another expiry
    desk.save()
    desk.after(1)
    assert desk.kept() == [701]
    member.all()
    assert member.collect() == ([701], 703)


def test_less_room_while_an_envelope_is_on_its_way_takes_it_out_once_it_is_there() -> None:
    desk = Desk()
    member = desk.wire()
    member.leave(deposit(1))
    desk.do(lambda box, now, out: box.set_limits(small(bytes=0), now, out))
    assert len(desk.saves) == 1
    desk.save()
    assert member.codes() == [None]
    desk.save()
    assert desk.kept() == []
    member.ask()
    assert [n.first for n in member.evictions()] == [1]


def test_who_stops_serving_keeps_what_it_promised_until_it_expires() -> None:
    desk = Desk()
    desk.wire().leave(*(deposit(n) for n in range(1, 4)))
    desk.save()
    desk.limits, desk.serves = small(bytes=LEAST_CHARGE_BYTES), False
    desk.begin()
    assert not desk.saves
    assert desk.wire().collect() == ([1, 2, 3], 4)
    desk.after(8 * DAY_S)
    assert desk.kept() == []


def test_a_mailbox_that_is_closed_takes_nothing_new_hands_out_the_rest_and_can_be_opened_again() -> None:
    desk = Desk()
    member = desk.wire()
    assert desk.mailbox.last_expiry_s is None
    member.leave(deposit(1), deposit(2, expiry_s=NOW_S + 60))
    desk.save()
    member.all()
    assert desk.mailbox.last_expiry_s == int(NOW_S + TTL_S)
    desk.do(lambda box, now, out: box.close())
    assert desk.mailbox.is_emptying
    assert [r.code for r in member.leave(deposit(3))] == [Refusal.NOT_SERVING]
    assert member.collect() == ([1, 2], 3)
    desk.do(lambda box, now, out: box.set_limits(desk.limits, now, out))
    assert not desk.mailbox.is_emptying
    assert member.leave(deposit(3)) == []


def test_a_closed_mailbox_is_emptied_part_by_part_when_its_owner_wants_the_room() -> None:
    desk = Desk(small(bytes=10**9, burst=10**6))
    desk.wire().leave(*(deposit(n) for n in range(1, EVICT_AT_ONCE + 11)))
    desk.wire().leave(deposit(1, key=room(1)))
    desk.save()
    desk.mailbox.close()
    desk.do(lambda box, now, out: box.empty(now, out))
    while desk.saves:
        desk.save(1)
    status = desk.mailbox.status()
    assert (desk.kept(), desk.kept(room(1)), status.envelopes, status.evicted) == ([], [], 0, EVICT_AT_ONCE + 11)
    assert not desk.mailbox.is_emptying


def test_a_look_at_a_disk_that_is_low_and_not_full_takes_nothing_out() -> None:
    desk = Desk()
    member = desk.wire()
    member.leave(deposit(1))
    desk.save()
    member.all()
    desk.do(lambda box, now, out: box.evict(0, now, out))
    assert not desk.saves
    assert [r.code for r in member.leave(deposit(2))] == [Refusal.FULL]
    desk.after(DISK_REST_S)
    desk.do(lambda box, now, out: box.set_limits(desk.limits, now, out))
    assert desk.kept() == [1]
