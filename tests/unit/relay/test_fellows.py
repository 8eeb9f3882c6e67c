"""Links between relays: one per peer, and both sides agree which, whatever crosses on the way."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.ids import LinkId, PeerId
from railgun_core.relay.fellows import BACKOFF_S, Fellows

SMALL, LARGE = PeerId(b"\x01" * 32), PeerId(b"\x02" * 32)


def test_a_peer_is_dialled_once_at_a_time() -> None:
    fellows = Fellows(SMALL)
    assert fellows.dial(LARGE, 0.0)
    assert not fellows.dial(LARGE, 0.0)
    fellows.link_up(LARGE, LinkId(1), dialled_by_me=True)
    assert not fellows.dial(LARGE, 0.0)
    assert fellows.link(LARGE) == 1


def test_failures_wait_longer_each_time_and_a_link_forgives_them() -> None:
    fellows, now_s = Fellows(SMALL), 0.0
    for failure in range(len(BACKOFF_S) + 3):
        assert fellows.dial(LARGE, now_s)
        retry_s = fellows.dial_failed(LARGE, now_s)
        assert retry_s - now_s == BACKOFF_S[min(failure, len(BACKOFF_S) - 1)]
        assert not fellows.dial(LARGE, retry_s - 0.01)
        now_s = retry_s
    assert fellows.dial(LARGE, now_s)
    fellows.link_up(LARGE, LinkId(1), dialled_by_me=True)
    assert fellows.link_down(LinkId(1), now_s) == LARGE
    assert fellows.dial(LARGE, now_s + BACKOFF_S[0])
    assert fellows.dial_failed(LARGE, now_s) - now_s == BACKOFF_S[0]


def test_of_two_crossing_links_the_one_of_the_smaller_id_stays_on_both_sides() -> None:
    by_small, by_large = LinkId(1), LinkId(2)
    for small_order in ((by_small, by_large), (by_large, by_small)):
        for large_order in ((by_small, by_large), (by_large, by_small)):
            small, large = Fellows(SMALL), Fellows(LARGE)
            hung_up = [small.link_up(LARGE, link, dialled_by_me=link == by_small) for link in small_order]
            hung_up += [large.link_up(SMALL, link, dialled_by_me=link == by_large) for link in large_order]
            assert small.link(LARGE) == large.link(SMALL) == by_small
            assert [link for link in hung_up if link is not None] == [by_large]


def test_who_dials_again_is_met_on_the_new_link_although_the_old_one_looked_alive() -> None:
    for own, peer in ((SMALL, LARGE), (LARGE, SMALL)):
        fellows = Fellows(own)
        assert fellows.link_up(peer, LinkId(1), dialled_by_me=False) is None
        assert fellows.link_up(peer, LinkId(2), dialled_by_me=False) == 1
        assert fellows.link(peer) == 2
        assert fellows.link_down(LinkId(1), 0.0) is None
        assert fellows.link(peer) == 2


def test_the_end_of_a_link_that_nobody_used_changes_nothing() -> None:
    fellows = Fellows(SMALL)
    assert fellows.link_down(LinkId(9), 0.0) is None
    assert fellows.link(LARGE) is None


def test_only_links_of_ones_own_that_no_duty_needs_are_idle() -> None:
    fellows, third = Fellows(SMALL), PeerId(b"\x03" * 32)
    fellows.link_up(LARGE, LinkId(1), dialled_by_me=True)
    fellows.link_up(third, LinkId(2), dialled_by_me=False)
    assert fellows.idle({LARGE}) == []
    assert fellows.idle(set()) == [1]


def test_a_peer_that_failed_is_waited_for_until_it_has_a_link_or_is_forgiven() -> None:
    fellows = Fellows(SMALL)
    assert not fellows.is_waiting(LARGE, 0.0)
    fellows.dial(LARGE, 0.0)
    assert not fellows.is_waiting(LARGE, 0.0)
    fellows.dial_failed(LARGE, 0.0)
    assert fellows.is_waiting(LARGE, 0.0)
    assert not fellows.is_waiting(LARGE, BACKOFF_S[0])
    fellows.dial(LARGE, BACKOFF_S[0])
    assert fellows.is_waiting(LARGE, 5.0)
    fellows.dial_failed(LARGE, 5.0)
    assert not fellows.dial(LARGE, 5.0)
    fellows.forgive()
    assert fellows.dial(LARGE, 5.0)
    fellows.link_up(LARGE, LinkId(1), dialled_by_me=True)
    assert not fellows.is_waiting(LARGE, 5.0)


class Pair:
    """Two relays and what is on its way between them: links that come up, and ends that are heard of late."""

    def __init__(self) -> None:
        self.sides = {SMALL: Fellows(SMALL), LARGE: Fellows(LARGE)}
        self.dialler: dict[LinkId, PeerId] = {}
        self.news: list[tuple[PeerId, LinkId, bool]] = []

    def other(self, side: PeerId) -> PeerId:
        return LARGE if side == SMALL else SMALL

    def dial(self, side: PeerId, now_s: float) -> None:
        if self.sides[side].dial(self.other(side), now_s):
            link = LinkId(len(self.dialler) + 1)
            self.dialler[link] = side
            self.news += [(SMALL, link, True), (LARGE, link, True)]

    def cut(self, link: LinkId) -> None:
        for side in self.sides:
            self.news.append((side, link, False))

    def hear(self, index: int, now_s: float) -> None:
        """Deliver one piece of news; news of one link reach a side in order."""
        side, link, up = self.news[index]
        first = next(n for n, (s, other, _) in enumerate(self.news) if (s, other) == (side, link))
        side, link, up = self.news.pop(first)
        if not up:
            self.sides[side].link_down(link, now_s)
            return
        spare = self.sides[side].link_up(self.other(side), link, dialled_by_me=self.dialler[link] == side)
        if spare is not None:
            self.cut(spare)


@given(st.integers(0, 2**32), st.integers(0, 40))
def test_two_relays_come_to_use_one_link_after_any_crossing_of_dials_and_losses(seed: int, steps: int) -> None:
    rng, pair, now_s = random.Random(seed), Pair(), 0.0
    for _ in range(steps):
        now_s += rng.random()
        match rng.randrange(4):
            case 0:
                pair.dial(rng.choice((SMALL, LARGE)), now_s)
            case 1 if pair.dialler:
                pair.cut(rng.choice(list(pair.dialler)))
            case _ if pair.news:
                pair.hear(rng.randrange(len(pair.news)), now_s)
            case _:
                pass
    for _ in range(30):
        while pair.news:
            pair.hear(rng.randrange(len(pair.news)), now_s)
        now_s += 40.0
        for side in pair.sides:
            pair.dial(side, now_s)
        if not pair.news:
            break
    links = [pair.sides[side].link(pair.other(side)) for side in pair.sides]
    assert links[0] is not None
    assert links[0] == links[1]
