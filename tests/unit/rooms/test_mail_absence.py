"""Members who are away: mail waits for them, whoever else has gone meanwhile."""

from __future__ import annotations

import pytest

from railgun_core.changes import Delivery
from railgun_core.events import Effect, Woke
from railgun_core.mailbox.limits import MailboxLimits
from railgun_core.wire.kinds import Refusal
from tests.unit.rooms.village import Village

DAY_S = 86_400


def settled(
    *, mailboxes: int = 3, members: int = 2, limits: MailboxLimits | None = None
) -> tuple[Village, list[str], list[str]]:
    """Members who know each other, with their relays and mailboxes."""
    village = Village(mailboxes=mailboxes, members=members, limits=limits)
    relays, boxes = [h.name for h in village.named("relay")], [h.name for h in village.named("box")]
    people = [h.name for h in village.named("member")]
    village.start(*relays, *boxes, *people)
    village.enter(*people)
    return village, relays, boxes


def test_when_the_whole_committee_is_gone_messages_are_kept_in_mailboxes_within_eight_seconds() -> None:
    village, relays, _ = settled()
    village.say("member0", b"before")
    village.run(3.0)
    assert village.read("member1") == [b"before"]
    village.stop(*relays)
    village.say("member0", b"during")
    took_s = village.run_until(lambda: village.reached("member0", Delivery.STORED) == 2, within_s=8.0)
    assert took_s < 8.0
    village.run_until(lambda: village.read("member1") == [b"before", b"during"], within_s=8.0)
    village.run_until(lambda: village.reached("member0", Delivery.DELIVERED) == 2, within_s=60.0)
    assert village.mail("member0").way == "mailbox"


@pytest.mark.parametrize("before_s", [0.0, 0.03, 0.06, 1.0])
def test_a_committee_that_falls_silent_loses_nothing_and_holds_nothing_up(before_s: float) -> None:
    village, relays, _ = settled()
    village.say("member0", b"before")
    village.run(3.0)
    village.say("member0", b"during")
    village.run(before_s)
    village.stop(*relays, silently=True)
    village.say("member0", b"after")
    village.run_until(lambda: village.reached("member0", Delivery.STORED) == 3, within_s=8.0)
    village.run_until(lambda: village.read("member1") == [b"before", b"during", b"after"], within_s=12.0)


def test_mail_goes_on_over_midnight() -> None:
    village = Village()
    village.skip(DAY_S - village.now.unix_s % DAY_S - 40)
    village.start(*village.houses)
    village.enter("member0", "member1")
    village.stop(*[house.name for house in village.named("relay")])
    said = []
    for n in range(30):
        said.append(b"%d" % n)
        village.say("member0", said[-1])
        village.run(2.0)
    village.run(8.0)
    assert village.read("member1") == said
    assert village.reached("member0", Delivery.STORED) == len(said)
    assert len(village.mail("member0").lanes) == 2
    village.stop("member1")
    village.say("member0", b"last")
    village.run(10.0)
    village.stop("member0")
    village.start("member1")
    village.run_until(lambda: village.read("member1") == [*said, b"last"], within_s=20.0)


def test_who_wakes_from_a_long_sleep_is_brought_what_was_left() -> None:
    village, relays, _ = settled()
    village.stop("member1")
    village.say("member0", b"words")
    village.run(20.0)
    village.start("member1")
    village.run(0.3)
    village.stop(*relays)
    village.tell(village.houses["member1"], Woke("sleep", 3_600.0))
    village.run_until(lambda: village.read("member1") == [b"words"], within_s=5.0)


def test_a_member_who_was_away_for_three_days_gets_everything_once_and_in_order_from_mailboxes_alone() -> None:
    village, relays, boxes = settled()
    village.say("member0", b"hello")
    village.run(5.0)
    village.stop("member1")
    sent = [b"hello"]
    for day in range(3):
        for n in range(5):
            sent.append(b"day %d, message %d" % (day, n))
            village.say("member0", sent[-1])
            village.run(1.0)
        village.run(20.0)
        assert village.mail("member0").kept == 5 * (day + 1)
        village.stop("member0", *relays, *boxes)
        village.skip(DAY_S)
        village.start(*relays, *boxes, *(["member0"] if day < 2 else []))
        village.run(3.0)
    village.start("member1")
    village.run_until(lambda: village.read("member1") == sent, within_s=30.0)
    village.run(10.0)
    assert village.read("member1") == sent


