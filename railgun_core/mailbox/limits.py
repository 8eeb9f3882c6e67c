"""What one mailbox grants: disk, rates, and how many may ask at once. Only new work is ever refused by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

TAG_BYTES: Final = 50_000_000  # protocol.md 6.5
LEAST_CHARGE_BYTES: Final = 4_096  # of every envelope, so that many small ones are no way around a limit
DISK_PAGE_BYTES: Final = 8_192  # of the store: two medium envelopes do not fit on one page
EVICT_AT_ONCE: Final = 500  # removed in one transaction, some 50 ms: own messages wait behind it
PAGE_ENVELOPES: Final = 48  # one answer to COLLECT; of 64 KiB each they would be three times a page
PAGE_BYTES: Final = 1024 * 1024
LINK_FETCHES: Final = 8  # one for each day that can be collected
LINK_FOLLOWS: Final = 16
WAITERS: Final = 16  # posts that wait for the same envelope to be durable


@dataclass(frozen=True, slots=True)
class MailboxLimits:
    """Rates are per second and link. What comes through the mixnet counts as one link: nobody is known there."""

    bytes: int = 1024**3  # on disk as the store lays it out, all tags together
    tags: int = 65_536  # in memory, 1.2 kB each, until their days are long over
    tag_bytes: int = TAG_BYTES  # of envelopes
    rate_per_s: int = 200  # deposits
    burst: int = 1_000
    pages_per_s: int = 32  # collections
    pages_burst: int = 64
    draws_per_s: float = 2.0  # first words about a tag: each costs a draw of its mailboxes, 1 ms at 1,000 groups
    draws_burst: int = 32
    mixnet_draws_per_s: float = 20.0
    mixnet_draws_burst: int = 200
    unsaved_bytes: int = 32 * 1024 * 1024  # in memory, until the disk has them
    links: int = 4_096
    group_links: int = 512  # of them, links of one address group, where groups are known
    followers: int = 4_096  # links times tags that hear of later mail
    group_followers: int = 512  # of them, those of one group
    fetches: int = 64
