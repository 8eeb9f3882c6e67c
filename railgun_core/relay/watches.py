"""Who of the fellow relays is alive, as this node hears it: one heartbeat for each that a duty needs.

A watch belongs to a peer, not to a link: it begins when the first duty needs the peer, lives on when links end and
come back, and is gone with the last duty. What is heard of silence here is this node's own opinion. Whether it may say
so of a death is another matter: a node that hears little of anybody has lost its own network.
Source: protocol.md 9; threats.md B34.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from railgun_core.base.heartbeat import IDLE_EVERY_S, PING_EVERY_S, Beat, Heartbeat
from railgun_core.base.ids import PeerId, TagHandle
from railgun_core.relay.duty import Duty

QUIET_S = 3.0  # a link in use that was heard of within this time answers
ANSWER_WITHIN_S = 2.0  # so does a quiet one whose first ping is no older
MAX_FALLEN = 64  # that are remembered without a watch; the oldest goes
TOGETHER_S = 10.0  # silences that begin within this time of each other have one cause
LOOKS_PER_S = 4  # fellows that were heard at different moments are looked at together; quarters are exact as floats


@dataclass(slots=True, eq=False)
class Watch:
    """One fellow: the duties that need it and its signs of life."""

    peer_id: PeerId
    beat: Heartbeat
    met_s: float | None = None  # when there was first a link to it since the watch began
    excused_s: float = -math.inf  # when its silence was last taken for that of a network
    duties: dict[TagHandle, Duty] = field(default_factory=dict)

    @property
    def met(self) -> bool:
        """Whether there was a link to it since the watch began."""
        return self.met_s is not None

    def meet(self, now_s: float) -> bool:
        """There is a link to it; whether this ends a suspicion."""
        if self.met_s is None:
            self.met_s = now_s
        return self.beat.heard(now_s)

    def is_in_use(self, now_s: float) -> bool:
        """Whether a duty that serves had envelopes lately, or waits for copies to be confirmed."""
        return any(duty.is_busy(now_s) for duty in self.duties.values())

    def answers(self, now_s: float) -> bool:
        """Whether it gave the last sign of life in time, as far as it was asked for one."""
        beat = self.beat
        if now_s - beat.heard_s <= QUIET_S or beat.asked_s <= beat.heard_s:
            return True
        return beat.unanswered == 0 and now_s - beat.asked_s <= ANSWER_WITHIN_S


class Watches:
    """The watches of all fellows that live duties need."""

    def __init__(self) -> None:
        self._watches: dict[PeerId, Watch] = {}
        self._fallen: dict[PeerId, float] = {}  # silent when the last duty let them go: the last sign of life

    def get(self, peer_id: PeerId) -> Watch | None:
        return self._watches.get(peer_id)

    def all(self) -> list[Watch]:
        """Every watch, in the order they began."""
        return list(self._watches.values())

    def add(self, duty: Duty, peer_id: PeerId, now_s: float) -> Watch | None:
        """A duty needs a peer. The watch, when it has just begun."""
        watch = self._watches.get(peer_id)
        begun = watch is None
        if watch is None:
            watch = self._watches[peer_id] = Watch(peer_id, Heartbeat(now_s, every_s=IDLE_EVERY_S))
        watch.duties[duty.handle] = duty
        return watch if begun else None

    def remove(self, duty: Duty, now_s: float, *, keep: tuple[PeerId, ...] = ()) -> list[PeerId]:
        """A duty needs nobody any more but `keep`; the peers that no duty needs now."""
        gone: list[PeerId] = []
        for peer_id, watch in self._watches.items():
            if peer_id not in keep and watch.duties.pop(duty.handle, None) is not None and not watch.duties:
                gone.append(peer_id)
        for peer_id in gone:
            watch = self._watches.pop(peer_id)
            if watch.met and not watch.answers(now_s):
                self._fallen.pop(peer_id, None)
                self._fallen[peer_id] = watch.beat.heard_s
        while len(self._fallen) > MAX_FALLEN:
            del self._fallen[next(iter(self._fallen))]
        return gone

    def is_suspect(self, peer_id: PeerId) -> bool:
        watch = self._watches.get(peer_id)
        return watch is not None and watch.beat.is_suspect

    def look(self, watch: Watch, now_s: float, *, linked: bool) -> tuple[Beat, float]:
        """What is due for a fellow, and when to look again. Without a link there is only its silence to count."""
        beat = watch.beat
        beat.every_s = PING_EVERY_S if linked and watch.is_in_use(now_s) else IDLE_EVERY_S
        said = beat.look(now_s)
        if said is Beat.DEAD:
            beat.every_s = IDLE_EVERY_S
            return said, now_s + IDLE_EVERY_S
        at_s = math.ceil(max(beat.next_s(), now_s) * LOOKS_PER_S) / LOOKS_PER_S
        return said, at_s if at_s > now_s else now_s + 1 / LOOKS_PER_S

    def is_cut_off(self, now_s: float) -> bool:
        """Whether fewer than half of at least two fellows gave a sign of life in time."""
        known = [watch for watch in self._watches.values() if watch.met]
        answered = sum(1 for watch in known if watch.answers(now_s))
        return len(known) >= 2 and 2 * answered < len(known)

    def fell_with_others(self, watch: Watch) -> bool:
        """Whether another fellow of then fell silent when this one did: that may be a network, not a death.

        Two of few fellows are as much as a node sees of half of a network that it cannot reach any more, so their share
        says nothing. Who is not needed any more and was silent then counts too, until it is met again.
        """
        fell_s = watch.beat.heard_s
        others = [other for other in self._watches.values() if other.met_s is not None and other is not watch]
        silences = [other.beat.heard_s for other in others if other.met_s is not None and other.met_s <= fell_s]
        met = {other.peer_id for other in others}
        silences += [heard_s for peer_id, heard_s in self._fallen.items() if peer_id not in met]
        return any(abs(heard_s - fell_s) <= TOGETHER_S for heard_s in silences)

    def restart(self, now_s: float) -> None:
        """This node was away: the silence was its own."""
        for watch in self._watches.values():
            watch.beat.heard(now_s)
