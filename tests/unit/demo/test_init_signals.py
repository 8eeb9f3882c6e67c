"""A demo that is told to stop ends what it started and says so."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

import railgun_core.demo
from railgun_core.demo.options import DemoOptions


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_demo_in_order(number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = []

    async def play(options: DemoOptions) -> dict[str, object]:
        try:
            asyncio.get_running_loop().call_soon(os.kill, os.getpid(), number)
            await asyncio.Event().wait()
        finally:
            ended.append(options)
        return {}

    monkeypatch.setattr(railgun_core.demo, "play", play)
    before, ctrl_c = signal.getsignal(signal.SIGTERM), signal.signal(signal.SIGINT, signal.default_int_handler)
    options = DemoOptions()
    try:
        assert railgun_core.demo.run(options) == {"failed": "interrupted"}
    finally:
        signal.signal(signal.SIGINT, ctrl_c)  # a job in the background may ignore it
    assert ended == [options]
    assert signal.getsignal(signal.SIGTERM) is before
