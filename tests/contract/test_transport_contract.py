"""What every transport promises of open links, over real sockets (and memory), on asyncio and on uvloop."""

from __future__ import annotations

import asyncio
import hashlib
import random
import struct

import pytest

from railgun_core.transport.link import CloseReason, DialFailure, Limits, Link
from railgun_core.wire.kinds import FrameType, frame
from railgun_core.wire.records import Address
from tests.contract.transport_world import (
    ALICE,
    ALL,
    BOB,
    CAROL,
    Peer,
    World,
    pour,
    scenario,
    some_frame,
)


@scenario(*ALL)
async def test_ten_thousand_frames_of_any_size_arrive_whole_and_in_order_both_ways(world: World) -> None:
    rng = random.Random(7)
    pair = await world.pair()
    sizes = [rng.choice((6, 14, 33, 289, 900, 4129)) for _ in range(9_990)] + [
        rng.randrange(6, 70_001) for _ in range(9)
    ]
    chunks = [frame(FrameType.ENVELOPE, rng.randbytes(size - 5)) for size in [*sizes, 70_000]]
    rng.shuffle(chunks)
    want = hashlib.sha256(b"".join(chunks)).digest()
    async with asyncio.TaskGroup() as group:
        group.create_task(pour(pair.link, pair.alice, chunks))
        group.create_task(pour(pair.far_link, pair.bob, [memoryview(chunk) for chunk in chunks]))  # type: ignore[list-item]
    for peer in (pair.alice, pair.bob):
        await peer.until(lambda peer=peer: peer.count == 10_000)  # type: ignore[misc]
        assert peer.digest.digest() == want
        assert peer.reads < 3_000  # joined, not one by one
    assert pair.link.bytes_sent == pair.far_link.bytes_received == sum(map(len, chunks))


@scenario(*ALL)
async def test_chunks_of_one_loop_iteration_leave_in_one_write(world: World) -> None:
    pair = await world.pair()
    for _ in range(100):
        pair.link.send([some_frame(10)])
    await pair.bob.until(lambda: pair.bob.count == 100)
    assert pair.bob.reads == 1


@scenario(*ALL)
async def test_a_busy_link_joins_the_chunks_of_a_tick(world: World) -> None:
    pair = await world.pair(Limits(tick_s=0.1))
    for _ in range(50):
        pair.link.send([some_frame(10)])
        await asyncio.sleep(0)
    await pair.bob.until(lambda: pair.bob.count == 50)
    assert pair.bob.reads <= 3


@scenario(*ALL)
async def test_credit_falls_to_zero_and_comes_back(world: World) -> None:
    pair = await world.pair()
    assert pair.link.credit_bytes == Limits().queue_bytes
    pair.link.send([some_frame(60_000)] * 5)
    assert pair.link.credit_bytes == 0
    await pair.alice.until(lambda: pair.alice.credits == 1)
    assert pair.link.credit_bytes > Limits().queue_bytes // 2
    await pair.bob.until(lambda: pair.bob.count == 5)
    assert pair.alice.credits == 1


@scenario(*ALL)
async def test_a_link_that_lets_too_much_pile_up_is_closed(world: World) -> None:
    pair = await world.pair()
    pair.link.send([some_frame(60_000)] * 100)
    assert not pair.alice.ends  # never from inside send()
    await pair.alice.until(lambda: bool(pair.alice.ends))
    assert pair.alice.ends == [CloseReason.OVERFLOW]
    await pair.bob.until(lambda: bool(pair.bob.ends))


@scenario(*ALL)
async def test_bytes_that_are_no_frame_close_only_their_own_link(world: World) -> None:
    pair = await world.pair()
    bad = (struct.pack(">I", 70_001 - 4) + b"x", struct.pack(">I", 0) + b"xxxx", b"\xff" * 500)
    for garbage in bad:
        attacker = Peer()
        before = len(pair.bob.links)
        link = await pair.near.dial(pair.address, BOB.public_key, CAROL, attacker)
        await pair.bob.until(lambda before=before: len(pair.bob.links) > before)  # type: ignore[misc]
        link.send([garbage])
        await attacker.until(lambda attacker=attacker: bool(attacker.ends))  # type: ignore[misc]
    await pair.bob.until(lambda: len(pair.bob.ends) == 3)
    assert pair.bob.ends == [CloseReason.MALFORMED] * 3
    pair.link.send([some_frame()])
    await pair.bob.until(lambda: pair.bob.count == 1)
    assert not pair.alice.ends


