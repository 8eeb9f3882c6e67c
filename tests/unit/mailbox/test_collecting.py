"""Collections: pages in order, what comes later to those who follow, and what nobody is told."""

from __future__ import annotations

from copy import deepcopy

import pytest

from railgun_core.base.ids import Group, Tag
from railgun_core.events import MailFetched
from railgun_core.mailbox.collecting import FETCH_WITHIN_S, FOLLOW_RETRY_MS
from railgun_core.mailbox.limits import LINK_FETCHES, LINK_FOLLOWS, PAGE_BYTES, PAGE_ENVELOPES
from railgun_core.wire.frames import Refused
from railgun_core.wire.kinds import Refusal
from railgun_core.wire.mail import Collect, Collected
from tests.property.networks import NOW_S
from tests.unit.mailbox.desk import TODAY, Desk, Wire, deposit, room
from tests.unit.mailbox.test_mailbox import small


def filled(count: int, *, size: int = 256, **limits: float) -> Desk:
    """A mailbox with that many envelopes under one tag."""
    desk = Desk(small(**limits))
    desk.wire().leave(*(deposit(n, size=size) for n in range(1, count + 1)))
    desk.save()
    return desk


def said(wire: Wire) -> list[tuple[int, bool]]:
    return [(f.position, f.more) for f in wire.all()[1] if isinstance(f, Collected)]


def test_everything_comes_in_order_page_by_page() -> None:
    desk = filled(2 * PAGE_ENVELOPES + 1)
    member = desk.wire()
    member.ask()
    desk.read()
    numbers, control = member.all()
    assert numbers == list(range(1, PAGE_ENVELOPES + 1))
    assert control == [Collected(Tag(room(0).public_key)[:8], PAGE_ENVELOPES + 1, True)]
    assert member.collect() == (list(range(1, 2 * PAGE_ENVELOPES + 2)), 2 * PAGE_ENVELOPES + 2)
    assert member.collect(97) == ([97], 98)
    assert desk.mailbox.status().collections == 5


def test_a_page_holds_a_megabyte_at_most() -> None:
    desk = filled(20, size=65_536)
    member = desk.wire()
    member.ask()
    desk.read()
    assert 0 < len(member.heard) < PAGE_BYTES + 100
    assert len(member.all()[0]) == 15
    assert member.collect() == (list(range(1, 21)), 21)


def test_a_tag_without_mail_has_nothing_and_says_so() -> None:
    desk = Desk()
    assert desk.wire().collect() == ([], 1)
    assert not desk.fetches


def test_what_is_not_durable_is_shown_to_nobody() -> None:
    desk = filled(1)
    desk.wire().leave(deposit(2))
    assert desk.wire().collect() == ([1], 2)
    desk.crash()
    desk.wire().leave(deposit(3))
    desk.save()
    assert desk.wire().collect(2) == ([3], 3)


def test_only_who_knows_the_room_collects_and_only_on_its_own_link() -> None:
    desk = filled(1)
    thief = desk.wire()
    thief.ask(wrong=b"of another link")
    thief.say(Collect(Tag(room(0).public_key), TODAY, 1, False, room(1).sign("collect", thief.binding)))
    assert thief.codes() == [Refusal.BAD_SIGNATURE] * 2
    assert not desk.fetches


@pytest.mark.parametrize(("day", "code"), [(TODAY + 1, Refusal.WRONG_EPOCH), (TODAY - 11, Refusal.WRONG_EPOCH)])
def test_days_of_which_nothing_can_be_left_are_refused(day: int, code: Refusal) -> None:
    member = Desk().wire()
    member.ask(key=room(0, day), day=day)
    assert member.codes() == [code]


def test_a_mailbox_of_others_says_that_it_is_none_of_this_tag() -> None:
    member = Desk().wire()
    member.ask(key=room(0, ours=False))
    assert member.codes() == [Refusal.NOT_SERVING]


def test_a_position_beyond_all_there_ever_was_begins_at_the_start() -> None:
    """A mailbox that lost its disk counts from one again; what it got since then must not be passed over."""
    desk = filled(2)
    assert desk.wire().collect(40) == ([1, 2], 3)
    assert desk.wire().collect(3) == ([], 3)