def test_who_comes_back_and_loses_power_again_and_again_still_gets_everything_once() -> None:
    village, relays, boxes = settled()
    village.stop("member1")
    sent = [b"%d" % n for n in range(150)]
    village.say("member0", *sent)
    village.run(40.0)
    assert village.mail("member0").kept == 150
    village.stop("member0", *relays)
    for n in range(40):
        village.start("member1")
        village.run(0.1 + 0.05 * n)
        village.stop("member1")
        got = village.read("member1")
        assert got == sent[: len(got)]
    village.start("member1")
    village.run_until(lambda: village.read("member1") == sent, within_s=30.0)
    assert boxes


def test_what_could_not_be_left_is_left_after_a_restart_and_what_was_left_is_not_left_again() -> None:
    village, relays, boxes = settled()
    village.stop(*relays, *boxes)
    village.say("member0", *[b"%d" % n for n in range(30)])
    village.run(20.0)
    assert village.reached("member0", Delivery.STORED) == 0
    village.stop("member0", "member1")
    village.start("member0", *boxes)
    village.run_until(lambda: village.reached("member0", Delivery.STORED) == 30, within_s=20.0)
    village.run(15.0)
    before = [house.up.mailbox.status().deposits for house in village.named("box")]
    village.stop("member0")
    village.start("member0")
    village.run(30.0)
    after = [house.up.mailbox.status().deposits for house in village.named("box")]
    assert all(0 <= now - then <= 2 for then, now in zip(before, after, strict=True))  # a sync, and no item
    village.stop("member0")
    village.start("member1")
    village.run_until(lambda: len(village.read("member1")) == 30, within_s=20.0)


@pytest.mark.parametrize("dead", [1, 2, 3])
def test_standbys_take_the_place_of_mailboxes_that_do_not_answer(dead: int) -> None:
    village, relays, _ = settled(mailboxes=6)
    mail = village.mail("member0")
    lane = mail.lanes[max(mail.lanes)]
    seats = village.houses["member0"].up.view.mailboxes(lane.keys.tag, lane.epoch).members
    gone = [house.name for house in village.named("box") if house.identity.peer_id in seats[:dead]]
    village.stop("member1", *gone, *relays)
    village.say("member0", b"words")
    village.run_until(lambda: village.reached("member0", Delivery.STORED) == 1, within_s=12.0)
    village.stop("member0")
    village.start("member1")
    village.run_until(lambda: village.read("member1") == [b"words"], within_s=30.0)


@pytest.mark.parametrize("limits", [MailboxLimits(tag_bytes=0), MailboxLimits(bytes=0)])
@pytest.mark.parametrize("full", [1, 2, 3])
def test_standbys_take_the_place_of_mailboxes_that_are_full(full: int, limits: MailboxLimits) -> None:
    village, relays, boxes = settled(mailboxes=6)
    mail = village.mail("member0")
    lane = mail.lanes[max(mail.lanes)]
    seats = village.houses["member0"].up.view.mailboxes(lane.keys.tag, lane.epoch).members
    for house in village.named("box"):
        if house.identity.peer_id in seats[:full]:
            house.up.mailbox.limits = limits
    village.stop("member1", *relays)
    village.say("member0", b"words")
    village.run_until(lambda: village.reached("member0", Delivery.STORED) == 1, within_s=12.0)
    assert (mail.kept, mail.lack) == (1, None)
    village.stop("member0")
    village.start("member1")
    village.run_until(lambda: village.read("member1") == [b"words"], within_s=30.0)
    assert boxes


