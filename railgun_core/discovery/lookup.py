"""An iterative lookup as a machine without sockets and without a clock.

Its owner asks `questions()` whom to ask now, and tells it who answered, who is slow and who failed. Several disjoint
paths run side by side: no node serves two of them, so one liar poisons one path (S/Kademlia, Baumgart and Mies 2007).
What must stay true: a slow node never holds anything up (its place in flight is free again at once, and its late
answer still counts); a dead node is never in the result; one answer cannot send us to many dead ends, for a node whose
hints keep failing loses our trust; the number of questions is bounded whatever the others say.
"""

from __future__ import annotations

import bisect
import enum
from collections.abc import Iterable, Sequence

from railgun_core.discovery.datagrams import MAX_CONTACTS, ContactInfo

_TRUSTED_FAILURES = 4  # guess: with a fifth of all nodes dead, 16 honest hints hold 3 dead ones
_QUESTIONS_PER_K = 6


class _State(enum.Enum):
    NEW = enum.auto()
    ASKED = enum.auto()
    SLOW = enum.auto()
    ANSWERED = enum.auto()
    DEAD = enum.auto()


class _Candidate:
    __slots__ = ("distance", "info", "path", "referrers", "state")

    def __init__(self, info: ContactInfo, distance: int) -> None:
        self.info = info
        self.distance = distance
        self.state = _State.NEW
        self.path = -1
        self.referrers: set[bytes] = set()


class _Path:
    __slots__ = ("in_flight", "known", "order")

    def __init__(self) -> None:
        self.order: list[tuple[int, bytes]] = []  # (distance, id), nearest first
        self.known: set[bytes] = set()
        self.in_flight = 0


class Lookup:
    """One search for the `k` live nodes nearest to `target`."""

    def __init__(
        self, target: bytes, seeds: Sequence[ContactInfo], *, own_id: bytes, k: int, alpha: int, paths: int
    ) -> None:
        self.target = target
        self._goal = int.from_bytes(target, "big")
        self._own_id = own_id
        self._k = k
        self._alpha = alpha
        self._candidates: dict[bytes, _Candidate] = {}
        self._hints: dict[bytes, list[int]] = {}  # per referrer: hints that answered, hints that failed
        self._paths = [_Path() for _ in range(max(1, min(paths, len(seeds))))]
        self._asked = self._slow = self._answered = 0
        self._stopped = False
        for index, seed in enumerate(seeds):
            self._learn(self._paths[index % len(self._paths)], seed, b"")

    @property
    def questions_asked(self) -> int:
        return self._asked

    @property
    def finished(self) -> bool:
        """True when no path has anyone left to ask or to wait for. Ask for `questions()` before.

        The slow are not waited for, unless they are the majority: then the network is slow, not they.
        """
        waiting = any(path.in_flight for path in self._paths) or self._slow > self._answered
        return self._stopped or not waiting

    def questions(self) -> list[ContactInfo]:
        """Whom to ask now. Each node is named once in the whole lookup."""
        chosen: list[ContactInfo] = []
        if self._stopped:
            return chosen
        busy = True
        while busy:
            # Paths take turns, so that none takes the others' candidates away.
            busy = False
            for index, path in enumerate(self._paths):
                candidate = self._next(path)
                if candidate is not None:
                    candidate.state, candidate.path = _State.ASKED, index
                    path.in_flight += 1
                    self._asked += 1
                    chosen.append(candidate.info)
                    busy = True
        return chosen

    def answered(self, node_id: bytes, contacts: Iterable[ContactInfo]) -> None:
        """A node we asked has answered, and names these contacts. Late answers count."""
        candidate = self._settle(node_id, _State.ANSWERED)
        if candidate is None:
            return
        path = self._paths[candidate.path]
        for contact in list(contacts)[:MAX_CONTACTS]:
            self._learn(path, contact, node_id)

    def slow(self, node_id: bytes) -> None:
        """The first timeout of a question has passed; it was sent again. We go on without."""
        candidate = self._candidates.get(node_id)
        if candidate is not None and candidate.state is _State.ASKED:
            candidate.state = _State.SLOW
            self._slow += 1
            self._paths[candidate.path].in_flight -= 1

    def failed(self, node_id: bytes) -> None:
        """A node did not answer twice, or somebody else answered in its place."""
        self._settle(node_id, _State.DEAD)

    def stop(self) -> None:
        """Enough is known."""
        self._stopped = True

    def closest(self) -> list[ContactInfo]:
        """The nearest nodes that answered, at most `k`, nearest first."""
        live = [c for c in self._candidates.values() if c.state is _State.ANSWERED]
        return [c.info for c in sorted(live, key=lambda c: c.distance)[: self._k]]

    def _next(self, path: _Path) -> _Candidate | None:
        if path.in_flight >= self._alpha or self._asked >= _QUESTIONS_PER_K * self._k:
            return None
        ahead = 0
        for _, node_id in path.order:
            candidate = self._candidates[node_id]
            if candidate.state is _State.NEW:
                if self._trusted(candidate):
                    return candidate
            elif candidate.state in (_State.ANSWERED, _State.ASKED):
                ahead += 1
                if ahead >= self._k:
                    return None
        return None

    def _trusted(self, candidate: _Candidate) -> bool:
        for referrer in candidate.referrers:
            good, bad = self._hints.get(referrer, (0, 0))
            if bad < _TRUSTED_FAILURES or good >= bad:
                return True
        return not candidate.referrers

    def _learn(self, path: _Path, info: ContactInfo, referrer: bytes) -> None:
        if info.id == self._own_id:
            return
        candidate = self._candidates.get(info.id)
        if candidate is None:
            candidate = _Candidate(info, int.from_bytes(info.id, "big") ^ self._goal)
            self._candidates[info.id] = candidate
        if referrer:
            candidate.referrers.add(referrer)
        if info.id not in path.known:
            path.known.add(info.id)
            bisect.insort(path.order, (candidate.distance, info.id))

    def _settle(self, node_id: bytes, state: _State) -> _Candidate | None:
        candidate = self._candidates.get(node_id)
        if candidate is None or candidate.state not in (_State.ASKED, _State.SLOW):
            return None
        if candidate.state is _State.ASKED:
            self._paths[candidate.path].in_flight -= 1
        else:
            self._slow -= 1
        self._answered += state is _State.ANSWERED
        candidate.state = state
        for referrer in candidate.referrers:
            self._hints.setdefault(referrer, [0, 0])[state is _State.DEAD] += 1
        return candidate
