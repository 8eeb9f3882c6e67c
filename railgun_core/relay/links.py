"""One link of a relay: who is at the other end, and which sessions it carries.

A member's link carries sessions with members, a link to another relay those of all common duties. A link is a
fellow's from the moment its key has asked for, or was dialled for, a session between relays.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from railgun_core.base.heartbeat import Heartbeat
from railgun_core.base.ids import PeerId, PublicKey, TagHandle
from railgun_core.base.ratelimit import TokenBucket
from railgun_core.relay.duty import Duty
from railgun_core.relay.sessions import MemberSession, ReplicaSession

Session = MemberSession | ReplicaSession


@dataclass(slots=True)
class LinkState:
    """What is known of an open link. `beat` counts the signs of life of a fellow that a duty needs.

    The rates of what is asked on it begin with the first question.
    """

    remote_key: PublicKey
    binding: bytes
    inbound: bool
    sessions: dict[TagHandle, tuple[Duty, Session]] = field(default_factory=dict)
    fellow: PeerId | None = None
    beat: Heartbeat | None = None
    opens: TokenBucket | None = None
    member_draws: TokenBucket | None = None
    fellow_draws: TokenBucket | None = None
    given: TokenBucket | None = None  # bytes
    owing: dict[TagHandle, None] = field(default_factory=dict)  # sessions that are owed something, in turn
