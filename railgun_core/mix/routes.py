"""Where a client's packets go: the mixes and relays of the moment, and one drawn leg after the other.

A leg is three mixes with their delays; the ends (guard, relay) forward at once. Its groups differ from those of its
ends where the pool allows; it never crosses one of its ends or this node itself. What is known is looked up anew every
few seconds, because keys change twice an hour and loads all the time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from railgun_core.base.clock import Instant
from railgun_core.base.ids import Group, PeerId
from railgun_core.base.rng import Rng
from railgun_core.mix.sphinx import Hop
from railgun_core.mix.topology import MixNode, Strata, day_of, draw_delays, hops_of, mixes_of
from railgun_core.wire.records import Record

LOOK_EVERY_S = 5.0
TRIES = 16


@dataclass(frozen=True, slots=True)
class Leg:
    """Three mixes in order, and how long a packet waits at each, ms."""

    mixes: tuple[MixNode, MixNode, MixNode]
    delays_ms: tuple[int, int, int]

    @property
    def hops(self) -> list[Hop]:
        """The mixes as hops of a packet."""
        return [Hop(m.peer_id, m.key, delay) for m, delay in zip(self.mixes, self.delays_ms, strict=True)]

    @property
    def delay_s(self) -> float:
        """The sum of the delays."""
        return sum(self.delays_ms) / 1000


def end_hop(node: MixNode) -> Hop:
    """A guard or a relay as a hop: no delay."""
    return Hop(node.peer_id, node.key)


class Routes:
    """Draws legs and destinations from what `records` gives."""

    def __init__(
        self,
        *,
        rng: Rng,
        records: Callable[[], Iterable[Record]],
        by_port: bool,
        period_s: float,
        own: PeerId | None,
        standing: Callable[[PeerId], float | None] | None = None,
    ) -> None:
        self._rng = rng
        self._records = records
        self._by_port = by_port
        self._period_s = period_s
        self._own = own
        self._standing = standing
        self._looked_s: float | None = None
        self._hops: dict[PeerId, MixNode] = {}
        self._ends: tuple[MixNode, ...] = ()
        self._strata = Strata((), day=0)
        self.mixes: tuple[MixNode, ...] = ()

    def invalidate(self) -> None:
        """Look again at the next use: new records came."""
        self._looked_s = None

    def look(self, now: Instant) -> None:
        """Bring what is known up to date, at most every LOOK_EVERY_S."""
        if self._looked_s is not None and now.mono_s - self._looked_s < LOOK_EVERY_S:
            return
        self._looked_s = now.mono_s
        records = tuple(self._records())
        common = {"unix_s": now.unix_s, "period_s": self._period_s}
        mixes = mixes_of(records, by_port=self._by_port, **common)
        self.mixes = tuple(node for node in mixes if node.peer_id != self._own)
        self._hops = {node.peer_id: node for node in hops_of(records, by_port=self._by_port, **common)}
        self._ends = tuple(node for node in self._hops.values() if node.peer_id != self._own)
        self._strata = Strata(self.mixes, day=day_of(now.unix_s), standing=self._standing)

    def end(self, peer_id: PeerId) -> MixNode | None:
        """A relay that can be the first or last hop now; None when no fresh key of it is known."""
        return self._hops.get(peer_id)

    def any_end(self, *, without: PeerId) -> MixNode | None:
        """A relay for a drop, by group first, as seats are drawn; None when there is no other."""
        by_group: dict[Group, list[MixNode]] = {}
        for node in self._ends:
            if node.peer_id != without:
                by_group.setdefault(node.group, []).append(node)
        if not by_group:
            return None
        group = sorted(by_group)[self._rng.randrange(0, len(by_group))]
        return by_group[group][self._rng.randrange(0, len(by_group[group]))]

    def leg(self, *ends: MixNode) -> Leg | None:
        """Three mixes between these ends; None when the strata do not give them."""
        groups = [node.group for node in ends]
        peers = {node.peer_id for node in ends}
        for avoid in (set(groups), set(groups[:1]), set()):
            mixes = self._draw(avoid, peers)
            if mixes is not None:
                return Leg(mixes, draw_delays(self._rng))
        return None

    def _draw(self, avoid: Collection[Group], peers: Collection[PeerId]) -> tuple[MixNode, MixNode, MixNode] | None:
        for _ in range(TRIES):
            mixes = self._strata.path(rng=self._rng, avoid=avoid)
            if mixes is None or not any(node.peer_id in peers for node in mixes):
                return mixes
        return None
