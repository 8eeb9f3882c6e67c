"""Handing mail out: pages that are asked for, and what comes later to those who follow.

A page is planned from the names in memory, so it is bounded before a byte is read; the disk answers later. It says how
far it came and whether there is more; who wants more asks again, and so takes no more than it can. Who has all and
wants to follow is sent each later envelope as soon as that is durable, until the link ends or others need the place;
then it is told so, and when to ask again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from railgun_core.base.clock import Instant
from railgun_core.base.ids import LinkId, Tag, handle_of
from railgun_core.base.timers import Timers
from railgun_core.events import Effect, FetchMail, MailFetched, Send
from railgun_core.mailbox.following import Following
from railgun_core.mailbox.limits import LINK_FETCHES, PAGE_BYTES, PAGE_ENVELOPES, MailboxLimits
from railgun_core.mailbox.links import MailLink
from railgun_core.mailbox.names import Kept
from railgun_core.mailbox.shelf import MailTag
from railgun_core.wire.frames import Refused
from railgun_core.wire.kinds import Refusal
from railgun_core.wire.mail import Collect, Collected

FETCH_WITHIN_S = 10.0  # guess: a disk that takes longer for a megabyte is not waited for
BUSY_RETRY_MS = 1_000
FULL_RETRY_MS = 5_000
FOLLOW_RETRY_MS = 30_000  # somebody may have gone by then

MailTimers = Timers[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class _Fetch:
    link: LinkId
    state: MailLink
    held: MailTag
    asked: Collect
    page: tuple[Kept, ...]


class Collecting:
    """The pages on their way from the disk, and who follows."""

    def __init__(self, timers: MailTimers, limits: Callable[[], MailboxLimits]) -> None:
        self._timers = timers
        self._limits = limits
        self._tickets = itertools.count(1)
        self._fetches: dict[int, _Fetch] = {}
        self._following = Following()
        self.collections = 0  # answers to COLLECT

    def refusal(self, state: MailLink, asked: Collect, limits: MailboxLimits) -> tuple[Refusal, int] | None:
        """Why this cannot be asked now and when to ask again, ms; None when it can."""
        if asked.tag in state.fetching or len(state.fetching) >= LINK_FETCHES or len(self._fetches) >= limits.fetches:
            return Refusal.RATE, BUSY_RETRY_MS
        return None

    def answer(
        self, link: LinkId, state: MailLink, asked: Collect, held: MailTag | None, now: Instant, out: list[Effect]
    ) -> None:
        """Begin to answer: at once where there is nothing to read."""
        if held is not None and asked.position > held.next_durable:  # this mailbox has lost what it had: from the start
            asked = Collect(asked.tag, asked.day, 1, asked.follow, asked.signature)
        page = _page(held.kept.since(asked.position, PAGE_ENVELOPES)) if held is not None else ()
        if held is None or not page:
            position = 1 if held is None else held.next_durable
            self._send(link, state, asked, held, (), Collected(handle_of(asked.tag), position, False), out)
            return
        ticket = next(self._tickets)
        self._fetches[ticket] = _Fetch(link, state, held, asked, page)
        state.fetching.add(asked.tag)
        self._timers.set(("fetch", ticket), now.mono_s + FETCH_WITHIN_S)
        out.append(FetchMail(ticket, held.tag, page[0].position, len(page)))

    def fetched(self, event: MailFetched, now: Instant, out: list[Effect]) -> None:
        """A page has come from the disk. If something is not in it that has to be, it is no answer at all."""
        fetch = self._end(event.ticket)
        if fetch is None:
            return
        held, last = fetch.held, fetch.page[-1].position
        got = {position for position, _ in event.mail}
        due = (kept for kept in fetch.page if kept.digest in held.kept and kept.expiry_s > now.unix_s)
        if any(kept.position not in got for kept in due):
            _refuse(fetch, out)
            return
        frames = [frame for position, frame in event.mail if position <= last]
        said = Collected(held.handle, last + 1, bool(held.kept.since(last + 1, 1)))
        self._send(fetch.link, fetch.state, fetch.asked, held, frames, said, out)

    def overdue(self, ticket: int, out: list[Effect]) -> None:
        """The disk has not answered: whoever asked tries later, or elsewhere."""
        fetch = self._end(ticket)
        if fetch is not None:
            _refuse(fetch, out)

    def arrived(self, held: MailTag, kept: Kept, frame: bytes, out: list[Effect]) -> None:
        """An envelope has become durable: send it to those who follow."""
        said = Collected(held.handle, kept.position + 1, False).encode()
        for link in self._following.links(held.tag):
            out.append(Send(link, (frame, said)))

    def link_down(self, link: LinkId, state: MailLink) -> None:
        """Nobody is left to send to."""
        self._following.link_down(link, state)
        for ticket in [t for t, fetch in self._fetches.items() if fetch.state is state]:
            self._end(ticket)

    def _end(self, ticket: int) -> _Fetch | None:
        fetch = self._fetches.pop(ticket, None)
        if fetch is not None:
            self._timers.cancel(("fetch", ticket))
            fetch.state.fetching.discard(fetch.asked.tag)
        return fetch

    def _send(
        self,
        link: LinkId,
        state: MailLink,
        asked: Collect,
        held: MailTag | None,
        frames: Sequence[bytes],
        said: Collected,
        out: list[Effect],
    ) -> None:
        notice = None if held is None else held.notice
        missed = (notice.encode(),) if notice is not None and notice.last >= asked.position else ()
        out.append(Send(link, (*missed, *frames, said.encode())))
        self.collections += 1
        if asked.follow and not said.more:
            self._follow(link, state, asked.tag, out)

    def _follow(self, link: LinkId, state: MailLink, tag: Tag, out: list[Effect]) -> None:
        """A link has all there is, and hears of the rest if there is room; who has none, or has to go, is told."""
        limits = self._limits()
        has_room = self._following.has_room(link, state, tag, limits)
        gone = self._following.follow(link, state, tag, limits) if has_room else (link, tag)
        if gone is not None:
            out.append(Send(gone[0], (Refused(handle_of(gone[1]), Refusal.FULL, FOLLOW_RETRY_MS).encode(),)))


def _page(waiting: Sequence[Kept]) -> tuple[Kept, ...]:
    """The first of them, within the bounds of one answer; at least one."""
    count = size = 0
    for kept in waiting:
        size += kept.size
        if count and size > PAGE_BYTES:
            break
        count += 1
    return tuple(waiting[:count])


def _refuse(fetch: _Fetch, out: list[Effect]) -> None:
    out.append(Send(fetch.link, (Refused(fetch.held.handle, Refusal.FULL, FULL_RETRY_MS).encode(),)))
