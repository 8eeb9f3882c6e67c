"""B05: records that nobody signed."""

from __future__ import annotations

import random
import time

from railgun_core.base.clock import Instant
from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import PeerId, Tag, dht_id_of
from railgun_core.base.keys import Identity
from railgun_core.discovery.config import DhtConfig
from railgun_core.discovery.datagrams import Ping, Pong, Store, Stored
from railgun_core.discovery.placement import announcement_key
from railgun_core.discovery.record_store import RecordStore
from railgun_core.discovery.responder import Responder
from railgun_core.discovery.routing import Table
from railgun_core.discovery.write_tokens import WriteTokens
from railgun_core.wire.records import (
    Address,
    AddressKind,
    AnnouncementBody,
    PeerBody,
    PeerRole,
    Record,
    decode_record,
    sign_record,
)

OWNER = Identity(b"\x05" * 32)
SOURCE = ("10.1.0.1", 4_000)
NOW = Instant(100.0, time.time())


def peer_record() -> Record:
    body = PeerBody(
        (Address(AddressKind.DHT, *SOURCE),), PeerRole.RELAY, "test", 1, 1, (PeerId(bytes(32)),), bytes(32), bytes(32)
    )
    now_s = int(NOW.unix_s)
    return sign_record(OWNER, body, sequence=now_s * 1000, not_before_s=now_s, expires_s=now_s + 600)


def announcement() -> Record:
    body = AnnouncementBody(Tag(bytes(range(32))), 3, 1, 9, tuple(PeerId(bytes((i,)) * 32) for i in range(7)))
    now_s = int(NOW.unix_s)
    return sign_record(OWNER, body, sequence=now_s * 1000, not_before_s=now_s, expires_s=now_s + 600)


def mutant(raw: bytes, rng: random.Random) -> bytes:
    """One bit, one field, one splice, or a change of length."""
    changed = bytearray(raw)
    match rng.randrange(5):
        case 0:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        case 1:
            at, size = rng.randrange(len(changed)), rng.choice((1, 2, 8, 32))
            changed[at : at + size] = rng.randbytes(len(changed[at : at + size]))
        case 2:
            changed = changed[: rng.randrange(len(changed))]
        case 3:
            changed += rng.randbytes(rng.randrange(1, 40))
        case _:
            at = rng.randrange(len(changed))
            changed = changed[:at] + bytearray(rng.randbytes(1)) + changed[at:]
    return bytes(changed)


def test_of_ten_thousand_mutants_none_is_accepted() -> None:
    rng = random.Random(5)
    originals = (peer_record().raw, announcement().raw)
    accepted = 0
    for attempt in range(10_000):
        raw = originals[attempt % 2]
        forged = mutant(raw, rng)
        if forged == raw:
            continue
        try:
            decode_record(forged)
        except MalformedFrame:
            continue
        accepted += 1
    assert accepted == 0


def test_a_holder_stores_the_record_and_none_of_its_mutants() -> None:
    rng = random.Random(6)
    asker = Identity(b"\x07" * 32)
    store = RecordStore(per_key=8, per_group=64, total=100)
    table = Table(bytes(20), k=16, per_net_in_bucket=2, per_net_in_table=10)
    tokens = WriteTokens(rng, now_s=NOW.mono_s)
    responder = Responder(DhtConfig(puzzle_bits=0), table=table, store=store, tokens=tokens)

    def say(question: Ping | Store) -> Pong | Stored:
        answer, _ = responder.answer(
            question,
            asker=asker.public_key,
            asker_id=dht_id_of(asker.peer_id),
            source=SOURCE,
            size=1_200,
            now=NOW,
        )
        assert isinstance(answer, Pong | Stored)
        return answer

    token = say(Ping(b"")).token
    peer, seat = peer_record(), announcement()
    places = ((dht_id_of(OWNER.peer_id), peer.raw), (announcement_key(bytes(range(32))), seat.raw))
    for _ in range(300):
        for key, raw in places:
            forged = mutant(raw, rng)
            if forged == raw or len(forged) > 1_000:
                continue
            answer = say(Store(token, key, forged))
            assert isinstance(answer, Stored)
            assert not answer.accepted
    assert len(store) == 0
    for key, raw in places:
        answer = say(Store(token, key, raw))
        assert isinstance(answer, Stored)
        assert answer.accepted
