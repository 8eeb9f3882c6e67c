"""A mixnet under load as an observer of all its wires sees it: times and edges, no packets' insides.

Clients draw slots, paths and delays with the very code that real clients use (cover.SendQueue, topology.Strata,
topology.draw_delays); what is left out is what the observer cannot see anyway, the bytes. Two figures come of it:
the pool, how many packets wait in a mix, which theory puts at rate times mean delay; and how often the best guess of
a global passive observer is right. The observer follows a packet by probability: delays are exponential and so have no
memory, hence at each departure every packet inside is equally likely to be the one that leaves (Danezis 2004).
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from railgun_core.base.ids import Group, PeerId
from railgun_core.mix.cover import SendQueue, Slot
from railgun_core.mix.topology import MEAN_DELAY_MS, STRATA, MixNode, Strata, draw_delays, stratum_of
from railgun_core.sim.options import FlowOptions

WARM_UP_S = 5.0  # until pools are as full as they get
TRACED_S = 8.0  # by then a packet has left the last mix for certain
LINK_S = 0.04


@dataclass(frozen=True, slots=True)
class Move:
    """A packet passes: into a mix, or out of one towards `to` (-1: out of the mixes). What the observer sees."""

    at_s: float
    mix: int
    entering: bool
    packet: int
    to: int


def flow(options: FlowOptions) -> dict[str, object]:
    """Run it. About 10 s for 1,000 clients and 30 virtual seconds on one core."""
    rng = Random(options.seed)
    mixes = _strata_of(options, rng)
    moves = _moves(options, mixes, rng)
    pools = _pools(options, moves)
    arrivals = sum(m.entering and WARM_UP_S <= m.at_s < WARM_UP_S + options.seconds for m in moves)
    per_s = arrivals / options.seconds / len(mixes)
    theory = per_s * _mean_delay_s(rng)
    hits, bits = _observe(options, moves, rng)
    return {
        "clients": options.clients,
        "mixes": options.mixes,
        "packets_per_s": options.packets_per_s,
        "seconds": options.seconds,
        "seed": options.seed,
        "arrivals_per_s": round(per_s, 1),
        "pool": {"mean": round(sum(pools) / len(pools), 2), "min": round(min(pools), 2), "theory": round(theory, 2)},
        "observer": {
            "targets": options.targets,
            "success": round(hits / options.targets, 4),
            "by_chance_in_pool": round(1 / theory**STRATA, 6),
            "entropy_bits": round(bits / options.targets, 2),
        },
    }


def _strata_of(options: FlowOptions, rng: Random) -> list[MixNode]:
    """Mixes with ids drawn so that the strata are equally large: the reference load counts mixes per stratum."""
    room = [options.mixes // STRATA] * STRATA
    found: list[MixNode] = []
    while len(found) < STRATA * (options.mixes // STRATA):
        peer_id = PeerId(rng.randbytes(32))
        stratum = stratum_of(peer_id, 0)
        if room[stratum]:
            room[stratum] -= 1
            number = len(found)
            found.append(MixNode(peer_id, Group(bytes((number // 256, number % 256))), bytes(32), 0.0))
    return found


def _moves(options: FlowOptions, mixes: list[MixNode], rng: Random) -> list[Move]:
    """Every passing of every packet, in order of time. Packets of clients have even numbers, answers odd ones."""
    strata, number_of = Strata(mixes, day=0), {node.peer_id: n for n, node in enumerate(mixes)}
    end_s = WARM_UP_S + options.seconds + TRACED_S
    moves: list[Move] = []

    def cross(packet: int, at_s: float) -> float:
        """Through three mixes; when it is out."""
        path = strata.path(rng=rng)
        assert path is not None
        hops = [number_of[node.peer_id] for node in path]
        for (mix, to), delay_ms in zip(itertools.pairwise([*hops, -1]), draw_delays(rng), strict=True):
            at_s += LINK_S
            moves.append(Move(at_s, mix, True, packet, mix))
            at_s += delay_ms / 1000
            moves.append(Move(at_s, mix, False, packet, to))
        return at_s

    for number, (sent_s, slot) in enumerate(_departures(options, end_s, rng)):
        out_s = cross(2 * number, sent_s + LINK_S)
        if slot is not Slot.LOOP:  # a relay answers everything else, over mixes of its own
            cross(2 * number + 1, out_s + LINK_S)
    moves.sort(key=lambda move: (move.at_s, move.packet, not move.entering))
    return moves


def _departures(options: FlowOptions, end_s: float, rng: Random) -> Iterator[tuple[float, Slot]]:
    """When clients send and what, all of them together, in order."""
    queue: SendQueue[None] = SendQueue(options.packets_per_s)
    due = [(queue.gap_s(rng), client) for client in range(options.clients)]
    heapq.heapify(due)
    while due[0][0] < end_s:
        at_s, client = due[0]
        slot, _ = queue.draw(rng, secure=False)
        heapq.heapreplace(due, (at_s + queue.gap_s(rng), client))
        yield at_s, slot


def _pools(options: FlowOptions, moves: list[Move]) -> list[float]:
    """The mean number of packets inside each mix, over the measured time."""
    begin_s, end_s = WARM_UP_S, WARM_UP_S + options.seconds
    inside = [0.0] * options.mixes
    entered: dict[tuple[int, int], float] = {}
    for move in moves:
        if move.entering:
            entered[move.packet, move.mix] = move.at_s
        else:
            since_s = entered.pop((move.packet, move.mix))
            inside[move.mix] += max(0.0, min(move.at_s, end_s) - max(since_s, begin_s))
    return [waited_s / options.seconds for waited_s in inside if waited_s]


def _observe(options: FlowOptions, moves: list[Move], rng: Random) -> tuple[int, float]:
    """Follow targets from their first mix to their exit: right guesses, and the sum of the entropies, bits."""
    window = _entrances(options, moves)
    firsts = rng.sample(window, options.targets)
    counts = _counts(moves)
    hits, bits = 0, 0.0
    for first in firsts:
        guess = _follow(moves, counts, first)
        target = moves[first].packet
        best = max(guess.values())
        favourites = [packet for packet, chance in guess.items() if chance >= best * (1 - 1e-9)]
        hits += favourites[rng.randrange(len(favourites))] == target
        total = sum(guess.values())
        bits -= sum(p / total * math.log2(p / total) for p in guess.values() if p > 0)
    return hits, bits


def _entrances(options: FlowOptions, moves: list[Move]) -> list[int]:
    """Where packets enter their first mix within the measured time: what a target can be."""
    seen: set[int] = set()
    found = []
    for n, move in enumerate(moves):
        if not move.packet % 2 and move.packet not in seen:
            seen.add(move.packet)
            if WARM_UP_S <= move.at_s < WARM_UP_S + options.seconds:
                found.append(n)
    return found


def _counts(moves: list[Move]) -> list[int]:
    """How many packets are in the mix of each move just before it."""
    inside: dict[int, int] = defaultdict(int)
    counts = []
    for move in moves:
        counts.append(inside[move.mix])
        inside[move.mix] += 1 if move.entering else -1
    return counts


def _follow(moves: list[Move], counts: list[int], first: int) -> dict[int, float]:
    """The observer's belief: which packet that left the mixes is the one that entered at move `first`."""
    start = moves[first]
    inside: dict[int, float] = {start.mix: 1.0}
    on_wire: dict[int, float] = {}
    left: dict[int, float] = {}
    for n in range(first + 1, len(moves)):
        move = moves[n]
        if move.at_s > start.at_s + TRACED_S:
            break
        if move.entering:
            carried = on_wire.pop(move.packet, 0.0)
            if carried:
                inside[move.mix] = inside.get(move.mix, 0.0) + carried
            continue
        belief = inside.get(move.mix, 0.0)
        if belief:
            carried = belief / counts[n]
            inside[move.mix] = belief - carried
            where = on_wire if move.to >= 0 else left
            where[move.packet] = where.get(move.packet, 0.0) + carried
    return left


def _mean_delay_s(rng: Random) -> float:
    """The mean delay at one mix, as drawn: a little under the nominal one, because the longest sums are drawn again."""
    draws = [sum(draw_delays(rng)) for _ in range(20_000)]
    return min(MEAN_DELAY_MS, sum(draws) / len(draws) / STRATA) / 1000
