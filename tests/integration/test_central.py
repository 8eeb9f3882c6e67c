"""A real nats-server, alone and as a cluster: it goes, freezes, forgets, and wants a login."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from railgun_core.base.ids import Tag
from railgun_core.central.port import Why, subject_of
from railgun_core.config import HostPort
from tests.contract.central_world import TAG, Listener, client_of, envelope, eventually
from tests.contract.nats_world import HOST, NatsServer, nats, nats_cluster


@pytest.fixture
async def server() -> AsyncIterator[NatsServer]:
    with nats() as one:
        await one.start()
        yield one


# ---------------------------------------------------------------- why it cannot be used


async def state_with(options: str = "", *, jetstream: bool = True, replicas: int = 1) -> tuple[bool, str]:
    """The first answer of a server with these options."""
    with nats(options=options, jetstream=jetstream) as one:
        await one.start()
        async with client_of(one.place, replicas=replicas) as listener:
            await listener.until(lambda: len(listener.states) > 1)
            return listener.states[1]


async def test_a_server_that_is_not_there_is_unreachable_and_found_when_it_comes() -> None:
    with nats() as one:
        async with client_of(one.place) as listener:
            await listener.until(lambda: (False, "unreachable") in listener.states)
            assert await listener.keep(envelope(1)) == "unreachable"
            await one.start()
            await listener.until_up()
            assert await listener.keep(envelope(1)) == ""
    assert [state for state in listener.states if state[0]] == [(True, "")]


async def test_a_server_without_jetstream_is_not_used() -> None:
    assert await state_with(jetstream=False) == (False, "no-jetstream")


async def test_a_server_that_wants_a_login_refuses() -> None:
    assert await state_with("authorization { user: ann, password: secret }\n") == (False, "refused")


async def test_more_copies_than_there_are_servers_is_said() -> None:
    assert await state_with(replicas=3) == (False, "replicas")


async def test_a_server_that_is_full_of_clients_refuses() -> None:
    assert (await state_with("max_connections: 0\n"))[0] in (True, False)  # 0 means no limit: the option is known
    with nats(options="max_connections: 1\n") as one:
        await one.start()
        async with client_of(one.place) as first:
            await first.until_up()
            async with client_of(one.place) as second:
                await second.until(lambda: len(second.states) > 1)
                assert second.states[1] in ((False, "refused"), (False, "unreachable"))


async def test_a_forbidden_subject_refuses_instead_of_waiting() -> None:
    forbids = 'authorization { users: [ { user: a, password: b, permissions: { publish: "x" } } ] }\nno_auth_user: a\n'
    assert await state_with(forbids) == (False, "refused")


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    from railgun_core.bench.brokers import _write_certificate

    _write_certificate(tmp_path)
    tls = f'tls {{ cert_file: "{tmp_path / "certificate.pem"}", key_file: "{tmp_path / "key.pem"}" }}\n'
    assert await state_with(tls) == (False, "refused")


async def test_a_stream_of_the_same_name_for_something_else_is_left_alone(server: NatsServer) -> None:
    from nats.aio.client import Client

    other = Client()
    await other.connect(servers=[f"nats://{server.place}"])
    try:
        await other.jetstream().add_stream(name="RAILGUN", subjects=["trains.*"])
        async with client_of(server.place) as listener:
            await listener.until(lambda: len(listener.states) > 1)
            assert listener.states[1] == (False, "other-stream")
        assert (await other.jetstream().stream_info("RAILGUN")).config.subjects == ["trains.*"]
    finally:
        await other.close()


async def test_something_that_is_no_nats_server_does_no_harm() -> None:
    async def babble(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(range(256)) * 100)
        with suppress(OSError):
            await writer.drain()
        writer.close()

    listening = await asyncio.start_server(babble, HOST, 0)
    async with listening, client_of(HostPort(HOST, listening.sockets[0].getsockname()[1])) as listener:
        await listener.until(lambda: len(listener.states) > 1)
        assert listener.states[1] == (False, "unreachable")


# ---------------------------------------------------------------- going, freezing, forgetting


async def test_a_frozen_server_times_out_and_is_left(server: NatsServer) -> None:
    async with client_of(server.place) as listener:
        await listener.until_up()
        server.freeze()
        began_s = time.monotonic()
        try:
            assert await listener.keep(envelope(1)) == Why.TIMEOUT
            assert time.monotonic() - began_s < 6.0  # 2 s, and a busy machine
            await listener.until_down()
            assert await listener.keep(envelope(2)) == Why.UNREACHABLE
        finally:
            server.thaw()
        await listener.until_up()
        assert await listener.keep(envelope(3)) == ""


async def test_what_was_kept_survives_the_server_being_killed(server: NatsServer) -> None:
    async with client_of(server.place) as listener:
        await listener.until_up()
        assert set(await listener.keep_all([envelope(number) for number in range(100)])) == {""}
        server.kill()
        await listener.until_down()
        await server.start()
        await listener.until_up()
        async with client_of(server.place) as reader:
            reader.client.follow([(TAG, 0)])
            await reader.until(lambda: len(reader.frames()) == 100)
            assert reader.frames() == [envelope(number) for number in range(100)]


async def test_a_stream_that_somebody_removed_is_made_again(server: NatsServer) -> None:
    from nats.aio.client import Client

    other = Client()
    await other.connect(servers=[f"nats://{server.place}"])
    try:
        async with client_of(server.place) as listener:
            listener.client.follow([(TAG, 0)])
            await listener.until_up()
            assert await listener.keep(envelope(1)) == ""
            await other.jetstream().delete_stream("RAILGUN")
            assert await listener.keep(envelope(2)) != ""
            await listener.until_up()
            assert await listener.keep(envelope(3)) == ""
            async with client_of(server.place) as reader:
                reader.client.follow([(TAG, 0)])
                await reader.until(lambda: bool(reader.frames()))
                assert reader.frames() == [envelope(3)]
    finally:
        await other.close()


async def test_what_is_no_envelope_frame_is_not_brought(server: NatsServer) -> None:
    from nats.aio.client import Client

    other = Client()
    async with client_of(server.place) as listener:
        await listener.until_up()
        await other.connect(servers=[f"nats://{server.place}"])
        try:
            listener.client.follow([(TAG, 0)])
            for garbage in (b"", b"x", bytes(289), envelope(1)[:-1], b"y" * 60_000):
                await other.jetstream().publish(subject_of(TAG), garbage, headers={"Nats-Msg-Id": "x", "Evil": "1"})
                await other.jetstream().publish(subject_of(TAG), garbage)
            await other.jetstream().publish(subject_of(TAG), envelope(7), headers={"Evil": "1"})
            await listener.until(lambda: bool(listener.frames()))
        finally:
            await other.close()
    assert listener.frames() == [envelope(7)]


async def test_quiet_tags_leave_no_consumer_at_the_server(server: NatsServer) -> None:
    from nats.aio.client import Client

    other = Client()
    async with client_of(server.place) as listener:
        await listener.until_up()
        listener.client.follow([(Tag(number.to_bytes(32, "big")), 0) for number in range(160)] + [(TAG, 0)])
        assert await listener.keep(envelope(1), Tag(bytes(32))) == ""
        async with client_of(server.place) as sender:
            await sender.until_up()
            assert await sender.keep(envelope(2)) == ""
        await listener.until(lambda: listener.frames() == [envelope(2)])
        await other.connect(servers=[f"nats://{server.place}"])
        try:
            assert (await other.jetstream().stream_info("RAILGUN")).state.consumer_count > 0

            async def quiet() -> bool:
                return not (await other.jetstream().stream_info("RAILGUN")).state.consumer_count

            await eventually(quiet, 60)
        finally:
            await other.close()


def test_it_works_on_uvloop_as_well() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def scene() -> None:
        with nats() as one:
            await one.start()
            async with client_of(one.place) as listener:
                listener.client.follow([(TAG, 0)])
                await listener.until_up()
                async with client_of(one.place) as sender:
                    await sender.until_up()
                    assert set(await sender.keep_all([envelope(number) for number in range(20)])) == {""}
                await listener.until(lambda: len(listener.frames()) == 20)
                one.kill()
                await listener.until_down()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scene())


# ---------------------------------------------------------------- a cluster


async def keep_until_kept(listener: Listener, frames: list[bytes], *, within_s: float = 60.0) -> float:
    """Keep frames, each again until it is kept, as rooms do; how long the slowest took, seconds."""
    slowest_s = 0.0
    async with asyncio.timeout(within_s):
        for frame in frames:
            began_s = time.monotonic()
            while await listener.keep(frame) != "":
                await listener.until_up(within_s)
            slowest_s = max(slowest_s, time.monotonic() - began_s)
    return slowest_s


@pytest.mark.deadline(180)
async def test_a_cluster_loses_nothing_when_the_server_we_use_is_killed() -> None:
    with nats_cluster() as servers:
        for one in servers:
            one.launch()
        for one in servers:
            await one.ready()
        places = [one.place for one in servers]
        async with client_of(*places, replicas=3) as first:  # the cluster has a leader and a stream
            await first.until_up(60)
        async with client_of(*places, replicas=3) as listener, client_of(places[2], replicas=3) as reader:
            reader.client.follow([(TAG, 0)])
            await listener.until_up(60)
            await keep_until_kept(listener, [envelope(number) for number in range(30)])
            servers[0].kill()
            await listener.until_down()
            slowest_s = await keep_until_kept(listener, [envelope(number) for number in range(30, 60)])
            await servers[0].start()
            await keep_until_kept(listener, [envelope(number) for number in range(60, 70)])
            servers[1].kill()  # now the one that came back is needed for a majority
            slowest_s = max(slowest_s, await keep_until_kept(listener, [envelope(number) for number in range(70, 80)]))
            wanted = [envelope(number) for number in range(80)]
            await reader.until(lambda: set(reader.frames()) >= set(wanted), 60)
            assert list(dict.fromkeys(reader.frames())) == wanted
            print(f"slowest keep over a kill: {slowest_s:.1f} s")
