"""Hundreds of DHT nodes in one process: real tables, stores, responders and searches, and a wire that is a call.

The network has converged: every table knows its neighbourhood and some of the rest, and every record stands where its
owner would store it. What is asked and answered is exactly what nodes ask and answer; only datagrams, their signatures
and time are left out.
"""

from __future__ import annotations

import asyncio
import functools
import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import cast

from railgun_core.base.clock import Instant
from railgun_core.base.ids import PeerId, dht_id_of
from railgun_core.base.keys import Identity
from railgun_core.committee.selection import Committee
from railgun_core.committee.view import RelayView as CommitteeView
from railgun_core.discovery.config import DhtConfig
from railgun_core.discovery.crawl import Crawler, Verifier
from railgun_core.discovery.datagrams import MIN_QUESTION_BYTES, Answer, Challenge, ContactInfo, Endpoint, Question
from railgun_core.discovery.mailbox_view import MailboxView
from railgun_core.discovery.placement import has_room, keys_of, listing_of
from railgun_core.discovery.questions import Asking, Questions
from railgun_core.discovery.record_store import Listing, RecordStore
from railgun_core.discovery.relay_view import RelayView
from railgun_core.discovery.responder import Responder
from railgun_core.discovery.routing import Table
from railgun_core.discovery.write_tokens import WriteTokens
from railgun_core.wire.records import Address, AddressKind, PeerBody, PeerRole, Record, sign_record

NOW = Instant(10_000.0, 1_800_000_300.0)
CONFIG = DhtConfig(net_limits=False, puzzle_bits=0)
GROUPS = 640
NEIGHBOURS, OTHERS = 24, 60  # of each node's table
_ASKER = ("9.9.9.9", 9)

Lie = Callable[[Question, Answer], Answer]


class Host:
    """One node: a contact with what it knows and holds, and the record of whom it belongs to."""

    def __init__(self, host: str, roles: PeerRole, rng: random.Random) -> None:
        self.identity = Identity(rng.randbytes(32))
        self.info = ContactInfo(dht_id_of(self.identity.peer_id), host, 4_000)
        self.roles = roles
        self.table = Table(self.info.id, k=CONFIG.k, per_net_in_bucket=None, per_net_in_table=None)
        self.store = RecordStore(per_key=CONFIG.records_per_key, per_group=CONFIG.records_per_group, total=50_000)
        tokens = WriteTokens(rng, now_s=NOW.mono_s)
        self.responder = Responder(CONFIG, table=self.table, store=self.store, tokens=tokens)
        self.lie: Lie = lambda question, answer: answer

    def record(self) -> Record:
        body = PeerBody((Address(AddressKind.DHT, self.info.host, 4_000),), self.roles, "t", 1, 1)
        now_s = int(NOW.unix_s)
        return sign_record(
            self.identity, body, sequence=(now_s - 60) * 1000, not_before_s=now_s - 200_000, expires_s=now_s + 1_700
        )


class LargeNetwork:
    """Nodes with these addresses and roles. Each that has a role has published its record."""

    def __init__(self, peers: Sequence[tuple[str, PeerRole]], rng: random.Random) -> None:
        self.rng = rng
        self.hosts = [Host(host, roles, rng) for host, roles in peers]
        self._ring = {int.from_bytes(host.info.id, "big"): host for host in self.hosts}
        self.at = {host.info.endpoint: host for host in self.hosts}
        for host in self.hosts:
            for other in (*self.near(host.info.id, NEIGHBOURS), *rng.sample(self.hosts, min(len(self.hosts), OTHERS))):
                host.table.heard(other.info, now_s=0.0)
        self.records = [host.record() for host in self.hosts if host.roles]
        for record in self.records:
            self.publish(record)

    @functools.cache  # noqa: B019  # one network lives as long as its test
    def near(self, key: bytes, count: int) -> list[Host]:
        goal = int.from_bytes(key, "big")
        return [self._ring[place] for place in heapq.nsmallest(count, self._ring, key=goal.__xor__)]

    def publish(self, record: Record) -> None:
        """Put a record where its owner would, wherever a holder takes it."""
        for key in keys_of(record, by_port=False):
            listing = listing_of(key, record, by_port=False)
            assert listing is not None
            for host in self.near(key, CONFIG.k):
                if listing is not Listing.MAILBOXES or has_room(
                    key, record, host.store.get(key, now_s=NOW.unix_s), by_port=False
                ):
                    host.store.put(key, record, listing=listing, now_s=NOW.unix_s)

    def member(self, known: Iterable[Host], verifier: Verifier) -> Member:
        """Somebody who has just come in, and has met these nodes only."""
        return Member(self, known, Identity(self.rng.randbytes(32)), verifier)

    def whole_view(self) -> CommitteeView:
        """What somebody who knows every record sees."""
        view = CommitteeView(by_port=False, puzzle_bits=0)
        view.merge(self.records, NOW.unix_s)
        return view


