"""Who waits for what: woken when the last item has come far enough, not before, and only in the right room."""

from __future__ import annotations

from railgun_core.base.ids import RoomId
from railgun_core.changes import Delivery
from railgun_core.engine.waiting import Waiting

HERE, THERE = RoomId(b"here" * 4), RoomId(b"ther" * 4)


def test_a_sender_is_woken_when_its_last_item_is_there() -> None:
    waiting = Waiting()
    wait = waiting.send(HERE, 3, 5, Delivery.STORED)
    waiting.moved(HERE, 1, 4, Delivery.STORED)
    waiting.moved(THERE, 5, 5, Delivery.STORED)
    waiting.moved(HERE, 5, 5, Delivery.ACCEPTED)
    assert not wait.done.is_set()
    assert wait.remaining == {5}
    waiting.moved(HERE, 5, 9, Delivery.DELIVERED)
    assert wait.done.is_set()


def test_one_who_went_away_is_not_told() -> None:
    waiting = Waiting()
    wait = waiting.send(HERE, 1, 1, Delivery.STORED)
    waiting.forget(wait)
    waiting.moved(HERE, 1, 1, Delivery.STORED)
    assert not wait.done.is_set()


def test_readers_and_newcomers_are_woken_in_their_room() -> None:
    waiting = Waiting()
    reader, other, newcomer = waiting.growth(HERE), waiting.growth(THERE), waiting.welcome(HERE)
    waiting.grew(HERE)
    assert (reader.is_set(), other.is_set(), newcomer.is_set()) == (True, False, False)
    waiting.welcomed(HERE)
    assert newcomer.is_set()
    waiting.leave(THERE, other)
    waiting.grew(THERE)
    assert not other.is_set()
