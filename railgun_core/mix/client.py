"""Using the mixnet: one device, one guard link at a time, one Poisson queue.

    post -> queue -> slot -> guard -> three mixes -> relay -> SURB: three mixes -> the same guard -> reply

A slot sends one packet whatever there is to say (cover.py). All that comes back looks alike to the guard: the answer to
a post, to a drop, to a dummy, and a loop, which is made as an answer of ours to ourselves. A post that is not answered
goes again over another path, four times at most; relays know a body they have by what is in it.
Nothing here knows rooms: what a body means is for the node and the relay. `guard_link` is for tunnels (Dial.via).
Source: protocol.md 10; the retry rule is Nym's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable

from railgun_core.base.clock import Instant
from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import DialId, LinkId, PeerId, RoomId
from railgun_core.base.rng import Rng
from railgun_core.base.timers import Timers
from railgun_core.changes import SecretPut
from railgun_core.events import Effect, Hangup, Measured, SaveSoon, TunnelCell
from railgun_core.mix.cells import REPLY_ID_BYTES, Delivery
from railgun_core.mix.cover import SendQueue, Slot, ask_every_s, gb_for
from railgun_core.mix.guardlink import GuardLink
from railgun_core.mix.guards import GuardSet, guard_candidates
from railgun_core.mix.loops import LoopWatch
from railgun_core.mix.meter import MIN_MIXES, Meter
from railgun_core.mix.parcel import POST_BYTES, decode_reply, encode_drop, encode_post
from railgun_core.mix.posts import Awaited, Post, ReplyKeys, Then
from railgun_core.mix.routes import Leg, Routes, end_hop
from railgun_core.mix.sphinx import SurbKeys, new_packet, new_surb, open_reply, packet_from_surb
from railgun_core.mix.topology import KEY_PERIOD_S, STRATA, MixNode
from railgun_core.status import Anonymity
from railgun_core.wire.frames import Cell, CellKind, FrameBatch, decode_control
from railgun_core.wire.records import Record

TRIES = 5
GIVE_UP_S = 600.0  # a post that waits this long without having left is given up
ONE_WAY_LINKS, ROUND_LINKS = 5, 9
LINK_S = 0.04  # a guess at one link until replies are measured
LINK_BOUNDS_S = (0.001, 0.5)
REVIEW_EVERY_S = 60.0
LATE_S = 5.0  # a slot that is this late belongs to a time when the device slept

Dialler = Callable[[PeerId, bytes, list[Effect]], DialId]
Dummy = Callable[[Instant], tuple[PeerId, bytes] | None]
Name = tuple[str, int]
SLOT, LINK, REVIEW, LOOPS = ("slot", 0), ("link", 0), ("review", 0), ("loops", 0)


class MixClient:
    """This device as a user of the mixnet. Every method takes the time; effects are appended to `out`."""

    def __init__(
        self,
        *,
        rng: Rng,
        by_port: bool,
        records: Callable[[], Iterable[Record]],
        dial: Dialler,
        own: PeerId | None = None,
        standing: Callable[[PeerId], float | None] | None = None,
        dummy: Dummy | None = None,
        period_s: float = KEY_PERIOD_S,
    ) -> None:
        """`dial(peer_id, seed, out)` opens a link as a pseudonym to a relay that `records` named.

        `dummy` gives a cover post for a high-security room, relay and body, or None while there is no such room.
        """
        self._rng = rng
        self._by_port = by_port
        self._records = records
        self._dial = dial
        self._own = own
        self._dummy = dummy
        self._routes = Routes(rng=rng, records=records, by_port=by_port, period_s=period_s, own=own, standing=standing)
        self._numbers = itertools.count(1)
        self._queue: SendQueue[Post] = SendQueue()
        self._posts: dict[int, Post] = {}
        self._keys = ReplyKeys()
        self._loops = LoopWatch()
        self._meter = Meter()
        self._guards = GuardSet()
        self._line: GuardLink | None = None
        self._link_s = LINK_S
        self._on = False
        self._slot_s = math.inf
        self.timers: Timers[Name] = Timers()

    # ------------------------------------------------------------ what the node asks

    def restore(self, secrets: Iterable[SecretPut]) -> None:
        """Take up the guards of before a restart. Broken bytes count as none."""
        for secret in secrets:
            if secret.name == "guards" and not secret.room and secret.value is not None:
                try:
                    self._guards = GuardSet.from_secret(secret.value)
                except MalformedFrame:
                    continue

    def wanted(self, now: Instant, out: list[Effect], *, on: bool) -> None:
        """Use the mixnet, or no longer: then the guard link ends and what waits is answered by None."""
        if on and not self._on:
            self._on = True
            self.timers.set(REVIEW, now.mono_s)
        elif self._on and not on:
            self._on = False
            for name in (SLOT, LINK, REVIEW, LOOPS):
                self.timers.cancel(name)
            line, self._line = self._line, None
            if line is not None and line.link is not None:
                out.append(Hangup(line.link))
            self._loops.void()
            for post in list(self._posts.values()):
                self._settle(post, None, now, out)

    def set_rate(self, packets_per_s: float, now: Instant) -> None:
        """The rate of the one queue; 0: a guard link without packets. The next slot is drawn anew."""
        if packets_per_s != self._queue.packets_per_s:
            self._queue.packets_per_s = packets_per_s
            self._next_slot(now.mono_s)

    def post(self, body: bytes, to: PeerId, then: Then, now: Instant, out: list[Effect]) -> int | None:
        """Bring `body` (at most POST_BYTES) to a relay; its number, or None when the queue is full or all is off.

        `then` is called once: with the reply, or with None after the last try or after GIVE_UP_S in the queue.
        """
        if len(body) > POST_BYTES:
            raise ValueError("a post is too long")
        post = Post(next(self._numbers), body, to, then)
        if not self._on or not self._queue.offer(post):
            return None
        self._posts[post.number] = post
        self.timers.set(("post", post.number), now.mono_s + GIVE_UP_S)
        return post.number

    def cancel(self, number: int) -> None:
        """Forget a post; its `then` is not called. Unknown numbers are ignored."""
        post = self._posts.pop(number, None)
        if post is not None:
            self._drop(post)

    def lacks(self, now: Instant) -> str:
        """Why no packet can leave now, in one sentence; empty when one can."""
        self._routes.look(now)
        guard = None if self._line is None or self._line.link is None else self._routes.end(self._line.peer_id)
        if len(self._routes.mixes) < STRATA:
            return f"A message needs {STRATA} mixes, and {len(self._routes.mixes)} are known."
        if self._on and guard is None:
            return "No guard can be reached."
        if guard is not None and self._routes.leg(guard) is None:
            return "The known mixes do not make a path of three."
        return ""

    @property
    def guards(self) -> frozenset[PeerId]:
        """Everybody who is a guard of this device now."""
        return frozenset(guard.peer_id for guard in self._guards.guards)

    def reaches(self, relay: PeerId, now: Instant) -> bool:
        """Whether a post to this relay could leave now: a guard is there, mixes, and the relay's key."""
        return self._on and not self.lacks(now) and self._routes.end(relay) is not None

    def guard_link(self, now: Instant) -> LinkId | None:
        """The open guard link, for tunnels; None while there is none."""
        return None if self._line is None else self._line.link

    def guards_tried_today(self, now: Instant) -> int:
        """How many relays were dialled as guards today: for the exposure ledger."""
        return self._guards.tried_today(now)

    def anonymity(self, now: Instant) -> Anonymity:
        """The meter's figures."""
        self._routes.look(now)
        rate = self._queue.packets_per_s
        return self._meter.report(
            mixes=self._routes.mixes,
            loops=self._loops,
            on=self._on,
            guards=int(self.guard_link(now) is not None),
            packets_per_s=rate,
            gb_month=gb_for(rate) if self._on else 0.0,
        )

    @property
    def waiting(self) -> int:
        """Posts in the queue."""
        return len(self._queue)

    @property
    def unsettled(self) -> int:
        """Posts that have no answer yet, in the queue or on their way."""
        return len(self._posts)

    def view_changed(self, now: Instant) -> None:
        """`records` gives something else now."""
        self._routes.invalidate()
        if self._on and self._line is None:
            self.timers.set_earlier(REVIEW, now.mono_s)

    # ------------------------------------------------------------ links

    def link_up(self, link: LinkId, dial: DialId, now: Instant, out: list[Effect]) -> bool:
        """A dialled link is open; False when it is not ours, or no longer wanted."""
        line = self._line
        if line is None or line.dial != dial:
            return False
        self._guards.opened(line.peer_id)
        line.opened(link, now, out)
        self._routes.invalidate()
        self._check_line(now, out)
        self._next_slot(now.mono_s)
        return True

    def dial_failed(self, dial: DialId, now: Instant, out: list[Effect]) -> bool:
        """A guard could not be reached; False when the dial is not ours."""
        if self._line is None or self._line.dial != dial:
            return False
        self._lost(now)
        return True

    def link_down(self, link: LinkId, now: Instant, out: list[Effect]) -> bool:
        """A link has ended; False when it is not ours."""
        if self._line is None or self._line.link != link:
            return False
        self._lost(now)
        return True

    def frames(self, link: LinkId, batch: FrameBatch, now: Instant, out: list[Effect]) -> tuple[Record, ...]:
        """What a guard sent: relay records for the view. MalformedFrame for what no guard sends."""
        line = self._line
        if line is None or line.link != link:
            return ()
        line.heard(now)
        records: list[Record] = []
        known: set[bytes] | None = None
        for index in range(len(batch)):
            cell = decode_control(batch.data, batch.bounds[index], batch.bounds[index + 1])
            if not isinstance(cell, Cell):
                raise MalformedFrame("not from a guard")
            match cell.kind:
                case CellKind.IDLE:
                    pass
                case CellKind.DELIVERY:
                    self._delivered(line, Delivery.decode(cell.data), now, out)
                case CellKind.RECORDS:
                    known = {record.raw for record in self._records()} if known is None else known
                    records += line.records(cell.data, known)
                case CellKind.REGISTER | CellKind.ASK_RECORDS | CellKind.CONNECT:
                    raise MalformedFrame("not from a guard")
                case _:
                    out.append(TunnelCell(link, cell))
        if records:
            self._routes.invalidate()
        return tuple(records)

    # ------------------------------------------------------------ time

    def tick(self, now: Instant, out: list[Effect]) -> None:
        """Do what is due."""
        for name in self.timers.pop_due(now.mono_s):
            match name:
                case ("slot", _):
                    self._slot(now, out)
                case ("link", _):
                    self._check_line(now, out)
                case ("review", _):
                    self._review(now, out)
                case ("loops", _):
                    self._loops.expire(now)
                    self._watch_loops()
                case (_, number):
                    self._overdue(number, now, out)
        self._keys.expire(now)

    def _review(self, now: Instant, out: list[Effect]) -> None:
        """See to the guards, and dial one when there is no link."""
        self.timers.set(REVIEW, now.mono_s + REVIEW_EVERY_S)
        candidates = guard_candidates(self._records(), unix_s=now.unix_s, by_port=self._by_port, own=self._own)
        if self._guards.review(candidates, now, self._rng):
            out.append(SaveSoon((SecretPut(RoomId(b""), "guards", self._guards.to_secret()),)))
        line = self._line
        if line is not None:
            if line.link is not None and not self._guards.has(line.peer_id):
                out.append(Hangup(line.link))  # its time is over; LinkDown brings the next
            return
        known = {candidate.peer_id for candidate in candidates}
        while (peer_id := self._guards.to_dial(now)) is not None:
            if peer_id in known:
                self._guards.trying(peer_id, now)
                seed, recipient = self._rng.randbytes(32), self._rng.randbytes(32)
                self._line = GuardLink(peer_id, self._dial(peer_id, seed, out), recipient)
                return
            self._guards.failed(peer_id, now, self._rng)
        self._retry_soon(now)

    def _retry_soon(self, now: Instant) -> None:
        retry_s = self._guards.next_s()
        if retry_s is not None:
            self.timers.set_earlier(REVIEW, max(retry_s, now.mono_s + 0.1))

    def _lost(self, now: Instant) -> None:
        line, self._line = self._line, None
        assert line is not None
        self._guards.failed(line.peer_id, now, self._rng)
        self._loops.void()
        self.timers.cancel(LINK)
        self.timers.set(REVIEW, now.mono_s)

    def _check_line(self, now: Instant, out: list[Effect]) -> None:
        line = self._line
        if line is None or line.link is None:
            return
        if not line.check(now, out):
            out.append(Hangup(line.link))
            return
        self._routes.look(now)
        few = len(self._routes.mixes) < MIN_MIXES
        every_s = 0.0 if few else ask_every_s(self._queue.packets_per_s) * line.jitter
        if line.may_ask(now, every_s):
            line.jitter = self._rng.uniform(0.9, 1.1)
            line.ask(now, out)
        self.timers.set(LINK, min(line.next_s(), now.mono_s + 5.0))

    # ------------------------------------------------------------ slots

    def _next_slot(self, after_s: float) -> None:
        self._slot_s = after_s + self._queue.gap_s(self._rng)
        if self._line is not None and self._line.link is not None and math.isfinite(self._slot_s):
            self.timers.set(SLOT, self._slot_s)
        else:
            self.timers.cancel(SLOT)

    def _slot(self, now: Instant, out: list[Effect]) -> None:
        """One packet leaves. The next slot is drawn from this one's time, not from when it was served."""
        line = self._line
        self._next_slot(self._slot_s if now.mono_s - self._slot_s < LATE_S else now.mono_s)
        if line is None or line.link is None:
            return
        self._routes.look(now)
        guard = self._routes.end(line.peer_id)
        if guard is None or self._routes.leg(guard) is None:
            return  # no packet can leave at all, real or not
        kind, post = self._queue.draw(self._rng, secure=self._dummy is not None)
        body = self._loop(line, guard, now) if kind is Slot.LOOP else None
        if post is not None:
            body = self._real(line, guard, post, now)
        if kind is Slot.DUMMY and self._dummy is not None and (dummy := self._dummy(now)) is not None:
            body = self._dummy_post(line, guard, *dummy)
        body = body or self._cover(line, guard)
        if body is not None:
            line.packet(body, now, out)

    def _loop(self, line: GuardLink, guard: MixNode, now: Instant) -> bytes | None:
        leg = self._routes.leg(guard)
        if leg is None:
            return None
        reply_id = self._rng.randbytes(REPLY_ID_BYTES)
        path = [end_hop(guard), *leg.hops, end_hop(guard)]
        surb, keys = new_surb(path, recipient=line.recipient, reply_id=reply_id, rng=self._rng)
        self._keys.add(reply_id, Awaited(keys, None, now.mono_s, leg.delay_s, ONE_WAY_LINKS))
        self._loops.sent(reply_id, now, due_s=self._patience_s(leg.delay_s, ONE_WAY_LINKS))
        self._watch_loops()
        return packet_from_surb(surb, b"")[1]

    def _real(self, line: GuardLink, guard: MixNode, post: Post, now: Instant) -> bytes | None:
        post.tries += 1
        post.in_flight = True
        relay = self._routes.end(post.to)
        there = None if relay is None else self._routes.leg(guard, relay)
        if relay is None or there is None:  # the relay's key is not known now; it may be when this goes again
            self.timers.set(("post", post.number), now.mono_s + self._patience_s(0.0, ROUND_LINKS))
            return None
        surb, reply_id, keys, back = self._surb(line, guard, relay, there)
        delay_s = there.delay_s + back.delay_s
        self._keys.add(reply_id, Awaited(keys, post, now.mono_s, delay_s, ROUND_LINKS))
        self.timers.set(("post", post.number), now.mono_s + self._patience_s(delay_s, ROUND_LINKS))
        self._meter.sent(there.mixes, self._routes.mixes)
        return self._packet(guard, there, relay, encode_post(surb, post.body))

    def _dummy_post(self, line: GuardLink, guard: MixNode, to: PeerId, body: bytes) -> bytes | None:
        relay = self._routes.end(to)
        leg = None if relay is None else self._routes.leg(guard, relay)
        if relay is None or leg is None:
            return None
        return self._packet(guard, leg, relay, encode_post(self._surb(line, guard, relay, leg)[0], body))

    def _cover(self, line: GuardLink, guard: MixNode) -> bytes | None:
        relay = self._routes.any_end(without=guard.peer_id)
        leg = None if relay is None else self._routes.leg(guard, relay)
        if relay is None or leg is None:
            return None
        return self._packet(guard, leg, relay, encode_drop(self._surb(line, guard, relay, leg)[0]))

    def _packet(self, guard: MixNode, leg: Leg, relay: MixNode, payload: bytes) -> bytes:
        return new_packet([end_hop(guard), *leg.hops, end_hop(relay)], payload, rng=self._rng)

    def _surb(self, line: GuardLink, guard: MixNode, relay: MixNode, there: Leg) -> tuple[bytes, bytes, SurbKeys, Leg]:
        """A block for the answer, over other mixes than the way there when there are such."""
        back = self._routes.leg(guard, relay) or there
        reply_id = self._rng.randbytes(REPLY_ID_BYTES)
        path = [*back.hops, end_hop(guard)]
        surb, keys = new_surb(path, recipient=line.recipient, reply_id=reply_id, rng=self._rng)
        return surb, reply_id, keys, back

    # ------------------------------------------------------------ what comes back

    def _delivered(self, line: GuardLink, delivery: Delivery, now: Instant, out: list[Effect]) -> None:
        if delivery.recipient != line.recipient:
            return
        awaited = self._keys.take(delivery.reply_id)
        if awaited is None:
            return  # the answer to cover, or to something settled
        try:
            payload = open_reply(delivery.payload, awaited.keys)
            reply = b"" if awaited.post is None else decode_reply(payload)
        except MalformedFrame:
            return  # touched on its way: as good as lost
        took_s = now.mono_s - awaited.sent_s
        link_s = min(max((took_s - awaited.delay_s) / awaited.links, LINK_BOUNDS_S[0]), LINK_BOUNDS_S[1])
        self._link_s += (link_s - self._link_s) / 8
        if awaited.post is None:
            self._loops.returned(delivery.reply_id, now)
            self._watch_loops()
            return
        out.append(Measured("mix_rtt", took_s * 1000))
        self._settle(awaited.post, reply, now, out)

    def _patience_s(self, delay_s: float, links: int) -> float:
        return 1.5 * (delay_s + links * self._link_s) + 1.5

    def _overdue(self, number: int, now: Instant, out: list[Effect]) -> None:
        post = self._posts.get(number)
        if post is None:
            return  # settled by what another did at this very moment
        if not post.in_flight or post.tries >= TRIES:
            self._settle(post, None, now, out)
            return
        post.in_flight = False
        self._queue.again(post)
        self.timers.set(("post", post.number), now.mono_s + GIVE_UP_S)

    def _settle(self, post: Post, reply: bytes | None, now: Instant, out: list[Effect]) -> None:
        if self._posts.pop(post.number, None) is not None:
            self._drop(post)
            post.then(reply, now, out)

    def _drop(self, post: Post) -> None:
        self.timers.cancel(("post", post.number))
        self._keys.forget(post)
        if not post.in_flight:
            self._queue.withdraw(post)

    def _watch_loops(self) -> None:
        due_s = self._loops.next_s()
        if due_s is None:
            self.timers.cancel(LOOPS)
        else:
            self.timers.set(LOOPS, due_s + 0.001)