@pytest.mark.parametrize(
    ("limits", "lack"),
    [(MailboxLimits(tag_bytes=0), Refusal.QUOTA), (MailboxLimits(bytes=0), Refusal.FULL)],
)
def test_when_all_mailboxes_are_full_that_is_the_reason_and_they_are_asked_again_slowly(
    limits: MailboxLimits, lack: Refusal
) -> None:
    village, relays, _ = settled(mailboxes=6, limits=limits)
    village.stop("member1", *relays)
    village.say("member0", b"words")
    village.run(20.0)
    boxes = [house.up.mailbox for house in village.named("box")]
    asked = sum(box.status().refused_quota for box in boxes)
    mail = village.mail("member0")
    assert (village.reached("member0", Delivery.STORED), mail.lack, mail.way) == (0, lack, "none")
    village.run(200.0)
    assert sum(box.status().refused_quota for box in boxes) == asked
    for box in boxes:
        box.limits = MailboxLimits()
    village.run_until(lambda: village.reached("member0", Delivery.STORED) == 1, within_s=3_600.0)
    assert mail.lack is None


def test_a_full_mailbox_is_said_once_and_the_item_stays_unstored() -> None:
    village, relays, _ = settled(limits=MailboxLimits(tag_bytes=20_000))
    village.stop("member1", *relays)
    village.say("member0", *[b"%d" % n for n in range(8)])
    village.run(20.0)
    assert village.houses["member0"].noticed.count("mail-quota") == 1
    kept = village.mail("member0").kept
    assert 0 < kept < 8
    assert village.reached("member0", Delivery.STORED) == kept


def test_members_talk_on_by_mail_while_the_committee_is_gone_and_miss_nothing_when_it_is_back() -> None:
    village, relays, _ = settled(members=3)
    village.stop(*relays)
    said: dict[str, list[bytes]] = {name: [] for name in ("member0", "member1", "member2")}
    for n in range(5):
        for name, words in said.items():
            words.append(b"%s %d" % (name.encode(), n))
            village.say(name, words[-1])
            village.run(1.0)
    village.run(10.0)
    village.start(*relays)
    village.run(10.0)
    for name, words in said.items():
        words.append(b"%s again" % name.encode())
        village.say(name, words[-1])
    village.run(20.0)
    for name in said:
        got = village.read(name)
        for other, words in said.items():
            if other != name:
                assert [body for body in got if body.startswith(other.encode())] == words
        assert village.reached(name, Delivery.DELIVERED) == 6


def test_a_member_that_was_away_while_somebody_was_removed_learns_of_it_by_mail() -> None:
    village, relays, _ = settled(members=3)
    village.stop("member2")
    rooms = village.houses["member0"].up.rooms
    room = rooms.rooms[village.room]
    out: list[Effect] = []
    rooms.remove(room, village.houses["member1"].up.rooms.rooms[village.room].me, village.now, out)
    village.apply(village.houses["member0"], out)
    village.run(15.0)
    village.say("member0", b"without the one")
    village.run(30.0)
    village.stop("member0", "member1", *relays)
    village.start("member2")
    village.run_until(lambda: village.read("member2") == [b"without the one"], within_s=60.0)


def test_a_new_root_that_no_mailbox_kept_by_midnight_is_left_with_those_of_the_next_day() -> None:
    village = Village(mailboxes=3, members=3)
    village.skip(DAY_S - village.now.unix_s % DAY_S - 60)
    relays, boxes = [h.name for h in village.named("relay")], [h.name for h in village.named("box")]
    people = [h.name for h in village.named("member")]
    village.start(*relays, *boxes, *people)
    village.enter(*people)
    village.stop("member2", *boxes)
    rooms = village.houses["member0"].up.rooms
    room = rooms.rooms[village.room]
    out: list[Effect] = []
    rooms.remove(room, village.houses["member1"].up.rooms.rooms[village.room].me, village.now, out)
    village.apply(village.houses["member0"], out)
    village.run(90.0)
    village.start(*boxes)
    village.run(60.0)
    village.say("member0", b"without the one")
    village.run(30.0)
    village.stop("member0", "member1", *relays)
    village.start("member2")
    village.run_until(lambda: village.read("member2") == [b"without the one"], within_s=60.0)
