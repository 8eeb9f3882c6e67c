"""B26: using nodes to flood a third party under its spoofed address."""

from __future__ import annotations

import random
import time

import pytest

from railgun_core.base.clock import Instant
from railgun_core.base.keys import Identity
from railgun_core.discovery.config import DhtConfig
from railgun_core.discovery.datagrams import (
    MAX_DATAGRAM_BYTES,
    MIN_QUESTION_BYTES,
    ContactInfo,
    FindGroups,
    FindNode,
    FindValue,
    Ping,
    Question,
    Store,
    encode_datagram,
)
from railgun_core.discovery.dht import Dht
from railgun_core.discovery.placement import keys_of
from railgun_core.discovery.record_store import Listing
from railgun_core.wire.records import Address, AddressKind, PeerBody, PeerRole, sign_record

VICTIM = ("127.99.0.1", 9)


def clock() -> Instant:
    return Instant(time.monotonic(), time.time())


def loaded_node(rng: random.Random) -> tuple[Dht, bytes]:
    """A node with a full table and a full group list; the key of that list."""
    node = Dht(Identity(rng.randbytes(32)), config=DhtConfig(puzzle_bits=0, net_limits=False), rng=rng, clock=clock)
    key = b""
    for i in range(40):
        host = "fd00::1" if i % 2 else f"10.{i}.0.1"
        node.table.heard(ContactInfo(rng.randbytes(20), host, 4_000 + i), now_s=0.0)
        owner = Identity(rng.randbytes(32))
        now_s = int(time.time())
        body = PeerBody((Address(AddressKind.DHT, "10.1.0.1", 4_000 + i),), PeerRole.RELAY, "test", 1, 1)
        record = sign_record(owner, body, sequence=now_s * 1000, not_before_s=now_s, expires_s=now_s + 600)
        key = keys_of(record, by_port=False)[1]
        assert node.store.put(key, record, listing=Listing.GROUP, now_s=now_s)
    return node, key


@pytest.mark.parametrize("size", [MIN_QUESTION_BYTES, 200, 299, 300, 301, 450, 600, 900, MAX_DATAGRAM_BYTES])
def test_no_answer_to_a_spoofed_source_is_longer_than_its_question(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(26)
    node, key = loaded_node(rng)
    sent: list[bytes] = []
    monkeypatch.setattr(node._sockets, "send", lambda raw, endpoint: sent.append(raw))
    questions: list[Question] = [
        Ping(b""),
        Ping(rng.randbytes(16)),
        FindNode(b"", key),
        FindNode(rng.randbytes(16), key),
        FindValue(b"", key, 0),
        FindValue(b"", key, 7),
        FindGroups(b"", key, 0),
        Store(b"", key, b"x" * 64),
        Store(rng.randbytes(16), key, b"x" * 1_000),
    ]
    for question in questions:
        sent.clear()
        raw = encode_datagram(
            Identity(rng.randbytes(32)),
            question,
            request_id=rng.randbytes(8),
            time_ms=int(time.time() * 1000),
            at_least=size,
        )
        node._received(raw, VICTIM)
        assert sum(len(reply) for reply in sent) <= len(raw)
        assert len(sent) == 1


def test_a_question_shorter_than_the_shortest_answer_is_met_with_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = random.Random(27)
    node, _ = loaded_node(rng)
    sent: list[bytes] = []
    monkeypatch.setattr(node._sockets, "send", lambda raw, endpoint: sent.append(raw))
    raw = encode_datagram(
        Identity(rng.randbytes(32)), Ping(b""), request_id=rng.randbytes(8), time_ms=int(time.time() * 1000), at_least=0
    )
    node._received(raw, VICTIM)
    assert sent == []
