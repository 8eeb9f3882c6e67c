"""What this node answers, as a function of the question: no sockets, no clock, no state of its own.

What must stay true: an address without a valid token gets no answer longer than its question; nothing is stored
without one; a STORE is checked for its place before its signature costs anything.
"""

from __future__ import annotations

from collections.abc import Callable

from railgun_core.base.clock import Instant
from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import PublicKey
from railgun_core.base.keys import solves_puzzle
from railgun_core.discovery.config import DhtConfig
from railgun_core.discovery.datagrams import (
    FRAME_BYTES,
    MAX_CONTACTS,
    MAX_DATAGRAM_BYTES,
    MAX_GROUP_KEYS,
    MAX_RECORDS_PER_ANSWER,
    TOKEN_BYTES,
    Answer,
    Challenge,
    ContactInfo,
    Endpoint,
    FindGroups,
    FindNode,
    FindValue,
    Groups,
    Nodes,
    Ping,
    Pong,
    Question,
    Store,
    Stored,
    Values,
    encode_contact,
    fitting,
)
from railgun_core.discovery.placement import has_room, listing_of, may_store
from railgun_core.discovery.record_store import RecordStore
from railgun_core.discovery.routing import Table
from railgun_core.discovery.write_tokens import WriteTokens
from railgun_core.wire.records import Record, decode_record

_NODES_HEAD = FRAME_BYTES + 1 + TOKEN_BYTES + 1
_LISTS_HEAD = FRAME_BYTES + 1 + TOKEN_BYTES + 2 + 2 + 1 + 1
_MIN_USEFUL_BYTES = 300  # an unproved asker whose padding leaves less room is told to prove itself instead
_CONTACTS_BESIDE_RECORDS = 8


class Responder:
    """Answers questions from the table and the store."""

    def __init__(self, config: DhtConfig, *, table: Table, store: RecordStore, tokens: WriteTokens) -> None:
        self._config = config
        self._table = table
        self._store = store
        self._tokens = tokens
        self.on_stored: Callable[[bytes, Record], None] = lambda key, record: None

    def answer(
        self, question: Question, *, asker: PublicKey, asker_id: bytes, source: Endpoint, size: int, now: Instant
    ) -> tuple[Answer, bool]:
        """The answer, and whether the asker's address is proved. `size` is the question's length on the wire."""
        token = self._tokens.issue(source, asker, now_s=now.mono_s)
        proved = self._tokens.valid(question.token, source, asker, now_s=now.mono_s)
        budget = MAX_DATAGRAM_BYTES if proved else size
        match question:
            case Ping():
                return Pong(token, source), proved
            case Store(_, key, raw):
                if not proved:
                    return Challenge(token), False
                return Stored(token, self._keep(key, raw, source, now)), True
        if budget < _MIN_USEFUL_BYTES:
            return Challenge(token), proved
        match question:
            case FindNode(_, target):
                return Nodes(token, self._contacts(target, asker_id, budget - _NODES_HEAD)), proved
            case FindValue(_, key, start):
                return self._values(token, key, start, asker_id, budget, now), proved
            case FindGroups(_, target, start):
                return self._groups(token, target, start, asker_id, budget, now), proved

    def _contacts(
        self, target: bytes, asker_id: bytes, budget: int, limit: int = MAX_CONTACTS
    ) -> tuple[ContactInfo, ...]:
        near = self._table.nearest(target, min(limit, self._config.k), exclude=asker_id)
        return tuple(near[: fitting(budget, [len(encode_contact(c)) for c in near])])

    def _values(self, token: bytes, key: bytes, start: int, asker_id: bytes, budget: int, now: Instant) -> Values:
        held = self._store.get(key, now_s=now.unix_s)
        wanted = held[start : start + MAX_RECORDS_PER_ANSWER]
        contacts = self._contacts(key, asker_id, budget - _LISTS_HEAD, _CONTACTS_BESIDE_RECORDS if wanted else 16)
        beside = sum(len(encode_contact(c)) for c in contacts)
        sizes = [2 + len(r.raw) for r in wanted]
        count = fitting(budget - _LISTS_HEAD - beside, sizes)
        if wanted and count == 0 and sizes[0] <= budget - _LISTS_HEAD:
            # A large record goes before contacts: it is what was asked for.
            count = 1
            contacts = self._contacts(key, asker_id, budget - _LISTS_HEAD - sizes[0])
        return Values(token, len(held), start, tuple(r.raw for r in wanted[:count]), contacts)

    def _groups(self, token: bytes, target: bytes, start: int, asker_id: bytes, budget: int, now: Instant) -> Groups:
        keys = self._store.group_keys_near(target, now_s=now.unix_s)
        contacts = self._contacts(target, asker_id, budget - _LISTS_HEAD)
        beside = sum(len(encode_contact(c)) for c in contacts)
        page = keys[start : start + MAX_GROUP_KEYS]
        page = page[: fitting(budget - _LISTS_HEAD - beside, [len(key) for key in page])]
        return Groups(token, len(keys), start, tuple(page), contacts)

    def _keep(self, key: bytes, raw: bytes, source: Endpoint, now: Instant) -> bool:
        by_port = self._config.group_by_port
        if self._store.holds(key, raw):
            return True
        try:
            record = decode_record(raw)
        except MalformedFrame:
            return False
        listing = listing_of(key, record, by_port=by_port)
        if listing is None or not may_store(key, record, source, by_port=by_port):
            return False
        if not solves_puzzle(record.public_key, self._config.puzzle_bits):
            return False
        if not has_room(key, record, self._store.get(key, now_s=now.unix_s), by_port=by_port):
            return False
        if not self._store.put(key, record, listing=listing, now_s=now.unix_s):
            return False
        self.on_stored(key, record)
        return True
