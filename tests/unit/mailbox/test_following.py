"""Places of followers: bounds by link, by group and in all, and who has to go for whom."""

from __future__ import annotations

import itertools
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.ids import Group, LinkId, Tag
from railgun_core.mailbox.following import Following
from railgun_core.mailbox.limits import LINK_FOLLOWS, MailboxLimits
from railgun_core.mailbox.links import MailLink, new_link

LIMITS = replace(MailboxLimits(), followers=40, group_followers=20)
TAGS = [Tag(bytes((n,)) * 32) for n in range(64)]


def link_of(group: int | None = None) -> MailLink:
    return new_link(b"", LIMITS, 0.0, group=None if group is None else Group(bytes((20, group))))


def fill(following: Following, links: dict[LinkId, MailLink]) -> None:
    """Each link takes all it can, tag by tag."""
    for tag, (link, state) in itertools.product(TAGS, links.items()):
        if tag not in state.follows and following.has_room(link, state, tag, LIMITS):
            following.follow(link, state, tag, LIMITS)


def test_a_link_follows_some_tags_and_a_group_not_more_than_its_share() -> None:
    following = Following()
    links = {LinkId(n): link_of(1) for n in range(9)}
    fill(following, {LinkId(0): links[LinkId(0)]})
    assert len(following) == LINK_FOLLOWS
    fill(following, links)
    assert len(following) == LIMITS.group_followers
    other = link_of(2)
    assert following.has_room(LinkId(99), other, TAGS[0], LIMITS)


def test_links_that_took_all_places_give_way_to_who_comes_later() -> None:
    following = Following()
    greedy = {LinkId(n): link_of() for n in range(3)}
    fill(following, greedy)
    assert len(following) == LIMITS.followers
    late = link_of()
    gone = [following.follow(LinkId(9), late, tag, LIMITS) for tag in TAGS[:5]]
    assert None not in gone
    assert all(TAGS.index(place[1]) < 5 for place in gone if place is not None)  # whoever asked longest ago
    assert sorted(len(state.follows) for state in greedy.values()) == [11, 12, 12]
    assert len(following) == LIMITS.followers


def test_a_group_that_took_all_places_gives_way_and_never_takes_them_from_who_has_fewer() -> None:
    following = Following()
    rich = [{LinkId(100 * g + n): link_of(g) for n in range(20)} for g in (1, 2)]
    for links in rich:
        fill(following, links)
    poor, link = link_of(3), LinkId(7)
    assert following.follow(link, poor, TAGS[0], LIMITS) is not None
    fill(following, {LinkId(100 + n): link_of(1) for n in range(20, 40)})
    assert poor.follows == {TAGS[0]}
    assert link in following.links(TAGS[0])


def test_who_asks_again_keeps_its_place_longest() -> None:
    following = Following()
    links = {LinkId(n): link_of() for n in range(3)}
    fill(following, links)
    first = next(iter(links))
    for tag in TAGS[:2]:
        for link, state in links.items():
            if tag in state.follows:
                following.follow(link, state, tag, LIMITS)
    gone = following.follow(LinkId(9), link_of(), TAGS[0], LIMITS)
    assert gone is not None
    assert gone[1] == TAGS[2]
    assert first in following.links(TAGS[0])


@given(
    st.lists(st.tuples(st.sampled_from(["follow", "down"]), st.integers(0, 9), st.integers(0, 30)), max_size=200),
)
def test_the_books_agree_whatever_happens(steps: list[tuple[str, int, int]]) -> None:
    limits = replace(LIMITS, followers=12, group_followers=5)
    following = Following()
    links = {LinkId(n): link_of(None if n < 4 else n % 3) for n in range(10)}
    for what, number, at in steps:
        link, state, tag = LinkId(number), links[LinkId(number)], TAGS[at]
        if what == "down":
            following.link_down(link, state)
            assert state.follows == set()
        elif following.has_room(link, state, tag, limits):
            following.follow(link, state, tag, limits)
            assert tag in state.follows
        told = {(other, t) for t in TAGS for other in following.links(t)}
        assert told == {(other, t) for other, one in links.items() for t in one.follows}
        assert len(following) == len(told) <= limits.followers
        for group in {one.group for one in links.values()} - {None}:
            assert sum(len(one.follows) for one in links.values() if one.group == group) <= limits.group_followers
