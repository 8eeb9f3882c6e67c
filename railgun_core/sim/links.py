"""Links between virtual machines: dialling, sending, hanging up, and what a partition does to them.

What is sent into a partition waits, as in a real transport that sends it again and again. When the network heals in
time it arrives; when it does not, the transport gives up after VANISHED_AFTER_S and each side notices for itself.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from random import Random
from typing import Protocol

from railgun_core.base.ids import LinkId, PublicKey
from railgun_core.base.keys import Identity
from railgun_core.events import Dial, DialFailed, Event, LinkDown, LinkUp, Send
from railgun_core.node import Node
from railgun_core.sim.network import End, Network
from railgun_core.sim.peer import SimPeer
from railgun_core.wire.records import Address, AddressKind, PeerBody

CONNECT_TIMEOUT_S = 5.0
VANISHED_AFTER_S = 10.0  # how long until a transport gives up on a silent peer
RESEND_WITHIN_S = 2.0  # a transport that waits tries again so often


class Ground(Protocol):
    """What links need of the world around them."""

    rng: Random
    now_s: float
    network: Network
    peers: list[SimPeer]
    relayed_bytes: int

    def at(self, when_s: float, what: Callable[[], None]) -> None:
        """Let something happen at a virtual time."""

    def tell(self, peer: SimPeer, event: Event) -> None:
        """An event for a node."""

    def arrived(self, end: End, data: bytes) -> None:
        """Bytes have come to one side of a link."""


def addresses_of(peer: SimPeer) -> tuple[Address, ...]:
    """Where a peer is now. A move takes it to another address group."""
    n = peer.number
    host = f"{20 + n // 250 + 40 * (peer.moves % 4)}.{n % 250}.1.{1 + peer.moves % 250}"
    return (Address(AddressKind.TLS, host, 4_000), Address(AddressKind.DHT, host, 4_000))


class Links:
    """All links of a world."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._numbers = itertools.count(1)
        self._stalled: dict[LinkId, End] = {}
        self._by_key: dict[PublicKey, SimPeer] = {peer.identity.public_key: peer for peer in ground.peers}

    # ------------------------------------------------------------ opening

    def dial(self, peer: SimPeer, effect: Dial) -> None:
        """Carry a Dial out: LinkUp or DialFailed follows."""
        ground, node = self._ground, peer.node
        target = self._by_key[effect.record.public_key]
        guard = None if effect.via is None else peer.ends.get(effect.via)
        if effect.via is not None and guard is None:
            self._fail(peer, node, effect, "no-guard", 0.0)
        elif not self._answers(peer, target, effect):
            self._fail(peer, node, effect, "timeout", CONNECT_TIMEOUT_S)
        else:
            hops = [peer.number, target.number]
            if guard is not None and guard.other is not None:
                hops.insert(1, guard.other.peer)
            latency_s = sum(ground.network.latency_s(a, b) for a, b in itertools.pairwise(hops))
            after_s = 3 * latency_s * ground.network.slowness
            ground.at(ground.now_s + after_s, lambda: self._connect(peer, node, target, effect))

    def _answers(self, peer: SimPeer, target: SimPeer, effect: Dial) -> bool:
        body = effect.record.body
        at_home = isinstance(body, PeerBody) and body.addresses == addresses_of(target)
        up = target.node is not None and not target.stopped
        return up and at_home and self._ground.network.reachable(peer.number, target.number)

    def _fail(self, peer: SimPeer, node: Node | None, effect: Dial, code: str, after_s: float) -> None:
        def failed() -> None:
            if peer.node is node:
                self._ground.tell(peer, DialFailed(effect.dial, code))

        self._ground.at(self._ground.now_s + after_s, failed)

    def _connect(self, peer: SimPeer, node: Node | None, target: SimPeer, effect: Dial) -> None:
        if peer.node is not node:
            return
        guard = None if effect.via is None else peer.ends.get(effect.via)
        if effect.via is not None and (guard is None or guard.other is None):
            self._fail(peer, node, effect, "no-guard", 0.0)
            return
        if not self._answers(peer, target, effect):
            self._fail(peer, node, effect, "unreachable", 0.0)
            return
        identity = peer.identity if effect.seed is None else Identity(effect.seed)
        through = guard.other.peer if guard is not None and guard.other is not None else None
        here = End(peer.number, LinkId(next(self._numbers)), guard=through)
        there = End(target.number, LinkId(next(self._numbers)), other=here, guard=through)
        here.other = there
        if guard is not None:
            guard.carried.append(here)
        peer.ends[here.link], target.ends[there.link] = here, there
        binding = hashlib.sha256(b"%d" % here.link).digest()
        self._ground.tell(target, LinkUp(there.link, identity.public_key, binding, None))
        self._ground.tell(peer, LinkUp(here.link, target.identity.public_key, binding, effect.dial))

    # ------------------------------------------------------------ sending

    def send(self, peer: SimPeer, effect: Send) -> None:
        """Carry a Send out."""
        end = peer.ends.get(effect.link)
        if end is not None and effect.chunks:
            data = effect.chunks[0] if len(effect.chunks) == 1 else b"".join(effect.chunks)
            self.put(end, bytes(data))

    def put(self, end: End, data: bytes) -> None:
        """Give bytes to a link at this side; they arrive, wait or are lost with the link."""
        ground, far = self._ground, end.other
        if not end.open or far is None:
            return
        ground.relayed_bytes += len(data)
        if far.held or not ground.network.passes(end.peer, far.peer):
            far.held.append(data)
            self._stall(far)
            return
        ground.at(ground.network.arrival_s(far, end.peer, ground.now_s), lambda: ground.arrived(far, data))
        if ground.network.blocks and not ground.network.passes(far.peer, end.peer):
            self._stall(far)  # it arrives, and nobody can say so

    def _stall(self, far: End) -> None:
        if far.stalled_s is not None:
            return
        ground = self._ground
        since_s = far.stalled_s = ground.now_s
        self._stalled[far.link] = far

        def give_up() -> None:
            if far.stalled_s == since_s:
                del self._stalled[far.link]
                far.held.clear()
                if far.other is not None:
                    self.cut(far.other, after_s=ground.rng.uniform(0.0, 2 * VANISHED_AFTER_S))

        ground.at(since_s + VANISHED_AFTER_S, give_up)

    def review(self) -> None:
        """The network has changed: what waited and can pass now goes on, each link when its transport tries again."""
        ground, network = self._ground, self._ground.network
        for link, far in list(self._stalled.items()):
            near = far.other
            if near is None or not far.open or not near.open:
                del self._stalled[link]
                far.stalled_s = None
                far.held.clear()
            elif network.reachable(near.peer, far.peer):
                del self._stalled[link]
                far.stalled_s = None
                held, far.held = far.held, []
                far.free_s = max(far.free_s, ground.now_s + ground.rng.uniform(0.0, RESEND_WITHIN_S))
                for data in held:
                    arrival_s = network.arrival_s(far, near.peer, ground.now_s)
                    ground.at(arrival_s, lambda far=far, data=data: ground.arrived(far, data))  # type: ignore[misc]

    # ------------------------------------------------------------ ending

    def hang_up(self, peer: SimPeer, link: LinkId) -> None:
        """Carry a Hangup out: what was sent before it still arrives."""
        ground, end = self._ground, peer.ends.get(link)
        if end is None or end.other is None:
            return
        if not ground.network.passes(end.peer, end.other.peer):
            self.cut(end, after_s=ground.rng.uniform(VANISHED_AFTER_S, 3 * VANISHED_AFTER_S))
            return
        arrival_s = ground.network.arrival_s(end.other, peer.number, ground.now_s)
        self.cut(end, after_s=arrival_s - ground.now_s)

    def cut(self, end: End, *, after_s: float) -> None:
        """This side is closed now, the other one notices `after_s` later."""
        if not end.open:
            return
        end.open = False
        self._down(end, "local")
        far = end.other
        if far is not None:
            ground = self._ground
            ground.at(ground.now_s + after_s, lambda: self._down(far, "lost"))

    def break_all(self, peer: SimPeer, within_s: float) -> None:
        """What the network knew of a peer's links is gone: both sides of each notice some time within `within_s`."""
        ground = self._ground
        for end in list(peer.ends.values()):
            if end.open and end.other is not None:
                here_s, there_s = ground.rng.uniform(0.0, within_s), ground.rng.uniform(0.0, within_s)
                end.open = end.other.open = False
                ground.at(ground.now_s + here_s, lambda end=end: self._down(end, "lost"))  # type: ignore[misc]
                ground.at(ground.now_s + there_s, lambda far=end.other: self._down(far, "lost"))  # type: ignore[misc]

    def _down(self, end: End, code: str) -> None:
        end.open = False
        peer = self._ground.peers[end.peer]
        for tunnelled in end.carried:
            self.cut(tunnelled, after_s=0.0)
        if peer.ends.pop(end.link, None) is not None:
            self._ground.at(self._ground.now_s, lambda: self._ground.tell(peer, LinkDown(end.link, code)))
