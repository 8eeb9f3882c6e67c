"""A virtual disk: one commit at a time, as few as possible, each all or nothing; as engine/saving.py feeds a real one.

Everything asked for while a commit runs goes into the next. A commit that is refused is tried again with the same
changes. When the power goes in the middle of a commit, it is there or it is not: chance decides, and nobody is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.changes import Change
from railgun_core.events import Event, Save, Saved
from railgun_core.sim.peer import SimPeer, at_once
from railgun_core.store.memory import MemoryStore

SAVE_S = 0.003  # a commit with fsync
READ_S = 0.001
RETRY_S = 1.0
MAX_CHANGES = 500  # in one commit


class Machine(Protocol):
    """What a disk needs of the world around it."""

    rng: Random
    now_s: float
    on_commit: Callable[[int, Sequence[Change]], None]

    def at(self, when_s: float, what: Callable[[], None]) -> None:
        """Let something happen at a virtual time."""

    def let(self, peer: SimPeer, what: Callable[[], None]) -> None:
        """Run something of a peer's process: now, or once it goes on."""

    def tell(self, peer: SimPeer, event: Event) -> None:
        """An event for a node."""

    def crash_peer(self, peer: SimPeer) -> None:
        """Power off."""


def save(world: Machine, peer: SimPeer, effect: Save) -> None:
    """Queue one effect; Saved follows."""
    peer.disk.queue.append(effect)
    if not peer.disk.busy:
        _begin(world, peer)


def crash(world: Machine, peer: SimPeer) -> None:
    """The power is gone: of the commit that runs all is there, or nothing."""
    disk = peer.disk
    running = disk.writing
    disk.writing, disk.busy, disk.failing, disk.tears = (), False, False, False
    disk.queue.clear()
    if running and world.rng.random() < 0.5:
        changes = [change for one in running for change in one.changes]
        if _commit(peer, changes):
            world.on_commit(peer.number, changes)
    peer.store.crash()


def lose(peer: SimPeer) -> None:
    """The store was found damaged at the start and put aside: an empty one takes its place."""
    peer.store = MemoryStore()


def _begin(world: Machine, peer: SimPeer) -> None:
    disk, node = peer.disk, peer.node
    batch: list[Save] = []
    count = 0
    while disk.queue and count < MAX_CHANGES:
        batch.append(disk.queue.popleft())
        count += len(batch[-1].changes)
    disk.writing, disk.busy = tuple(batch), True
    takes_s = SAVE_S * disk.slowness
    if disk.tears:
        world.at(world.now_s + takes_s / 2, lambda: world.crash_peer(peer) if peer.node is node else None)
    _later(world, peer, takes_s, lambda: _end(world, peer))


def _end(world: Machine, peer: SimPeer) -> None:
    disk, node = peer.disk, peer.node
    batch, disk.writing = disk.writing, ()
    changes = [change for one in batch for change in one.changes]
    if not _commit(peer, changes):
        disk.queue.extendleft(reversed(batch))
        disk.failing = True
        _later(world, peer, RETRY_S, lambda: _begin(world, peer))
        return
    disk.failing = False
    world.on_commit(peer.number, changes)
    for one in batch:
        if peer.node is node:
            world.tell(peer, Saved(one.ticket))
    if peer.node is node:
        disk.busy = False
        if disk.queue:
            _begin(world, peer)


def _later(world: Machine, peer: SimPeer, after_s: float, what: Callable[[], None]) -> None:
    """A while later, unless the process is another one by then."""
    node = peer.node

    def come() -> None:
        if peer.node is node:
            world.let(peer, what)

    world.at(world.now_s + after_s, come)


def _commit(peer: SimPeer, changes: Sequence[Change]) -> bool:
    try:
        at_once(peer.store.commit(changes))
    except EnvironmentFailure:
        return False
    return True
