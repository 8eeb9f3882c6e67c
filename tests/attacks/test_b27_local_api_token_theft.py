"""B27, local API token theft: another user gets EACCES, a web page gets nothing, the token is in no log.

What stays possible: a program of the same user can do what that user can.
"""
# ruff: noqa: ASYNC240 - a test may wait for its own small files

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.local_api import endpoint as door
from railgun_core.local_api.client import Client
from railgun_core.local_api.connection import ApiLimits
from railgun_core.local_api.handlers import call
from railgun_core.local_api.messages import Empty
from railgun_core.local_api.server import ApiServer, DoorKind
from railgun_core.logs import start_logs

OTHER_UID = 65_534
asked: list[str] = []


async def answer(args: Empty) -> Empty:
    asked.append("yes")
    return args


@pytest.fixture(autouse=True)
def _nothing_asked_yet() -> None:
    asked.clear()


@pytest.fixture
async def tcp(tmp_path: Path) -> AsyncIterator[door.Endpoint]:
    server = ApiServer({"status": call(Empty, answer)}, limits=ApiLimits(first_line_s=0.3))
    yield await server.start(tmp_path, kind=DoorKind.TCP)
    await server.close()


async def knock(port: int, data: bytes) -> bytes:
    """All that comes back for `data`, until the other side closes."""
    reader, writer = await asyncio.open_connection(door.LOOPBACK, port)
    try:
        writer.write(data)
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="needs root, to become somebody else")
async def test_another_user_cannot_connect_and_cannot_read_the_pointer(tmp_path: Path) -> None:
    import subprocess
    import tempfile

    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)  # the way to it is open: only its own modes protect it
        server = ApiServer({"status": call(Empty, answer)})
        found = await server.start(Path(folder) / "data")
        Path(folder, "data").chmod(0o755)
        script = (
            "import errno, os, socket, sys\n"
            f"os.setgroups([]); os.setgid({OTHER_UID}); os.setuid({OTHER_UID})\n"
            "for attempt in (lambda: socket.socket(socket.AF_UNIX).connect(sys.argv[1]), lambda: open(sys.argv[2])):\n"
            "    try: attempt()\n"
            "    except OSError as error: print(errno.errorcode[error.errno])\n"
            "    else: print('in')\n"
        )
        pointer = door.run_dir(Path(folder) / "data") / "api.json"
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-W", "ignore", "-c", script, found.socket, str(pointer)],
            capture_output=True,
            timeout=30,
            check=False,
        )
        await server.close()
    assert done.stdout.split() == [b"EACCES", b"EACCES"], done.stderr


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET / HTTP/1.1\r\nHost: rebound.example\r\nOrigin: http://rebound.example\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 40\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_a_web_page_gets_no_byte_and_moves_nothing(tcp: door.Endpoint, request_head: bytes) -> None:
    body = json.dumps({"token": tcp.token}).encode() + b'\n{"id":1,"verb":"status"}\n'
    assert await knock(tcp.port, request_head + body) == b""
    assert asked == []


@pytest.mark.parametrize(
    "first_line",
    [
        b'{"id":1,"verb":"status"}\n',
        b'{"token":""}\n',
        b'{"token":"' + b"0" * 64 + b'"}\n',
        b'{"token":5}\n',
        b"garbage\n",
        b"\n",
        b"x" * 100_000,
        b'{"token":"never ended',
        b"",
    ],
)
async def test_without_the_token_nothing_is_answered(tcp: door.Endpoint, first_line: bytes) -> None:
    assert await knock(tcp.port, first_line) == b""
    assert asked == []


async def test_part_of_the_token_is_as_good_as_none(tcp: door.Endpoint) -> None:
    for wrong in (tcp.token[:-1], tcp.token + "0", tcp.token.upper() + " ", tcp.answer):
        assert await knock(tcp.port, json.dumps({"token": wrong}).encode() + b"\n") == b""


async def test_a_program_on_a_stale_port_is_not_taken_for_the_engine(tmp_path: Path) -> None:
    """It gets a token that is worth nothing any more, and no request at all."""
    heard: list[bytes] = []

    async def pretend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readline())
        writer.write(b'{"id":0,"ok":"' + b"0" * 64 + b'"}\n')
        heard.append(await reader.read())
        writer.close()

    impostor = await asyncio.start_server(pretend, door.LOOPBACK, 0)
    door.private_dir(door.run_dir(tmp_path))
    door.publish(tmp_path, door.new_tcp_endpoint(impostor.sockets[0].getsockname()[1]))
    with pytest.raises(EnvironmentFailure) as caught:
        await Client.connect(tmp_path)
    assert caught.value.code == "no-engine"
    impostor.close()
    await impostor.wait_closed()
    assert heard[1:] in ([b""], [])


async def test_the_door_is_on_loopback_only(tcp: door.Endpoint) -> None:
    with socket.socket() as probe:
        probe.settimeout(1)
        assert probe.connect_ex(("127.0.0.2", tcp.port)) != 0  # another address of this machine


async def test_the_secrets_are_in_one_0600_file_and_in_no_log_argument_or_environment(tmp_path: Path) -> None:
    log = start_logs(tmp_path, level="debug")
    try:
        server = ApiServer({"status": call(Empty, answer)})
        found = await server.start(tmp_path, kind=DoorKind.TCP)
        say = structlog.get_logger("attack")
        for number in range(1_000):  # every careless way to log it
            match number % 4:
                case 0:
                    say.info("api-open", token=found.token, answer=found.answer)
                case 1:
                    say.info(f"open with {found.token}", detail=f"token={found.token}, {found.answer}")
                case 2:
                    say.info("api-open", endpoint=found, where=[found.token], more={"deep": {"secret": found.answer}})
                case _:
                    say.warning("api-open", pointer=(door.run_dir(tmp_path) / "api.json").read_text())
        await knock(found.port, b'{"token":"wrong"}\n')
        async with await Client.connect(tmp_path) as client:
            await client.call("status", None, Empty)
        written = "".join(file.read_text() for file in (tmp_path / "logs").iterdir()) + "".join(log.lines(1_000))
        assert written.count("api-open") > 500
        for secret in (found.token, found.answer):
            assert secret not in written
            assert secret[10:] not in written
            assert secret not in " ".join(sys.argv) + str(dict(os.environ))
        holders = [file for file in tmp_path.rglob("*") if file.is_file() and found.token in file.read_text("latin-1")]
        assert [file.name for file in holders] == ["api.json"]
        await server.close()
    finally:
        log.close()
        structlog.reset_defaults()
    assert not (door.run_dir(tmp_path) / "api.json").exists()
