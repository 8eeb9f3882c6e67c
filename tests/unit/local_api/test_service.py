"""`railgun node`: up with its API, and down in order at a signal."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from pathlib import Path

import pytest
import structlog

from railgun_core.base.errors import EnvironmentFailure, RailGunError
from railgun_core.local_api.client import Client
from railgun_core.local_api.service import serve
from railgun_core.status import NodeStatus
from tests.unit.local_api.alone import config_in

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of its own process")


async def connected(folder: Path) -> Client:
    async with asyncio.timeout(20):
        while True:
            try:
                return await Client.connect(folder)
            except RailGunError:
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_until_a_signal_and_frees_the_data_dir(runtime_dir: Path, number: signal.Signals) -> None:
    config = config_in(runtime_dir / "d")
    task = asyncio.get_running_loop().create_task(serve(config))
    try:
        client = await connected(config.data_dir)
        assert isinstance(await client.call("status", None, NodeStatus), NodeStatus)
        await client.close()
        os.kill(os.getpid(), number)
        async with asyncio.timeout(20):
            assert await task == 0
        with pytest.raises(RailGunError):
            await Client.connect(config.data_dir)
    finally:
        task.cancel()
        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().remove_signal_handler(name)
        structlog.reset_defaults()
        gc.unfreeze()


async def test_a_second_engine_on_the_same_data_dir_is_refused(runtime_dir: Path) -> None:
    config = config_in(runtime_dir / "d")
    task = asyncio.get_running_loop().create_task(serve(config))
    try:
        await (await connected(config.data_dir)).close()
        with pytest.raises(EnvironmentFailure):
            await serve(config)
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=20)
        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().remove_signal_handler(name)
        structlog.reset_defaults()
        gc.unfreeze()