def test_a_follower_gets_what_comes_later_as_soon_as_it_is_durable() -> None:
    desk = filled(1)
    member = desk.wire()
    assert member.collect(follow=True) == ([1], 2)
    desk.wire().leave(deposit(2), deposit(3))
    assert member.heard == b""
    desk.save()
    numbers, control = member.all()
    assert numbers == [2, 3]
    assert [(f.position, f.more) for f in control if isinstance(f, Collected)] == [(3, False), (4, False)]


def test_a_tag_can_be_followed_before_it_has_mail() -> None:
    desk = Desk()
    member = desk.wire()
    assert member.collect(follow=True) == ([], 1)
    desk.wire().leave(deposit(1))
    desk.save()
    assert member.all()[0] == [1]


def test_who_has_not_all_yet_does_not_follow_yet_and_misses_nothing() -> None:
    desk = filled(PAGE_ENVELOPES)
    member = desk.wire()
    member.ask(follow=True)
    desk.wire().leave(deposit(PAGE_ENVELOPES + 1))
    desk.save()
    assert member.heard == b""
    desk.read()
    numbers, control = member.all()
    assert (len(numbers), control[-1]) == (PAGE_ENVELOPES, Collected(Tag(room(0).public_key)[:8], 49, True))
    assert member.collect(49, follow=True) == ([49], 50)


def test_to_follow_twice_is_to_follow_once_and_a_link_that_ends_follows_no_more() -> None:
    desk = filled(1)
    member, other = desk.wire(), desk.wire()
    for _ in range(2):
        member.collect(follow=True)
    other.collect(follow=True)
    desk.wire().leave(deposit(2))
    desk.save()
    assert (member.all()[0], other.all()[0]) == ([2], [2])
    member.drop()
    desk.wire().leave(deposit(3))
    desk.save()
    assert (member.heard, other.all()[0]) == (b"", [3])


def test_followers_have_bounds_by_link_and_in_all() -> None:
    desk = Desk(small(followers=LINK_FOLLOWS + 1, draws_burst=99, pages_burst=99))
    member = desk.wire()
    for n in range(LINK_FOLLOWS):
        member.collect(key=room(n), follow=True)
    member.ask(key=room(99), follow=True)
    assert member.codes() == [Refusal.FULL]
    assert desk.wire().collect(follow=True) == ([], 1)
    assert member.codes() == []
    assert desk.wire().collect(follow=True) == ([], 1)
    assert member.codes() == [Refusal.FULL]  # it had most


def test_where_all_have_one_place_nobody_gives_way() -> None:
    desk = Desk(small(followers=2, draws_burst=99))
    first, second, late = (desk.wire() for _ in range(3))
    for wire in (first, second):
        wire.collect(follow=True)
    late.ask(follow=True)
    assert (first.codes(), second.codes(), late.codes()) == ([], [], [Refusal.FULL])
    first.drop()
    late.ask(follow=True)
    assert late.codes() == []


def test_who_finds_no_place_to_follow_gets_what_is_there_and_hears_when_to_ask_again() -> None:
    desk = filled(1, followers=0)
    member = desk.wire()
    member.ask(follow=True)
    desk.read()
    numbers, control = member.all()
    assert numbers == [1]
    assert [type(frame).__name__ for frame in control] == ["Collected", "Refused"]
    assert control[-1] == Refused(Tag(room(0).public_key)[:8], Refusal.FULL, FOLLOW_RETRY_MS)


def test_a_crowd_of_followers_gives_way_to_a_newcomer_and_is_told_so() -> None:
    desk = Desk(small(followers=2 * LINK_FOLLOWS, draws_burst=99, pages_burst=99))
    crowd = [desk.wire() for _ in range(2)]
    for n in range(LINK_FOLLOWS):
        for wire in crowd:
            wire.collect(key=room(n), follow=True)
    late = desk.wire()
    assert late.collect(key=room(0), follow=True) == ([], 1)
    assert [wire.codes() for wire in crowd] == [[Refusal.FULL], []]
    desk.wire().leave(deposit(1))
    desk.save()
    assert [wire.all()[0] for wire in (*crowd, late)] == [[], [1], [1]]


def test_one_address_group_has_its_share_of_followers() -> None:
    desk = Desk(small(group_followers=3, draws_burst=99))
    crowd = [desk.wire(group=Group(b"\x14\x01")) for _ in range(4)]
    for wire in crowd:
        wire.collect(follow=True)
    assert [wire.codes() for wire in crowd] == [[], [], [], []]  # heard while collecting
    assert len(desk.mailbox._collecting._following) == 3
    assert desk.wire(group=Group(b"\x14\x02")).collect(follow=True) == ([], 1)
    assert len(desk.mailbox._collecting._following) == 4


