"""The lookup machine under a virtual clock: events in a heap, no sockets, no waiting."""

from __future__ import annotations

import heapq
import itertools
import random

from railgun_core.discovery.datagrams import ContactInfo
from railgun_core.discovery.lookup import Lookup

K = 16
RTT_S = 0.04
TIMEOUT_S = 0.1


class World:
    """Nodes that know some others; a share of them is dead."""

    def __init__(self, seed: int, size: int, dead_share: float) -> None:
        self.rng = random.Random(seed)
        self.all = [ContactInfo(self.rng.randbytes(20), "10.0.0.1", 1_000 + i) for i in range(size)]
        self.dead = {c.id for c in self.rng.sample(self.all, round(size * dead_share))}
        self.views = {c.id: self.rng.sample(self.all, min(size, 60)) for c in self.all}

    def nearest(self, pool: list[ContactInfo], target: bytes, count: int = K) -> list[ContactInfo]:
        goal = int.from_bytes(target, "big")
        return sorted(pool, key=lambda c: int.from_bytes(c.id, "big") ^ goal)[:count]

    def view(self, node_id: bytes, target: bytes) -> list[ContactInfo]:
        own = self.nearest(self.all, node_id, 2 * K)  # a node knows its neighbourhood
        return self.nearest(list({*self.views[node_id], *own}), target)

    def run(self, target: bytes, *, paths: int = 4, alpha: int = 2) -> tuple[Lookup, float, int]:
        """The finished machine, how long it took, and the most questions in flight at once."""
        asker = self.rng.choice(self.all)
        seeds = self.view(asker.id, target)
        machine = Lookup(target, seeds, own_id=asker.id, k=K, alpha=alpha, paths=paths)
        order = itertools.count()
        events: list[tuple[float, int, str, bytes]] = []
        now_s, in_flight, most = 0.0, set[bytes](), 0

        def ask() -> None:
            for contact in machine.questions():
                in_flight.add(contact.id)
                if contact.id in self.dead:
                    heapq.heappush(events, (now_s + TIMEOUT_S, next(order), "slow", contact.id))
                    heapq.heappush(events, (now_s + TIMEOUT_S + 0.8, next(order), "failed", contact.id))
                else:
                    heapq.heappush(events, (now_s + RTT_S, next(order), "answered", contact.id))

        ask()
        while not machine.finished:
            most = max(most, len(in_flight))
            now_s, _, what, node_id = heapq.heappop(events)
            in_flight.discard(node_id)
            if what == "slow":
                machine.slow(node_id)
            elif what == "failed":
                machine.failed(node_id)
            else:
                machine.answered(node_id, self.view(node_id, target))
            ask()
        return machine, now_s, most


def test_the_live_nearest_are_found_and_no_dead_node_is_among_them() -> None:
    world = World(1, 300, 0.2)
    right = wanted = 0
    for _ in range(40):
        target = world.rng.randbytes(20)
        machine, _, _ = world.run(target)
        found = machine.closest()
        assert not {c.id for c in found} & world.dead
        truth = world.nearest([c for c in world.all if c.id not in world.dead], target)
        right += len({c.id for c in truth} & {c.id for c in found})
        wanted += K - 1  # the asker itself is never asked
    assert right >= 0.97 * wanted


def test_a_thousand_nodes_with_a_fifth_dead_at_40_ms_stay_under_half_a_second() -> None:
    world = World(2, 1_000, 0.2)
    times = sorted(world.run(world.rng.randbytes(20))[1] for _ in range(60))
    assert times[56] < 0.5


def test_no_more_questions_are_in_flight_than_allowed() -> None:
    world = World(3, 200, 0.0)
    for paths, alpha in ((4, 1), (4, 2), (1, 4)):
        _, _, most = world.run(world.rng.randbytes(20), paths=paths, alpha=alpha)
        assert most <= paths * alpha


def contacts(count: int, first: int = 1) -> list[ContactInfo]:
    return [ContactInfo((first + i).to_bytes(20, "big"), "10.0.0.1", 4_000) for i in range(count)]


def test_a_slow_node_frees_its_place_and_its_late_answer_counts() -> None:
    slow, fast = contacts(2)
    machine = Lookup(bytes(20), [slow, fast], own_id=b"\xff" * 20, k=K, alpha=1, paths=1)
    assert machine.questions() == [slow]
    machine.slow(slow.id)
    assert machine.questions() == [fast]
    machine.answered(slow.id, [])
    machine.answered(fast.id, [])
    assert machine.questions() == []
    assert machine.finished
    assert machine.closest() == [slow, fast]


def test_one_slow_node_does_not_hold_up_the_end() -> None:
    slow, *others = contacts(4)
    machine = Lookup(bytes(20), [slow, *others], own_id=b"\xff" * 20, k=K, alpha=4, paths=1)
    machine.questions()
    for other in others:
        machine.answered(other.id, [])
    assert not machine.finished
    machine.slow(slow.id)
    assert machine.finished
    assert slow not in machine.closest()


def test_when_most_are_slow_the_machine_waits_for_them() -> None:
    known = contacts(3)
    machine = Lookup(bytes(20), known, own_id=b"\xff" * 20, k=K, alpha=4, paths=1)
    machine.questions()
    for contact in known:
        machine.slow(contact.id)
    assert not machine.finished
    machine.answered(known[0].id, [])
    machine.answered(known[1].id, [])
    assert machine.finished


def test_one_that_names_only_dead_ends_is_soon_ignored() -> None:
    liar, honest = contacts(2, first=1_000)
    machine = Lookup(bytes(20), [liar, honest], own_id=b"\xff" * 20, k=K, alpha=1, paths=1)
    assert machine.questions() == [liar]
    machine.answered(liar.id, contacts(16))
    asked_for_liar = 0
    while True:
        asked = machine.questions()
        if not asked or asked == [honest]:
            break
        asked_for_liar += 1
        machine.slow(asked[0].id)
        machine.failed(asked[0].id)
    assert asked_for_liar <= 5


def test_an_endless_chain_of_nearer_nodes_is_cut() -> None:
    own = b"\xff" * 20
    machine = Lookup(bytes(20), contacts(1, first=2**100), own_id=own, k=4, alpha=1, paths=1)
    step = 2**100
    while asked := machine.questions():
        step -= 1
        machine.answered(asked[0].id, contacts(1, first=step))
    assert machine.questions_asked <= 24
    assert machine.finished


def test_a_lookup_without_seeds_is_over_at_once() -> None:
    machine = Lookup(bytes(20), [], own_id=b"\xff" * 20, k=K, alpha=2, paths=4)
    assert machine.questions() == []
    assert machine.finished
    assert machine.closest() == []


def test_answers_of_nodes_that_were_not_asked_are_ignored() -> None:
    known, stranger = contacts(2)
    machine = Lookup(bytes(20), [known], own_id=b"\xff" * 20, k=K, alpha=2, paths=1)
    machine.questions()
    machine.answered(stranger.id, contacts(5, first=50))
    assert machine.questions() == []
