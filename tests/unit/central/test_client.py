"""The client where there is no server: it says so, answers, waits and stops."""

from __future__ import annotations

import asyncio
import socket
import time
from random import Random

from structlog.testing import capture_logs

from railgun_core.central.client import CentralClient
from railgun_core.config import HostPort
from tests.contract.central_world import TAG, Listener, envelope
from tests.contract.nats_world import HOST, free_ports


def client_for(listener: Listener, *servers: HostPort) -> CentralClient:
    listener.client = client = CentralClient(
        servers or (HostPort(HOST, free_ports(1)[0]),),
        replicas=1,
        on_state=listener.on_state,
        on_kept=listener.on_kept,
        on_brought=listener.on_brought,
        rng=Random(1),
    )
    return client


async def test_before_the_start_everything_is_answered_off() -> None:
    listener = Listener()
    client = client_for(listener)
    client.follow([(TAG, 0)])
    client.woke()
    assert await listener.keep(envelope(1)) == "off"
    await client.stop()
    assert listener.states == []


async def test_a_state_is_told_once_however_often_it_is_tried() -> None:
    listener = Listener()
    client = client_for(listener)
    await client.start()
    try:
        await listener.until(lambda: len(listener.states) == 2)
        for _ in range(3):
            client.woke()
            await asyncio.sleep(0.02)
        assert listener.states == [(False, "connecting"), (False, "unreachable")]
    finally:
        await client.stop()
    assert listener.states[-1] == (False, "off")


async def test_an_answer_never_comes_from_inside_the_call() -> None:
    listener = Listener()
    client = client_for(listener)
    client.keep(1, TAG, b"no frame")
    assert listener.kept == []
    await listener.until(lambda: listener.kept == [(1, "size")])


async def test_a_server_that_accepts_and_says_nothing_is_given_up() -> None:
    silent = socket.create_server((HOST, 0))  # nobody accepts: the system does, and no byte ever comes
    listener = Listener()
    client = client_for(listener, HostPort(HOST, silent.getsockname()[1]))
    await client.start()
    try:
        await listener.until(lambda: (False, "unreachable") in listener.states)
        began_s = time.monotonic()
        await client.stop()
        assert time.monotonic() - began_s < 2.0
    finally:
        await client.stop()
        silent.close()


async def test_what_fails_behind_a_callback_does_not_end_the_client() -> None:
    listener = Listener()

    def fails(up: bool, code: str) -> None:
        listener.on_state(up, code)
        raise RuntimeError("not the server's fault")

    client = CentralClient(
        (HostPort(HOST, free_ports(1)[0]),),
        replicas=1,
        on_state=fails,
        on_kept=listener.on_kept,
        on_brought=listener.on_brought,
    )
    with capture_logs() as logged:
        await client.start()
        await listener.until(lambda: (False, "unreachable") in listener.states)
        await client.stop()
    assert [code for _, code in listener.states] == ["connecting", "unreachable", "off"]
    assert {line["event"] for line in logged} == {"callback-failed"}
