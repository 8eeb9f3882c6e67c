"""The central server of hybrid mode, and every peer's way to it: the service in memory, with delays."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Protocol

from railgun_core.base.clock import Instant
from railgun_core.base.ids import Tag
from railgun_core.central.memory import MemoryCentral, MemoryServer
from railgun_core.events import CentralBrought, CentralFollow, CentralKeep, CentralKept, CentralState, Event
from railgun_core.node import Node
from railgun_core.sim.peer import SimPeer

WAY_S = (0.02, 0.12)  # one way, or one step of the server


class Around(Protocol):
    """What this needs of the world around it."""

    rng: Random
    now_s: float

    @property
    def now(self) -> Instant:
        """The true time."""

    def at(self, when_s: float, what: Callable[[], None]) -> None:
        """Let something happen at a virtual time."""

    def tell(self, peer: SimPeer, event: Event) -> None:
        """An event for a node."""


class Hybrid:
    """One server and its clients."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self.server = MemoryServer(unix_s=lambda: around.now.unix_s)
        self._clients: dict[int, MemoryCentral] = {}

    def start(self, peer: SimPeer) -> None:
        """A peer is up: it connects."""
        node = peer.node
        client = self._clients[peer.number] = MemoryCentral(
            self.server,
            later=self._later,
            on_state=lambda up, code: self._tell(peer, node, CentralState(up, code)),
            on_kept=lambda ticket, code: self._tell(peer, node, CentralKept(ticket, code)),
            on_brought=lambda tag, position, frames: self._brought(peer, node, tag, position, frames),
        )
        self._later(lambda: client.open() if self._clients.get(peer.number) is client else None)

    def stop(self, peer: SimPeer) -> None:
        """A peer is down."""
        client = self._clients.pop(peer.number, None)
        if client is not None:
            client.close()

    def apply(self, peer: SimPeer, effect: CentralKeep | CentralFollow) -> None:
        """Do what a node asks."""
        client = self._clients.get(peer.number)
        if client is None:
            self._later(lambda: self._refuse(peer, effect))
        elif isinstance(effect, CentralKeep):
            client.keep(effect.ticket, effect.tag, effect.frame)
        else:
            client.follow(effect.tags)

    def _refuse(self, peer: SimPeer, effect: CentralKeep | CentralFollow) -> None:
        if isinstance(effect, CentralKeep):
            self._around.tell(peer, CentralKept(effect.ticket, "off"))

    def _brought(self, peer: SimPeer, node: Node | None, tag: Tag, position: int, frames: tuple[bytes, ...]) -> None:
        self._tell(peer, node, CentralBrought(tag, position, frames))

    def _tell(self, peer: SimPeer, node: Node | None, event: Event) -> None:
        if peer.node is node:
            self._around.tell(peer, event)

    def _later(self, what: Callable[[], None]) -> None:
        self._around.at(self._around.now_s + self._around.rng.uniform(*WAY_S), what)
