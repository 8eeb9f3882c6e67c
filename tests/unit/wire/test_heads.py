"""Signed heads: an honest relay never contradicts itself, one that tells two stories always does."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.ids import MsgId, Tag
from railgun_core.base.keys import Identity
from railgun_core.wire.codec import Reader
from railgun_core.wire.heads import CHECKPOINT, HEAD_BYTES, Chain, Head

RELAY, OTHER = Identity(b"r" * 32), Identity(b"o" * 32)
TAG = Tag(b"t" * 32)
IDS = [MsgId(n.to_bytes(16, "big")) for n in range(200)]


def head_after(ids: list[MsgId], *, since_s: int = 5, relay: Identity = RELAY) -> Head:
    chain = Chain(TAG, 9, since_s)
    chain.add(ids)
    head = chain.sign(relay)
    assert head is not None
    return head


def test_a_head_is_signed_at_every_sixteenth_envelope_and_once() -> None:
    chain = Chain(TAG, 9, 5)
    chain.add(IDS[: CHECKPOINT - 1])
    assert chain.sign(RELAY) is None
    chain.add(IDS[CHECKPOINT - 1 : CHECKPOINT + 3])
    head = chain.sign(RELAY)
    assert head is not None
    assert (head.count, head.relay, len(head.body)) == (CHECKPOINT, RELAY.peer_id, HEAD_BYTES)
    assert head.is_signed()
    assert chain.sign(RELAY) is None
    assert Head.decode(Reader(head.body)) == head


def test_nobody_else_can_sign_and_nothing_in_it_can_be_changed() -> None:
    head = head_after(IDS[:16])
    assert not replace(head, count=32).is_signed()
    assert not replace(head, head=bytes(16)).is_signed()
    assert not replace(head, key=OTHER.public_key).is_signed()


@given(st.lists(st.integers(1, 40), max_size=8), st.lists(st.integers(1, 40), max_size=8))
def test_an_honest_relay_never_contradicts_itself_however_reads_fell(first: list[int], second: list[int]) -> None:
    heads = []
    for cuts in (first, second):
        chain, at = Chain(TAG, 9, 5), 0
        for cut in cuts:
            chain.add(IDS[at : at + cut])
            at += cut
            head = chain.sign(RELAY)
            heads += [head] if head is not None else []
    assert not any(a.contradicts(b) for a in heads for b in heads)


@given(st.integers(0, 15), st.integers(16, 60))
def test_whoever_leaves_an_envelope_out_for_one_member_contradicts_itself(left_out: int, total: int) -> None:
    told, withheld = IDS[:total], [msg_id for n, msg_id in enumerate(IDS[: total + 1]) if n != left_out]
    assert head_after(told[:16]).contradicts(head_after(withheld[:16]))


def test_after_a_restart_or_by_another_relay_another_story_is_no_contradiction() -> None:
    head, story = head_after(IDS[:16]), list(reversed(IDS[:16]))
    assert not head.contradicts(head_after(story, since_s=6))
    assert not head.contradicts(head_after(story, relay=OTHER))
