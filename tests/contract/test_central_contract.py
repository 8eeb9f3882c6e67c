"""What every central server must do: the real one over a socket, and the one in memory that stands for it elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from railgun_core.central.port import MAX_OPEN_KEEPS, Why
from tests.contract.central_world import (
    OTHER_TAG,
    TAG,
    CentralWorld,
    Listener,
    MemoryWorld,
    RealWorld,
    envelope,
)
from tests.contract.nats_world import nats

Join = Callable[[], "Listener"]


@pytest.fixture(params=["real", "memory"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[CentralWorld]:
    if request.param == "memory":
        yield MemoryWorld()
        return
    with nats() as server:
        await server.start()
        yield RealWorld(server)


@pytest.fixture
async def join(world: CentralWorld) -> AsyncIterator[Join]:
    """Make listeners with a client each; all are stopped at the end."""
    listeners: list[Listener] = []

    def one() -> Listener:
        listener = Listener()
        listener.client = world.client(listener)
        listeners.append(listener)
        return listener

    yield one
    for listener in listeners:
        await listener.client.stop()


@pytest.fixture
async def ann(join: Join) -> Listener:
    listener = join()
    await listener.client.start()
    await listener.until_up()
    return listener


@pytest.fixture
async def bob(join: Join) -> Listener:
    listener = join()
    await listener.client.start()
    await listener.until_up()
    return listener


async def test_what_was_kept_is_brought_in_order(ann: Listener, bob: Listener) -> None:
    sizes = (256, 4_096, 65_536)
    frames = [envelope(number, size=sizes[number % 3]) for number in range(12)]
    for frame in frames:
        assert await ann.keep(frame) == ""
    bob.client.follow([(TAG, 0)])
    await bob.until(lambda: len(bob.frames()) == len(frames))
    assert bob.frames() == frames


async def test_what_comes_later_is_brought_too(ann: Listener, bob: Listener) -> None:
    bob.client.follow([(TAG, 0), (OTHER_TAG, 0)])
    for number in range(3):
        assert await ann.keep(envelope(number)) == ""
        await bob.until(lambda number=number: len(bob.frames()) == number + 1)  # type: ignore[misc]
    assert await ann.keep(envelope(9, tag=OTHER_TAG), OTHER_TAG) == ""
    await bob.until(lambda: bool(bob.frames(OTHER_TAG)))
    assert bob.frames() == [envelope(number) for number in range(3)]
    assert bob.frames(OTHER_TAG) == [envelope(9, tag=OTHER_TAG)]


async def test_a_position_leaves_out_what_was_brought_before(ann: Listener, bob: Listener, join: Join) -> None:
    await ann.keep_all([envelope(number) for number in range(5)])
    bob.client.follow([(TAG, 0)])
    await bob.until(lambda: len(bob.frames()) == 5)
    await bob.client.stop()
    await ann.keep_all([envelope(number, tag=OTHER_TAG) for number in range(3)], OTHER_TAG)
    await ann.keep(envelope(5))

    returned = join()
    returned.client.follow([(TAG, bob.position())])
    await returned.client.start()
    await returned.until(lambda: bool(returned.frames()))
    assert returned.frames() == [envelope(5)]
    assert returned.position() > bob.position()


async def test_a_tag_no_longer_followed_is_silent(ann: Listener, bob: Listener) -> None:
    bob.client.follow([(TAG, 0)])
    await ann.keep(envelope(1))
    await bob.until(lambda: bool(bob.frames()))
    bob.client.follow([(OTHER_TAG, 0)])
    await ann.keep(envelope(2))
    await ann.keep(envelope(3, tag=OTHER_TAG), OTHER_TAG)
    await bob.until(lambda: bool(bob.frames(OTHER_TAG)))
    assert bob.frames() == [envelope(1)]


async def test_following_goes_on_where_it_was_after_the_server_was_away(
    world: CentralWorld, ann: Listener, bob: Listener
) -> None:
    bob.client.follow([(TAG, 0)])
    await ann.keep(envelope(1))
    await bob.until(lambda: bool(bob.frames()))
    await world.down()
    await ann.until_down()
    await bob.until_down()
    assert await ann.keep(envelope(2)) != ""
    await world.up()
    await ann.until_up()
    await bob.until_up()
    assert await ann.keep(envelope(3)) == ""
    await bob.until(lambda: len(bob.frames()) == 2)
    assert bob.frames() == [envelope(1), envelope(3)]


async def test_a_server_that_lost_its_store_is_read_from_the_beginning(
    world: CentralWorld, ann: Listener, bob: Listener
) -> None:
    await ann.keep_all([envelope(number, tag=OTHER_TAG) for number in range(3)], OTHER_TAG)
    await ann.keep(envelope(1))
    bob.client.follow([(TAG, 0)])
    await bob.until(lambda: bool(bob.frames()))
    before = bob.position()
    await world.lose_store()
    await ann.until(lambda: ann.states[-2:] == [(False, "unreachable"), (True, "")])
    assert await ann.keep(envelope(2)) == ""
    await bob.until(lambda: envelope(2) in bob.frames())
    assert bob.position() < before


async def test_a_position_of_a_lost_store_is_found_out_even_where_the_new_one_is_longer(
    world: CentralWorld, ann: Listener, join: Join
) -> None:
    await ann.keep_all([envelope(1), envelope(2)])
    await world.lose_store()
    await ann.until(lambda: ann.states[-2:] == [(False, "unreachable"), (True, "")])
    await ann.keep_all([envelope(3), *(envelope(number, tag=OTHER_TAG) for number in range(5))], TAG)
    await ann.keep_all([envelope(number, tag=OTHER_TAG) for number in range(5)], OTHER_TAG)

    returned = join()
    returned.client.follow([(TAG, 9)])  # in the new store that is another room's
    await returned.client.start()
    await returned.until(lambda: bool(returned.frames()))
    assert returned.frames()[0] == envelope(3)


async def test_a_keep_is_answered_once_whatever_happens(world: CentralWorld, ann: Listener) -> None:
    for ticket in range(1_000, 1_100):
        ann.client.keep(ticket, TAG, envelope(ticket))
        ann.client.keep(ticket, TAG, envelope(ticket))
    await world.down()
    await ann.until(lambda: len(ann.kept) >= 100)
    await world.up()
    await ann.until_up()
    assert await ann.keep(envelope(1)) == ""
    answered = [ticket for ticket, _ in ann.kept]
    assert len(answered) == len(set(answered)) == 101


async def test_more_at_once_than_the_limit_is_refused_as_busy(ann: Listener) -> None:
    codes = await ann.keep_all([envelope(number) for number in range(MAX_OPEN_KEEPS + 20)])
    assert codes.count(Why.BUSY) == 20
    assert codes.count("") == MAX_OPEN_KEEPS
    assert await ann.keep(envelope(1)) == ""


@pytest.mark.parametrize("frame", [b"", b"plain text", bytes(289), envelope(1)[:-1], envelope(1) + b"x"])
async def test_what_is_no_envelope_frame_is_not_sent(ann: Listener, frame: bytes) -> None:
    assert await ann.keep(frame) == Why.SIZE


async def test_a_stopped_client_answers_off_and_can_start_again(ann: Listener) -> None:
    await ann.client.stop()
    await ann.client.stop()
    assert await ann.keep(envelope(1)) == Why.OFF
    assert ann.states[-1] == (False, Why.OFF)
    await ann.client.start()
    await ann.client.start()
    await ann.until_up()
    assert await ann.keep(envelope(2)) == ""


async def test_open_keeps_are_answered_when_the_client_stops(ann: Listener) -> None:
    for ticket in range(5):
        ann.client.keep(ticket, TAG, envelope(ticket))
    await ann.client.stop()
    await ann.until(lambda: len(ann.kept) == 5)


async def test_after_waking_up_the_connection_is_a_new_one(ann: Listener) -> None:
    ann.client.woke()
    await ann.until(lambda: ann.states[-2:] == [(False, "unreachable"), (True, "")])
    assert await ann.keep(envelope(1)) == ""


async def test_a_large_backlog_comes_whole_in_batches_within_the_limits(ann: Listener, bob: Listener) -> None:
    frames = [envelope(number) for number in range(600)]
    for first in range(0, 600, 200):
        assert set(await ann.keep_all(frames[first : first + 200])) == {""}
    large = [envelope(number, size=65_536) for number in range(80)]
    assert set(await ann.keep_all(large)) == {""}
    bob.client.follow([(TAG, 0)])
    await bob.until(lambda: len(bob.frames()) == 680)
    assert bob.frames() == [*frames, *large]
    assert max(len(batch) for _, _, batch in bob.brought) <= 256
    assert max(sum(map(len, batch)) for _, _, batch in bob.brought) <= 4 * 1024 * 1024
