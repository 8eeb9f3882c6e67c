"""B11: a relay that tells members different stories of what it got is convicted by all of them; an honest one never.

In a simulated room every message of which passes through its committee, one relay signs another order of arrival for
every second member it talks to.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from railgun_core.base.ids import LinkId, PeerId, Tag
from railgun_core.base.keys import Identity
from railgun_core.events import Send
from railgun_core.sim.peer import SimPeer
from railgun_core.sim.workload import Workload
from railgun_core.sim.world import World
from railgun_core.wire.codec import Reader
from railgun_core.wire.heads import Head
from railgun_core.wire.kinds import FrameType

SENDS = 130  # one a second, in epochs of a minute


def lying(head: Head, identity: Identity) -> bytes:
    """The frame of a head over another story, signed as well as the true one."""
    other = replace(head, head=hashlib.blake2b(head.head, digest_size=16).digest(), signature=b"")
    return replace(other, signature=identity.sign("head", other.body[:72])).encode()


def run(seed: int, *, liar: int | None) -> tuple[World, list[frozenset[PeerId]], bool]:
    """A world after three epochs, whom each member of the room convicted, and whether two stories were told."""
    world = World(peers=8, seed=seed, loss=0.0, epoch_s=60)
    for peer in world.peers:
        world.start_peer(peer)
    world.run_until(5.0)
    workload = Workload(world, rooms=1, members=4, body_bytes=24)
    for step in range(SENDS):
        world.at(10.0 + step, workload.send)
    listeners: dict[tuple[Tag, LinkId], bool] = {}
    stories: dict[tuple[Tag, int], set[bytes]] = {}
    honest = world.links.send

    def send(peer: SimPeer, effect: Send) -> None:
        chunks = []
        for chunk in effect.chunks:
            if peer.number == liar and bytes(chunk)[4] == FrameType.HEAD:
                head = Head.decode(Reader(bytes(chunk)[5:]))
                before = sum(tag == head.tag for tag, _ in listeners)
                if listeners.setdefault((head.tag, effect.link), before % 2 == 1):
                    chunk = lying(head, peer.identity)
                stories.setdefault((head.tag, head.count), set()).add(bytes(chunk))
            chunks.append(chunk)
        honest(peer, replace(effect, chunks=chunks))

    world.links.send = send  # type: ignore[method-assign]
    world.run_until(190.0)  # the third epoch has ended, and what was signed in it was passed on
    members = [peer.node for place in workload.rooms for peer in place.members]
    convicted = [frozenset(node.rooms.context.convicted) for node in members if node is not None]
    return world, convicted, any(len(told) > 1 for told in stories.values())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_honest_relays_are_never_convicted(seed: int) -> None:
    world, convicted, _ = run(seed, liar=None)
    heads = [
        lane.heads
        for peer in world.peers
        if peer.node
        for r in peer.node.rooms.rooms.values()
        for lane in r.lanes.values()
    ]
    assert any(book.to_pass_on() for book in heads), "relays do sign"
    assert convicted == [frozenset()] * 4


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whoever_tells_two_stories_is_convicted_by_every_member_and_nobody_else_is(seed: int) -> None:
    for liar in range(8):
        world, convicted, told = run(seed, liar=liar)
        if told:
            assert convicted == [frozenset({world.peers[liar].identity.peer_id})] * 4, f"seed {seed}, liar {liar}"
            return
    raise AssertionError("no relay had two listeners")
