"""Sender keys: once for everybody, from the start key on, forward and never back."""

from __future__ import annotations

import random

import pytest

from railgun_core.base.errors import MalformedFrame
from railgun_core.ratchet.group import MAX_GENERATIONS, InboundGroups, OutboundGroup
from railgun_core.ratchet.sealed import Unopenable, Why
from railgun_core.wire.codec import Reader
from tests.property.mutants import mutants


def begun(generation: int = 1) -> tuple[OutboundGroup, InboundGroups]:
    """A sender, and somebody who was given its keys."""
    sender, reader = OutboundGroup(), InboundGroups()
    assert sender.start_key is not None
    assert reader.add(generation, sender.start_key)
    return sender, reader


def test_items_open_in_any_order_and_tell_their_place(rng: random.Random) -> None:
    sender, reader = begun()
    items = [sender.encrypt(b"%d" % n) for n in range(50)]
    order = list(range(50))
    rng.shuffle(order)
    for n in order:
        opened = reader.open(1, items[n])
        assert (opened.plaintext, opened.index) == (b"%d" % n, n)


def test_two_thousand_skipped_items_cost_nothing_but_themselves() -> None:
    sender, reader = begun()
    for _ in range(2_000):
        sender.encrypt(b"lost")
    assert reader.open(1, sender.encrypt(b"here")).index == 2_000


def test_what_was_moved_past_does_not_open_any_more_also_after_a_restart() -> None:
    sender, reader = begun()
    items = [sender.encrypt(b"%d" % n) for n in range(10)]
    assert reader.open(1, items[9]).index == 9
    reader.forward(1, 6)
    for held in (reader, InboundGroups.restore(Reader(reader.dump()))):
        for n in range(6):
            with pytest.raises(Unopenable) as refused:
                held.open(1, items[n])
            assert refused.value.why is Why.SPENT
        assert held.open(1, items[6]).plaintext == b"6"
    reader.forward(1, 2)
    with pytest.raises(Unopenable):
        reader.open(1, items[5])


def test_a_dropped_generation_does_not_come_back() -> None:
    sender, reader = begun(5)
    item, key = sender.encrypt(b"words"), sender.start_key
    assert key is not None
    assert reader.drop_through(5)
    reader = InboundGroups.restore(Reader(reader.dump()))
    assert reader.newest == 5
    assert reader.holds(3)
    assert not reader.add(5, key)
    with pytest.raises(Unopenable) as refused:
        reader.open(5, item)
    assert refused.value.why is Why.SPENT
    with pytest.raises(Unopenable) as refused:
        reader.open(6, item)
    assert refused.value.why is Why.UNKNOWN_KEYS


def test_the_start_key_is_forgotten_for_good() -> None:
    sender, _ = begun()
    sender.forget_start()
    assert sender.start_key is None
    assert sender.used == 0


def test_generations_are_held_in_bounds_the_newest_ones() -> None:
    reader = InboundGroups()
    for number in range(1, MAX_GENERATIONS + 10):
        key = OutboundGroup().start_key
        assert key is not None
        reader.add(number, key)
    assert reader.held == list(range(10, MAX_GENERATIONS + 10))


def test_mutated_items_and_keys_are_refused(rng: random.Random) -> None:
    sender, reader = begun()
    item, key = sender.encrypt(b"words"), sender.start_key
    assert key is not None
    for mutant in mutants((item,), count=500, rng=rng):
        if mutant != item:
            with pytest.raises(Unopenable):
                reader.open(1, mutant)
    assert reader.open(1, item).plaintext == b"words"
    for broken in (b"", key[:-1], b"\x09" + key[1:], key[:-1] + bytes((key[-1] ^ 1,))):
        with pytest.raises(MalformedFrame):
            reader.add(2, broken)
    for broken in (reader.dump()[:-1], b""):
        with pytest.raises(MalformedFrame):
            InboundGroups.restore(Reader(broken))


def test_an_item_in_another_encoding_than_its_senders_is_refused() -> None:
    sender, reader = begun()
    item = sender.encrypt(b"whole")
    assert item[1] == 0x08, "the index comes first after the version"
    with pytest.raises(Unopenable) as refused:
        reader.open(1, item[:3] + item[1:])
    assert refused.value.why is Why.FORGED
    assert reader.open(1, item).plaintext == b"whole"
