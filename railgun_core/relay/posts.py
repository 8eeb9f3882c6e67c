"""What a relay does with posts: envelopes that came through the mixnet, without a session.

A post is checked like an OPEN (epoch, signature, seat) and then taken in like a publication. It is answered once: when
a majority holds it, or when it is refused. The one limit is per duty, because there is nobody to hold it against.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from railgun_core.base.clock import Instant
from railgun_core.base.ids import TagHandle
from railgun_core.base.ratelimit import TokenBucket
from railgun_core.committee.epoch import EpochClock
from railgun_core.events import Effect
from railgun_core.relay.duty import Duty
from railgun_core.wire.kinds import Refusal
from railgun_core.wire.posts import Post, PostAnswer, PostStatus

Answer = Callable[[PostAnswer, Instant, list[Effect]], None]
MAX_WAITING = 4_096  # posts of one duty that no majority holds yet


@dataclass(slots=True)
class _Desk:
    bucket: TokenBucket
    waiting: deque[tuple[int, Answer]] = field(default_factory=deque)  # (position among the duty's publications)


class Posts:
    """The posts of all duties that wait for a majority."""

    def __init__(self, *, rate_per_s: float, burst: float) -> None:
        self._rate_per_s, self._burst = rate_per_s, burst
        self._desks: dict[TagHandle, _Desk] = {}

    def admits(self, duty: Duty, now: Instant) -> bool:
        """Whether the duty's rate has room for one more."""
        desk = self._desks.get(duty.handle)
        if desk is None:
            bucket = TokenBucket(self._rate_per_s, self._burst, now_s=now.mono_s)
            desk = self._desks[duty.handle] = _Desk(bucket)
        return len(desk.waiting) < MAX_WAITING and desk.bucket.take(1, now.mono_s) == 1

    def wait(self, duty: Duty, answer: Answer, now: Instant, out: list[Effect]) -> None:
        """The newest publication of the duty is a post: answer it when a majority holds it."""
        self._desks[duty.handle].waiting.append((len(duty.published), answer))
        self.settle(duty, now, out)

    def settle(self, duty: Duty, now: Instant, out: list[Effect]) -> None:
        """Answer the posts that the duty's frontier has reached."""
        desk = self._desks.get(duty.handle)
        while desk is not None and desk.waiting and desk.waiting[0][0] <= duty.frontier:
            _, answer = desk.waiting.popleft()
            answer(PostAnswer(PostStatus.STORED, held=duty.held, size=len(duty.committee.seats)), now, out)

    def retire(self, duty: Duty) -> None:
        """A duty has ended: who was not answered by now tries elsewhere."""
        self._desks.pop(duty.handle, None)


def refusal_of_post(post: Post, clock: EpochClock, now: Instant) -> Refusal | None:
    """Why a post may not come in, or None. In the order of cost; the signature is about 100 us."""
    if not clock.prepare_s(post.epoch) - clock.overlap_s <= now.unix_s < clock.retire_s(post.epoch):
        return Refusal.WRONG_EPOCH
    if post.expiry_s <= int(now.unix_s):
        return Refusal.EXPIRED
    return None if post.is_signed() else Refusal.BAD_SIGNATURE
