"""How much work others can ask of this relay before it knows that it serves them.

Anybody may name any tag. To see who serves one, this relay draws its committee, and looks at every relay it knows for
that: 3 ms with a thousand. So an unknown tag costs a token of its link, and tokens of all links together, which count
the relays looked at. Members, fellows and posts have shares of their own: a flood of one kind takes nothing from the
others. Signatures of members, 100 us each, are granted per link as well.
"""

from __future__ import annotations

import enum
from collections.abc import Sized

from railgun_core.base.clock import Instant
from railgun_core.base.ratelimit import TokenBucket
from railgun_core.relay.duty import RelayLimits
from railgun_core.relay.links import LinkState

LOOKS_BESIDE = 200  # a draw costs as much as so many looks besides those at the relays


class Asker(enum.Enum):
    """Who names a tag."""

    MEMBER = "member"
    FELLOW = "fellow"
    POST = "post"


class Draws:
    """The rates of one relay. `known` counts the relays that a draw looks at."""

    def __init__(self, known: Sized, limits: RelayLimits) -> None:
        self._known = known
        self._limits = limits
        self._looks: dict[Asker, TokenBucket] = {}

    def signature_wait_ms(self, state: LinkState, now: Instant) -> int | None:
        """None if a member's signature may be checked now, else when to ask again, ms."""
        if state.opens is None:
            state.opens = TokenBucket(self._limits.opens_per_s, self._limits.opens_burst, now_s=now.mono_s)
        return None if state.opens.take(1, now.mono_s) else state.opens.retry_after_ms(1)

    def draw_wait_ms(self, asker: Asker, state: LinkState | None, now: Instant) -> int | None:
        """None if a committee may be drawn now, else when to ask again, ms. Posts come without a link."""
        of_link = None if state is None else self._link_draws(asker, state, now)
        if of_link is not None and not of_link.take(1, now.mono_s):
            return of_link.retry_after_ms(1)
        looks = self._looks.get(asker)
        if looks is None:
            looks = TokenBucket(self._limits.looks_per_s, self._limits.looks_burst, now_s=now.mono_s)
            self._looks[asker] = looks
        cost = min(LOOKS_BESIDE + len(self._known), self._limits.looks_burst)
        granted = looks.take(cost, now.mono_s)
        if granted == cost:
            return None
        looks.give_back(granted)
        if of_link is not None:
            of_link.give_back(1)
        return looks.retry_after_ms(cost)

    def _link_draws(self, asker: Asker, state: LinkState, now: Instant) -> TokenBucket:
        """A member's link carries one tag, a fellow's all common ones: those may come at once after a restart."""
        limits = self._limits
        if asker is Asker.MEMBER:
            if state.member_draws is None:
                state.member_draws = TokenBucket(limits.draws_per_s, limits.draws_burst, now_s=now.mono_s)
            return state.member_draws
        if state.fellow_draws is None:
            state.fellow_draws = TokenBucket(limits.fellow_draws_per_s, limits.duties, now_s=now.mono_s)
        return state.fellow_draws
