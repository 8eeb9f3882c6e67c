"""What this mailbox knows of a link: its binding, its address group, its rates, and what it has asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

from railgun_core.base.ids import Group, Tag
from railgun_core.base.ratelimit import TokenBucket
from railgun_core.mailbox.limits import MailboxLimits


@dataclass(slots=True, eq=False)
class MailLink:
    """One inbound link. Who asks on it, nobody here knows."""

    binding: bytes
    deposits: TokenBucket
    pages: TokenBucket
    draws: TokenBucket
    fetching: set[Tag] = field(default_factory=set)
    follows: set[Tag] = field(default_factory=set)
    group: Group | None = None  # None: not known


def new_link(binding: bytes, limits: MailboxLimits, now_s: float, *, group: Group | None = None) -> MailLink:
    """A link with all its rates unused."""
    return MailLink(
        binding,
        TokenBucket(limits.rate_per_s, limits.burst, now_s=now_s),
        TokenBucket(limits.pages_per_s, limits.pages_burst, now_s=now_s),
        TokenBucket(limits.draws_per_s, limits.draws_burst, now_s=now_s),
        group=group,
    )


def mixnet_link(limits: MailboxLimits, now_s: float) -> MailLink:
    """Stands for all who come through the mixnet: more of them meet a tag for the first time."""
    link = new_link(b"", limits, now_s)
    link.draws = TokenBucket(limits.mixnet_draws_per_s, limits.mixnet_draws_burst, now_s=now_s)
    return link
