"""B16: neither a guard nor a relay can tell real packets from cover, by size, by timing or by bytes.

Size and bytes: packets of the client itself, under a virtual clock, labelled by what their slots drew. Timing: the
queue itself, over many more slots. Classifiers learn on one half and guess on the other.

What a guard may not learn is when something is said, and it does not. The label of one single packet is another matter:
the longer the gap before a slot, the likelier something waited for it. That holds for any queue with random slots; it
follows from the gap alone, which does not depend on what was said, so it tells nothing. It is printed, not bounded.
A relay sees only what is posted to its room. One message at a time it cannot tell from the room's dummies; that many
messages in a row raise the rate of posts it can see, and dummies do not hide. That is printed too.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import pairwise
from operator import mul

import pytest

from railgun_core.base.ids import PeerId
from railgun_core.mix.cover import SendQueue, Slot
from railgun_core.mix.topology import draw_delays
from railgun_core.wire.frames import PACKET_BYTES
from tests.unit.mix.chance import auc, ks_distance, ks_limit
from tests.unit.mix.client_desk import Desk

RATE = 0.6
Features = Sequence[float]


class Watched:
    """A client that talks in bursts, and what its guard sees; `real` says of each packet what it was."""

    def __init__(self, rng: random.Random, *, answered: bool) -> None:
        self.desk = Desk(rng, dummy=lambda now: (self.desk.relay().peer_id, rng.randbytes(4_129)))
        self.rng = rng
        self.real: list[bool] = []
        self._posted: list[int] = []
        self._next_talk_s = 0.0
        if not answered:
            self.desk._through = lambda first, packet: None  # type: ignore[method-assign]
        queue = self.desk.client._queue
        draw = queue.draw

        def noted(rng: random.Random, *, secure: bool) -> object:
            kind, post = draw(rng, secure=secure)
            self.real.append(kind is Slot.REAL)
            if post is not None and not answered:  # settled at once: here nothing ever comes back
                self.desk.later(0.0, lambda: self.desk.client.cancel(post.number))
            return kind, post

        queue.draw = noted  # type: ignore[method-assign, assignment]

    def watch(self, packets: int) -> None:
        """Until so many packets of both kinds have left."""
        self.desk.on(rate=RATE)
        while min(self.real.count(True), self.real.count(False)) < packets:
            self.desk.directory = [node.record(self.desk.at.unix_s) for node in self.desk.nodes.values()]
            for _ in range(40):
                self.desk.run(self.rng.expovariate(1 / 20.0))
                for _ in range(self.rng.randrange(1, 9)):
                    self._talk(self.desk.relay().peer_id)
        assert len(self.real) == len(self.desk.seen)

    def _talk(self, to: PeerId) -> None:
        if self.desk.client.waiting < 20:
            body = self.rng.randbytes(4_129) if self.rng.random() < 0.7 else b"short"
            self.desk.client.post(body, to, lambda reply, now, out: None, self.desk.at, [])

    def gaps(self) -> list[float]:
        return [after - before for before, after in pairwise(seen.at_s for seen in self.desk.seen)]


def histogram(frame: bytes) -> Features:
    """How often each byte value stands in a packet, and the bits of the fields that differ most by construction."""
    counts = [0.0] * 256
    for value in frame[5:]:
        counts[value] += 0.05
    head = [float(byte >> bit & 1) for byte in frame[5:71] for bit in range(8)]
    return [*counts, *head, frame[-1] / 255]


def learned(train: Sequence[tuple[Features, bool]], test: Sequence[tuple[Features, bool]]) -> float:
    """The area under the curve of a logistic regression, on packets it has not seen."""
    width = len(train[0][0])
    means = [sum(column) / len(train) for column in zip(*(features for features, _ in train), strict=True)]
    weights, bias = [0.0] * width, 0.0
    for step in (0.05, 0.02, 0.01):
        for features, real in train:
            centred = [value - mean for value, mean in zip(features, means, strict=True)]
            score = bias + sum(map(mul, weights, centred))
            miss = real - 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))
            bias += step * miss
            weights = [weight + step * miss * value for weight, value in zip(weights, centred, strict=True)]
    scores: dict[bool, list[float]] = {False: [], True: []}
    for features, real in test:
        scores[real].append(sum(map(mul, weights, features)))
    return auc(scores[False], scores[True])


def halves(features: Sequence[Features], real: Sequence[bool], each: int) -> tuple[list[tuple[Features, bool]], ...]:
    """As many of both kinds, the first half in time to learn from, the second to guess."""
    kinds = [[(f, kind) for f, kind in zip(features, real, strict=False) if kind is wanted] for wanted in (True, False)]
    train = [pair for both in zip(*(kind[: each // 2] for kind in kinds), strict=True) for pair in both]
    test = [pair for both in zip(*(kind[each // 2 : each] for kind in kinds), strict=True) for pair in both]
    return train, test


@pytest.mark.deadline(300)
def test_no_classifier_tells_real_packets_from_cover_by_size_or_bytes(rng: random.Random, long_run: bool) -> None:
    each = 10_000 if long_run else 1_500
    watched = Watched(rng, answered=False)
    watched.watch(each + 10)
    gaps = watched.gaps()
    sizes = [[float(len(seen.frame)) / PACKET_BYTES] for seen in watched.desk.seen]
    contents = [histogram(seen.frame) for seen in watched.desk.seen]
    found = {
        "size": learned(*halves(sizes, watched.real, each)),
        "bytes": learned(*halves(contents, watched.real, each)),
    }
    print({kind: round(area, 4) for kind, area in found.items()})
    assert max(found.values()) <= 0.55
    assert ks_distance(gaps, mean=1 / RATE) < ks_limit(len(gaps), p=0.01)


def queued(
    rng: random.Random, *, rate: float, talk_per_s: float, burst: int, span_s: float
) -> tuple[list[tuple[float, Slot]], list[float]]:
    """The slots of one client, when they came and what they carried, and when it talked: `burst` messages at a time."""
    queue: SendQueue[int] = SendQueue(rate)
    slots: list[tuple[float, Slot]] = []
    said: list[float] = []
    at_s, next_s = 0.0, rng.expovariate(talk_per_s / burst)
    while at_s < span_s:
        at_s += queue.gap_s(rng)
        while next_s <= at_s:
            for _ in range(burst):
                queue.offer(0)
            said.append(next_s)
            next_s += rng.expovariate(talk_per_s / burst)
        slots.append((at_s, queue.draw(rng, secure=True)[0]))
    return slots, said


def around(times: Sequence[float]) -> list[Features]:
    """For each moment the gaps about it: before, after, and the mean of five on either side."""
    gaps = [after - before for before, after in pairwise(times)]
    return [
        [gaps[n - 1], gaps[n], sum(gaps[n - 5 : n]) / 5, sum(gaps[n : n + 5]) / 5, math.log(gaps[n - 1] + 1e-6)]
        for n in range(5, len(gaps) - 5)
    ]


def test_when_packets_leave_does_not_tell_a_guard_when_something_is_said(rng: random.Random) -> None:
    window_s, each = 20.0, 10_000
    slots, said = queued(rng, rate=RATE, talk_per_s=0.12, burst=4, span_s=2.3 * each * window_s)
    windows: dict[int, list[float]] = {}
    for at_s, _ in slots:
        windows.setdefault(int(at_s // window_s), []).append(at_s % window_s)
    talking = {int(at_s // window_s) for at_s in said}
    features = [
        [len(times) / 10, times[0] / 20, times[-1] / 20, max(gaps, default=20.0) / 10, min(gaps, default=20.0)]
        for times in windows.values()
        for gaps in [[after - before for before, after in pairwise(times)]]
    ]
    labels = [n in talking for n in windows]
    each = min(each, labels.count(True), labels.count(False))
    area = learned(*halves(features, labels, each))
    single = learned(*halves(around([at_s for at_s, _ in slots]), [k is Slot.REAL for _, k in slots[5:]], 10_000))
    print(f"when: {area:.4f} on {each} windows each; one packet by the gaps about it: {single:.4f}")
    assert each > 9_000
    assert area <= 0.55


def seen_by_a_relay(rng: random.Random, *, burst: int, span_s: float) -> float:
    """Four members of a room over mixes: how well gaps tell their posts from their dummies where these arrive."""
    arrivals = []
    for _ in range(4):
        for at_s, kind in queued(rng, rate=2.0, talk_per_s=0.05, burst=burst, span_s=span_s)[0]:
            if kind in (Slot.REAL, Slot.DUMMY):
                arrivals.append((at_s + sum(draw_delays(rng)) / 1000, kind is Slot.REAL))
    arrivals.sort()
    labels = [real for _, real in arrivals[5:]]
    each = min(10_000, labels.count(True), labels.count(False)) - 20
    return learned(*halves(around([at_s for at_s, _ in arrivals]), labels, each))


def test_when_posts_arrive_does_not_tell_a_relay_which_are_dummies(rng: random.Random) -> None:
    single, bursts = (seen_by_a_relay(rng, burst=burst, span_s=55_000.0) for burst in (1, 5))
    print(f"one message at a time: {single:.4f}, five in a row: {bursts:.4f}")
    assert single <= 0.55


def test_what_comes_back_does_not_tell_either(rng: random.Random) -> None:
    watched = Watched(rng, answered=True)
    watched.watch(250)
    watched.desk.run(10)
    desk = watched.desk
    assert len(desk.deliveries) >= len(desk.seen) - 5
    counted: dict[bool, list[float]] = {False: [], True: []}
    for seen, real in zip(desk.seen[:-20], watched.real, strict=False):
        counted[real].append(sum(0.0 < at_s - seen.at_s < 4.0 for at_s in desk.deliveries))
    area = auc(counted[False], counted[True])
    print(round(area, 4), len(desk.deliveries), len(desk.seen))
    assert max(area, 1 - area) <= 0.55
