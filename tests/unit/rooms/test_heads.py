"""Members compare what relays signed: whoever tells two stories is convicted, and nobody else."""

from __future__ import annotations

from collections import Counter
from random import Random

from railgun_core.base.ids import MsgId, Tag
from railgun_core.base.keys import Identity
from railgun_core.rooms.content import Heads, decode_content, encode_heads
from railgun_core.rooms.heads import KEPT_OF_A_RELAY, HeadBook
from railgun_core.wire.heads import Chain, Head

TAG = Tag(b"t" * 32)
RELAY = Identity(b"r" * 32)


def heads(ids: list[MsgId], *, relay: Identity = RELAY, since_s: int = 5, step: int = 16) -> list[Head]:
    chain, signed = Chain(TAG, 9, since_s), []
    for at in range(0, len(ids), step):
        chain.add(ids[at : at + step])
        head = chain.sign(relay)
        signed += [head] if head is not None else []
    return signed


def some_ids(rng: Random, count: int) -> list[MsgId]:
    return [MsgId(rng.randbytes(16)) for _ in range(count)]


def test_a_relay_that_tells_two_members_different_stories_is_convicted_by_what_they_pass_on(rng: Random) -> None:
    story = some_ids(rng, 96)
    other = [*story[:40], *story[41:], MsgId(rng.randbytes(16))]
    ann, bob = HeadBook(), HeadBook()
    for head in heads(story):
        assert ann.take(head) is None
    for head in heads(other):
        assert bob.take(head) is None
    proofs = [proof for head in ann.to_pass_on() if (proof := bob.take(head)) is not None]
    assert proofs
    assert all(a.is_signed() and b.is_signed() and a.contradicts(b) and a.relay == RELAY.peer_id for a, b in proofs)


def test_heads_travel_as_content(rng: Random) -> None:
    signed = heads(some_ids(rng, 64))
    assert decode_content(encode_heads(signed)) == Heads(tuple(signed))


def test_ten_thousand_honest_heads_with_restarts_convict_nobody(rng: Random) -> None:
    books, taken = [HeadBook(), HeadBook()], 0
    while taken < 10_000:
        relay, story, since_s = Identity(rng.randbytes(32)), some_ids(rng, 16 * 120), rng.randrange(10**9)
        cut = rng.randrange(16, len(story))
        signed = [
            *heads(story[:cut], relay=relay, since_s=since_s),
            *heads(story[cut:], relay=relay, since_s=since_s + 1),
        ]
        for head in signed:
            taken += 2
            assert all(book.take(head) is None for book in books)
        assert all(books[1].take(head) is None for head in books[0].to_pass_on())
        books = [HeadBook(), HeadBook()]


def test_a_forged_head_convicts_nobody(rng: Random) -> None:
    book, (true, *_) = HeadBook(), heads(some_ids(rng, 16))
    forged = Head(true.tag, true.epoch, true.since_s, true.count, bytes(16), true.key, true.signature)
    assert book.take(true) is None
    assert book.take(forged) is None
    late = HeadBook()
    assert late.take(forged) is None
    assert late.take(true) is None, "what was forged first is not kept either"
    assert late.to_pass_on() == (true,)


def test_every_relay_has_its_share_of_what_is_passed_on(rng: Random) -> None:
    book = HeadBook()
    for _ in range(5):
        for head in heads(some_ids(rng, 160), relay=Identity(rng.randbytes(32))):
            book.take(head)
    counts = Counter(head.relay for head in book.to_pass_on())
    assert len(counts) == 5
    assert set(counts.values()) == {4}


def test_a_book_is_bounded(rng: Random) -> None:
    book = HeadBook()
    for head in heads(some_ids(rng, 16 * (KEPT_OF_A_RELAY + 40))):
        book.take(head)
    assert len(book.to_pass_on()) == 6
    for _ in range(40):
        book.take(heads(some_ids(rng, 16), relay=Identity(rng.randbytes(32)))[0])
    assert len({head.relay for head in book.to_pass_on()}) <= 16
