"""The central server of hybrid mode: the last resort for what neither a committee nor a mailbox keeps, or the first.

It sees mail tags and sealed envelopes, and the address of whoever connects: rooms that hide their members' addresses
behind guards or mixes never use it. A position is the server's own count and only means something to it, so the last
one it gave is kept, not the largest. Source: protocol.md 9 and 11.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

from railgun_core.base.clock import Instant
from railgun_core.base.ids import Tag, handle_of
from railgun_core.events import CentralFollow, CentralKeep, CentralKept, Effect
from railgun_core.rooms.mail_parcels import Parcel, Spool
from railgun_core.wire.frames import envelope_frame

KEEPS_AT_ONCE = 128  # half of what the client takes at a time
ANSWER_WITHIN_S = 10.0
AGAIN_S = 3.0
REST_S = 60.0  # a tag whose envelopes had no room here is brought again after this long


@dataclass(slots=True, eq=False)
class CentralWay:
    """`first`: messages go to the server before the committee. `up`: it can be used now."""

    enabled: bool = False
    first: bool = False
    up: bool = False
    first_again_s: float = float("-inf")
    followed: tuple[tuple[Tag, int], ...] = ()
    resting: dict[Tag, float] = field(default_factory=dict)
    _tickets: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _open: dict[int, tuple[Spool, Parcel, float]] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether something can be left there now."""
        return self.enabled and self.up

    def is_first_at(self, now_s: float) -> bool:
        """Whether messages go there before they go anywhere else: not just after it failed."""
        return self.is_open and self.first and now_s >= self.first_again_s

    def asked(self, ticket: int) -> tuple[Spool, Parcel] | None:
        """The envelope that an answer is about."""
        found = self._open.get(ticket)
        return None if found is None else found[:2]

    def keep(self, spool: Spool, parcel: Parcel, now: Instant, out: list[Effect]) -> None:
        """Give the server an envelope; `kept` tells what became of it."""
        if len(self._open) >= KEEPS_AT_ONCE:
            return
        ticket = next(self._tickets)
        self._open[ticket] = (spool, parcel, now.mono_s)
        parcel.central_s = now.mono_s
        deposit = parcel.deposit
        frame = envelope_frame(
            handle_of(deposit.tag), expiry_s=deposit.expiry_s, msg_id=deposit.msg_id, envelope=deposit.envelope
        )
        out.append(CentralKeep(ticket, deposit.tag, frame))

    def kept(self, event: CentralKept, now: Instant) -> bool:
        """The server's answer: whether it has the envelope on its disk."""
        found = self._open.pop(event.ticket, None)
        if found is not None and event.code:
            self._failed(found[1], now)
        elif found is not None:
            found[1].central_s = None
        return found is not None and not event.code

    def tidy(self, now: Instant) -> None:
        """Wait no longer for answers that did not come."""
        for ticket, (_, parcel, at_s) in list(self._open.items()):
            if now.mono_s - at_s >= ANSWER_WITHIN_S:
                del self._open[ticket]
                self._failed(parcel, now)

    def follow(self, tags: Iterable[tuple[Tag, int]], now: Instant, out: list[Effect], *, anew: bool = False) -> None:
        """Follow exactly these tags, each behind a position; said only when they changed, or `anew`."""
        self.resting = {tag: until_s for tag, until_s in self.resting.items() if until_s > now.mono_s}
        wanted = tuple((tag, at) for tag, at in tags if tag not in self.resting) if self.enabled else ()
        if anew or {tag for tag, _ in wanted} != {tag for tag, _ in self.followed}:
            self.followed = wanted
            out.append(CentralFollow(wanted))

    def _failed(self, parcel: Parcel, now: Instant) -> None:
        if parcel.central_first:
            self.first_again_s = now.mono_s + AGAIN_S
        parcel.central_s, parcel.central_first = None, False
        parcel.central_again_s = now.mono_s + AGAIN_S
