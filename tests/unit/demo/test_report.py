"""The figures that a demo asks from its peers: committees compared between members, seats of now."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.demo.options import DemoOptions
from railgun_core.demo.plan import Network, plan
from railgun_core.demo.report import check_committees, seats_now
from railgun_core.demo.traffic import DemoRoom
from railgun_core.local_api.messages import Inspection, Inspections, Seat

EPOCH_S = 60


def drawn(epoch: int, *peers: str, verified: bool = True) -> Inspection:
    seats = tuple(Seat(number, peer, "", 0, "") for number, peer in enumerate(peers))
    return Inspection("", epoch, "", seats, (), verified, ())


class Member:
    """Answers one question: what it drew."""

    def __init__(self, *inspections: Inspection, fails: bool = False) -> None:
        self._inspections, self._fails = inspections, fails

    async def call(self, verb: str, args: Any, answer: Any) -> Inspections:
        assert verb == "inspect"
        if self._fails:
            raise EnvironmentFailure("It is gone.", code="engine-gone")
        return Inspections(self._inspections)


def network_of(tmp_path: Path, *members: Member) -> Network:
    network = plan(DemoOptions(peers=len(members), members=len(members), epoch_s=EPOCH_S), tmp_path)
    for peer, member in zip(network.peers, members, strict=True):
        peer.client = member  # type: ignore[assignment]
    network.rooms = [DemoRoom("room-1", network.peers)]
    return network


async def test_members_that_draw_the_same_agree(tmp_path: Path) -> None:
    same = (drawn(7, "a", "b"), drawn(8, "b", "c"))
    found = await check_committees(network_of(tmp_path, Member(*same), Member(*same), Member(*same)))
    assert found == {"checked": 2, "agree": True, "differing": [], "rotations": 1}


async def test_an_epoch_that_one_member_did_not_attend_is_not_compared(tmp_path: Path) -> None:
    found = await check_committees(network_of(tmp_path, Member(drawn(7, "a"), drawn(8, "b")), Member(drawn(8, "b"))))
    assert (found["checked"], found["agree"]) == (1, True)


async def test_another_seat_or_a_roster_that_does_not_verify_is_told(tmp_path: Path) -> None:
    ann = Member(drawn(7, "a", "b"), drawn(8, "a"))
    bob = Member(drawn(7, "a", "c"), drawn(8, "a", verified=False))
    found = await check_committees(network_of(tmp_path, ann, bob))
    assert found["agree"] is False
    assert found["differing"] == ["room-1 epoch 7", "room-1 epoch 8"]


async def test_the_seats_of_now_are_those_of_the_present_epoch(tmp_path: Path) -> None:
    epoch = int(time.time() // EPOCH_S)
    around = [drawn(e, f"e{e - epoch}") for e in (epoch - 1, epoch, epoch + 1)]
    network = network_of(tmp_path, Member(*around))
    assert await seats_now(network.rooms[0], EPOCH_S) in (("e0",), ("e1",))  # the clock may have gone on meanwhile


async def test_a_member_that_does_not_answer_knows_no_seats(tmp_path: Path) -> None:
    network = network_of(tmp_path, Member(fails=True))
    assert await seats_now(network.rooms[0], EPOCH_S) == ()
