"""The DHT node: the rim that binds table, store, responder and searches to sockets and a clock.

What must stay true: a datagram is checked for shape, puzzle, freshness and signature before anything changes; a
contact enters the table only after it answered a question of ours at its address; nothing a peer sends raises out of
here; `close` leaves no task and no socket. A bootstrap node is this class and nothing else: it holds records only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Container, Coroutine, Iterable, Sequence
from typing import Any

from railgun_core.base.clock import Instant
from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import PeerId, dht_id_of
from railgun_core.base.keys import Identity, solves_puzzle
from railgun_core.base.rng import Rng
from railgun_core.discovery.config import DhtConfig
from railgun_core.discovery.contacts_file import contacts_of, load_contacts, save_contacts
from railgun_core.discovery.crawl import Crawler, Findings, Verifier
from railgun_core.discovery.datagrams import (
    MIN_QUESTION_BYTES,
    Answer,
    ContactInfo,
    Endpoint,
    Head,
    Kind,
    Pong,
    Store,
    Stored,
    decode_head,
    decode_message,
    encode_datagram,
)
from railgun_core.discovery.entries import EntrySearch
from railgun_core.discovery.mailbox_view import MailboxView
from railgun_core.discovery.membership import Membership
from railgun_core.discovery.ownership import Ownership
from railgun_core.discovery.placement import (
    announcement_key,
    has_room,
    keys_of,
    listing_of,
    mail_list_keys,
    named_group_keys,
    own_key,
)
from railgun_core.discovery.questions import Questions
from railgun_core.discovery.recent_replies import RecentReplies
from railgun_core.discovery.record_store import RecordStore
from railgun_core.discovery.relay_view import RelayView
from railgun_core.discovery.responder import Responder
from railgun_core.discovery.routing import Table, net_of
from railgun_core.discovery.sockets import DatagramSockets
from railgun_core.discovery.write_tokens import WriteTokens
from railgun_core.wire.records import CLOCK_SLACK_S, AnnouncementBody, Record, RecordKind

_TICK_S = 1.0
_SWEEP_S = 60.0
_SAVE_S = 300.0
_CLOSE_S = 2.0
_COPIES_REMEMBERED = 1_024
# Answered whatever the time says: a peer with a wrong clock finds eight others, and learns the right time from them.
_TIMELESS = (Kind.PING, Kind.FIND_NODE)
_HOLDERS_OF_A_PEER = 3  # copies of a peer's record that are compared before the newest is taken


class Dht:
    """One node of the DHT. Implements `Directory`."""

    def __init__(
        self,
        identity: Identity,
        *,
        config: DhtConfig,
        rng: Rng,
        clock: Callable[[], Instant],
        own_unix_s: Callable[[], float] | None = None,
        on_notice: Callable[[str], None] | None = None,
    ) -> None:
        """`on_notice` hears stable codes for a person: bootstrap-unreachable, joined, alone.

        `own_unix_s`: what this machine's clock shows, where `clock` is a corrected one. Answers say that, because
        others correct their clocks by it: corrected times handed on would add up everybody's errors.
        """
        now = clock()
        self.dht_id = dht_id_of(identity.peer_id)
        self.config = config
        self._identity = identity
        self._clock = clock
        self._own_unix_s = own_unix_s or (lambda: clock().unix_s)
        limits = config.net_limits
        self.table = Table(
            self.dht_id,
            k=config.k,
            per_net_in_bucket=config.contacts_per_net_in_bucket if limits else None,
            per_net_in_table=config.contacts_per_net_in_table if limits else None,
        )
        self.store = RecordStore(
            per_key=config.records_per_key, per_group=config.records_per_group, total=config.records_total
        )
        self._sockets = DatagramSockets(self._received, delay_s=config.extra_delay_s)
        self._questions = Questions(identity, rng=rng, clock=clock, send=self._sockets.send)
        self._responder = Responder(
            config, table=self.table, store=self.store, tokens=WriteTokens(rng, now_s=now.mono_s)
        )
        self._replies = RecentReplies(self._sockets.send)
        self._crawler = Crawler(self.dht_id, config=config, table=self.table, questions=self._questions)
        self._verifier = Verifier(config.puzzle_bits)
        self._ownership = Ownership(identity, rng=rng)
        notice = on_notice or (lambda code: None)
        self._entries = EntrySearch(config=config, crawler=self._crawler, questions=self._questions, notice=notice)
        search = self._entries if config.quiet else self._crawler
        self._view = RelayView(
            config=config, crawler=search, verifier=self._verifier, clock=clock, local=self._local_groups
        )
        self._view.on_lookup = self._note_lookup
        self._mailboxes = MailboxView(
            config=config, search=self._crawler, verifier=self._verifier, clock=clock, local=self._local_mailboxes
        )
        self._membership = Membership(
            config,
            table=self.table,
            questions=self._questions,
            crawler=self._crawler,
            rng=rng,
            clock=clock,
            spawn=self._spawn,
            notice=notice,
        )
        self._membership.on_new = self._fresh_contact
        self._membership.on_answer = self._note_answer
        # Hears node id, Unix time, when it was asked (monotonic), and its network; None where networks say nothing.
        self.on_time: Callable[[bytes, float, float, bytes | None], None] = lambda node_id, unix_s, asked_s, net: None
        self._questions.on_time = self._told_the_time
        self._fresh: list[ContactInfo] = []
        # Who holds which version of our own records, so that storing again soon asks only newcomers.
        self._copies: dict[tuple[bytes, bytes], tuple[int, Endpoint]] = {}
        self._lookups_ms: deque[float] = deque(maxlen=1_000)
        self._tasks: set[asyncio.Task[None]] = set()
        self._swept_s = self._saved_s = now.mono_s
        self._seen_at: Endpoint | None = None
        self._running = False
        self.rejected = 0

    async def start(self, host: str, port: int, *, host6: str | None = None) -> int:
        """Listen; the bound port. `host6` adds an IPv6 socket on the same port. EnvironmentFailure `port-taken`."""
        bound = await self._sockets.open(host, port)
        try:
            if host6 is not None:
                await self._sockets.open(host6, bound)
        except BaseException:
            await self._sockets.close()
            raise
        self._running = True
        if self.config.quiet:
            return bound
        if self.config.state_path is not None:
            self._membership.remember(load_contacts(self.config.state_path))
        self._spawn(self._run())
        return bound

    async def bootstrap(self, addresses: Sequence[Endpoint]) -> int:
        """Join through these addresses and the contacts of the last run. How many answered at once.

        Takes at most a few seconds. Whoever does not answer is tried again in the background, with back-off.
        A quiet node only notes the addresses, and asks them when relays are wanted: the answer is 0.
        """
        if self.config.quiet:
            self._entries.add(addresses)
            return 0
        return await self._membership.join(addresses)

    def drop_entries(self, addresses: Sequence[Endpoint]) -> None:
        """Ask these bootstrap addresses no more. Who was met there stays known."""
        self._entries.drop(addresses)
        self._membership.drop_entries(addresses)

    def remember(self, records: Iterable[Record]) -> None:
        """Peers of earlier runs, to be tried when nobody else answers. Sends nothing."""
        if not self.config.quiet:
            self._membership.remember(tuple(who for record in records for who in contacts_of(record)))

    async def find_back(self, *, moved: bool) -> None:
        """This machine was away, or (`moved`) has another address: ask those who are known at once."""
        if moved:
            self._seen_at = None
            self._questions.forget_tokens()
            self._copies.clear()
        if self._running and not self.config.quiet:
            await self._membership.find_back()

    def ask_the_time(self, known: Container[bytes], *, count: int = 16) -> int:
        """Ping contacts whose id is not in `known`; `on_time` hears their answers. How many were asked."""
        return 0 if self.config.quiet or not self._running else self._membership.ask_around(known, count)

    def _told_the_time(self, who: ContactInfo, unix_s: float, asked_s: float) -> None:
        self.on_time(who.id, unix_s, asked_s, net_of(who.host) if self.config.net_limits else None)

    async def close(self) -> None:
        """Save the contacts, end every task, close the sockets. A few seconds at most; safe to call twice."""
        was_running, self._running = self._running, False
        self._questions.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSE_S)
        await self._sockets.close()
        if was_running:
            self._save()

    async def publish(self, record: Record) -> int:
        """Store a record at each of its keys and, when it is ours, keep it alive. The copies at its worst key.

        Lists of mailboxes do not count, for they may be full. A quiet node publishes nothing: 0.
        """
        if self.config.quiet:
            return 0
        self._ownership.add(record, now=self._clock())
        return await self._place(record)

    def retire(self, record: Record) -> None:
        """Keep a published record alive no longer; it dies at its expiry."""
        self._ownership.drop(record)

    async def relays_near(self, targets: Sequence[bytes]) -> tuple[Record, ...]:
        """The verified live relay records of the 16 groups nearest to each target; costs nothing when asked again."""
        known = len(self._entries) if self.config.quiet else len(self.table)
        return await self._view.near(targets, network=known if self._running else 0)

    async def mailboxes_near(self, places: Sequence[bytes]) -> tuple[Record, ...]:
        """The verified live records of the mailboxes nearest to each place. A quiet node does not ask for them."""
        return await self._mailboxes.near(places, network=len(self.table) if self._running else 0)

    async def find_peer(self, peer_id: PeerId) -> Record | None:
        """The newest live record of one peer. A quiet node does not ask for it."""
        unix_s = self._clock().unix_s

        def accept(record: Record) -> bool:
            return record.kind is RecordKind.PEER and record.peer_id == peer_id and record.is_live(unix_s)

        found = await self._find(dht_id_of(peer_id), accept, paths=self.config.paths, holders=_HOLDERS_OF_A_PEER)
        return max(found, key=lambda record: record.sequence, default=None)

    async def announcements(self, tag: bytes) -> tuple[Record, ...]:
        """Live announcements under a tag, over eight disjoint paths. A quiet node does not ask for them."""
        unix_s = self._clock().unix_s

        def accept(record: Record) -> bool:
            return isinstance(record.body, AnnouncementBody) and record.body.tag == tag and record.is_live(unix_s)

        return await self._find(announcement_key(tag), accept, paths=self.config.announcement_paths, holders=None)

    @property
    def contacts(self) -> int:
        """How many peers in the table answered the last question we had for them."""
        return sum(contact.failures == 0 for contact in self.table.contacts())

    def lookup_times_ms(self) -> tuple[float, ...]:
        """Durations of the last lookups, at most 1,000."""
        return tuple(self._lookups_ms)

    @property
    def seen_at(self) -> Endpoint | None:
        """The address a peer last saw us at: one peer's word."""
        return self._seen_at

    def traffic(self) -> dict[str, int]:
        """Datagrams and bytes since the start, both ways, and how many datagrams were refused."""
        return {
            "datagrams_sent": self._sockets.datagrams_sent,
            "datagrams_received": self._sockets.datagrams_received,
            "bytes_sent": self._sockets.bytes_sent,
            "bytes_received": self._sockets.bytes_received,
            "rejected": self.rejected,
        }

    def _received(self, raw: bytes, source: Endpoint) -> None:
        try:
            head = decode_head(raw)
            if head.public_key == self._identity.public_key or source[1] == 0:
                return
            if not solves_puzzle(head.public_key, self.config.puzzle_bits):
                raise MalformedFrame("puzzle")
            if head.kind.is_question:
                if not self.config.quiet:
                    self._answer(raw, head, source)
            elif self._questions.knows(head.request_id):
                self._questions.received(raw, head, source)
            else:
                self.rejected += 1
        except MalformedFrame:
            self.rejected += 1

    def _answer(self, raw: bytes, head: Head, source: Endpoint) -> None:
        now = self._clock()
        if head.kind not in _TIMELESS and abs(head.time_ms / 1000 - now.unix_s) > CLOCK_SLACK_S:
            raise MalformedFrame("time")
        if self._replies.repeat(raw, source, now_s=now.mono_s):
            return
        question = decode_message(raw, head)
        if isinstance(question, Answer):
            raise MalformedFrame("kind")
        asker_id = head.dht_id
        answer, proved = self._responder.answer(
            question, asker=head.public_key, asker_id=asker_id, source=source, size=len(raw), now=now
        )
        reply = encode_datagram(
            self._identity, answer, request_id=head.request_id, time_ms=int(self._own_unix_s() * 1000)
        )
        self._sockets.send(reply, source)
        self._replies.keep(raw, source, reply, now_s=now.mono_s)
        if proved:
            self._membership.consider(ContactInfo(asker_id, *source))

    async def _find(
        self, key: bytes, accept: Callable[[Record], bool], *, paths: int, holders: int | None
    ) -> tuple[Record, ...]:
        findings = Findings(self._verifier, accept)
        now = self._clock()
        for record in (*self.store.get(key, now_s=now.unix_s), *self._ownership.records):
            if own_key(record) == key:
                findings.add_record(record)
        if self._running and len(self.table) and not self.config.quiet:
            await self._crawler.records(key, findings, paths=paths, holders=holders)
            self._note_lookup(self._clock().mono_s - now.mono_s)
        return findings.records

    async def _place(self, record: Record) -> int:
        keys = keys_of(record, by_port=self.config.group_by_port)
        lists = mail_list_keys(record, by_port=self.config.group_by_port)
        copies: list[int] = []
        nearest: list[ContactInfo] = []
        for key in keys:
            # Fewer than k nodes are the whole network, so they are right for the second key too.
            if self._running and len(self.table) and not 0 < len(nearest) < self.config.k:
                nearest = await self._crawler.nodes(key)
            stood = await self._place_at(key, record, nearest)
            if key not in lists:
                copies.append(stood)
        return min(copies)

    async def _place_at(self, key: bytes, record: Record, nearest: list[ContactInfo]) -> int:
        goal, here = int.from_bytes(key, "big"), int.from_bytes(self.dht_id, "big")
        copies = 0
        if len(nearest) < self.config.k or here ^ goal < int.from_bytes(nearest[-1].id, "big") ^ goal:
            copies += self._hold(key, record)
        stored = await asyncio.gather(*(self._store_at(who, key, record) for who in nearest))
        return copies + sum(stored)

    def _hold(self, key: bytes, record: Record) -> bool:
        """Keep a record of our own, as any other holder would."""
        by_port, now_s = self.config.group_by_port, self._clock().unix_s
        listing = listing_of(key, record, by_port=by_port)
        if listing is None or not has_room(key, record, self.store.get(key, now_s=now_s), by_port=by_port):
            return False
        return self.store.put(key, record, listing=listing, now_s=now_s)

    async def _store_at(self, who: ContactInfo, key: bytes, record: Record) -> bool:
        # A first question without a token is answered with a CHALLENGE, however long it is; so it stays unpadded.
        if self._copies.get((key, who.id)) == (record.sequence, who.endpoint):
            return True
        got = await self._questions.call(
            who, lambda token: Store(token, key, record.raw), unproved_bytes=MIN_QUESTION_BYTES
        )
        accepted = got is not None and isinstance(got[1], Stored) and got[1].accepted
        if accepted and record.kind is RecordKind.PEER:
            self._copies[key, who.id] = (record.sequence, who.endpoint)
            while len(self._copies) > _COPIES_REMEMBERED:
                del self._copies[next(iter(self._copies))]
        return accepted

    def _local_groups(self) -> dict[bytes, tuple[Record, ...]]:
        unix_s = self._clock().unix_s
        held: dict[bytes, tuple[Record, ...]] = {
            key: self.store.get(key, now_s=unix_s) for key in self.store.group_keys_near(self.dht_id, now_s=unix_s)
        }
        for record in self._ownership.records:
            for key in named_group_keys(record, by_port=self.config.group_by_port):
                held[key] = (*held.get(key, ()), record)
        return held

    def _local_mailboxes(self, key: bytes) -> tuple[Record, ...]:
        by_port = self.config.group_by_port
        own = (r for r in self._ownership.records if key in mail_list_keys(r, by_port=by_port))
        return (*self.store.get(key, now_s=self._clock().unix_s), *own)

    def _fresh_contact(self, who: ContactInfo) -> None:
        if not self.config.quiet:  # there is nothing to hand over
            self._fresh.append(who)

    def _note_answer(self, answer: Answer) -> None:
        if isinstance(answer, Pong):
            self._seen_at = answer.seen

    def _note_lookup(self, seconds: float) -> None:
        self._lookups_ms.append(seconds * 1000)

    async def _run(self) -> None:
        while self._running:
            await asyncio.sleep(_TICK_S)
            now = self._clock()
            self._membership.tick(now)
            for record, regular in self._ownership.due(now=now):
                self._spawn(self._renew(record, search=regular))
            self._hand_over()
            if now.mono_s - self._swept_s >= _SWEEP_S:
                self._swept_s = now.mono_s
                self.store.sweep(now_s=now.unix_s)
            if now.mono_s - self._saved_s >= _SAVE_S:
                self._saved_s = now.mono_s
                self._save()

    async def _renew(self, record: Record, *, search: bool) -> None:
        if search:
            await self._place(record)
            return
        for key in keys_of(record, by_port=self.config.group_by_port):
            await self._place_at(key, record, self.table.nearest(key, self.config.k))

    def _hand_over(self) -> None:
        """Give our own records to newcomers that are now among the nearest to their keys."""
        fresh, self._fresh = self._fresh, []
        if not fresh:
            return
        for record in self._ownership.records:
            for key in keys_of(record, by_port=self.config.group_by_port):
                near = self.table.nearest(key, self.config.k)
                for who in fresh:
                    if who in near:
                        self._spawn(self._give(who, key, record))

    async def _give(self, who: ContactInfo, key: bytes, record: Record) -> None:
        await self._store_at(who, key, record)

    def _save(self) -> None:
        if self.config.state_path is not None and len(self.table) and not self.config.quiet:
            save_contacts(self.config.state_path, self.table.nearest(self.dht_id, 256))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        if not self._running:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
