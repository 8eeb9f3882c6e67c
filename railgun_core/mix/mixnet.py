"""The three parts of the mixnet in one node, and what they need of each other: mix, gateway and client.

    relay links  ->  packets -> mix -> next mix | own clients (gateway) | here: posts, answered by their reply blocks
    guard links  <->  client -> rooms

Links under this node's relay identity serve the mix and the gateway; links to guards are dialled under pseudonyms and
belong to the client. Nothing here knows rooms or duties: a post is bytes that are handed on, with a way to answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from railgun_core.base.clock import Instant
from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import DialId, LinkId, PeerId
from railgun_core.base.rng import Rng
from railgun_core.changes import StoredState
from railgun_core.events import Effect
from railgun_core.mix.client import MixClient
from railgun_core.mix.gateway import Gateway, GatewayLimits
from railgun_core.mix.keyring import MixKeyring
from railgun_core.mix.mix import Mix, MixLimits, Then
from railgun_core.mix.parcel import ParcelKind, decode, encode_reply
from railgun_core.mix.sphinx import packet_from_surb
from railgun_core.mix.topology import MixNode, mixes_of
from railgun_core.wire.frames import Cell, Packet
from railgun_core.wire.records import Record

REDIAL_S = 2.0  # a relay that did not answer is not dialled again sooner

AnswerBytes = Callable[[bytes, Instant, list[Effect]], None]
Posted = Callable[[bytes, AnswerBytes, Instant, list[Effect]], None]


@dataclass(frozen=True, slots=True)
class MixnetConfig:
    """This node's part in the mixnet. Rates are packets a second of the client's one queue; 0: no cover."""

    mixes: bool = False
    cover_per_s: float = 0.0
    secure_per_s: float = 2.0
    guard_all_rooms: bool = False


class Mixnet:
    """Mix, gateway and client of one node. `posted` gets the body of a post, and how to answer it; `dummy` gives cover
    posts while a room is high-security."""

    def __init__(
        self,
        own: PeerId,
        *,
        rng: Rng,
        by_port: bool,
        loops: bool,
        records: Callable[[], Iterable[Record]],
        dial_relay: Callable[[PeerId, list[Effect]], DialId | None],
        dial_guard: Callable[[PeerId, bytes, list[Effect]], DialId],
        when_saved: Callable[[Then], int],
        posted: Posted,
        standing: Callable[[PeerId], float | None],
        dummy: Callable[[Instant], tuple[PeerId, bytes] | None],
    ) -> None:
        self._records = records
        self._by_port = by_port
        self._loops = loops
        self._dial_relay = dial_relay
        self._posted = posted
        self._links: dict[PeerId, list[LinkId]] = {}
        self._peers: dict[LinkId, PeerId] = {}
        self._redial_s: dict[PeerId, float] = {}
        self.gateway = Gateway(limits=GatewayLimits(), records=records)
        self.mix = Mix(
            own,
            rng=rng,
            keyring=MixKeyring(),
            limits=MixLimits(),
            link_to=self._link_to,
            when_saved=when_saved,
            arrived=self._arrived,
            deliver=self.gateway.deliver,
            mixes=self._mixes,
        )
        self.client = MixClient(
            rng=rng, by_port=by_port, records=records, dial=dial_guard, own=own, standing=standing, dummy=dummy
        )

    def start(self, stored: StoredState, now: Instant, out: list[Effect], *, serves: bool) -> None:
        """Take up what was before a restart. `serves`: this node opens packets for others."""
        if serves:
            self.mix.start(stored.secrets, stored.mix_tags, now, out, restored_backup=stored.restored_backup)
        self.client.restore(stored.secrets)

    # ------------------------------------------------------------ links under the relay identity

    def link_up(self, link: LinkId, peer_id: PeerId, now: Instant, out: list[Effect]) -> None:
        """A link that others may send packets on, or this node to them."""
        self._links.setdefault(peer_id, []).append(link)
        self._peers[link] = peer_id
        self._redial_s.pop(peer_id, None)
        self.mix.link_up(peer_id, link, now, out)

    def link_down(self, link: LinkId) -> None:
        """It has ended."""
        peer_id = self._peers.pop(link, None)
        if peer_id is None:
            return
        self._links[peer_id].remove(link)
        if not self._links[peer_id]:
            del self._links[peer_id]
        self.mix.link_down(link)
        self.gateway.link_down(link)

    def dial_failed(self, peer_id: PeerId, now: Instant) -> None:
        """A relay could not be reached: its packets die unless another link comes."""
        self._redial_s[peer_id] = now.mono_s + REDIAL_S

    def frame(self, link: LinkId, frame: Packet | Cell, now: Instant, out: list[Effect]) -> None:
        """A packet or a cell came on such a link. MalformedFrame for what no client sends."""
        if isinstance(frame, Packet):
            self.mix.packet(link, frame.body, now, out)
        else:
            self.gateway.cell(link, frame, now, out)

    # ------------------------------------------------------------ inside

    def _link_to(self, peer_id: PeerId, now: Instant, out: list[Effect]) -> LinkId | None:
        links = self._links.get(peer_id)
        if links:
            return links[-1]
        if now.mono_s >= self._redial_s.get(peer_id, 0.0) and self._dial_relay(peer_id, out) is not None:
            self._redial_s[peer_id] = now.mono_s + REDIAL_S
        return None

    def _mixes(self, now: Instant) -> tuple[MixNode, ...]:
        """The mixes for own loops: none for a relay that is no mix."""
        if not self._loops:
            return ()
        return mixes_of(self._records(), unix_s=now.unix_s, by_port=self._by_port)

    def _arrived(self, payload: bytes, now: Instant, out: list[Effect]) -> None:
        """A packet that ends here: cover is answered at once, a post when its fate is known."""
        try:
            parcel = decode(payload)
        except MalformedFrame:
            return

        def answer(body: bytes, then: Instant, effects: list[Effect]) -> None:
            try:
                first_hop, packet = packet_from_surb(parcel.surb, encode_reply(body))
            except MalformedFrame:
                return  # its sender made no reply block that could be used
            self.mix.send(PeerId(first_hop), packet, then, effects)

        if parcel.kind is ParcelKind.DROP:
            answer(b"", now, out)
        else:
            self._posted(parcel.body, answer, now, out)
