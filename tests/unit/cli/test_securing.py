"""`railgun room secure | price | safety | remove`: the price first, a yes second, the change last."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys

import msgspec
import pytest

from railgun_core.cli.look import anonymity_words, mix_words
from railgun_core.local_api.messages import MemberRef, PriceAsk, RoomSecure
from railgun_core.status import Anonymity, MixStatus, RoomStatus
from tests.unit.cli.conftest import ROOT, STATUS, Cli, Engine

PRICE = "adds 640 ms (95 %: 1,380 ms) and costs 30.0 GB a month, 41.7 MB an hour"


def test_the_price_is_shown_and_nothing_is_changed(cli: Cli, engine: Engine) -> None:
    ran = cli("room", "price", "Harbour")
    assert (ran.status, ran.err) == (0, "")
    for words in ("p50 640 ms, p95 1,380 ms", "30.0 GB a month", "41.7 MB an hour", "34 mixes known"):
        assert words in ran.out.decode()
    assert engine.asked == [PriceAsk("Harbour", None)]


def test_high_security_is_not_switched_on_without_a_yes(cli: Cli, engine: Engine) -> None:
    for arguments in (("secure", "Harbour", "on"), ("secure", "Harbour", "on", "--json")):
        ran = cli("room", *arguments)
        assert ran.status == 2
        assert PRICE in ran.err
        assert "--yes" in ran.err
    assert all(isinstance(asked, PriceAsk) for asked in engine.asked)


def test_with_a_yes_the_price_and_the_budget_go_along(cli: Cli, engine: Engine) -> None:
    ran = cli("room", "secure", "Harbour", "on", "--yes", "--budget-gb", "12", "--json")
    assert ran.status == 0
    told = json.loads(ran.out)
    assert told["high_security"] is True
    assert told["price"]["gb_month"] == 12.0
    assert engine.asked == [PriceAsk("Harbour", 12.0), RoomSecure("Harbour", True, 12.0)]


def test_switching_off_asks_nothing_and_takes_no_budget(cli: Cli, engine: Engine) -> None:
    assert cli("room", "secure", "Harbour", "off").out == b"High security is off in Harbour (ababababab).\n"
    assert engine.asked == [RoomSecure("Harbour", False)]
    assert cli("room", "secure", "Harbour", "off", "--budget-gb", "3").status == 2


def test_where_mixes_are_missing_the_reason_is_said_and_nothing_is_changed(cli: Cli, engine: Engine) -> None:
    engine.no_mixes = "no mix is known"
    ran = cli("room", "secure", "Harbour", "on", "--yes")
    assert (ran.status, ran.err) == (1, "railgun: High security is not possible now: no mix is known.\n")
    assert engine.asked == [PriceAsk("Harbour", None)]
    assert cli("room", "price", "Harbour").status == 1


@pytest.mark.parametrize(("answer", "changed"), [(b"y\n", True), (b"n\n", False), (b"\n", False)])
def test_at_a_terminal_a_person_is_asked(engine: Engine, cli: Cli, answer: bytes, changed: bool) -> None:
    ours, theirs = pty.openpty()
    command = (sys.executable, "-m", "railgun_core", "--data-dir", str(cli.data_dir), "room", "secure", "Harbour", "on")
    with subprocess.Popen(command, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        seen = b""
        while b"[y/N]" not in seen:
            assert select.select([ours], [], [], 30)[0], seen
            seen += os.read(ours, 4_096)
        os.write(ours, answer)
        assert process.wait(30) == (0 if changed else 1)
    os.close(ours)
    assert b"p50 640 ms" in seen
    assert (RoomSecure("Harbour", True) in engine.asked) is changed


def test_a_safety_number_is_said_in_digits_and_words_for_each_member(cli: Cli, engine: Engine) -> None:
    ran = cli("room", "safety", "Harbour")
    lines = ran.out.decode().splitlines()
    assert lines[0] == "You and m2"
    assert lines[1] == "  00000 00001 00002 00003"
    assert lines[-1] == "  word18 word19 word20 word21 word22 word23"
    told = json.loads(cli("room", "safety", "Harbour", "m9", "--json").out)
    assert [one["member"] for one in told["safety"]] == ["m9"]
    assert len(told["safety"][0]["words"]) == 24


def test_a_member_is_removed_only_after_a_yes(cli: Cli, engine: Engine) -> None:
    ran = cli("room", "remove", "Harbour", "m2")
    assert ran.status == 2
    assert "cannot be undone" in ran.err
    assert engine.asked == []
    assert cli("room", "remove", "Harbour", "m2", "--yes").out == b"Removed m2 from Harbour; 1 member now.\n"
    assert engine.asked == [MemberRef("Harbour", "m2")]


def test_the_status_says_what_does_not_exist_yet(cli: Cli, engine: Engine) -> None:
    lines = dict(line.split("  ", 1) for line in cli("status").out.decode().splitlines() if "  " in line)
    words = {name: text.strip() for name, text in lines.items()}
    assert words["Standing"] == "none yet"
    assert words["Tokens"] == "none yet"
    assert words["Anonymity"] == "no high-security room"
    assert words["Mix"] == "not a mix"


def test_the_status_says_why_a_room_is_not_anonymous_yet_and_when_it_is() -> None:
    room = RoomStatus("ab", "Harbour", 4, 7, 5, 5, 0, 0, high_security=True, secure_members=3)
    weak = Anonymity(why="8 mixes are known and 32 are needed", mixes=8, groups=3, pool=2.0)
    found = msgspec.structs.replace(STATUS, rooms=(room,), anonymity=weak)
    assert anonymity_words(found).startswith("not anonymous yet: 8 mixes are known and 32 are needed; 8 mixes")
    strong = Anonymity(anonymous=True, mixes=34, groups=20, pool=14.2, entropy_bits=9.13, loop_return=0.99, loops=210)
    said = anonymity_words(msgspec.structs.replace(found, anonymity=strong))
    assert said.startswith("anonymous; 34 mixes, 20 address groups, pool 14.2, 9.1 bits last message, 99 % of 210")
    alarmed = msgspec.structs.replace(weak, alarm=True)
    assert anonymity_words(msgspec.structs.replace(found, anonymity=alarmed)).startswith("ALARM")


def test_the_status_of_a_mix_counts_what_it_passed_and_dropped() -> None:
    found = msgspec.structs.replace(STATUS, roles=("relay", "mix"), mix=MixStatus(1_204, 12, late=3, per_s=4.0))
    assert mix_words(found) == "1,204 packets passed, 4.0 a second, 12 waiting, 3 dropped"
