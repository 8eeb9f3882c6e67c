"""What must never be in a log is not, and what a person needs to read still is."""

from __future__ import annotations

import asyncio
import json
import logging
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.logs import FILE_BYTES, FILES, RING_LINES, EngineLog, start_logs
from railgun_core.redaction import ADDRESS, GONE, LINK, redact, scrub

ID = "c0ffee" * 10 + "beef"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EngineLog]:
    running = start_logs(tmp_path, level="info")
    yield running
    running.close()
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        (f"peer {ID} went", f"peer {ID[:10]} went"),
        (ID.upper(), ID.upper()[:10]),
        ("ab" * 16, GONE),
        ("ab" * 64, GONE),
        ("wtYk3jVb0u8WzqWm2yQ1hQ9sXo0nE5c7aL4fR6tG8kU=", GONE),
        ("to 10.1.2.3:443 failed", f"to {ADDRESS} failed"),
        ("127.0.0.1", ADDRESS),
        ("(192.168.0.1)", f"({ADDRESS})"),
        ("at ::1 now", f"at {ADDRESS} now"),
        ("[2001:db8::1]:443 refused", f"{ADDRESS} refused"),
        ("fe80::1%eth0", ADDRESS),
        ("2001:db8:0:1:1:1:1:1.", f"{ADDRESS}."),
        ("::ffff:10.0.0.1", ADDRESS),
        ("joined railgun://join/v1/abcdef?x=1 today", f"joined {LINK} today"),
        ("railgun:abc", LINK),
    ],
)
def test_what_must_go_goes(text: str, becomes: str) -> None:
    assert scrub(text) == becomes


@pytest.mark.parametrize(
    "text",
    [
        "2025-11-22T13:14:15.123456Z",
        "12:34:56",
        "railgun 0.1.0 on Python 3.11.7",
        "server.py:98",
        "c0ffeec0ff",
        "0123456789abcdef",
        "epoch 2894123 seat 2 of 5",
        "std::vector",
        "64 envelopes, 1.5 MB, 99.9 %",
        "already-running",
        "a: b: c",
        "1.2.3",
        "deadbeef" * 3,
    ],
)
def test_what_a_person_needs_stays(text: str) -> None:
    assert scrub(text) == text


@pytest.mark.parametrize(
    "name",
    ["key", "token", "room", "room_name", "payload", "body", "address", "remote_host", "peer_key", "Link", "seed"],
)
def test_a_field_with_a_telling_name_loses_its_value(name: str) -> None:
    assert redact(None, "", {"event": "x", name: "Harbour"})[name] == GONE
    assert redact(None, "", {"event": "x", "deep": {"list": [{name: ["Harbour"]}]}}) == {
        "event": "x",
        "deep": {"list": [{name: GONE}]},
    }
    assert redact(None, "", {"event": "x", name: 3})[name] == 3  # a count


def test_bytes_and_strange_objects_are_named_and_not_shown() -> None:
    class Strange:
        def __repr__(self) -> str:
            return "hunter2"

    found = redact(None, "", {"event": "x", "what": b"hunter2", "odd": Strange(), "all": {1: Strange()}})
    assert found == {"event": "x", "what": "[7 bytes]", "odd": "Strange", "all": {"1": "Strange"}}


@given(st.ip_addresses(), st.sampled_from(["at {}.", "({})", "{}", "x={} y", '"{}"']))
def test_no_address_survives_in_any_sentence(address: object, sentence: str) -> None:
    assert str(address) not in scrub(sentence.format(address))


@given(st.binary(min_size=16, max_size=80), st.sampled_from(["key {}", "{}", "x={},", "'{}'"]))
def test_no_hex_secret_survives_whole(secret: bytes, sentence: str) -> None:
    assert secret.hex() not in scrub(sentence.format(secret.hex()))


def test_lines_are_json_and_in_file_and_ring(log: EngineLog, tmp_path: Path) -> None:
    structlog.get_logger("x").info("engine-started", epoch=5, peer=ID)
    structlog.get_logger("x").debug("too-fine")
    (line,) = log.lines(10)
    found = json.loads(line)
    assert (found["event"], found["level"], found["epoch"], found["peer"]) == ("engine-started", "info", 5, ID[:10])
    file = tmp_path / "logs" / "engine.log"
    assert file.read_text() == line + "\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_an_exception_is_its_class_and_places_without_its_text(log: EngineLog) -> None:
    try:
        raise ValueError("hunter2 at 10.0.0.1")
    except ValueError:
        structlog.get_logger().exception("failed")
        logging.getLogger("some.library").exception("payload %s", b"hunter2")
    first, second = (json.loads(line) for line in log.lines(2))
    assert (first["error"], first["places"][0].partition(":")[0]) == ("ValueError", "test_logs.py")
    assert (second["event"], second["logger"], second["says"]) == ("library", "some.library", f"payload {'%s'}")
    assert "hunter2" not in str(log.lines(2))


def test_files_turn_over_and_their_number_is_bounded(log: EngineLog, tmp_path: Path) -> None:
    line = '{"event": "' + "x" * 15_000 + '"}'
    for _ in range(FILE_BYTES * (FILES + 2) // len(line)):
        log.write(line)
    files = sorted((tmp_path / "logs").iterdir())
    assert len(files) == FILES
    assert all(file.stat().st_size <= FILE_BYTES for file in files)
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_memory_holds_the_newest_thousand(log: EngineLog) -> None:
    for number in range(RING_LINES + 50):
        log.write(str(number))
    assert log.lines(5_000) == tuple(str(number) for number in range(50, RING_LINES + 50))
    assert log.lines(2) == (str(RING_LINES + 48), str(RING_LINES + 49))
    assert log.lines(0) == ()


def test_a_line_of_any_length_stays_json_and_bounded(log: EngineLog) -> None:
    structlog.get_logger().info("x", text="a " * 100_000, many={str(n): "b c" * 1_000 for n in range(10_000)})
    (line,) = log.lines(1)
    assert len(line) < 20_000
    assert json.loads(line)


def test_a_log_that_cannot_be_written_stops_nothing(log: EngineLog, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(logging.handlers.RotatingFileHandler, "emit", lambda self, record: self.handleError(record))
    structlog.get_logger().error("still-here")
    assert json.loads(log.lines(1)[0])["event"] == "still-here"


async def test_followers_get_what_was_and_what_comes(log: EngineLog) -> None:
    log.write("one")
    log.write("two")
    lines = log.follow(1)
    assert await anext(lines) == ("two",)
    await asyncio.to_thread(log.write, "three")
    log.write("four")
    seen: list[str] = []
    async with asyncio.timeout(5):
        while len(seen) < 2:
            seen.extend(await anext(lines))
    assert seen == ["three", "four"]
    await lines.aclose()


async def test_a_follower_that_is_far_behind_gets_the_newest_only(log: EngineLog) -> None:
    lines = log.follow(0)
    assert await anext(lines) == ()
    for number in range(RING_LINES * 2):
        log.write(str(number))
    async with asyncio.timeout(5):
        assert await anext(lines) == tuple(str(number) for number in range(RING_LINES, RING_LINES * 2))
    await lines.aclose()
