"""Look-ups: around the tags in use, often after a change and rarely in a quiet network."""

from __future__ import annotations

import random

from railgun_core.base.ids import PeerId, Tag
from railgun_core.committee.epoch import make_clock
from railgun_core.committee.lookups import EVERY_S, MAX_TARGETS, Lookups
from railgun_core.committee.selection import seat_targets
from railgun_core.committee.view import MAILBOX_SEATS

OWN = PeerId(b"o" * 32)


def lookups(rng: random.Random, *, roams: bool = False) -> Lookups:
    return Lookups(rng, make_clock(600), 5, roams=roams)


def test_the_places_of_all_committees_in_use_are_looked_up_once_and_bounded(rng: random.Random) -> None:
    tag = Tag(b"t" * 32)
    assert lookups(rng).targets([(tag, 7), (tag, 7)], OWN) == seat_targets(tag, 7, 5)
    many = [(Tag(bytes((n,)) * 32), 7) for n in range(40)]
    assert len(lookups(rng).targets(many, OWN)) == MAX_TARGETS


def test_of_more_places_than_one_look_up_takes_each_has_its_turn(rng: random.Random) -> None:
    many = [(Tag(bytes((n,)) * 32), 7) for n in range(20)]
    turns, seen = lookups(rng), set()
    for _ in range(5):
        seen.update(turns.targets(many, OWN))
        turns.next_in_s()
    assert seen == {place for tag, epoch in many for place in seat_targets(tag, epoch, 5)}


def test_mailboxes_have_places_of_their_own_and_who_keeps_mail_looks_for_all_others(rng: random.Random) -> None:
    tag = Tag(b"t" * 32)
    assert lookups(rng).mailboxes([(tag, 7)], keeps_mail=False) == seat_targets(tag, 7, MAILBOX_SEATS)
    assert lookups(rng).mailboxes([], keeps_mail=False) == ()
    for places in (
        lookups(rng).mailboxes([], keeps_mail=True),
        lookups(rng, roams=True).mailboxes([], keeps_mail=False),
    ):
        assert len(places) == 8


def test_without_tags_a_relay_looks_around_itself_and_a_client_somewhere_else_each_time(rng: random.Random) -> None:
    assert lookups(rng).targets([], OWN) == (OWN[:20],)
    client = lookups(rng)
    assert client.targets([], None) != client.targets([], None)


def test_a_mix_also_looks_at_places_drawn_anew_and_at_fewer_once_nothing_is_new(rng: random.Random) -> None:
    roaming = lookups(rng, roams=True)
    assert len(roaming.targets([], OWN)) == 8
    for _ in range(10):
        roaming.next_in_s()
    assert len(roaming.targets([], OWN)) == 3
    roaming.news()
    assert len(roaming.targets([], OWN)) == 8


def test_look_ups_become_rare_and_news_makes_them_frequent_again(rng: random.Random) -> None:
    pace = lookups(rng)
    waits = [pace.next_in_s() for _ in range(30)]
    assert waits[0] < 1.3
    assert all(EVERY_S[1] * 0.79 < wait < EVERY_S[1] * 1.21 for wait in waits[15:])
    pace.news()
    assert pace.next_in_s() < 1.3