def test_a_link_waits_for_one_page_of_a_tag_at_a_time() -> None:
    desk = filled(1)
    member = desk.wire()
    member.ask()
    member.ask()
    assert member.codes() == [Refusal.RATE]
    desk.read()
    assert member.all()[0] == [1]


def test_pages_on_their_way_have_bounds_by_link_and_in_all() -> None:
    desk = Desk(small(fetches=LINK_FETCHES + 1, draws_burst=99))
    for n in range(LINK_FETCHES + 1):
        desk.wire().leave(deposit(n, key=room(n)))
    desk.save()
    greedy, other = desk.wire(), desk.wire()
    for n in range(LINK_FETCHES + 1):
        greedy.ask(key=room(n))
    assert greedy.codes() == [Refusal.RATE]
    other.ask(key=room(0))
    other.ask(key=room(1))
    assert other.codes() == [Refusal.RATE]
    greedy.drop()
    other.ask(key=room(1))
    assert other.codes() == []
    desk.read()
    assert greedy.heard == b""
    assert other.all()[0] == [0, 1]


def test_a_link_collects_no_faster_than_its_rate() -> None:
    desk = Desk(small(pages_burst=2, pages_per_s=1))
    member = desk.wire()
    for _ in range(3):
        member.ask()
    numbers, control = member.all()
    assert numbers == []
    assert [f.code for f in control if isinstance(f, Refused)] == [Refusal.RATE]


def test_a_disk_that_does_not_answer_is_not_waited_for() -> None:
    desk = filled(1)
    member = desk.wire()
    member.ask()
    desk.after(FETCH_WITHIN_S)
    assert member.codes() == [Refusal.FULL]
    desk.read()
    assert member.heard == b""
    assert member.collect() == ([1], 2)


def test_a_page_that_lacks_what_it_must_hold_is_no_answer() -> None:
    desk = filled(3)
    member = desk.wire()
    member.ask()
    ask = desk.fetches.popleft()
    mail = desk.disk.page(ask.tag, ask.position, ask.limit)
    desk.do(lambda box, now, out: box.fetched(MailFetched(ask.ticket, mail[:1] + mail[2:]), now, out))
    assert member.all()[1] == [Refused(Tag(room(0).public_key)[:8], Refusal.FULL, 5_000)]


def test_mail_that_is_evicted_while_a_page_is_on_its_way_is_told_with_that_page() -> None:
    desk = filled(3)
    member = desk.wire()
    member.ask()
    desk.do(lambda box, now, out: box.evict(8_192, now, out))
    desk.save()
    desk.read()
    numbers, control = member.all()
    assert numbers == [3]
    assert [type(f).__name__ for f in control] == ["Evicted", "Collected"]


def test_mail_that_expires_while_a_page_is_on_its_way_is_not_missed() -> None:
    desk = Desk()
    desk.wire().leave(deposit(1, expiry_s=NOW_S + 5), deposit(2))
    desk.save()
    member = desk.wire()
    member.ask()
    (held,) = desk.disk.tags.values()
    held.drop([1])
    desk.after(5)
    desk.read()
    assert member.all()[0] == [2]


def test_an_answer_nobody_asked_for_is_ignored() -> None:
    desk = filled(1)
    desk.do(lambda box, now, out: box.fetched(MailFetched(99, ()), now, out))
    assert said(desk.wire()) == []


def test_an_older_copy_of_the_store_hides_nothing_from_who_read_further() -> None:
    desk = Desk()
    sender, reader = desk.wire(), desk.wire()
    sender.leave(*(deposit(n) for n in range(10)))
    desk.save()
    copy = deepcopy(desk.disk)
    sender.leave(*(deposit(n) for n in range(10, 20)))
    desk.save()
    _, position = reader.collect()
    desk.disk, desk.restored_backup = copy, True
    desk.crash()
    sender, reader = desk.wire(), desk.wire()
    sender.leave(*(deposit(n) for n in range(100, 115)))
    desk.save()
    got, position = reader.collect(position)
    assert set(got) >= set(range(100, 115))
    desk.restored_backup = False
    desk.crash()
    sender, reader = desk.wire(), desk.wire()
    sender.leave(deposit(200))
    desk.save()
    assert reader.collect(position)[0] == [200]
