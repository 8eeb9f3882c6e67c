"""A client under a virtual clock, with real packets: relays that open what it sends, guards that hand out answers.

Every hop is really unwrapped; only the waiting is added up and comes true at the end. What a guard sees is kept.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from railgun_core.base.clock import Instant
from railgun_core.base.ids import DialId, LinkId, PeerId
from railgun_core.base.keys import Identity
from railgun_core.changes import SecretPut
from railgun_core.events import Dial, Effect, Hangup, Measured, SaveSoon, Send, TunnelCell
from railgun_core.mix.cells import Delivery
from railgun_core.mix.client import MixClient
from railgun_core.mix.gateway import Gateway, GatewayLimits
from railgun_core.mix.parcel import Parcel, ParcelKind, decode, encode_reply
from railgun_core.mix.sphinx import packet_from_surb, public_key, unwrap
from railgun_core.wire.frames import Cell, FrameSplitter, Packet, decode_control
from railgun_core.wire.records import Address, AddressKind, PeerBody, PeerRole, Record, sign_record

START = Instant(mono_s=1_000.0, unix_s=1_800_000_100.0)
LINK_S = 0.04
SERVES = PeerRole.RELAY | PeerRole.MIX


@dataclass
class Node:
    """One relay of the made-up network: its id and the key of its packets."""

    identity: Identity
    key: bytes
    group: int
    roles: PeerRole
    load: int = 1_000

    @property
    def peer_id(self) -> PeerId:
        return self.identity.peer_id

    def record(self, unix_s: float, *, mix_key: bytes | None = None) -> Record:
        host = f"10.{self.group}.0.1"
        addresses = (Address(AddressKind.DHT, host, 4_100), Address(AddressKind.TLS, host, 4_101))
        key = public_key(self.key) if mix_key is None else mix_key
        body = PeerBody(addresses, self.roles, "0.1.0", 1, 1, mix_key=key, mix_load=self.load)
        signed_ms, since_s = int(unix_s * 1000), int(unix_s) - 5_000
        return sign_record(self.identity, body, sequence=signed_ms, not_before_s=since_s, expires_s=int(unix_s) + 7_000)


@dataclass
class Seen:
    """One packet as the guard sees it."""

    at_s: float
    frame: bytes
    peer_id: PeerId


@dataclass
class Desk:
    """A client and everything around it."""

    rng: random.Random
    mixes: int = 36
    relays: int = 6
    at: Instant = START
    rate: float = 0.0
    loss: Callable[[], bool] = lambda: False
    known: list[Record] | None = None  # what the client knows from elsewhere; None: everything
    deaf: set[PeerId] = field(default_factory=set)  # guards that cannot be dialled
    dummy: Callable[[Instant], tuple[PeerId, bytes] | None] | None = None
    secrets: dict[str, SecretPut] = field(default_factory=dict)

    def __post_init__(self) -> None:
        roles = [SERVES] * self.mixes + [PeerRole.RELAY] * self.relays
        self.nodes = {
            node.peer_id: node
            for n, role in enumerate(roles)
            for node in [Node(Identity(self.rng.randbytes(32)), self.rng.randbytes(32), n, role)]
        }
        self.directory = [node.record(self.at.unix_s - 60) for node in self.nodes.values()]
        self.parcels: list[tuple[PeerId, Parcel]] = []
        self.seen: list[Seen] = []
        self.deliveries: list[float] = []
        self.paths: list[list[PeerId]] = []
        self.dialled: list[PeerId] = []
        self.measured: list[float] = []
        self.found: list[Record] = []
        self.tunnelled: list[TunnelCell] = []
        self.counts: Counter[str] = Counter()
        self.answer: Callable[[bytes], bytes | None] = lambda body: b"ok " + body[:4]
        self.frames = 0  # on guard links, both ways
        self.sealed = False  # no guard answers anything any more, nobody is told
        self._numbers = itertools.count(1)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self.guards: dict[LinkId, PeerId] = {}
        self.gateway = Gateway(limits=GatewayLimits(), records=lambda: self.directory)
        self.fresh_client()

    def fresh_client(self) -> None:
        """The program starts: nothing is left but what was saved."""
        self.guards.clear()
        self.client = MixClient(
            rng=self.rng,
            by_port=False,
            records=lambda: [*(self.directory if self.known is None else self.known), *self.found],
            dial=self._dial,
            dummy=self.dummy,
        )
        self.client.restore(self.secrets.values())

    # ------------------------------------------------------------ time

    def on(self, *, rate: float = 0.0, settle_s: float = 1.0) -> None:
        """Switch the client on and let it reach a guard."""
        out: list[Effect] = []
        self.client.set_rate(rate, self.at)
        self.client.wanted(self.at, out, on=True)
        self.carry(out)
        self.run(settle_s)

    def run(self, seconds: float) -> None:
        """Let time pass, event by event."""
        end_s = self.at.mono_s + seconds
        while True:
            due_s = self.client.timers.next_s()
            event_s = self._events[0][0] if self._events else None
            next_s = min((t for t in (due_s, event_s) if t is not None), default=None)
            if next_s is None or next_s > end_s:
                break
            self.at = self.at.after(max(0.0, next_s - self.at.mono_s))
            if event_s is not None and event_s <= self.at.mono_s:
                heapq.heappop(self._events)[2]()
            else:
                self.act(self.client.tick)
        self.at = self.at.after(end_s - self.at.mono_s)

    def until(self, done: Callable[[], object], at_most_s: float) -> None:
        """Let time pass until something holds: packets cost time, so no more of them than needed."""
        end_s = self.at.mono_s + at_most_s
        while not done() and self.at.mono_s < end_s:
            self.run(0.25)
        assert done()

    def act(self, what: Callable[[Instant, list[Effect]], object]) -> None:
        out: list[Effect] = []
        what(self.at, out)
        self.carry(out)

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.at.mono_s + seconds, next(self._numbers), what))

    def post(self, body: bytes, to: PeerId) -> list[bytes | None]:
        """Post, and where the answer will be found."""
        answers: list[bytes | None] = []
        out: list[Effect] = []
        taken = self.client.post(body, to, lambda reply, now, effects: answers.append(reply), self.at, out)
        assert taken is not None
        self.carry(out)
        return answers

    # ------------------------------------------------------------ the network

    def carry(self, out: list[Effect]) -> None:
        for effect in out:
            match effect:
                case Dial():
                    pass
                case Send():
                    for chunk in effect.chunks:
                        self._sent(effect.link, bytes(chunk))
                case SaveSoon():
                    self.secrets |= {c.name: c for c in effect.changes if isinstance(c, SecretPut)}
                case Measured():
                    self.measured.append(effect.ms)
                case Hangup():
                    link = effect.link
                    self.later(0.001, lambda link=link: self.cut(link))  # type: ignore[misc]
                case TunnelCell():
                    self.tunnelled.append(effect)
                case _:
                    raise AssertionError(effect)

    def cut(self, link: LinkId) -> None:
        """A guard link ends."""
        if self.guards.pop(link, None) is not None:
            self.gateway.link_down(link)
            self.act(lambda now, out: self.client.link_down(link, now, out))

    def _dial(self, peer_id: PeerId, seed: bytes, out: list[Effect]) -> DialId:
        number = next(self._numbers)
        self.dialled.append(peer_id)

        def answer() -> None:
            if peer_id in self.deaf:
                self.act(lambda now, out: self.client.dial_failed(DialId(number), now, out))
            else:
                self.guards[LinkId(number)] = peer_id
                self.act(lambda now, out: self.client.link_up(LinkId(number), DialId(number), now, out))

        self.later(LINK_S, answer)
        return DialId(number)

    def _sent(self, link: LinkId, frame: bytes) -> None:
        peer_id = self.guards.get(link)
        decoded = decode_control(frame, 0, len(frame))
        if peer_id is None or self.sealed:
            return
        self.frames += 1
        if isinstance(decoded, Packet):
            self.seen.append(Seen(self.at.mono_s, frame, peer_id))
            self._through(peer_id, decoded.body)
        else:
            assert isinstance(decoded, Cell)
            self.counts[decoded.kind.name] += 1
            out: list[Effect] = []
            self.gateway.cell(link, decoded, self.at, out)
            self._down(out)

    def _down(self, out: list[Effect]) -> None:
        for effect in out:
            assert isinstance(effect, Send)
            for chunk in effect.chunks:
                link, frame = effect.link, bytes(chunk)
                self.later(LINK_S, lambda link=link, frame=frame: self.hand(link, frame))  # type: ignore[misc]

    def hand(self, link: LinkId, frame: bytes) -> None:
        """The client reads a frame of its guard."""
        self.frames += 1
        if link in self.guards:
            batch = FrameSplitter().feed(frame)
            assert batch is not None
            self.act(lambda now, out: self.found.extend(self.client.frames(link, batch, now, out)))

    def _through(self, first: PeerId, packet: bytes) -> None:
        """Every hop opens its layer; what the last one gets happens when all delays are over."""
        path, took_s, here, body = [first], 0.0, first, packet
        if self.loss():
            self.counts["lost"] += 1
            return
        while True:
            layer = unwrap(self.nodes[here].key, body)
            if layer.packet is None:
                break
            assert layer.next_hop is not None
            took_s += LINK_S + layer.delay_ms / 1000
            here, body = PeerId(layer.next_hop), layer.packet
            path.append(here)
        self.paths.append(path)
        if layer.recipient is not None:
            delivery = Delivery(layer.recipient, layer.reply_id or b"", layer.payload or b"")
            self.later(took_s, lambda: self._deliver(delivery))
        else:
            parcel = decode(layer.payload or b"")
            self.later(took_s, lambda: self._arrived(here, parcel))

    def _arrived(self, relay: PeerId, parcel: Parcel) -> None:
        self.parcels.append((relay, parcel))
        words = self.answer(parcel.body) if parcel.kind is ParcelKind.POST else b""
        if words is not None:
            first, packet = packet_from_surb(parcel.surb, encode_reply(words))
            self._through(PeerId(first), packet)

    def _deliver(self, delivery: Delivery) -> None:
        self.deliveries.append(self.at.mono_s)
        out: list[Effect] = []
        self.gateway.deliver(delivery.recipient, delivery.reply_id, delivery.payload, self.at, out)
        self._down(out)

    def relay(self) -> Node:
        """A relay that does not mix."""
        return next(node for node in self.nodes.values() if not node.roles & PeerRole.MIX)

    def posted(self) -> list[bytes]:
        """The bodies that reached a relay, in order."""
        return [parcel.body for _, parcel in self.parcels if parcel.kind is ParcelKind.POST]
