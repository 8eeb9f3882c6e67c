"""A device is stolen, or a member is thrown out: the past stays closed, and the future closes again.

The thief has every envelope on record, the room's root, and all that is in the device's store and memory.
"""

from __future__ import annotations

import pytest

from tests.sim.captured import stolen, tapped
from tests.sim.test_rooms_change import Club

EPOCHS = range(2_999_998, 3_000_020)


def talk(club: Club, times: int) -> set[bytes]:
    """Everybody speaks; what was said."""
    said = set()
    for _ in range(times):
        for one in club.members:
            said.add(club.say(one))
        club.after(1.5)
    club.after(15.0)
    return said


def test_yesterdays_words_do_not_open_with_todays_state(monkeypatch: pytest.MonkeyPatch) -> None:
    tap = tapped(monkeypatch)
    club = Club(seed=21, people=3)
    yesterday = talk(club, 8)
    assert all(len(club.read(one)) == 16 for one in club.members)
    contents = tap.contents([club.root], EPOCHS)
    for number in range(3):
        assert not stolen(club, number).opens(contents) & yesterday


def test_the_record_does_open_with_the_state_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the test above proves nothing: a thief who came earlier reads what came after."""
    tap = tapped(monkeypatch)
    club = Club(seed=21, people=3)
    talk(club, 2)
    loot = stolen(club, 1)
    later = talk(club, 3)
    mine = {body for body in later if body in club.read(club.members[1])}
    assert loot.opens(tap.contents([club.root], EPOCHS)) >= mine


def test_after_a_removal_the_removed_opens_nothing_new_with_all_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    tap = tapped(monkeypatch)
    club = Club(seed=22, people=4)
    ann, bob, eve, dan = club.members
    talk(club, 3)
    loot = stolen(club, 2)
    club.remove(ann, eve)
    club.after(10.0)
    said = {club.say(one) for one in (ann, bob, dan) for _ in range(4)}
    club.after(20.0)
    assert all(len(said & set(club.read(one))) == 8 for one in (ann, bob, dan))
    root = club.room(ann).put.root
    assert not loot.opens(tap.contents([club.root], EPOCHS)) & said, "what it can unseal"
    assert not stolen(club, 2).opens(tap.contents([club.root], EPOCHS)) & said
    assert not loot.opens(tap.contents([club.root, root], EPOCHS)) & said, "even if the new root leaked"


def test_a_stolen_state_is_worth_nothing_after_the_next_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    tap = tapped(monkeypatch)
    club = Club(seed=23, people=2)
    talk(club, 3)
    loot = stolen(club, 1)
    first = club.say(club.members[0])
    club.after(8.0)
    assert first in loot.opens(tap.contents([club.root], EPOCHS)), "until then the thief reads on"
    for _ in range(3):  # both begin anew, each having heard the other: as after a day, or 100 items
        for one in club.members:
            own = club.room(one).ring.own
            assert own is not None
            own.stale = True
            club.say(one)
            club.after(8.0)
    healed = talk(club, 3)
    assert all(len(healed & set(club.read(one))) == 3 for one in club.members)
    assert not loot.opens(tap.contents([club.root], EPOCHS)) & healed
