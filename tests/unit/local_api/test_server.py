"""Calls, streams, limits and ends of the local API, on a real socket."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.local_api import endpoint as door
from railgun_core.local_api.client import ApiError, Client
from railgun_core.local_api.connection import ApiLimits
from railgun_core.local_api.messages import MAX_LINE_BYTES, Empty
from railgun_core.local_api.server import ApiServer, DoorKind

from .conftest import Blob, Count, Number, Say, Verbs


class Raw:
    """A hand-made connection: whatever bytes, and the lines that come back."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, data_dir: Path) -> Raw:
        return cls(*await asyncio.open_unix_connection(door.find(data_dir).socket, limit=MAX_LINE_BYTES))

    async def say(self, line: bytes) -> None:
        self.writer.write(line)
        await self.writer.drain()

    async def hear(self) -> Any:
        async with asyncio.timeout(5):
            return json.loads(await self.reader.readuntil(b"\n"))

    async def ended(self) -> bytes:
        async with asyncio.timeout(5):
            return await self.reader.read()

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)


async def test_a_call_brings_the_answer_of_its_handler(data_dir: Path) -> None:
    async with await Client.connect(data_dir) as client:
        assert await client.call("echo", Say("grüße"), Say) == Say("grüße")


async def test_many_calls_at_once_each_get_their_own_answer(data_dir: Path) -> None:
    async with await Client.connect(data_dir) as client:
        said = [Say(str(number)) for number in range(500)]
        assert await asyncio.gather(*(client.call("echo", text, Say) for text in said)) == said


async def test_a_refusal_keeps_its_code_its_sentence_and_its_exit_status(data_dir: Path) -> None:
    async with await Client.connect(data_dir) as client:
        with pytest.raises(ApiError) as caught:
            await client.call("refuse", Say("There is no room called x."), Empty)
    assert (caught.value.code, caught.value.sentence, caught.value.exit_status) == (
        "no-such-room",
        "There is no room called x.",
        2,
    )


@pytest.mark.parametrize("verb", ["crash", "hang-up"])
async def test_an_unexpected_error_says_internal_and_nothing_of_itself(data_dir: Path, verb: str) -> None:
    with capture_logs() as logs:
        async with await Client.connect(data_dir) as client:
            with pytest.raises(ApiError) as caught:
                await client.call(verb, Say("hunter2"), Empty)
            assert await client.call("echo", Say("still here"), Say) == Say("still here")
    assert caught.value.code == "internal"
    assert "hunter2" not in caught.value.sentence
    assert [entry["event"] for entry in logs] == ["api-internal"]
    assert "hunter2" not in str(logs)


@pytest.mark.parametrize(
    ("line", "request_id", "code"),
    [
        (b'{"id":7,"verb":"nope","args":{}}\n', 7, "unknown-verb"),
        (b'{"id":7,"verb":"echo","args":{"text":5}}\n', 7, "bad-args"),
        (b'{"id":7,"verb":"echo"}\n', 7, "bad-args"),
        (b'{"id":7,"verb":"echo","args":null}\n', 7, "bad-args"),
        (b'{"id":7,"verb":9}\n', 7, "bad-request"),
        (b'{"verb":"echo"}\n', 0, "bad-request"),
        (b"[1,2]\n", 0, "bad-request"),
        (b'{"id":7,"verb":"swallow","args":{"body":"!!"}}\n', 7, "bad-args"),
    ],
)
async def test_a_wrong_request_is_answered_and_the_connection_goes_on(
    data_dir: Path, line: bytes, request_id: int, code: str
) -> None:
    raw = await Raw.open(data_dir)
    await raw.say(line)
    answer = await raw.hear()
    assert (answer["id"], answer["error"]["code"]) == (request_id, code)
    await raw.say(b'{"id":8,"verb":"echo","args":{"text":"on"}}\n')
    assert (await raw.hear())["ok"] == {"text": "on"}
    await raw.close()


async def test_bytes_that_are_no_json_are_answered_and_end_the_connection(data_dir: Path) -> None:
    raw = await Raw.open(data_dir)
    await raw.say(b"\x16\x03\x01 hello\n")
    assert (await raw.hear())["error"]["code"] == "bad-json"
    assert await raw.ended() == b""
    await raw.close()


async def test_a_line_past_the_limit_is_answered_and_ends_the_connection(verbs: Verbs, tmp_path: Path) -> None:
    server = ApiServer(verbs.table(), limits=ApiLimits(line_bytes=10_000))
    await server.start(tmp_path)
    raw = await Raw.open(tmp_path)
    await raw.say(b"x" * 30_000)
    assert (await raw.hear())["error"]["code"] == "line-too-long"
    await raw.close()
    await server.close()


