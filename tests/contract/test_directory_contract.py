"""What every `Directory` must do, run on each implementation."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from railgun_core.base.clock import Instant
from railgun_core.base.ids import PeerId, Tag
from railgun_core.base.keys import Identity
from railgun_core.discovery.config import DhtConfig
from railgun_core.discovery.dht import Dht
from railgun_core.discovery.directory import Directory
from railgun_core.wire.records import (
    Address,
    AddressKind,
    AnnouncementBody,
    PeerBody,
    PeerRole,
    Record,
    sign_record,
)

SIZE = 5


@dataclass(frozen=True, slots=True)
class Member:
    """One directory under test, and the identity and port its owner publishes under."""

    directory: Directory
    identity: Identity
    port: int


def _clock() -> Instant:
    return Instant(time.monotonic(), time.time())


async def _dht_network(stack: AsyncExitStack) -> list[Member]:
    config = DhtConfig(net_limits=False, group_by_port=True, puzzle_bits=0, young_cache_s=0.0)
    members: list[Member] = []
    for seed in range(SIZE):
        identity = Identity(random.Random(seed).randbytes(32))
        dht = Dht(identity, config=config, rng=random.Random(seed), clock=_clock)
        port = await dht.start("127.0.0.1", 0)
        stack.push_async_callback(dht.close)
        if members:
            await dht.bootstrap([("127.0.0.1", members[0].port)])
        members.append(Member(dht, identity, port))
    return members


NETWORKS: dict[str, Callable[[AsyncExitStack], object]] = {"dht": _dht_network}


@pytest.fixture(params=sorted(NETWORKS))
async def members(request: pytest.FixtureRequest) -> AsyncIterator[list[Member]]:
    async with AsyncExitStack() as stack:
        yield await NETWORKS[request.param](stack)  # type: ignore[misc]


def peer_record(member: Member, *, age_s: int = 0, roles: PeerRole = PeerRole.RELAY) -> Record:
    signed_s = int(time.time()) - age_s
    body = PeerBody((Address(AddressKind.DHT, "127.0.0.1", member.port),), roles, "test", 1, 1)
    return sign_record(member.identity, body, sequence=signed_s * 1000, not_before_s=signed_s, expires_s=signed_s + 600)


async def test_a_published_relay_is_seen_by_everyone_near_any_target(members: list[Member]) -> None:
    for member in members[1:]:
        assert await member.directory.publish(peer_record(member)) >= 1
    for member in members:
        view = await member.directory.relays_near([bytes(20), b"\xff" * 20])
        assert {record.public_key for record in view} == {other.identity.public_key for other in members[1:]}


async def test_mailboxes_are_found_apart_from_relays_by_everyone(members: list[Member]) -> None:
    keeper, both, relay = members[1:4]
    await keeper.directory.publish(peer_record(keeper, roles=PeerRole.MAILBOX))
    await both.directory.publish(peer_record(both, roles=PeerRole.MAILBOX | PeerRole.RELAY))
    await relay.directory.publish(peer_record(relay))
    for member in members:
        mailboxes = await member.directory.mailboxes_near([bytes(20)])
        assert {record.public_key for record in mailboxes} == {keeper.identity.public_key, both.identity.public_key}
        relays = await member.directory.relays_near([bytes(20)])
        assert {record.public_key for record in relays} == {both.identity.public_key, relay.identity.public_key}


async def test_a_peer_that_is_no_relay_is_found_by_id_only(members: list[Member]) -> None:
    await members[1].directory.publish(peer_record(members[1], roles=PeerRole(0)))
    found = await members[3].directory.find_peer(members[1].identity.peer_id)
    assert found is not None
    assert found.public_key == members[1].identity.public_key
    assert await members[3].directory.relays_near([bytes(20)]) == ()


async def test_the_newer_record_wins_whatever_the_order(members: list[Member]) -> None:
    new, old = peer_record(members[1]), peer_record(members[1], age_s=60)
    await members[1].directory.publish(new)
    await members[2].directory.publish(old)
    found = await members[4].directory.find_peer(members[1].identity.peer_id)
    assert found is not None
    assert found.sequence == new.sequence


async def test_an_expired_record_is_not_given_out(members: list[Member]) -> None:
    await members[1].directory.publish(peer_record(members[1], age_s=600 + 121))
    assert await members[4].directory.find_peer(members[1].identity.peer_id) is None


async def test_announcements_are_kept_apart_by_tag(members: list[Member]) -> None:
    now_s = int(time.time())
    tags = (Tag(b"\x01" * 32), Tag(b"\x02" * 32))
    for seat, member in enumerate(members[1:4]):
        for tag in tags[: 1 + seat % 2]:
            body = AnnouncementBody(tag, 1, seat, 0, (PeerId(bytes(32)),))
            record = sign_record(
                member.identity, body, sequence=now_s * 1000, not_before_s=now_s, expires_s=now_s + 600
            )
            assert await member.directory.publish(record) >= 1
    assert len(await members[4].directory.announcements(tags[0])) == 3
    assert len(await members[4].directory.announcements(tags[1])) == 1


async def test_contacts_and_lookup_times_are_reported(members: list[Member]) -> None:
    await members[2].directory.find_peer(PeerId(b"\x09" * 32))
    assert members[2].directory.contacts >= 1
    assert len(members[2].directory.lookup_times_ms()) >= 1
