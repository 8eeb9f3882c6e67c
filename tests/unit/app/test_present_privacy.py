"""High security, safety numbers and the ledger in words: nothing is called anonymous that the engine does not."""

from __future__ import annotations

import msgspec

from app.present import Shape
from app.present_privacy import (
    BUDGETS_GB,
    exposure_view,
    meter_view,
    mix_sentence,
    nearest_budget,
    price_view,
    protection_note,
    safety_view,
)
from railgun_core.local_api.messages import Exposure, ExposureRole, Price, Safety
from railgun_core.status import Anonymity, MixStatus, NodeStatus, RoomStatus, State

ROOM = RoomStatus("ab", "Garden", 4, 1, 5, 5, 0, 0, high_security=True, secure_members=3)
GOOD = Anonymity(True, "", 36, 21, 13.87, 9.44, 0.989, 412)
PRICE = Price("ab", 640.0, 1_380.0, 30.0, 41.7, 0.5, 36, True)


def test_an_ordinary_room_has_no_meter() -> None:
    assert meter_view(msgspec.structs.replace(ROOM, high_security=False), GOOD) is None


def test_the_badge_is_the_rooms_and_not_the_devices() -> None:
    view = meter_view(ROOM, GOOD)
    assert view is not None
    assert (view.word, view.shape, view.colour) == ("Not anonymous yet", Shape.ARC, "warn")
    assert view.sentence == "3 of 4 members send through mixes."
    badge = meter_view(msgspec.structs.replace(ROOM, badge=True, secure_members=4), GOOD)
    assert badge is not None
    assert (badge.word, badge.shape, badge.sentence) == (
        "Anonymous",
        Shape.FILLED,
        "Every member sends through mixes.",
    )
    assert [figure.value for figure in badge.figures] == ["13.9", "36", "9.4", "21", "98 %"]


def test_a_withheld_badge_says_why_and_what_is_not_measured_is_a_dash() -> None:
    view = meter_view(ROOM, Anonymity(why="8 mixes are known and 32 are needed", mixes=8))
    assert view is not None
    assert view.sentence == "8 mixes are known and 32 are needed."
    assert [figure.value for figure in view.figures] == ["0.0", "8", "—", "0", "—"]
    assert view.spoken.startswith("Not anonymous yet: 8 mixes are known")


def test_an_alarm_goes_before_a_badge() -> None:
    room = msgspec.structs.replace(ROOM, badge=True)
    view = meter_view(room, msgspec.structs.replace(GOOD, alarm=True))
    assert view is not None
    assert (view.word, view.shape, view.colour) == ("Alarm", Shape.EXCLAMATION, "bad")


def test_the_price_says_delay_and_data_and_what_is_missing() -> None:
    view = price_view(PRICE)
    assert [figure.value for figure in view.figures] == ["+640 ms", "+1.4 s", "30 GB", "42 MB"]
    assert (view.possible, view.warns) == (True, False)
    few = price_view(msgspec.structs.replace(PRICE, mixes=8))
    assert (few.possible, few.warns) == (True, True)
    assert few.state == "8 mixes are known. 32 are needed to be anonymous: until then the room says so."
    none = price_view(msgspec.structs.replace(PRICE, mixes=0, possible=False, why="no guard answers"))
    assert (none.possible, none.warns) == (False, True)
    assert none.state == "Not possible now. No guard answers. 0 mixes are known."


def test_a_safety_number_is_broken_into_lines() -> None:
    digits = " ".join(f"{n:05d}" for n in range(12))
    view = safety_view(Safety("ab", "aa11bb22cc33dd44", digits, tuple(f"w{n}" for n in range(24)), "qr"))
    assert view.digits == ("00000  00001  00002  00003", "00004  00005  00006  00007", "00008  00009  00010  00011")
    assert view.words[3] == "w18 w19 w20 w21 w22 w23"
    assert view.member == "aa11bb22"


def test_the_ledger_names_the_kinds_of_peers_and_says_when_it_is_empty() -> None:
    role = ExposureRole("guard", 1, ("Your address.",), (), {"links": 1})
    unknown = ExposureRole("something-new", 2, (), (), {})
    view = exposure_view(Exposure(1_763_769_600.0, (role, unknown)))
    assert (view.day, view.empty) == ("2025-11-22", "")
    assert [(one.title, one.peers) for one in view.roles] == [("Guards", "1 peer"), ("something-new", "2 peers")]
    assert exposure_view(Exposure(0.0, ())).empty.startswith("Nothing was written")


def test_the_line_of_a_mix_counts_and_is_empty_for_who_is_none() -> None:
    status = NodeStatus(
        1, "ab" * 32, "0.1.0", "p2p", State.RELAYING, "", True, "none", 1, 1, 1, False, 1.0, 600, 120, 1.0e9
    )
    assert mix_sentence(status) == ""
    mixing = msgspec.structs.replace(status, roles=("mix",), mix=MixStatus(1, 3, late=1, replayed=1, per_s=0.25))
    assert mix_sentence(mixing) == "1 packet mixed · 0.2 a second · 3 waiting · 2 dropped"


def test_who_protects_the_content_is_said() -> None:
    caller = msgspec.structs.replace(ROOM, content_protection="caller")
    assert protection_note(caller).startswith("Another program encrypts")


def test_a_budget_finds_its_place_on_the_slider() -> None:
    assert [BUDGETS_GB[nearest_budget(gb)] for gb in (0.1, 30.0, 34.0, 9_999.0)] == [1.0, 30.0, 30.0, 500.0]