class Wire:
    """Questions of one asker, answered by a call. Addresses are proved as on the real wire: by tokens."""

    def __init__(self, network: LargeNetwork, identity: Identity) -> None:
        self._network = network
        self._key, self._id = identity.public_key, dht_id_of(identity.peer_id)
        self._tokens: dict[Endpoint, bytes] = {}
        self.asked: Counter[str] = Counter()

    def ask(self, asking: Asking) -> None:
        who, answer = self._answer(asking.endpoint, asking.build, asking.unproved_bytes)
        asyncio.get_running_loop().call_soon(asking.on_answer, who, answer)

    async def call(
        self,
        contact: ContactInfo,
        build: Callable[[bytes], Question],
        *,
        unproved_bytes: int = MIN_QUESTION_BYTES,
        anyone: bool = False,
    ) -> tuple[ContactInfo, Answer]:
        return self._answer(contact.endpoint, build, unproved_bytes)

    def _answer(
        self, endpoint: Endpoint, build: Callable[[bytes], Question], unproved_bytes: int
    ) -> tuple[ContactInfo, Answer]:
        host = self._network.at[endpoint]
        while True:
            token = self._tokens.get(endpoint, b"")
            question = build(token)
            size = MIN_QUESTION_BYTES if token else unproved_bytes
            answer, _ = host.responder.answer(
                question, asker=self._key, asker_id=self._id, source=_ASKER, size=size, now=NOW
            )
            self.asked[type(question).__name__] += 1
            self._tokens[endpoint] = answer.token
            if not isinstance(answer, Challenge):
                return host.info, host.lie(question, answer)


class Member:
    """A device that looks up relays and mailboxes and draws its committees from what it found."""

    def __init__(self, network: LargeNetwork, known: Iterable[Host], identity: Identity, verifier: Verifier) -> None:
        own_id = dht_id_of(identity.peer_id)
        self.wire = Wire(network, identity)
        self.table = Table(own_id, k=CONFIG.k, per_net_in_bucket=None, per_net_in_table=None)
        for host in known:
            self.table.heard(host.info, now_s=0.0)
        crawler = Crawler(own_id, config=CONFIG, table=self.table, questions=cast(Questions, self.wire))
        self._relays = RelayView(
            config=CONFIG,
            crawler=crawler,
            verifier=verifier,
            clock=lambda: NOW,
            local=lambda: dict[bytes, tuple[Record, ...]](),
        )
        self._mailboxes = MailboxView(
            config=CONFIG, search=crawler, verifier=verifier, clock=lambda: NOW, local=lambda key: ()
        )
        self.view = CommitteeView(by_port=False, puzzle_bits=0)

    async def find_relays(self, targets: Sequence[bytes]) -> None:
        self.view.merge(await self._relays.near(targets, network=len(self.table)), NOW.unix_s)

    async def find_mailboxes(self, places: Sequence[bytes]) -> tuple[Record, ...]:
        found = await self._mailboxes.near(places, network=len(self.table))
        self.view.merge(found, NOW.unix_s)
        return found


def address(number: int) -> str:
    """An address in a group of its own."""
    return f"{11 + number // 256}.{number % 256}.0.1"


def large_network(rng: random.Random, *, mailboxes: int, crowded: int = 0) -> LargeNetwork:
    """A relay in each group; so many of them keep mail, and `crowded` more mailboxes are all in the first group."""
    keeping = set(rng.sample(range(GROUPS), mailboxes))
    peers = [(address(n), PeerRole.RELAY | (PeerRole.MAILBOX if n in keeping else PeerRole(0))) for n in range(GROUPS)]
    peers += [(f"11.0.1.{n}", PeerRole.MAILBOX) for n in range(crowded)]
    return LargeNetwork(peers, rng)


def holders(committee: Committee) -> tuple[PeerId, ...]:
    return tuple(holder.peer_id for holder in (*committee.seats, *committee.standbys))
