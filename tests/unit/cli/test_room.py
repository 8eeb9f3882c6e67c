"""Sending and reading through a real socket: every byte, in order, and what happens when some do not arrive."""

from __future__ import annotations

import base64
import json
import os
import random
import threading
from pathlib import Path

import pytest

from .conftest import Cli, Engine, start_process

ODD = [
    b"",
    b"plain",
    b"\xff\xfe\x00not utf-8",
    b"tail with cr\r",
    "grüße 漢字".encode(),
    b" spaces \t",
    b"",
    b"x" * 1_000_000,
]


def test_lines_of_a_file_arrive_byte_for_byte_and_come_back_the_same(cli: Cli, engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_bytes(b"\n".join(ODD) + b"\n")
    assert cli("room", "send", "Harbour", "--file", str(file)).status == 0
    assert engine.said == ODD
    assert cli("room", "read", "Harbour").out == file.read_bytes()


def test_many_lines_go_in_order_in_bounded_requests_two_at_a_time(cli: Cli, engine: Engine, tmp_path: Path) -> None:
    rng = random.Random(5)
    lines = [rng.randbytes(rng.choice((0, 10, 200, 3_000))).replace(b"\n", b"") for _ in range(5_000)]
    file = tmp_path / "lines"
    file.write_bytes(b"".join(line + b"\n" for line in lines))
    ran = cli("room", "send", "Harbour", "--file", str(file), "--json")
    assert engine.said == lines
    found = json.loads(ran.out)
    assert (found["lines"], found["reached"], found["waiting"]) == (5_000, 5_000, 0)
    assert (found["first_seq"], found["last_seq"]) == (1, 5_000)
    assert engine.most_under_way == 2
    assert max(len(request.lines) for request in engine.requests) <= 200
    assert max(sum(map(len, request.lines)) for request in engine.requests) <= 1_000_000
    assert cli("room", "read", "Harbour").out == file.read_bytes()


@pytest.mark.parametrize(
    ("text", "expected"), [("hello", [b"hello"]), ("", [b""]), ("a\nb", [b"a", b"b"]), ("a\n", [b"a"])]
)
def test_text_is_sent_one_message_a_line(cli: Cli, engine: Engine, text: str, expected: list[bytes]) -> None:
    assert cli("room", "send", "Harbour", text).status == 0
    assert engine.said == expected


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_standard_input_is_sent_where_there_is_no_text(cli: Cli, engine: Engine, arguments: list[str]) -> None:
    assert cli("room", "send", "Harbour", *arguments, stdin=b"a\nb\r\n\nc").status == 0
    assert engine.said == [b"a", b"b\r", b"", b"c"]


def test_an_empty_file_sends_nothing_and_is_no_error(cli: Cli, engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert cli("room", "send", "Harbour", "--file", str(tmp_path / "empty")).status == 0
    assert engine.said == []


def test_messages_that_are_not_stored_are_named_by_sequence(cli: Cli, engine: Engine) -> None:
    engine.stuck = frozenset({b"b", b"d"})
    ran = cli("room", "send", "Harbour", "--json", stdin=b"a\nb\nc\nd\ne\n")
    assert ran.status == 1
    assert json.loads(ran.out)["missing"] == [[2, 2], [4, 4]]
    assert ran.err.startswith("railgun: 2 of 5 messages are not stored yet: sequences 2, 4.")
    assert engine.said == [b"a", b"b", b"c", b"d", b"e"]


def test_the_asked_state_and_time_reach_the_engine(cli: Cli, engine: Engine) -> None:
    assert cli("room", "send", "Harbour", "x", "--wait", "delivered", "--timeout-s", "7.5").status == 0
    assert (engine.requests[0].wait, engine.requests[0].wait_s) == ("delivered", 7.5)


def test_a_line_that_is_too_long_is_refused_before_anything_is_sent(cli: Cli, engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_bytes(b"fine\n" + b"x" * (4 * 1024 * 1024 + 1) + b"\nfine\n")
    ran = cli("room", "send", "Harbour", "--file", str(file))
    assert ran.status == 2
    assert ran.err == "railgun: Line 2 is longer than the 4 MiB a message may have. Nothing was sent.\n"
    assert engine.said == []


def test_the_largest_line_goes_through(cli: Cli, engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "lines"
    body = os.urandom(4 * 1024 * 1024).replace(b"\n", b"!")
    file.write_bytes(body)
    assert cli("room", "send", "Harbour", "--file", str(file)).status == 0
    assert engine.said == [body]
    assert cli("room", "read", "Harbour").out == body + b"\n"


def test_a_pipe_that_brings_a_line_too_long_says_what_was_sent(engine: Engine, data_dir: Path) -> None:
    process = start_process(["room", "send", "Harbour", "--data-dir", str(data_dir)])
    out, err = process.communicate(b"one\ntwo\n" + b"x" * 5_000_000, timeout=30)
    assert (process.returncode, out) == (2, b"")
    assert err == b"railgun: Line 3 is longer than the 4 MiB a message may have. The 2 lines before it were sent.\n"
    assert engine.said == [b"one", b"two"]


def test_a_real_pipe_brings_every_byte(engine: Engine, data_dir: Path) -> None:
    data = b"\n".join(ODD) + b"\n" + os.urandom(3_000_000)
    process = start_process(["room", "send", "Harbour", "-", "--data-dir", str(data_dir)])
    out, err = process.communicate(data, timeout=60)
    assert (process.returncode, out, err) == (0, b"", b"")
    assert b"\n".join(engine.said) == data.removesuffix(b"\n")


def test_a_redirected_file_is_checked_first_and_sent(engine: Engine, data_dir: Path, tmp_path: Path) -> None:
    import subprocess
    import sys

    (tmp_path / "lines").write_bytes(b"a\nb\n")
    with (tmp_path / "lines").open("rb") as file:
        done = subprocess.run(
            [sys.executable, "-m", "railgun_core", "room", "send", "Harbour", "--data-dir", str(data_dir)],
            stdin=file,
            capture_output=True,
            timeout=30,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")
    assert engine.said == [b"a", b"b"]


def test_a_missing_file_is_wrong_usage(cli: Cli, engine: Engine, tmp_path: Path) -> None:
    assert cli("room", "send", "Harbour", "--file", str(tmp_path / "none")).status == 2
    assert cli("room", "send", "Harbour", "--file", str(tmp_path)).status == 2
    assert cli("room", "send", "Harbour", "text", "--file", str(tmp_path)).status == 2


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], range(2_500)),
        (["--count", "3"], range(2_497, 2_500)),
        (["--count", "0"], range(0)),
        (["--count", "1200"], range(1_300, 2_500)),
        (["--count", "9999"], range(2_500)),
        (["--since", "2400"], range(2_400, 2_500)),
        (["--since", "100", "--count", "5"], range(100, 105)),
        (["--since", "2500"], range(0)),
        (["--follow", "--count", "7"], range(7)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_reading_pages_through_what_was_asked_for(
    cli: Cli, engine: Engine, arguments: list[str], expected: range
) -> None:
    engine.said = [str(number).encode() for number in range(2_500)]
    ran = cli("room", "read", "Harbour", *arguments)
    assert (ran.status, ran.err) == (0, "")
    assert ran.out == b"".join(b"%d\n" % number for number in expected)


def test_the_newest_of_large_messages_are_found_past_the_size_of_one_answer(cli: Cli, engine: Engine) -> None:
    engine.said = [bytes((65 + number,)) * 1_500_000 for number in range(5)]
    assert cli("room", "read", "Harbour", "--count", "4").out == b"".join(body + b"\n" for body in engine.said[1:])


def test_json_carries_text_as_text_and_bytes_as_base64(cli: Cli, engine: Engine) -> None:
    engine.said = ["grüße".encode(), b"\xff\x00"]
    found = json.loads(cli("room", "read", "Harbour", "--json").out)
    assert [message.get("body") for message in found["messages"]] == ["grüße", None]
    assert base64.b64decode(found["messages"][1]["body_base64"]) == b"\xff\x00"
    assert found["last"] == 2


def test_follow_goes_on_with_messages_as_they_come(engine: Engine, data_dir: Path) -> None:
    engine.said = [b"before"]
    process = start_process(["room", "read", "Harbour", "--follow", "--count", "3", "--data-dir", str(data_dir)])
    assert process.stdout is not None
    assert process.stdout.readline() == b"before\n"
    engine.say(b"then")
    assert process.stdout.readline() == b"then\n"
    threading.Timer(0.05, engine.say, [b"last"]).start()
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, b"last\n", b"")


def test_an_invite_may_come_through_standard_input(cli: Cli, engine: Engine) -> None:
    ran = cli("room", "join", "-", "--json", stdin=b"railgun:secret\n")
    assert ran.status == 0
    assert json.loads(ran.out)["waiting"] is True
    assert engine.links == ["railgun:secret"]


def test_rooms_are_made_left_and_listed(cli: Cli, engine: Engine) -> None:
    assert cli("room", "create", "Quay").out.startswith(b"Created Quay (abababab")
    assert cli("room", "invite", "Quay").out == b"railgun:invite\n"
    assert cli("room", "leave", "Quay", "--json").status == 0
    assert b"Har?[2Jbour" in cli("room", "list").out
