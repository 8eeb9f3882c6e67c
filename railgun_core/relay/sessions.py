"""The two kinds of session a relay has: with members of a room, and with the other relays of its committee.

Both count instead of naming: links are ordered and reliable, so "the first 120 of this session" says it all.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from railgun_core.base.ids import LinkId, MsgId, PeerId
from railgun_core.base.ratelimit import TokenBucket
from railgun_core.wire.frames import Slice


@dataclass(slots=True, eq=False)
class Owed:
    """What was asked for and is still to be given; true while there is something."""

    ids: dict[MsgId, None] = field(default_factory=dict)
    names_from: int | None = None  # position from which on it is to be told names

    def __bool__(self) -> bool:
        return bool(self.ids) or self.names_from is not None


@dataclass(slots=True, eq=False)
class MemberSession:
    """A member's session for one tag. Who the member is, nobody here knows."""

    link: LinkId
    slice: Slice
    bucket: TokenBucket
    taken: int = 0  # envelopes received, refused ones included
    stored: int = 0  # of these, how many a majority holds
    acked: tuple[int, int] = (0, 0)
    delivered: int = 0  # envelopes sent to it
    confirmed: int = 0  # of these, how many it has confirmed
    announced: int = 0  # position up to which it was told ids
    marks: deque[tuple[int, int]] = field(default_factory=deque)  # (taken, position) not yet stored
    owed: Owed = field(default_factory=Owed)


@dataclass(slots=True, eq=False)
class ReplicaSession:
    """Another relay of the same committee."""

    link: LinkId
    peer_id: PeerId
    open: bool = False
    sent: int = 0  # envelopes sent to it
    received: int = 0  # envelopes received from it and held
    full: bool = False  # the spool had no room: nothing it sends counts as held any more
    missing: deque[MsgId] = field(default_factory=deque)  # ids it has and this relay lacks
    asked: set[MsgId] = field(default_factory=set)  # of these, asked for and not here yet
    held: int = 0  # position among my publications up to which it has confirmed everything
    marks: deque[tuple[int, int]] = field(default_factory=deque)  # (sent, position) not yet confirmed
    owed: Owed = field(default_factory=Owed)

    def confirm(self, count: int) -> None:
        """It has received the first `count` of what was sent."""
        while self.marks and self.marks[0][0] <= count:
            self.held = max(self.held, self.marks.popleft()[1])
