"""Two who know different parts of a large network find the same mailboxes for a tag, few as these may be."""

from __future__ import annotations

import random

import pytest

from railgun_core.base.ids import PeerId, Tag
from railgun_core.base.keys import Identity
from railgun_core.committee.epoch import DAY_S
from railgun_core.committee.selection import seat_targets
from railgun_core.committee.view import MAILBOX_SEATS
from railgun_core.discovery.crawl import Verifier
from railgun_core.discovery.datagrams import Answer, FindValue, Question, Values
from railgun_core.discovery.placement import mail_list_key
from railgun_core.wire.records import Address, AddressKind, PeerBody, PeerRole, Record, sign_record
from tests.unit.discovery.large_network import GROUPS, NOW, LargeNetwork, address, holders, large_network

DAY, TAGS = int(NOW.unix_s // DAY_S), 20


@pytest.fixture(scope="module")
def few() -> LargeNetwork:
    """One in twenty keeps mail."""
    return large_network(random.Random(5), mailboxes=GROUPS // 20)


async def mailboxes_of_two(found: LargeNetwork, tag: Tag) -> list[tuple[PeerId, ...]]:
    """Who keeps the mail of a tag, for two that have met no node in common."""
    drawn, verifier = [], Verifier(0)
    for part in (found.hosts[0::2], found.hosts[1::2]):
        member = found.member(found.rng.sample(part, 60), verifier)
        await member.find_mailboxes(seat_targets(tag, DAY, MAILBOX_SEATS))
        drawn.append(holders(member.view.mailboxes(tag, DAY)))
    return drawn


async def test_members_that_know_different_parts_draw_the_same_mailboxes(few: LargeNetwork) -> None:
    whole = few.whole_view()
    for _ in range(TAGS):
        tag = Tag(few.rng.randbytes(32))
        one, other = await mailboxes_of_two(few, tag)
        assert one == other == holders(whole.mailboxes(tag, DAY))
        assert len(one) == 6


async def test_of_many_mailboxes_the_nearest_groups_are_found_whole_however_crowded_one_is() -> None:
    """Lists that are full are read part by part, and a group with many mailboxes by its own list."""
    many = large_network(random.Random(6), mailboxes=240, crowded=20)
    whole = many.whole_view()
    for _ in range(6):
        tag = Tag(many.rng.randbytes(32))
        one, other = await mailboxes_of_two(many, tag)
        assert one == other == holders(whole.mailboxes(tag, DAY))
    member = many.member(many.rng.sample(many.hosts, 60), Verifier(0))
    found = await member.find_mailboxes([many.rng.randbytes(20) for _ in range(40)])
    assert {record.peer_id for record in found} == {r.peer_id for r in many.records if _keeps_mail(r.body)}


async def test_what_was_read_serves_every_place_for_a_while(few: LargeNetwork) -> None:
    member = few.member(few.rng.sample(few.hosts, 60), Verifier(0))
    found = await member.find_mailboxes([few.rng.randbytes(20)])
    asked = sum(member.wire.asked.values())
    assert len(found) == GROUPS // 20
    assert asked < 250
    assert await member.find_mailboxes([few.rng.randbytes(20) for _ in range(30)]) == found
    assert sum(member.wire.asked.values()) == asked


async def test_a_holder_that_lies_brings_no_mailbox_in_and_keeps_none_out(few: LargeNetwork) -> None:
    invented = [_invented(few.rng, number).raw for number in range(8)]

    def lie(question: Question, answer: Answer) -> Answer:
        if not isinstance(answer, Values):
            return answer
        assert isinstance(question, FindValue)
        first = tuple(invented) if question.start == 0 else ()
        return Values(answer.token, len(first), question.start, first, answer.contacts)

    member = few.member(few.rng.sample(few.hosts, 60), Verifier(0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(few.near(mail_list_key(bytes(20), 0), 1)[0], "lie", lie)
        found = await member.find_mailboxes([few.rng.randbytes(20)])
    assert {record.peer_id for record in found} == {r.peer_id for r in few.records if _keeps_mail(r.body)}


def _keeps_mail(body: object) -> bool:
    return isinstance(body, PeerBody) and bool(body.roles & PeerRole.MAILBOX)


def _invented(rng: random.Random, number: int) -> Record:
    now_s = int(NOW.unix_s)
    body = PeerBody((Address(AddressKind.DHT, address(800 + number), 4_000),), PeerRole.MAILBOX, "t", 1, 1)
    identity = Identity(rng.randbytes(32))
    return sign_record(identity, body, sequence=now_s * 1000, not_before_s=now_s - 90_000, expires_s=now_s + 900)
