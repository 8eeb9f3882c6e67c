"""Who hears of later mail: the links that follow tags, in bounds, with places shared fairly.

A link follows LINK_FOLLOWS tags at most, the links of one address group `group_followers` together. When all places are
taken, a newcomer gets one of the group that holds most, if that is more than its own will: the one that was asked for
longest ago. So neither one link nor one group keeps others out, and who asks now and then keeps its place. Where groups
are not known (networks on one machine, links in memory) each link stands for itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from railgun_core.base.ids import Group, LinkId, Tag
from railgun_core.mailbox.limits import LINK_FOLLOWS, MailboxLimits
from railgun_core.mailbox.links import MailLink

Place = tuple[LinkId, Tag]
Owner = Group | LinkId


class Following:
    """All places that are taken. Cost: one look at each owner when all are, else constant."""

    def __init__(self) -> None:
        self._links: dict[Tag, dict[LinkId, MailLink]] = {}
        self._owners: dict[Owner, dict[Place, None]] = {}  # in each, whoever asked longest ago first
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def links(self, tag: Tag) -> Iterable[LinkId]:
        """Who follows a tag."""
        return self._links.get(tag, {})

    def has_room(self, link: LinkId, state: MailLink, tag: Tag, limits: MailboxLimits) -> bool:
        """Whether a link may follow a tag now."""
        if tag in state.follows:
            return True
        own = len(self._owners.get(_owner(link, state), ()))
        if len(state.follows) >= LINK_FOLLOWS or (state.group is not None and own >= limits.group_followers):
            return False
        return self._count < limits.followers or len(self._richest()) > own + 1

    def follow(self, link: LinkId, state: MailLink, tag: Tag, limits: MailboxLimits) -> Place | None:
        """Let a link follow a tag, or keep it there; who had to go for it. There has to be room."""
        gone: Place | None = None
        if tag in state.follows:
            del self._owners[_owner(link, state)][link, tag]
        else:
            if self._count >= limits.followers:
                gone = next(iter(self._richest()))
                self._end(*gone)
            state.follows.add(tag)
            self._links.setdefault(tag, {})[link] = state
            self._count += 1
        self._owners.setdefault(_owner(link, state), {})[link, tag] = None
        return gone

    def link_down(self, link: LinkId, state: MailLink) -> None:
        """Nobody is left to send to."""
        for tag in list(state.follows):
            self._end(link, tag)

    def _richest(self) -> dict[Place, None]:
        return max(self._owners.values(), key=len, default={})

    def _end(self, link: LinkId, tag: Tag) -> None:
        links = self._links[tag]
        state = links.pop(link)
        if not links:
            del self._links[tag]
        owner = _owner(link, state)
        del self._owners[owner][link, tag]
        if not self._owners[owner]:
            del self._owners[owner]
        state.follows.discard(tag)
        self._count -= 1


def _owner(link: LinkId, state: MailLink) -> Owner:
    return link if state.group is None else state.group
