"""Which relays mix, and the way a packet takes through three of them.

A mix stands in one of three strata for a day, by a hash of the day and its peer id, so that nobody chooses its place
and every packet crosses the strata in order. A path has one mix of each stratum and three different address groups. It
is drawn group first, relay second: an adversary's share of the paths is its share of address groups, not of ids.
Delays are drawn by the sender: exponential, so that what leaves a mix says nothing of what came when.
Source: protocol.md 10; Diaz, Halpin, Kiayias, "The Nym Network", 2021, for strata and continuous mixing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from railgun_core.base.hashing import u64
from railgun_core.base.ids import Group, PeerId
from railgun_core.base.rng import Rng
from railgun_core.wire.records import PeerBody, PeerRole, Record

STRATA = 3
DAY_S = 86_400
KEY_PERIOD_S = 1_800.0
TRANSIT_S = 15.0  # from looking at a record to the last hop of the answer: so long a key has to live still
MIN_STANDING = 80.0  # protocol.md 7, "Gates"
MEAN_DELAY_MS = 220.0
MAX_DELAYS_MS = 1_840
TRIES = 32

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class MixNode:
    """A relay that opens mix packets. `load_per_s`: packets a second as it says itself, so take it with care."""

    peer_id: PeerId
    group: Group
    key: bytes = field(repr=False)
    load_per_s: float


def mixes_of(
    records: Iterable[Record], *, unix_s: float, by_port: bool, period_s: float = KEY_PERIOD_S
) -> tuple[MixNode, ...]:
    """The mixes among these records whose key is still in use, ordered by peer id.

    A mix takes the keys of this period and the last. A record counts while the key of the period it was signed in
    lives TRANSIT_S longer.
    """
    return _nodes(records, PeerRole.MIX, unix_s=unix_s, by_port=by_port, period_s=period_s)


def hops_of(
    records: Iterable[Record], *, unix_s: float, by_port: bool, period_s: float = KEY_PERIOD_S
) -> tuple[MixNode, ...]:
    """The relays that can be the first or the last hop of a path: those with a mix key, whether they mix or not."""
    return _nodes(records, PeerRole.RELAY, unix_s=unix_s, by_port=by_port, period_s=period_s)


def day_of(unix_s: float) -> int:
    """The day that decides the strata."""
    return int(unix_s // DAY_S)


def stratum_of(peer_id: PeerId, day: int) -> int:
    """In which of the STRATA a mix stands on a day: the same answer for everybody."""
    digest = hashlib.blake2b(u64(day) + peer_id, digest_size=8, person=b"railgun/stratum").digest()
    return int.from_bytes(digest, "big") % STRATA


class Strata:
    """The mixes of a day, sorted for drawing paths. Costs one hash a mix; a path then costs a few draws."""

    def __init__(
        self,
        mixes: Iterable[MixNode],
        *,
        day: int,
        standing: Callable[[PeerId], float | None] | None = None,
    ) -> None:
        """`standing`: what is known of a relay; None is not known, which counts as good enough."""
        self._strata: tuple[dict[Group, list[MixNode]], ...] = tuple({} for _ in range(STRATA))
        for node in mixes:
            score = None if standing is None else standing(node.peer_id)
            if score is None or score >= MIN_STANDING:
                self._strata[stratum_of(node.peer_id, day)].setdefault(node.group, []).append(node)
        self._groups = tuple(tuple(sorted(stratum)) for stratum in self._strata)

    def path(self, *, rng: Rng, avoid: Collection[Group] = ()) -> tuple[MixNode, MixNode, MixNode] | None:
        """One mix of each stratum, in order, of distinct groups and none of `avoid`; None when there is no such path.

        Uniform over the triples of groups that fit, then uniform within each group.
        """
        choices = tuple(tuple(group for group in groups if group not in avoid) for groups in self._groups)
        if not all(choices):
            return None
        for _ in range(TRIES):
            first, second, third = (_pick(groups, rng) for groups in choices)
            if first != second and third not in (first, second):
                return self._fill((first, second, third), rng)
        found = _search(tuple(_shuffled(groups, rng) for groups in choices))
        return None if found is None else self._fill(found, rng)

    def _fill(self, groups: tuple[Group, Group, Group], rng: Rng) -> tuple[MixNode, MixNode, MixNode]:
        one, two, three = (_pick(stratum[group], rng) for stratum, group in zip(self._strata, groups, strict=True))
        return one, two, three


def choose_path(
    mixes: Iterable[MixNode],
    *,
    day: int,
    rng: Rng,
    avoid: Collection[Group] = (),
    standing: Callable[[PeerId], float | None] | None = None,
) -> tuple[MixNode, MixNode, MixNode] | None:
    """A path for one packet. Sorts all mixes first: who draws many paths keeps a Strata."""
    return Strata(mixes, day=day, standing=standing).path(rng=rng, avoid=avoid)


def draw_delays(rng: Rng) -> tuple[int, int, int]:
    """The delays at the three mixes, ms: exponential, mean 220, drawn again while they sum to over 1,840 (1 %)."""
    while True:
        one, two, three = (round(rng.expovariate(1 / MEAN_DELAY_MS)) for _ in range(STRATA))
        if one + two + three <= MAX_DELAYS_MS:
            return one, two, three


def _nodes(
    records: Iterable[Record], role: PeerRole, *, unix_s: float, by_port: bool, period_s: float
) -> tuple[MixNode, ...]:
    oldest = (unix_s + TRANSIT_S) // period_s - 1
    found: dict[PeerId, tuple[int, MixNode]] = {}
    for record in records:
        body = record.body
        if not isinstance(body, PeerBody) or not body.roles & role or len(body.mix_key) != 32:
            continue
        group = body.group(by_port=by_port)
        if group is None or not record.is_live(unix_s) or record.sequence / 1000 // period_s < oldest:
            continue
        known = found.get(record.peer_id)
        if known is None or known[0] < record.sequence:
            node = MixNode(record.peer_id, group, body.mix_key, body.mix_load / 10)
            found[record.peer_id] = (record.sequence, node)
    return tuple(found[peer_id][1] for peer_id in sorted(found))


def _pick(values: Sequence[Item], rng: Rng) -> Item:
    return values[rng.randrange(0, len(values))]


def _shuffled(values: Sequence[Group], rng: Rng) -> list[Group]:
    return sorted(values, key=lambda _: rng.random())


def _search(choices: tuple[Sequence[Group], ...]) -> tuple[Group, Group, Group] | None:
    """Any triple of distinct groups. Reached when few fit; ends early as soon as the third stratum has three groups."""
    ones, twos, threes = choices
    for one in ones:
        for two in twos:
            for three in threes if one != two else ():
                if three not in (one, two):
                    return one, two, three
    return None
