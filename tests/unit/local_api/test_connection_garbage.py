"""Whatever bytes come in: an answer or a closed connection, and the server goes on. 10,000 mutants, byte by byte."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from railgun_core.local_api.client import Client
from railgun_core.local_api.connection import looks_like_http
from railgun_core.local_api.server import ApiServer

from .conftest import Say, Verbs
from .test_server import Raw

GOOD = (
    b'{"id":3,"verb":"echo","args":{"text":"hello"}}\n',
    b'{"id":4,"verb":"swallow","args":{"body":"aGVsbG8="}}\n',
    b'{"id":5,"verb":"count","args":{"upto":3}}\n',
    b'{"id":6,"verb":"refuse","args":{"text":"no"}}\n',
    b'{"id":7,"verb":"cancel"}\n',
)
MARK = b'{"id":999999,"verb":"echo","args":{"text":"mark"}}\n'


def mutant(rng: random.Random) -> bytes:
    """A request with some bytes changed, cut, doubled or swapped for what parsers stumble over."""
    line = bytearray(rng.choice(GOOD))
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(line) + 1)
        match rng.randrange(5):
            case 0 if line:
                line[min(at, len(line) - 1)] = rng.randrange(256)
            case 1:
                del line[at : at + rng.randint(1, 6)]
            case 2:
                line[at:at] = line[: rng.randint(0, 20)]
            case 3:
                line[at:at] = rng.choice(
                    (b"\xff", b"\x00", b"[" * 2_000, b'"', b"\\ud800", b"1e999", b"null", b"{}", b"\n")
                )
            case _:
                line[at:at] = rng.randbytes(3)
    return bytes(line)


async def answered_or_closed(data_dir: Path, data: bytes) -> None:
    """Send `data` and a marked request; then the mark comes back or the connection ends, within the deadline."""
    raw = await Raw.open(data_dir)
    try:
        await raw.say(data + b"\n" + MARK)
        async with asyncio.timeout(5):
            while line := await raw.reader.readline():
                answer = json.loads(line)
                assert {"ok", "error", "event", "done"} & set(answer)
                if answer["id"] == 999999:
                    return
    except ConnectionError:
        return  # it closed while we were still writing
    finally:
        raw.writer.close()


async def test_ten_thousand_mutants_never_stop_the_server(data_dir: Path) -> None:
    rng = random.Random(27)
    for _ in range(100):
        batch = [mutant(rng) for _ in range(100)]
        # Lines that keep the connection go together; each that may end it gets a connection of its own.
        keepers = [data for data in batch if all(is_json(line) for line in data.split(b"\n"))]
        await answered_or_closed(data_dir, b"\n".join(keepers))
        enders = [data for data in batch if data not in keepers]
        for start in range(0, len(enders), 20):
            await asyncio.gather(*(answered_or_closed(data_dir, data) for data in enders[start : start + 20]))
    async with await Client.connect(data_dir) as client:
        assert await client.call("echo", Say("alive"), Say) == Say("alive")


def is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


async def test_a_request_that_comes_byte_by_byte_is_answered_as_a_whole_one(data_dir: Path) -> None:
    raw = await Raw.open(data_dir)
    for byte in GOOD[0]:
        await raw.say(bytes((byte,)))
        await asyncio.sleep(0)
    assert (await raw.hear())["ok"] == {"text": "hello"}
    await raw.close()


async def test_half_a_request_and_then_the_end_harms_nobody(data_dir: Path) -> None:
    for cut in range(0, len(GOOD[0]), 3):
        raw = await Raw.open(data_dir)
        await raw.say(GOOD[0][:cut])
        await raw.close()
    async with await Client.connect(data_dir) as client:
        assert await client.call("echo", Say("alive"), Say) == Say("alive")


@given(st.binary(max_size=400))
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_answered_or_end_the_connection(data: bytes) -> None:

    async def once() -> None:
        with tempfile.TemporaryDirectory() as folder:
            server = ApiServer(Verbs().table())
            await server.start(Path(folder))
            await answered_or_closed(Path(folder), data)
            async with await Client.connect(Path(folder)) as client:
                assert await client.call("echo", Say("alive"), Say) == Say("alive")
            await server.close()

    asyncio.run(once())


def test_only_what_no_request_can_be_looks_like_http() -> None:
    assert looks_like_http(b"GET / HTTP/1.1\r\n")
    assert looks_like_http(b"PRI * HTTP/2.0\r\n")
    assert looks_like_http(b"POST /x")
    assert not looks_like_http(b'{"id":1,"verb":"echo","args":{"text":"GET / HTTP/1.1"}}\n')
