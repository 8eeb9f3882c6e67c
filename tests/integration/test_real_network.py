"""People's own use of a real network: bootstrap and nodes as processes, rooms by the command line, bytes compared."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from railgun_core.local_api.messages import MAX_MESSAGE_BYTES, MAX_PAGE_BYTES

from .conftest import Begun, RealNetwork, RealNode, joined, numbered, railgun, real_network, real_text, until

EPOCH_S = 12
EPOCHS = 3  # whole ones of the room that is inspected


@pytest.fixture(scope="module")
def network() -> Iterator[RealNetwork]:
    """Bootstrap, three members, and a fourth node that only relays."""
    with real_network("--epoch-s", str(EPOCH_S)) as network:
        network.start(4)
        yield network


@pytest.fixture(scope="module")
def inspected(network: RealNetwork) -> int:
    """A room called inspected, made before all tests so that epochs go by; the number of the epoch it was made in."""
    link = network.nodes[0].create("inspected")
    for member in network.nodes[1:3]:
        member.good("room", "join", link)
    return int(time.time()) // EPOCH_S


@pytest.fixture
def room(network: RealNetwork, inspected: int, request: pytest.FixtureRequest) -> str:
    """A room of the first three nodes, named after its test."""
    name = str(request.node.name).removeprefix("test_")[:100]
    link = network.nodes[0].create(name)
    for member in network.nodes[1:3]:
        assert b", " in member.good("room", "join", link)
    return name


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wait_for(member: RealNode, room: str, text: bytes) -> None:
    member.reads(room, text)
    assert digest(member.read(room)) == digest(text)


def test_5000_lines_of_a_real_text_arrive_at_two_other_members_byte_for_byte(
    network: RealNetwork, room: str, tmp_path: Path
) -> None:
    text = real_text()
    file = tmp_path / "text"
    file.write_bytes(text)
    report = json.loads(network.nodes[0].good("room", "send", room, "--file", file, "--json"))
    assert (report["lines"], report["reached"], report["waiting"], report["missing"]) == (5_000, 5_000, 0, [])
    for member in network.nodes[1:3]:
        wait_for(member, room, text)
    assert digest(network.nodes[0].read(room)) == digest(text)


def test_a_member_that_joins_by_link_halfway_gets_what_was_sent_after_it_joined(network: RealNetwork) -> None:
    text = real_text(2_000)
    cut = len(b"".join(text.splitlines(keepends=True)[:1_000]))
    sender, listener, newcomer = network.nodes[:3]
    link = sender.create("halfway")
    listener.good("room", "join", link)
    with sender.begin("room", "send", "halfway", "-") as sending:
        sending.say(text[:cut])
        until(lambda: bool(listener.read("halfway")), within_s=30.0, what="the first lines")
        newcomer.good("room", "join", link)
        ran = sending.end(text[cut:])
    assert ran.status == 0, ran.err
    wait_for(listener, "halfway", text)
    got = b""

    def complete() -> bool:
        nonlocal got
        got = newcomer.read("halfway")
        return len(got) >= len(text) - cut

    until(complete, within_s=60.0, what="all that was sent after the join")
    assert text.endswith(got)
    assert got.endswith(text[cut:])


def test_odd_bytes_arrive_as_they_were_sent(network: RealNetwork, room: str, tmp_path: Path) -> None:
    noise = Random(4).randbytes(1_000_000).replace(b"\n", b"\r")
    lines = [
        b"",
        b"carriage\r",
        b"\r",
        b"\xff\xfe\x00",
        b" \t blanks \t ",
        noise,
        "ü ✓ 𝄞".encode(),
        b"\x1b]0;t\x07",
        b"",
    ]
    file = tmp_path / "bytes"
    file.write_bytes(joined(lines) + b"no newline at the end")
    network.nodes[0].good("room", "send", room, "--file", file)
    wait_for(network.nodes[1], room, joined([*lines, b"no newline at the end"]))


def test_text_standard_input_and_both_words_for_it_are_sent(network: RealNetwork, room: str) -> None:
    sender = network.nodes[0]
    sender.good("room", "send", room, "one text")
    sender.good("room", "send", room, b"bytes \xff\xfe")
    sender.good("room", "send", room, "-", stdin=b"a\r\nb")
    sender.good("room", "send", room, stdin=b"c\n")
    sender.good("room", "send", room, "")
    sender.good("room", "send", room, stdin=b"")
    sender.good("room", "send", room, "--", "-dash")
    wait_for(network.nodes[1], room, joined([b"one text", b"bytes \xff\xfe", b"a\r", b"b", b"c", b"", b"-dash"]))


def test_a_line_of_5_mb_is_refused_before_anything_is_sent(network: RealNetwork, room: str, tmp_path: Path) -> None:
    file = tmp_path / "long"
    file.write_bytes(b"short\n" + b"x" * 5_000_000 + b"\nmore\n")
    ran = network.nodes[0].cli("room", "send", room, "--file", file)
    assert (ran.status, ran.sentence) == (2, "Line 2 is longer than the 4 MiB a message may have. Nothing was sent.")
    longest = b"y" * MAX_MESSAGE_BYTES
    file.write_bytes(longest)
    network.nodes[0].good("room", "send", room, "--file", file)
    wait_for(network.nodes[1], room, longest + b"\n")


def test_what_does_not_fit_one_answer_is_read_in_pages(network: RealNetwork, room: str) -> None:
    lines = [bytes([97 + number % 26]) * 30_000 for number in range(2 * MAX_PAGE_BYTES // 30_000)]
    sender, reader = network.nodes[:2]
    sender.good("room", "send", room, "-", stdin=joined(lines))
    wait_for(reader, room, joined(lines))
    assert reader.good("room", "read", room, "--count", "2") == joined(lines[-2:])
    assert reader.good("room", "read", room, "--follow", "--count", "200") == joined(lines[:200])
    everything = json.loads(reader.good("room", "read", room, "--json"))
    assert len(everything["messages"]) == len(lines)


def test_a_room_is_read_from_a_position_by_count_and_while_it_grows(network: RealNetwork, room: str) -> None:
    sender, reader = network.nodes[:2]
    lines = numbered("line", 1, 30)
    sender.good("room", "send", room, stdin=joined(lines[:20]))
    wait_for(reader, room, joined(lines[:20]))
    shown = json.loads(reader.good("room", "read", room, "--json"))["messages"]
    since = str(shown[9]["position"])
    assert [one["body"] for one in shown] == [line.decode() for line in lines[:20]]
    assert reader.good("room", "read", room, "--since", since) == joined(lines[10:20])
    assert reader.good("room", "read", room, "--since", since, "--count", "3") == joined(lines[10:13])
    assert reader.good("room", "read", room, "--count", "4") == joined(lines[16:20])
    assert reader.good("room", "read", room, "--count", "0") == b""
    with reader.begin("room", "read", room, "--follow", "--since", since, "--count", "20") as following:
        sender.good("room", "send", room, stdin=joined(lines[20:]))
        ran = following.end()
    assert (ran.status, ran.out, ran.err) == (0, joined(lines[10:]), "")


def test_all_members_agree_on_the_committee_of_every_epoch_and_anyone_can_check_it(
    network: RealNetwork, inspected: int, tmp_path: Path
) -> None:
    members, began = network.nodes[:3], inspected
    seen: dict[int, list[dict[str, Any]]] = {}

    def over() -> bool:
        return int(time.time()) // EPOCH_S > began + EPOCHS

    until(over, within_s=EPOCH_S * (EPOCHS + 2), what=f"{EPOCHS} epochs")
    files = []
    for number, member in enumerate(members):
        files.append(tmp_path / f"records-{number}")
        files[-1].write_bytes(member.good("inspect", "committee", "--room", "inspected", "--json", "--with-records"))
        for one in json.loads(files[-1].read_bytes())["inspections"]:
            assert one["verified"], one["differences"]
            seen.setdefault(one["epoch"], []).append(one)
    for epoch in range(began + 1, began + EPOCHS + 1):
        claims = [(one["tag"], one["seed"], one["seats"], one["standbys"]) for one in seen[epoch]]
        assert len(claims) == len(members)
        assert all(claim == claims[0] for claim in claims)
        assert len(claims[0][2]) == 4
    for file in files:
        ran = network.nodes[3].cli("inspect", "committee", "--records", file, "--tag", claims[0][0][:12])
        assert ran.status == 0, ran.err
        assert b"Verified" in ran.out
    _one_changed_byte_names_its_seat(files[0], Random(9))


def _one_changed_byte_names_its_seat(file: Path, rng: Random) -> None:
    given = json.loads(file.read_bytes())
    last = given["inspections"][-1]
    for seat in range(4):
        records = list(last["records"])
        raw = bytearray(base64.b64decode(records[seat]))
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
        records[seat] = base64.b64encode(raw).decode()
        bad = file.with_name(f"bad-{seat}")
        bad.write_text(json.dumps(given | {"inspections": [last | {"records": records}]}))
        ran = railgun("inspect", "committee", "--records", bad)
        assert ran.status == 1, ran.out
        broken = [line for line in ran.out.decode().splitlines() if "no longer verifies" in line]
        assert len(broken) == 1
        assert broken[0].startswith(f"  differs: seat {seat + 1} no longer verifies: ")
        assert b"NOT VERIFIED" in ran.out


def test_a_relay_that_is_killed_in_the_middle_costs_no_line(network: RealNetwork, room: str) -> None:
    text = real_text()
    relay = network.nodes[3]
    with network.nodes[0].begin("room", "send", room, "-") as sending:
        half = len(text) // 2
        sending.say(text[:half])
        until(lambda: bool(network.nodes[1].read(room)), within_s=30.0, what="the first lines")
        relay.kill()
        ran = sending.end(text[half:])
    assert ran.status == 0, ran.err
    for member in network.nodes[1:3]:
        wait_for(member, room, text)
    relay.start().wait_ready(relays=3)


def test_who_left_and_joins_again_sends_new_lines_only(network: RealNetwork) -> None:
    owner, guest = network.nodes[:2]
    link = owner.create("again")
    guest.good("room", "join", link)
    guest.good("room", "send", "again", stdin=joined(numbered("before", 1, 5)))
    owner.reads("again", joined(numbered("before", 1, 5)))
    assert b"Left again" in guest.good("room", "leave", "again")
    for verb in ("read", "members", "invite", "leave", "send"):
        ran = guest.cli("room", verb, "again", stdin=b"lost\n")
        assert (ran.status, ran.sentence) == (2, "You are in no room called again.")
    assert b"2 members" in guest.good("room", "join", link)
    guest.good("room", "send", "again", stdin=joined(numbered("after", 1, 2)))
    guest.kill()
    guest.start().wait_ready(relays=3)
    guest.good("room", "send", "again", "last")
    wanted = joined([*numbered("before", 1, 5), *numbered("after", 1, 2), b"last"])
    owner.reads("again", wanted)
    assert guest.read("again") == wanted


def test_two_rooms_may_have_one_name_on_one_device(network: RealNetwork) -> None:
    first, second = network.nodes[:2]
    second.create("twins")
    assert second.good("room", "join", first.create("twins")).startswith(b"Joined twins (2) (")
    first.good("room", "send", "twins", "to the other")
    second.reads("twins (2)", b"to the other\n")
    assert second.read("twins") == b""


def test_a_sender_that_is_told_to_end_says_how_far_it_came_and_sends_the_rest_later(
    network: RealNetwork, room: str
) -> None:
    sender, reader = network.nodes[:2]
    lines = numbered("term", 1, 20_000)
    with sender.begin("room", "send", room, "-") as sending:
        feeding = threading.Thread(target=_feed, args=(sending, joined(lines)))
        feeding.start()
        until(lambda: bool(reader.read(room)), within_s=30.0, what="the first lines")
        assert sender.stop() == 0, sender.said.read_text()
        feeding.join(30)
        ran = sending.end()
    assert ran.status == 3, ran.err
    assert ran.sentence.startswith("The engine stopped: ")
    stored = int(ran.sentence.split()[3].replace(",", ""))
    sender.start().wait_ready(relays=4)
    found: list[bytes] = []

    def complete() -> bool:
        found[:] = reader.read(room).splitlines()
        return len(found) >= stored and sender.status().rooms[-1].queued == 0

    until(complete, within_s=60.0, what=f"the {stored} lines that were reported stored")
    assert found == lines[: len(found)]
    reader.reads(room, sender.read(room))


def _feed(sending: Begun, data: bytes) -> None:
    with contextlib.suppress(OSError):  # the verb ended, as it should
        sending.say(data)


def test_a_node_that_is_started_before_its_bootstrap_joins_when_it_comes() -> None:
    with real_network() as late:
        node = late.add().start().wait_ready()
        until(lambda: any(n.code == "bootstrap-unreachable" for n in node.status().notices), within_s=30, what="notice")
        assert "a bootstrap peer does not answer" in node.said.read_text()
        assert node.cli("doctor").status == 1
        late.bootstrap.start().wait_ready()
        until(lambda: node.status().peers > 0, within_s=60, what="the bootstrap peer is met")
        assert node.process is not None
        node.process.send_signal(signal.SIGINT)
        assert node.process.wait(10) == 0
