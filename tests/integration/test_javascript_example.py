"""The JavaScript example as it stands in the repository, run by Node against two real engines."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

from railgun_core.config import Config, HostPort
from railgun_core.demo.peers import many_addresses
from railgun_core.engine.engine import Engine
from railgun_core.local_api.client import Client
from railgun_core.local_api.messages import Messages, RoomRead
from railgun_core.local_api.server import ApiServer
from railgun_core.local_api.verbs import Verbs
from railgun_core.logs import EngineLog, start_logs

from .conftest import fresh_host

EXAMPLE = Path(__file__).resolve().parents[2] / "resources" / "examples" / "javascript" / "opaque-room.mjs"
KEY, OTHER_KEY = "5c" * 32, "7d" * 32
WAIT_S = 60.0


def node_program() -> str:
    """Node, which the set-up of the tests installs. Without it this fails: a skip would prove nothing."""
    found = shutil.which("node")
    assert found is not None, "Node is missing; python3 -m installers test installs it"
    return found


@contextlib.asynccontextmanager
async def engine_in(folder: Path, log: EngineLog, entry: tuple[HostPort, ...]) -> AsyncIterator[Engine]:
    """One engine with its local API."""
    many = many_addresses()
    engine = Engine(
        Config(
            data_dir=folder,
            listen=HostPort(fresh_host(), 0),
            bootstrap=entry,
            roles=("relay", "bootstrap"),
            epoch_s=3_600,
            committee_size=3,
            transports=("tls",),
            puzzle_bits=4,
            group_by="network" if many else "port",
            lan=False,
        )
    )
    server = ApiServer(Verbs(engine, log).handlers())
    try:
        await engine.start()
        await server.start(folder)
        yield engine
    finally:
        await server.close()
        await engine.stop()


@pytest.fixture
async def data_dirs(tmp_path: Path) -> AsyncIterator[tuple[Path, Path]]:
    """The data directories of two engines that know each other."""
    log = start_logs(tmp_path / "log", level="error")
    one, two = tmp_path / "one", tmp_path / "two"
    try:
        async with contextlib.AsyncExitStack() as stack:
            first = await stack.enter_async_context(engine_in(one, log, ()))
            entry = HostPort(first.config.listen.host, first.ports.dht)
            second = await stack.enter_async_context(engine_in(two, log, (entry,)))
            async with asyncio.timeout(WAIT_S):
                while min(len(first.node.view), len(second.node.view)) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            yield one, two
    finally:
        log.close()
        structlog.reset_defaults()


async def run(*arguments: str | Path, key: str = KEY) -> tuple[int, str, str]:
    """One run of the example: exit status, stdout, stderr."""
    environment = {**os.environ, "RAILGUN_EXAMPLE_KEY": key}
    process = await asyncio.create_subprocess_exec(
        node_program(),
        EXAMPLE,
        *arguments,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(WAIT_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode().strip(), err.decode().strip()


async def test_two_messengers_of_their_own_talk_through_two_engines(data_dirs: tuple[Path, Path]) -> None:
    one, two = data_dirs
    status, room, err = await run(one, "create", "Harbour")
    assert (status, err) == (0, "")
    _, link, _ = await run(one, "invite", "Harbour")
    assert link.startswith("railgun://join/")
    assert (await run(two, "join", link))[:2] == (0, room)
    follower = asyncio.create_task(run(two, "follow", "Harbour", "3"))
    try:
        assert await run(one, "send", "Harbour", "first", "second, with ümlaut", "x" * 9_000) == (
            0,
            "3 of 3 stored",
            "",
        )
        status, said, err = await follower
    finally:
        follower.cancel()
    assert (status, err) == (0, "")
    lines = [line.partition(": ")[2] for line in said.splitlines()]
    assert lines == ["first", "second, with ümlaut", "x" * 9_000]
    assert await run(two, "send", room[:8], "back") == (0, "1 of 1 stored", "")
    _, said, _ = await run(one, "follow", "Harbour", "4")
    assert said.splitlines()[0] == "you: first"
    assert said.splitlines()[-1].endswith(": back")
    _, said, _ = await run(one, "follow", "Harbour", "1", key=OTHER_KEY)
    assert said == "you: (sealed with another key)"
    async with await Client.connect(two) as client:
        found = (await client.call("room.read", RoomRead("Harbour"), Messages)).messages
    assert all(message.opaque for message in found)
    assert not any(b"first" in message.body for message in found)


async def test_each_mistake_ends_with_one_sentence(data_dirs: tuple[Path, Path], tmp_path: Path) -> None:
    one, _ = data_dirs
    assert await run(one, "send", "Nowhere", "hi") == (2, "", "You are in no room called Nowhere.")
    assert await run(tmp_path / "none", "create", "Harbour") == (2, "", "No engine runs on this data directory.")
    assert await run(one, "follow", "Nowhere", key="short") == (2, "", "RAILGUN_EXAMPLE_KEY must be 64 hex digits.")
    status, _, err = await run(one, "dance", "Harbour")
    assert status == 2
    assert err.startswith("Use: node opaque-room.mjs")
