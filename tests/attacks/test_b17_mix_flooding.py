"""B17: who drops packets of a device drops its loops with them, and the device notices.

The figures of the alarm are computed exactly in tests/unit/mix/test_loops.py: a fifth dropped alarms within 57 loops
with P = 0.99, at less than one false alarm a week. The 21 loops that were wished for are out of reach of any test that
also keeps the false alarms: see the head of mix/loops.py. That a full pool drops and does not grow is tested with the
mix.
"""

from __future__ import annotations

import random

import pytest

from railgun_core.mix.loops import ALARM, LOSS
from tests.unit.mix.client_desk import Desk


def watched(seed: int, *, loss: float, loops: int) -> Desk:
    """A client whose packets are lost with this chance, until the alarm or until about so many loops are out."""
    desk, chance = Desk(random.Random(seed)), random.Random(seed + 1)
    desk.loss = lambda: chance.random() < loss
    desk.on(rate=0.6)
    end_s = desk.at.mono_s + loops / 0.1
    while desk.at.mono_s < end_s and not desk.client.anonymity(desk.at).alarm:
        desk.directory = [node.record(desk.at.unix_s) for node in desk.nodes.values()]
        desk.run(5.0)
    return desk


@pytest.mark.parametrize("seed", [1, 2])
def test_a_fifth_of_the_packets_dropped_raises_the_alarm(seed: int) -> None:
    desk = watched(seed, loss=0.2, loops=80)
    report = desk.client.anonymity(desk.at)
    assert report.alarm
    assert not report.anonymous
    assert report.loops <= 57
    assert report.loop_return is not None
    assert report.loop_return < 0.99


def test_an_attacker_who_lets_one_packet_through_alone_is_noticed_after_a_handful_of_loops() -> None:
    desk = watched(3, loss=1.0, loops=30)
    report = desk.client.anonymity(desk.at)
    assert report.alarm
    assert report.loops == -(-ALARM // LOSS)
    assert report.loop_return == 0.0


def test_natural_losses_raise_none() -> None:
    desk = watched(4, loss=0.01, loops=40)
    report = desk.client.anonymity(desk.at)
    assert not report.alarm
    assert report.loops > 20


def test_no_path_is_left_when_mixes_vanish_and_nothing_is_sent_bare(rng: random.Random) -> None:
    desk = Desk(rng)
    desk.on(rate=2.0, settle_s=2.0)
    answers = desk.post(b"words", desk.relay().peer_id)
    desk.directory = desk.directory[-6:]  # the relays that do not mix
    desk.run(6)
    before = len(desk.seen)
    desk.run(30)
    assert len(desk.seen) == before
    assert answers in ([], [b"ok word"])
    assert desk.client.anonymity(desk.at).why == "0 mixes are known; 32 are needed."
