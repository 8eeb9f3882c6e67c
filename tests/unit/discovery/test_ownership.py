"""The owner's timetable."""

from __future__ import annotations

import random
from itertools import pairwise

from railgun_core.base.clock import Instant
from railgun_core.base.ids import PeerId, Tag
from railgun_core.base.keys import Identity
from railgun_core.discovery.ownership import Ownership
from railgun_core.wire.records import AnnouncementBody, PeerBody, PeerRole, Record, sign_record

ME = Identity(b"\x01" * 32)
HERE = ("10.0.0.1", 4_000)
START = Instant(1_000.0, 1_700_000_000.0)


def _peer(lifetime_s: int = 7_200) -> Record:
    at_s = int(START.unix_s)
    body = PeerBody((), PeerRole.RELAY, "test", 1, 1)
    return sign_record(ME, body, sequence=at_s * 1000, not_before_s=at_s, expires_s=at_s + lifetime_s)


def test_an_owner_stores_again_soon_and_then_at_a_third_of_the_lifetime() -> None:
    owned = Ownership(ME, rng=random.Random(3))
    owned.add(_peer(), now=START)
    times = [t for t in range(1, 7_200) if owned.due(now=START.after(t))]
    assert times[:3] == [2, 5, 15]
    assert all(1_900 <= later - earlier <= 2_900 for earlier, later in pairwise(times[3:]))
    assert 1_900 <= times[3] <= 2_900


def test_a_peer_record_is_signed_anew_and_stays_live() -> None:
    owned = Ownership(ME, rng=random.Random(3))
    first = _peer()
    owned.add(first, now=START)
    for t in range(1, 20_000):
        owned.due(now=START.after(t))
    (last,) = owned.records
    assert last.sequence > first.sequence
    assert last.not_before_s == first.not_before_s
    assert last.is_live(START.unix_s + 20_000)


def test_an_announcement_ends_with_its_epoch() -> None:
    owned = Ownership(ME, rng=random.Random(3))
    at_s = int(START.unix_s)
    body = AnnouncementBody(Tag(bytes(32)), 1, 0, 0, (PeerId(bytes(32)),))
    record = sign_record(ME, body, sequence=at_s * 1000, not_before_s=at_s, expires_s=at_s + 600)
    owned.add(record, now=START)
    stored = [r for t in range(1, 600) for r, _ in owned.due(now=START.after(t))]
    assert stored
    assert all(r == record for r in stored)
    assert owned.due(now=START.after(601)) == []
    assert len(owned) == 0


def test_a_strangers_record_is_not_kept_alive() -> None:
    owned = Ownership(Identity(b"\x09" * 32), rng=random.Random(3))
    owned.add(_peer(), now=START)
    assert len(owned) == 0
