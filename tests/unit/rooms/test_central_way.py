"""The central server: the last resort, or the first by setting; never for rooms that hide where their members are."""

from __future__ import annotations

import pytest

from railgun_core.base.ids import RoomId
from railgun_core.changes import Delivery
from railgun_core.events import Effect
from railgun_core.rooms.detour import NoDetour
from railgun_core.rooms.mail import Keeper
from tests.unit.rooms.village import ROOT, Village

BOTH = ("member0", "member1")


def settled(*, first: bool = False, mailboxes: int = 0) -> Village:
    village = Village(mailboxes=mailboxes)
    village.start(*village.houses)
    village.enter(*BOTH)
    village.hybrid(*BOTH, first=first)
    village.run(1.0)
    return village


def kill(village: Village, *kinds: str) -> None:
    village.stop(*[house.name for kind in kinds for house in village.named(kind)])


def test_when_committee_and_mailboxes_are_gone_the_server_keeps_what_was_said_in_less_than_eight_seconds() -> None:
    village = settled(mailboxes=3)
    kill(village, "relay", "box")
    village.say("member0", b"words")
    took_s = village.run_until(lambda: village.reached("member0", Delivery.STORED) == 1, within_s=8.0)
    assert took_s < 8.0
    village.run_until(lambda: village.read("member1") == [b"words"], within_s=2.0)
    assert village.mail("member0").central == 1
    assert village.mail("member0").way in ("mailbox", "central")


def test_mailboxes_come_before_the_server() -> None:
    village = settled(mailboxes=3)
    kill(village, "relay", "member1")
    village.say("member0", b"words")
    village.run_until(lambda: village.reached("member0", Delivery.STORED) == 1, within_s=8.0)
    village.run(5.0)
    assert village.kept == []
    assert village.mail("member0").own[1].keeper is Keeper.MAILBOX


def test_with_the_server_first_the_committee_is_not_asked_while_it_answers() -> None:
    village = settled(first=True)
    begun = len(village.kept)
    village.say("member0", b"one", b"two")
    took_s = village.run_until(lambda: village.reached("member0", Delivery.STORED) == 2, within_s=2.0)
    assert took_s < 1.0
    assert len(village.kept) > begun
    assert not village.houses["member0"].up.rooms.rooms[village.room].outbox.tried_s
    village.run_until(lambda: village.read("member1") == [b"one", b"two"], within_s=2.0)


def test_with_the_server_first_and_gone_the_committee_carries_on() -> None:
    village = settled(first=True)
    village.central_goes(up=False)
    village.say("member0", b"words")
    village.run_until(lambda: village.read("member1") == [b"words"], within_s=3.0)
    village.central_goes(up=True)
    village.say("member0", b"more")
    village.run_until(lambda: village.read("member1") == [b"words", b"more"], within_s=3.0)


def test_a_server_that_is_there_and_refuses_does_not_hold_messages_up() -> None:
    village = settled(first=True)
    village.central = False  # nobody was told
    village.say("member0", b"words")
    village.run_until(lambda: village.read("member1") == [b"words"], within_s=3.0)


def test_committee_and_server_die_in_turn_and_nothing_is_lost() -> None:
    village = settled()
    relays = [house.name for house in village.named("relay")]
    said: list[bytes] = []

    def say(words: bytes) -> None:
        said.append(words)
        village.say("member0", words)
        village.run(12.0)

    say(b"both")
    kill(village, "relay")
    say(b"server only")
    village.central_goes(up=False)
    say(b"nobody")
    assert village.reached("member0", Delivery.STORED) == 2
    village.stop("member0")
    village.start("member0", *relays)
    village.run_until(lambda: village.read("member1") == said, within_s=30.0)
    village.central_goes(up=True)
    say(b"both again")
    assert village.read("member1") == said


def test_a_member_that_was_away_gets_from_the_server_what_was_left_there() -> None:
    village = settled()
    kill(village, "relay")
    village.stop("member1")
    village.say("member0", *[b"%d" % n for n in range(120)])
    village.run(20.0)
    kill(village, "member0")
    village.start("member1")
    village.hybrid("member1")
    village.run_until(lambda: village.read("member1") == [b"%d" % n for n in range(120)], within_s=10.0)
    village.run(3.0)
    village.stop("member1")
    village.start("member1")
    village.hybrid("member1")
    positions = village.houses["member1"].followed.values()
    village.run(1.0)
    assert max(positions) == len(village.kept)
    assert len(village.read("member1")) == 120


def test_a_room_that_hides_its_members_never_uses_the_server() -> None:
    village = settled()
    for name in BOTH:
        house = village.houses[name]
        out: list[Effect] = []
        house.up.rooms.secure(house.up.rooms.rooms[village.room], village.now, out, on=True)
        village.apply(house, out)
    village.run(1.0)
    assert not village.houses["member0"].followed
    kill(village, "relay")
    village.say("member0", b"words")
    village.run(20.0)
    assert village.kept == []


def test_the_server_is_not_asked_for_a_room_that_was_left() -> None:
    village = settled()
    house = village.houses["member0"]
    assert len(house.followed) == 8  # today and the seven days before it
    out: list[Effect] = []
    house.up.rooms.leave(house.up.rooms.rooms[village.room], village.now, out)
    village.apply(house, out)
    assert not house.followed


def test_there_is_no_detour_and_that_is_said() -> None:
    assert NoDetour().ways(RoomId(bytes(16))) == ()


def test_outside_hybrid_mode_the_server_gets_nothing_and_is_followed_for_nothing() -> None:
    village = settled()
    assert village.houses["member0"].followed
    village.hybrid(*BOTH, on=False)
    kill(village, "relay")
    village.say("member0", b"words")
    village.run(15.0)
    assert village.kept == []
    assert not village.houses["member0"].followed
    village.hybrid(*BOTH)
    village.run_until(lambda: village.read("member1") == [b"words"], within_s=5.0)


def test_the_server_sees_tags_and_sealed_envelopes_only() -> None:
    village = settled()
    kill(village, "relay")
    village.say("member0", b"words that nobody else may read")
    village.run(15.0)
    assert village.kept
    everything = b"".join(tag + frame for tag, frame in village.kept)
    room = village.houses["member0"].up.rooms.rooms[village.room]
    for secret in (b"words", ROOT, room.id, room.me, room.ring.me.public_key):
        assert secret not in everything


@pytest.mark.parametrize("first", [False, True])
def test_what_only_the_server_keeps_goes_to_mailboxes_too_for_members_who_do_not_use_it(first: bool) -> None:
    village = Village(mailboxes=3)
    village.start(*village.houses)
    village.enter(*BOTH)
    village.hybrid("member0", first=first)
    village.run(1.0)
    kill(village, "member1", *(() if first else ("relay", "box")))
    village.run(5.0)
    village.say("member0", b"words")
    village.run_until(lambda: village.reached("member0", Delivery.STORED) == 1, within_s=10.0)
    assert village.mail("member0").own[1].keeper is Keeper.CENTRAL
    if not first:
        village.start(*[house.name for kind in ("relay", "box") for house in village.named(kind)])
    village.run(60.0)
    village.stop("member0")
    village.start("member1")
    village.run_until(lambda: village.read("member1") == [b"words"], within_s=60.0)