@scenario(*ALL)
async def test_the_largest_frame_passes(world: World) -> None:
    pair = await world.pair()
    pair.link.send([some_frame(70_000)])
    await pair.bob.until(lambda: pair.bob.count == 1)


@scenario(*ALL)
async def test_both_sides_know_each_other_and_share_a_binding_that_no_other_link_has(world: World) -> None:
    pair = await world.pair()
    again = await pair.near.dial(pair.address, BOB.public_key, ALICE, Peer())
    await pair.bob.until(lambda: len(pair.bob.links) == 2)
    assert (pair.link.remote_key, pair.far_link.remote_key) == (BOB.public_key, ALICE.public_key)
    assert (pair.link.inbound, pair.far_link.inbound) == (False, True)
    assert pair.link.binding == pair.far_link.binding
    assert again.binding == pair.bob.links[1].binding != pair.link.binding
    assert len(again.binding) == 32
    assert pair.link.transport == world.kind
    assert pair.link.remote_host == ("" if world.kind in ("memory", "tunnel") else "127.0.0.1")


@scenario(*ALL)
async def test_a_pseudonym_is_all_that_the_other_side_sees(world: World) -> None:
    pair = await world.pair()
    handler = Peer()
    link = await pair.near.dial(pair.address, BOB.public_key, CAROL, handler)
    await pair.bob.until(lambda: len(pair.bob.links) == 2)
    assert pair.bob.links[1].remote_key == CAROL.public_key
    link.send([some_frame()])
    await pair.bob.until(lambda: pair.bob.count == 1)
    link.close()
    await handler.until(lambda: bool(handler.ends))
    again = await pair.near.dial(pair.address, BOB.public_key, CAROL, Peer())
    assert again.remote_key == BOB.public_key


@scenario(*ALL)
async def test_a_peer_with_another_key_is_found_out(world: World) -> None:
    pair = await world.pair()
    with pytest.raises(DialFailure) as failure:
        await pair.near.dial(pair.address, CAROL.public_key, ALICE, Peer())
    assert failure.value.code == "wrong-peer"
    assert len(pair.bob.links) == 1


@scenario(*ALL)
async def test_a_clean_close_delivers_everything_sent_before(world: World) -> None:
    pair = await world.pair()
    pair.link.send([some_frame(50_000)] * 60)
    pair.link.close()
    pair.link.close()
    pair.link.send([some_frame()])
    await pair.bob.until(lambda: bool(pair.bob.ends))
    await pair.alice.until(lambda: bool(pair.alice.ends))
    assert pair.bob.count == 60
    assert (pair.alice.ends, pair.bob.ends) == ([CloseReason.LOCAL], [CloseReason.REMOTE])
    assert pair.alice.after_end == pair.bob.after_end == 0


@scenario(*ALL)
async def test_a_handler_may_answer_and_close_while_it_is_told_of_frames(world: World) -> None:
    pair = await world.pair()

    def answer(link: Link) -> None:
        link.send([some_frame(500)])
        link.close()

    pair.bob.on_frames = answer
    pair.link.send([some_frame()])
    pair.link.send([some_frame(60_000)] * 4)
    await pair.alice.until(lambda: bool(pair.alice.ends))
    await pair.bob.until(lambda: bool(pair.bob.ends))
    assert pair.alice.count == 1
    assert (pair.alice.ends, pair.bob.ends) == ([CloseReason.REMOTE], [CloseReason.LOCAL])


@scenario(*ALL)
async def test_closing_a_transport_ends_its_links_in_order(world: World) -> None:
    pair = await world.pair()
    pair.link.send([some_frame(30_000)] * 3)
    async with asyncio.timeout(2.0):
        await pair.near.close()
    assert pair.alice.ends == [CloseReason.LOCAL]
    await pair.bob.until(lambda: bool(pair.bob.ends))
    assert pair.bob.count == 3
    with pytest.raises(DialFailure):
        await pair.near.dial(Address(pair.address.kind, "127.0.0.1", 9), BOB.public_key, ALICE, Peer())
