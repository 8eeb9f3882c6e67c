"""All duties of a relay: how each begins, what its timers do, and how it ends.

A duty begins with the first valid request for a tag in whose committee this node sees itself, takes the turns of its
rotation, and ends when that retires. Ids seen are saved soon after they came, so that a restart pushes nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterable

from railgun_core.base.clock import Instant
from railgun_core.base.ids import MsgId, Tag, TagHandle
from railgun_core.base.keys import Identity
from railgun_core.base.timers import Timers
from railgun_core.changes import CommitteePut, ReplayAdd, ReplayDrop
from railgun_core.committee.epoch import EpochClock
from railgun_core.committee.rotation import Rotation
from railgun_core.committee.selection import Committee
from railgun_core.committee.view import RelayView
from railgun_core.events import Effect, SaveSoon, Send
from railgun_core.relay.duty import Duty, RelayLimits
from railgun_core.relay.spool import Spool
from railgun_core.status import DutyState
from railgun_core.wire.frames import Slice
from railgun_core.wire.heads import Chain

SAVE_IDS_AFTER_S = 1.0
MAX_CHAINED = 8_192  # tags whose order of arrival was signed; the oldest goes


class Duties:
    """The live duties by handle, and what they carried together."""

    def __init__(
        self,
        identity: Identity,
        *,
        view: RelayView,
        clock: EpochClock,
        committee_size: int,
        limits: RelayLimits,
        timers: Timers[tuple[str, bytes]],
    ) -> None:
        self._identity = identity
        self._view = view
        self._clock = clock
        self._size = committee_size
        self._limits = limits
        self._timers = timers
        self._remembered: dict[Tag, list[MsgId]] = {}
        self._chained: dict[Tag, int] = {}  # since when, as the chain says
        self._retired_totals = (0, 0)
        self.live: dict[TagHandle, Duty] = {}
        self.rotations = 0
        self.held_bytes = 0  # in the spools of all duties

    def restore(self, replay: Iterable[ReplayAdd]) -> None:
        """Take back the replay windows of before a restart."""
        for entry in replay:
            ids = (MsgId(entry.ids[at : at + 16]) for at in range(0, len(entry.ids), 16))
            self._remembered.setdefault(entry.tag, []).extend(ids)

    def carried(self) -> tuple[int, int]:
        """Envelopes taken in, and bytes sent on, since start."""
        envelopes, relayed_bytes = self._retired_totals
        envelopes += sum(duty.envelopes for duty in self.live.values())
        return envelopes, relayed_bytes + sum(duty.relayed_bytes for duty in self.live.values())

    def is_full(self) -> bool:
        """Whether this relay has as many duties as it takes."""
        return len(self.live) >= self._limits.duties

    def committee(self, tag: Tag, epoch: int) -> Committee:
        """The committee of a tag as this node sees it now."""
        return self._view.committee(tag, epoch, size=self._size, clock=self._clock)

    def grant_room(self, duty: Duty) -> int:
        """Let the duty's spool take what all spools together have left; what it holds now."""
        held_bytes = duty.spool.held_bytes
        duty.spool.max_bytes = held_bytes + self._limits.spool_bytes - self.held_bytes
        return held_bytes

    # ------------------------------------------------------------ begin, turn, end

    def begin(self, committee: Committee, now: Instant, out: list[Effect]) -> Duty:
        """Take a duty on."""
        remembered = self._remembered.pop(committee.tag, ())
        spool = Spool(max_bytes=self._limits.spool_bytes, remembered=remembered)
        own, until_s = self._identity.peer_id, self._clock.retire_s(committee.epoch)
        duty = Duty(committee, own, Rotation(committee.epoch, self._clock), spool, now, until_s=until_s)
        duty.chain = self._chain(duty)
        self.live[duty.handle] = duty
        duty.rotation.advance(now.unix_s)
        self._plan_turn(duty, now)
        out.append(SaveSoon((self._evidence(duty, now), duty.put())))
        return duty

    def _chain(self, duty: Duty) -> Chain | None:
        """A chain over the ids of a duty; None for one that comes again, because the clock was set back.

        A second chain from the same start would sign another story, and convict this relay.
        """
        record = self._view.get(duty.own)
        if record is None or self._chained.get(duty.tag) == record.not_before_s:
            return None
        self._chained.pop(duty.tag, None)
        self._chained[duty.tag] = record.not_before_s
        if len(self._chained) > MAX_CHAINED:
            del self._chained[next(iter(self._chained))]
        return Chain(duty.tag, duty.epoch, record.not_before_s)

    def turn(self, duty: Duty, now: Instant, out: list[Effect]) -> bool:
        """Take the turns that are due; whether the duty is retired now."""
        entered = duty.rotation.advance(now.unix_s)
        self.rotations += entered.count(DutyState.OVERLAP)
        self._plan_turn(duty, now)
        if entered:
            out.append(SaveSoon((duty.put(),)))
        return duty.rotation.state is DutyState.RETIRED

    def replan(self, now: Instant) -> None:
        """The monotonic clock may have stood still while epochs went by: plan every duty's turn again."""
        for duty in self.live.values():
            self._plan_turn(duty, now)

    def retire(self, duty: Duty, out: list[Effect]) -> None:
        """Forget a duty; only its totals stay."""
        del self.live[duty.handle]
        self.held_bytes -= duty.spool.held_bytes
        envelopes, relayed_bytes = self._retired_totals
        self._retired_totals = (envelopes + duty.envelopes, relayed_bytes + duty.relayed_bytes)
        out.append(SaveSoon((ReplayDrop(duty.epoch),)))

    def redraw(self, now: Instant, out: list[Effect]) -> list[Duty]:
        """New relays are known: draw all committees again; the duties whose seats or standbys changed."""
        changed: list[Duty] = []
        for duty in self.live.values():
            committee = self.committee(duty.tag, duty.epoch)
            if committee.members != duty.committee.members or committee.standbys != duty.committee.standbys:
                duty.committee = committee
                out.append(SaveSoon((self._evidence(duty, now),)))
                changed.append(duty)
        return changed

    def _plan_turn(self, duty: Duty, now: Instant) -> None:
        turn_s = duty.rotation.next_turn_s()
        if turn_s is not None:
            self._timers.set(("turn", duty.handle), now.mono_s + max(0.0, turn_s - now.unix_s))

    def _evidence(self, duty: Duty, now: Instant) -> CommitteePut:
        return duty.evidence(self._view.evidence(duty.committee), epoch_s=self._clock.epoch_s, now=now)

    # ------------------------------------------------------------ arrivals

    def arrived(self, duty: Duty, now: Instant) -> None:
        """Envelopes came: announce them and save their ids, each in its time."""
        self._plan_announcement(duty, now)
        self._timers.set_earlier(("ids", duty.handle), now.mono_s + SAVE_IDS_AFTER_S)

    def announce(self, duty: Duty, now: Instant, out: list[Effect]) -> None:
        """Tell the members that asked for ids what came."""
        duty.announcement_due = False
        out += duty.announcements()
        self._plan_announcement(duty, now)

    def save_ids(self, duty: Duty, out: list[Effect]) -> None:
        """What came in the last second: saved for the replay window, and signed for the members."""
        ids = duty.spool.unsaved_ids()
        if not ids:
            return
        out.append(SaveSoon((ReplayAdd(duty.tag, duty.epoch, b"".join(ids)),)))
        if duty.chain is not None:
            duty.chain.add(ids)
            head = duty.chain.sign(self._identity)
            listening = [s for s in duty.members.values() if s.slice is not Slice.QUIET]
            out += [Send(session.link, (head.encode(),)) for session in listening if head is not None]

    def _plan_announcement(self, duty: Duty, now: Instant) -> None:
        """Announce what is here now when it is old enough; what comes meanwhile has its own turn after that."""
        if duty.announcing and not duty.announcement_due and duty.announce_to < duty.spool.position:
            duty.announce_to = duty.spool.position
            duty.announcement_due = True
            self._timers.set(("announce", duty.handle), now.mono_s + self._limits.announce_after_s)