async def test_an_answer_past_the_limit_is_an_error_and_no_broken_connection(data_dir: Path) -> None:
    async with await Client.connect(data_dir) as client:
        with pytest.raises(ApiError) as caught:
            await client.call("blob", Count(7_000_000), Blob)
        assert caught.value.code == "answer-too-large"
        assert len((await client.call("blob", Count(4_194_304), Blob)).body) == 4_194_304


async def test_a_message_of_four_megabytes_goes_through(data_dir: Path) -> None:
    async with await Client.connect(data_dir) as client:
        assert await client.call("swallow", Blob(bytes(4_194_304)), Number) == Number(4_194_304)


async def test_a_request_past_the_limit_is_refused_before_it_is_sent(data_dir: Path) -> None:
    async with await Client.connect(data_dir) as client:
        with pytest.raises(ApiError) as caught:
            await client.call("swallow", Blob(bytes(7_000_000)), Number)
        assert caught.value.code == "line-too-long"
        assert await client.call("echo", Say("on"), Say) == Say("on")


async def test_an_id_that_is_in_use_is_refused(data_dir: Path, verbs: Verbs) -> None:
    raw = await Raw.open(data_dir)
    await raw.say(b'{"id":1,"verb":"wait"}\n{"id":1,"verb":"echo","args":{"text":"a"}}\n')
    assert (await raw.hear())["error"]["code"] == "bad-request"
    verbs.release.set()
    assert (await raw.hear())["ok"] == {}
    await raw.close()


async def test_no_more_calls_run_at_once_than_the_limit_and_all_are_answered(data_dir: Path, verbs: Verbs) -> None:
    async with await Client.connect(data_dir) as client:
        calls = [asyncio.create_task(client.call("wait", None, Empty)) for _ in range(100)]
        await until(lambda: verbs.waiting == 64)
        verbs.release.set()
        assert await asyncio.gather(*calls) == [Empty()] * 100
    assert verbs.most_waiting == 64


async def test_requests_past_the_byte_budget_wait_and_are_served(verbs: Verbs, tmp_path: Path) -> None:
    server = ApiServer(verbs.table(), limits=ApiLimits(request_bytes=1_000))
    await server.start(tmp_path)
    async with await Client.connect(tmp_path) as client:
        sizes = await asyncio.gather(*(client.call("swallow", Blob(bytes(5_000)), Number) for _ in range(20)))
    assert sizes == [Number(5_000)] * 20
    await server.close()


async def test_a_call_is_called_off_when_its_caller_gives_up(data_dir: Path, verbs: Verbs) -> None:
    async with await Client.connect(data_dir) as client:
        with pytest.raises(ApiError) as caught:
            await client.call("wait", None, Empty, timeout_s=0.05)
        assert caught.value.code == "timeout"
        await until(lambda: verbs.called_off == 1)
        assert await client.call("echo", Say("on"), Say) == Say("on")


async def test_a_cancel_that_follows_its_request_at_once_is_still_answered(data_dir: Path) -> None:
    raw = await Raw.open(data_dir)
    await raw.say(b'{"id":1,"verb":"wait"}\n{"id":1,"verb":"cancel"}\n{"id":9,"verb":"cancel"}\n')
    answer = await raw.hear()
    assert (answer["id"], answer["error"]["code"]) == (1, "cancelled")
    await raw.close()


async def test_calls_end_in_the_engine_when_their_client_goes_away(data_dir: Path, verbs: Verbs) -> None:
    client = await Client.connect(data_dir)
    calls = [asyncio.create_task(client.call("wait", None, Empty)) for _ in range(3)]
    await until(lambda: verbs.waiting == 3)
    await client.close()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [getattr(outcome, "code", None) for outcome in outcomes] == ["engine-gone"] * 3
    await until(lambda: verbs.called_off == 3)


async def test_a_stream_brings_every_event_in_order_and_ends(data_dir: Path) -> None:
    async with await Client.connect(data_dir) as client:
        events = [event.value async for event in client.stream("count", Count(5_000), Number)]
    assert events == list(range(5_000))


async def test_a_stream_that_fails_says_why_after_its_events(data_dir: Path) -> None:
    async with await Client.connect(data_dir) as client:
        events = client.stream("stumble", None, Number)
        assert await anext(events) == Number(1)
        with pytest.raises(ApiError) as caught:
            await anext(events)
    assert caught.value.code == "no-more"


async def test_a_stream_ends_in_the_engine_when_its_reader_stops(data_dir: Path, verbs: Verbs) -> None:
    async with await Client.connect(data_dir) as client:
        events = client.stream("count", Count(10**9), Number)
        assert await anext(events) == Number(0)
        await events.aclose()
        await until(lambda: verbs.ended_streams == 1)


