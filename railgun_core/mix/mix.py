"""The mix: opens packets, holds each for the time its sender drew, and sends it on.

    packet -> open -> known tag? -> save the tag -> wait until due -> next hop, or here: arrived or deliver

A packet moves on only after its tag is durable; saving runs during the delay. One Save takes the tags of a whole read
or tick. Whatever is wrong with a packet, the packet dies and is counted, and the link stays: an error that closed
links would tell its sender which hop refused. Hops without delay (guard, committee relay) do not mix: their packets
leave as soon as they can, and may wait for a link to open. Source: protocol.md 10; threats.md B17, B18, B23.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from railgun_core.base.clock import Instant
from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import LinkId, PeerId
from railgun_core.base.ratelimit import TokenBucket
from railgun_core.base.rng import Rng
from railgun_core.base.timers import Timers
from railgun_core.changes import MixTagsAdd, SecretPut
from railgun_core.events import Effect, Save, Send
from railgun_core.mix.keyring import MixKeyring
from railgun_core.mix.loops import LoopWatch
from railgun_core.mix.pool import OWN_SOURCE, Arrivals, Held, Pool
from railgun_core.mix.replay import ReplayWindow
from railgun_core.mix.sphinx import Hop, Unwrapped, new_packet, unwrap
from railgun_core.mix.topology import MAX_DELAYS_MS, MixNode, choose_path, day_of, draw_delays
from railgun_core.status import MixStatus
from railgun_core.wire.frames import Packet

LOOPS_PER_S = (0.01, 0.1)  # of an idle mix, 0.3 GB a month; and of one that has traffic worth attacking
LOOPS_PER_PACKET = 0.05  # between the two: one loop for twenty packets
LOOP_SLACK_S = 5.0  # a loop that takes so much longer than its delays is lost
LOOP_ID_BYTES = 16
TURN_CHECK_S = 60.0  # a corrected clock is noticed as soon
MAX_RECORD_LOAD = 65_535

Then = Callable[[Instant, list[Effect]], None]


@dataclass(frozen=True, slots=True)
class MixLimits:
    """What one mix carries. `packets_per_s` and `burst` are for each link.

    A burst is opened in one go, 0.2 ms a packet: it has to stay well below `late_s` for everybody else's sake.
    """

    packets_per_s: int = 200
    burst: int = 60
    waiting: int = 300
    waiting_per_link: int = 100  # 450 packets a second of mean delay; several links are needed to crowd others out
    late_s: float = 0.020
    link_wait_s: float = 1.0  # packets of hops without delay wait so long for a link


class Mix:
    """This node's mix. `link_to` gives the link to a relay, or dials it and gives None; it is asked again later.

    `when_saved` gives the ticket of a Save and calls back when it is durable. `arrived` gets payloads for this node,
    `deliver` those for one of its clients (recipient, reply id or empty, payload). `mixes` gives the mixes for own
    loops; with fewer than three others there are none.
    """

    def __init__(
        self,
        own: PeerId,
        *,
        rng: Rng,
        keyring: MixKeyring,
        limits: MixLimits,
        link_to: Callable[[PeerId, Instant, list[Effect]], LinkId | None],
        when_saved: Callable[[Then], int],
        arrived: Callable[[bytes, Instant, list[Effect]], None],
        deliver: Callable[[bytes, bytes, bytes, Instant, list[Effect]], None],
        mixes: Callable[[Instant], Sequence[MixNode]],
    ) -> None:
        self._own = own
        self._rng = rng
        self._limits = limits
        self._link_to = link_to
        self._when_saved = when_saved
        self._arrived = arrived
        self._deliver = deliver
        self._mixes = mixes
        self._pool = Pool(bound=limits.waiting, share=limits.waiting_per_link)
        self._windows: dict[int, ReplayWindow] = {}
        self._buckets: dict[LinkId, TokenBucket] = {}
        self._tags: dict[int, list[bytes]] = {}
        self._batch: list[Held] = []
        self._arrivals = Arrivals()
        self._period: int | None = None
        self._packets = self._replayed = self._malformed = self._limited = 0
        self.keyring = keyring
        self.watch = LoopWatch()
        self.published_key = b""  # for the record: the newest public key that is durable
        self.timers: Timers[str] = Timers()

    def start(
        self,
        secrets: Iterable[SecretPut],
        tags: Iterable[MixTagsAdd],
        now: Instant,
        out: list[Effect],
        *,
        restored_backup: bool,
    ) -> None:
        """Take up what was before a restart. From a backup nothing is: its tags are older than its keys' packets."""
        self.keyring.restore(secrets)
        if restored_backup:
            changes = self.keyring.forget()
            if changes:
                out.append(Save(self._when_saved(lambda _now, _out: None), changes))
        if self.keyring.live(now):
            self.published_key = self.keyring.public_key(now)
        self._turn(now, out)
        for entry in tags:
            window = self._windows.get(entry.period)
            if window is not None:
                window.restore(entry.tags)
        self._plan_loop(now)

    # ------------------------------------------------------------ packets

    def packet(self, link: LinkId, body: bytes, now: Instant, out: list[Effect]) -> None:
        """A packet came on a link. Never raises. `flush` after the last one of a read, or the next tick does it."""
        bucket = self._buckets.get(link)
        if bucket is None:
            bucket = TokenBucket(self._limits.packets_per_s, self._limits.burst, now_s=now.mono_s)
            self._buckets[link] = bucket
        if bucket.take(1, now.mono_s):
            self._take(link, body, now, out)
        else:
            self._limited += 1

    def flush(self, now: Instant, out: list[Effect]) -> None:
        """Have the tags of all packets since the last flush saved at once."""
        self.timers.cancel("save")
        if not self._batch:
            return
        batch, self._batch = self._batch, []
        tags, self._tags = self._tags, {}
        since_s = now.mono_s
        ticket = self._when_saved(lambda now, out: self._saved(batch, since_s, now, out))
        out.append(Save(ticket, tuple(MixTagsAdd(period, b"".join(joined)) for period, joined in tags.items())))

    def send(self, first_hop: PeerId, packet: bytes, now: Instant, out: list[Effect]) -> None:
        """Send a packet made here. Waits `link_wait_s` for the link, then it is dropped and counted as late."""
        self._leave([Held(now.mono_s, now.mono_s + self._limits.link_wait_s, first_hop, packet)], now, out)

    # ------------------------------------------------------------ links and time

    def link_up(self, peer_id: PeerId, link: LinkId, now: Instant, out: list[Effect]) -> None:
        """The link to a relay is open: what waited for it leaves."""
        chunks = [Packet(held.body).encode() for held in self._pool.unpark(peer_id, now.mono_s)]
        if chunks:
            out.append(Send(link, chunks))

    def link_down(self, link: LinkId) -> None:
        """A link has ended. What was to leave on it looks for another at its time."""
        self._buckets.pop(link, None)

    def tick(self, now: Instant, out: list[Effect]) -> None:
        """Whatever is due."""
        for what in self.timers.pop_due(now.mono_s):
            match what:
                case "save":
                    self.flush(now, out)
                case "due":
                    self._leave(self._pool.pop_due(now.mono_s), now, out)
                    self._plan()
                case "turn":
                    self._turn(now, out)
                case _:
                    self._loop(now, out)

    # ------------------------------------------------------------ what is told

    def load_for_record(self, now: Instant) -> int:
        """Packets a second that this mix held for a while, over the last minute, times ten.

        Packets that passed without delay hide nobody, so they do not count.
        """
        return min(MAX_RECORD_LOAD, int(10 * self._arrivals.per_s(now.mono_s)))

    def status(self, now: Instant) -> MixStatus:
        """Figures since start. `full` counts what found no place and what a link sent beyond its rate."""
        return MixStatus(
            packets=self._packets,
            pool=len(self._pool),
            late=self._pool.late,
            replayed=self._replayed,
            malformed=self._malformed,
            full=self._pool.full + self._limited,
            per_s=self._arrivals.per_s(now.mono_s),
        )

    # ------------------------------------------------------------ inside

    def _take(self, source: LinkId, body: bytes, now: Instant, out: list[Effect]) -> None:
        if self.keyring.period(now) != self._period:
            self._turn(now, out)
        if not self._pool.enter(source):
            return
        opened = self._open(body, now)
        if opened is None:
            self._pool.leave(source)
            return
        period, layer = opened
        self._packets += 1
        held = self._held(source, layer, now)
        if layer.delay_ms:
            self._arrivals.note(now.mono_s)
        self._tags.setdefault(period, []).append(layer.tag)
        self._batch.append(held)
        self.timers.set_earlier("save", now.mono_s)
        if held.hop is not None and held.hop != self._own:
            self._link_to(held.hop, now, out)  # a dial runs while the packet waits

    def _open(self, body: bytes, now: Instant) -> tuple[int, Unwrapped] | None:
        """The packet's layer for this node and its key's period; None, and counted, for all that must not go on."""
        for period in self.keyring.live(now):
            try:
                layer = unwrap(self.keyring.key(period), body)
            except MalformedFrame:
                continue
            if layer.delay_ms > MAX_DELAYS_MS:
                break
            if self._windows[period].add(layer.tag):
                return period, layer
            self._replayed += 1
            return None
        self._malformed += 1
        return None

    def _held(self, source: LinkId, layer: Unwrapped, now: Instant) -> Held:
        due_s = now.mono_s + layer.delay_ms / 1000
        last_s = due_s + (self._limits.late_s if layer.delay_ms else self._limits.link_wait_s)
        if layer.next_hop is not None and layer.packet is not None:
            return Held(due_s, last_s, PeerId(layer.next_hop), layer.packet, source=source)
        payload, recipient, reply_id = layer.payload or b"", layer.recipient or b"", layer.reply_id or b""
        return Held(due_s, last_s, None, payload, recipient, reply_id, source)

    def _saved(self, batch: list[Held], since_s: float, now: Instant, out: list[Effect]) -> None:
        """The delay begins when the tag is durable: until then the packet is under way, as on a wire.

        Were it counted from the arrival, a slow disk would drop just the short delays, and what leaves would no longer
        be exponential.
        """
        took_s = now.mono_s - since_s
        self._leave(self._pool.saved([held.later(took_s) for held in batch], now.mono_s), now, out)
        self._plan()

    def _leave(self, ready: list[Held], now: Instant, out: list[Effect]) -> None:
        """Send these now; what has no link is kept while it is in time."""
        chunks: dict[LinkId, list[bytes]] = {}
        for held in ready:
            if held.hop is None:
                self._hand_over(held, now, out)
            elif held.hop == self._own:
                self._take(OWN_SOURCE, held.body, now, out)
            else:
                link = self._link_to(held.hop, now, out)
                if link is not None:
                    chunks.setdefault(link, []).append(Packet(held.body).encode())
                elif self._pool.park(held):
                    self.timers.set_earlier("due", held.last_s)
        out.extend(Send(link, packets) for link, packets in chunks.items())

    def _hand_over(self, held: Held, now: Instant, out: list[Effect]) -> None:
        if held.recipient:
            self._deliver(held.recipient, held.reply_id, held.body, now, out)
        elif not self.watch.returned(held.body[:LOOP_ID_BYTES], now):
            self._arrived(held.body, now, out)

    def _plan(self) -> None:
        next_s = self._pool.next_s()
        if next_s is not None:
            self.timers.set("due", next_s)

    def _turn(self, now: Instant, out: list[Effect]) -> None:
        """Make and remove keys when a period has begun."""
        self._period = self.keyring.period(now)
        changes = self.keyring.turn(now, self._rng)
        live = self.keyring.live(now)
        self._windows = {period: self._windows.get(period) or ReplayWindow() for period in live}
        if changes:
            key = self.keyring.public_key(now)
            out.append(Save(self._when_saved(lambda _now, _out: self._publish(key)), changes))
        self.timers.set("turn", now.mono_s + min(TURN_CHECK_S, self.keyring.next_turn_s(now)))

    def _publish(self, key: bytes) -> None:
        self.published_key = key

    def _plan_loop(self, now: Instant) -> None:
        low, high = LOOPS_PER_S
        per_s = min(high, max(low, LOOPS_PER_PACKET * self._arrivals.per_s(now.mono_s)))
        self.timers.set("loop", now.mono_s + self._rng.expovariate(per_s))

    def _loop(self, now: Instant, out: list[Effect]) -> None:
        """Send a packet to oneself through three other mixes: the answer to who drops what this mix sends."""
        self._plan_loop(now)
        self.watch.expire(now)
        nodes = self._mixes(now)
        others = [node for node in nodes if node.peer_id != self._own]
        own_group = [node.group for node in nodes if node.peer_id == self._own]
        path = choose_path(others, day=day_of(now.unix_s), rng=self._rng, avoid=own_group)
        if path is None:
            return
        delays = draw_delays(self._rng)
        hops = [Hop(node.peer_id, node.key, delay_ms) for node, delay_ms in zip(path, delays, strict=True)]
        hops.append(Hop(self._own, self.keyring.public_key(now)))
        loop = self._rng.randbytes(LOOP_ID_BYTES)
        packet = new_packet(hops, loop, rng=self._rng)
        self.watch.sent(loop, now, due_s=sum(delays) / 1000 + LOOP_SLACK_S)
        self.send(path[0].peer_id, packet, now, out)
