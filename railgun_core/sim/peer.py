"""One virtual machine: a node, its store and disk, its clocks and its links."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from railgun_core.base.ids import LinkId
from railgun_core.base.keys import Identity
from railgun_core.events import Save
from railgun_core.node import Node
from railgun_core.sim.network import End
from railgun_core.store.memory import MemoryStore

T = TypeVar("T")


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits, as those of the memory store."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    raise AssertionError("a memory store waited")


@dataclass(slots=True, eq=False)
class Disk:
    """What a peer's disk is doing. What happens on it is in disk.py."""

    queue: deque[Save] = field(default_factory=deque)
    writing: tuple[Save, ...] = ()  # the commit that runs
    busy: bool = False  # a commit runs, is told of, or waits to be tried again
    slowness: float = 1.0
    failing: bool = False  # the last commit was refused: new messages are, too
    tears: bool = False  # the power goes in the middle of the next commit


@dataclass(slots=True, eq=False)
class SimPeer:
    """A machine. `node` is None while it is down; a `stopped` one is there and does nothing."""

    number: int
    identity: Identity
    since_s: int  # this start
    served_since_s: int = 0  # but for absences that its record outlived
    valid_until_s: float = 0.0  # of its last record
    store: MemoryStore = field(default_factory=MemoryStore)
    disk: Disk = field(default_factory=Disk)
    node: Node | None = None
    ends: dict[LinkId, End] = field(default_factory=dict)
    wake_s: float | None = None
    ahead_s: float = 0.0  # how far its clock on the wall is ahead of the true time
    lag_s: float = 0.0  # how long its monotonic clock has stood still, asleep
    stopped: bool = False
    waiting: list[Callable[[], None]] = field(default_factory=list)  # what came while it was stopped
    moves: int = 0  # how often its address has changed
    learns: bool = True  # whether its look-ups bring anything