async def test_cancel_ends_a_stream_and_leaves_the_connection(data_dir: Path, verbs: Verbs) -> None:
    raw = await Raw.open(data_dir)
    await raw.say(b'{"id":4,"verb":"tick"}\n')
    verbs.ticks.put_nowait(11)
    assert (await raw.hear())["event"] == {"value": 11}
    await raw.say(b'{"id":4,"verb":"cancel"}\n')
    assert await raw.hear() == {"id": 4, "done": True}
    await raw.say(b'{"id":4,"verb":"echo","args":{"text":"free again"}}\n')
    assert (await raw.hear())["ok"] == {"text": "free again"}
    await raw.close()


async def test_more_streams_than_the_limit_are_answered_busy(data_dir: Path) -> None:
    raw = await Raw.open(data_dir)
    for number in range(17):
        await raw.say(b'{"id":%d,"verb":"tick"}\n' % (number + 1))
    answer = await raw.hear()
    assert (answer["id"], answer["error"]["code"]) == (17, "busy")
    await raw.close()


async def test_a_slow_reader_of_a_stream_holds_the_generator_back(data_dir: Path, verbs: Verbs) -> None:
    raw = await Raw.open(data_dir)
    await raw.say(b'{"id":1,"verb":"count","args":{"upto":1000000000}}\n')
    first = [(await raw.hear())["event"]["value"] for _ in range(3)]
    await raw.say(b'{"id":1,"verb":"cancel"}\n')
    assert first == [0, 1, 2]
    await raw.close()
    await until(lambda: verbs.ended_streams == 1)


async def test_a_slow_reader_of_latest_skips_to_the_newest(verbs: Verbs, tmp_path: Path) -> None:
    server = ApiServer(verbs.table(), limits=ApiLimits(write_bytes=1_000))
    await server.start(tmp_path)
    raw = await Raw.open(tmp_path)
    await raw.say(b'{"id":1,"verb":"newest","args":{"upto":300000}}\n')
    await until(lambda: verbs.ended_streams == 1)
    values = []
    while not (answer := await raw.hear()).get("done"):
        values.append(answer["event"]["value"])
    assert values[-1] == 299_999
    assert values == sorted(set(values))
    assert len(values) < 300_000
    await raw.close()
    await server.close()


async def test_a_web_page_that_knocks_gets_no_answer(data_dir: Path, verbs: Verbs) -> None:
    raw = await Raw.open(data_dir)
    await raw.say(b'POST / HTTP/1.1\r\nHost: x\r\n\r\n{"id":1,"verb":"wait"}\n')
    assert await raw.ended() == b""
    assert verbs.entered == 0
    await raw.close()


async def test_close_ends_calls_streams_and_the_door(verbs: Verbs, tmp_path: Path) -> None:
    server = ApiServer(verbs.table())
    await server.start(tmp_path)
    client = await Client.connect(tmp_path)
    call = asyncio.create_task(client.call("wait", None, Empty))
    events = client.stream("tick", None, Number)
    verbs.ticks.put_nowait(1)
    assert await anext(events) == Number(1)
    await until(lambda: verbs.waiting == 1)
    await server.close()
    await server.close()
    with pytest.raises(EnvironmentFailure) as caught:
        await call
    assert caught.value.code == "engine-gone"
    with pytest.raises(EnvironmentFailure):
        await anext(events)
    await client.close()
    with pytest.raises(EnvironmentFailure) as caught:
        await Client.connect(tmp_path)
    assert caught.value.code == "no-engine"
    assert sorted(found.name for found in (tmp_path / "run").iterdir()) == ["engine.lock"]


async def test_a_second_engine_on_the_same_data_is_refused_and_the_first_goes_on(data_dir: Path, verbs: Verbs) -> None:
    second = ApiServer(verbs.table())
    with pytest.raises(EnvironmentFailure) as caught:
        await second.start(data_dir)
    assert caught.value.code == "already-running"
    await second.close()
    async with await Client.connect(data_dir) as client:
        assert await client.call("echo", Say("first"), Say) == Say("first")


async def test_more_clients_than_the_limit_are_told_so(verbs: Verbs, tmp_path: Path) -> None:
    server = ApiServer(verbs.table(), limits=ApiLimits(connections=2))
    await server.start(tmp_path)
    clients = [await Client.connect(tmp_path) for _ in range(2)]
    assert [await client.call("echo", Say("in"), Say) for client in clients] == [Say("in")] * 2
    raw = await Raw.open(tmp_path)
    assert (await raw.hear())["error"]["code"] == "busy"
    await raw.close()
    for client in clients:
        await client.close()
    await server.close()


async def test_the_tcp_door_serves_who_says_the_token(verbs: Verbs, tmp_path: Path) -> None:
    server = ApiServer(verbs.table())
    await server.start(tmp_path, kind=DoorKind.TCP)
    async with await Client.connect(tmp_path) as client:
        assert await client.call("echo", Say("tcp"), Say) == Say("tcp")
        assert [event.value async for event in client.stream("count", Count(3), Number)] == [0, 1, 2]
    await server.close()
