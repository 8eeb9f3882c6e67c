"""Three entries that stay: over weeks, restarts and their own silence."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.clock import Instant
from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import Group, PeerId
from railgun_core.base.keys import Identity
from railgun_core.mix.guards import DAY_S, GUARDS, UNREACHABLE_S, GuardCandidate, GuardSet, guard_candidates
from railgun_core.wire.records import Address, AddressKind, PeerBody, PeerRole, Record, sign_record


def candidates(count: int, *, groups: int | None = None, signed_s: float = 4e9) -> list[GuardCandidate]:
    return [
        GuardCandidate(PeerId(n.to_bytes(32, "big")), Group((n % (groups or count)).to_bytes(2, "big")), signed_s)
        for n in range(count)
    ]


def chosen(rng: random.Random, now: Instant, pool: list[GuardCandidate]) -> GuardSet:
    guards = GuardSet()
    assert guards.review(pool, now, rng)
    return guards


def ids(guards: GuardSet) -> list[PeerId]:
    return [guard.peer_id for guard in guards.guards]


def fail_all(guards: GuardSet, now: Instant, rng: random.Random) -> list[PeerId]:
    tried = []
    while (peer_id := guards.to_dial(now)) is not None:
        tried.append(peer_id)
        guards.trying(peer_id, now)
        guards.failed(peer_id, now, rng)
    return tried


def record(seed: int, *, roles: PeerRole = PeerRole.RELAY, tls: bool = True, key: bytes = b"k" * 32) -> Record:
    addresses = [Address(AddressKind.DHT, f"10.{seed}.0.1", 4_100)]
    addresses += [Address(AddressKind.TLS, f"10.{seed}.0.1", 4_101)] if tls else []
    body = PeerBody(tuple(addresses), roles, "0.1.0", 1, 1, mix_key=key)
    identity = Identity(seed.to_bytes(32, "big"))
    return sign_record(identity, body, sequence=1_800_000_000_000, not_before_s=1, expires_s=1_800_007_000)


def test_a_guard_is_a_live_relay_with_tls_and_a_mix_key_and_never_oneself(now: Instant) -> None:
    records = [record(1), record(2, roles=PeerRole.MIX), record(3, tls=False), record(4, key=b""), record(5)]
    found = guard_candidates(records, unix_s=now.unix_s, by_port=False, own=records[4].peer_id)
    assert [candidate.peer_id for candidate in found] == [records[0].peer_id]
    assert guard_candidates(records, unix_s=now.unix_s + 8_000, by_port=False, own=None) == ()


@given(st.integers(0, 2**32), st.integers(0, 30), st.integers(1, 8))
def test_there_are_three_guards_of_three_groups_or_as_many_as_there_are_groups(
    seed: int, count: int, groups: int
) -> None:
    guards = GuardSet()
    guards.review(candidates(count, groups=groups), Instant(0.0, 1.8e9), random.Random(seed))
    taken = [guard.group for guard in guards.guards]
    assert len(taken) == len(set(taken)) == min(GUARDS, groups, count)


def test_the_same_guards_serve_through_sixty_days_and_daily_restarts(rng: random.Random, now: Instant) -> None:
    pool = candidates(200)
    guards = chosen(rng, now, pool)
    first, used = ids(guards), set(ids(guards))
    for day in range(60):
        at = now.after(day * DAY_S)
        guards = GuardSet.from_secret(guards.to_secret())
        guards.review(pool, at, rng)
        assert len(guards.guards) == GUARDS
        if day < 30:
            assert ids(guards) == first
        used |= set(ids(guards))
    assert len(used) <= 2 * GUARDS  # each of them was exchanged once at most
    guards.review(pool, now.after(60 * DAY_S), rng)
    assert not set(ids(guards)) & set(first)


def test_lifetimes_are_drawn_between_thirty_and_sixty_days(rng: random.Random, now: Instant) -> None:
    kept = [g.until_s - g.since_s for _ in range(300) for g in chosen(rng, now, candidates(9)).guards]
    assert min(kept) >= 30 * DAY_S
    assert max(kept) <= 60 * DAY_S
    assert 43 * DAY_S < sum(kept) / len(kept) < 47 * DAY_S


def test_a_guard_that_does_not_answer_is_waited_for_ever_longer(rng: random.Random, now: Instant) -> None:
    guards = chosen(rng, now, candidates(50))
    first, second, _ = ids(guards)
    assert guards.to_dial(now) == first
    guards.failed(first, now, rng)
    assert guards.to_dial(now) == second
    retries, at = [], now
    for _ in range(12):
        before = at
        retry_s = guards.guards[0].retry_s
        at = at.after(retry_s - at.mono_s)
        retries.append(at.mono_s - before.mono_s)
        assert guards.to_dial(at) == first
        guards.failed(first, at, rng)
    assert retries[0] < retries[3] < retries[6]
    assert max(retries) <= 72.0
    assert not guards.review(candidates(50), at, rng)  # one that is silent does not cost it its place


def test_a_fourth_is_tried_after_ten_minutes_without_any_and_left_when_one_is_back(
    rng: random.Random, now: Instant
) -> None:
    pool = candidates(50)
    guards = chosen(rng, now, pool)
    three = ids(guards)
    assert fail_all(guards, now, rng) == three
    assert not guards.review(pool, now.after(UNREACHABLE_S - 1), rng)
    at = now.after(UNREACHABLE_S)
    assert guards.review(pool, at, rng)
    assert ids(guards)[:3] == three
    fourth = ids(guards)[3]
    assert fail_all(guards, at, rng) == [*three, fourth]
    later = at.after(2 * UNREACHABLE_S)
    assert not guards.review(pool, later, rng)  # one more a day at most
    assert guards.tried_today(later) == 4
    guards.opened(three[0])
    guards.failed(three[0], later, rng)
    guards.guards[3].retry_s = 0.0
    assert fourth not in fail_all(guards, later.after(100), rng)
    assert not guards.review(pool, later.after(100 + DAY_S / 2), rng)
    assert guards.tried_today(at.after(2 * DAY_S)) == 0


def test_a_device_that_is_cut_off_itself_tries_no_fourth(rng: random.Random, now: Instant) -> None:
    guards = chosen(rng, now, candidates(50))
    fail_all(guards, now, rng)
    old = candidates(50, signed_s=now.unix_s - 1)
    assert not guards.review(old, now.after(5 * UNREACHABLE_S), rng)
    assert guards.review(candidates(50, signed_s=now.unix_s + 1), now.after(5 * UNREACHABLE_S), rng)


def test_a_guard_without_a_record_is_replaced_after_seven_days_of_absence(rng: random.Random, now: Instant) -> None:
    pool = candidates(50)
    guards = chosen(rng, now, pool)
    gone = ids(guards)[1]
    others = [candidate for candidate in pool if candidate.peer_id != gone]
    guards.review(others, now, rng)
    guards = GuardSet.from_secret(guards.to_secret())
    assert not guards.review(others, now.after(6.9 * DAY_S), rng)
    assert guards.review(others, now.after(7 * DAY_S), rng)
    assert not guards.has(gone)
    assert len(guards.guards) == GUARDS


def test_a_device_that_was_off_or_alone_for_weeks_keeps_its_guards(rng: random.Random, now: Instant) -> None:
    pool = candidates(50)
    guards = chosen(rng, now, pool)
    before = ids(guards)
    for day in range(8, 20):
        assert not guards.review([], now.after(day * DAY_S), rng)
    assert not guards.review(pool, now.after(20 * DAY_S), rng)
    assert ids(guards) == before


def test_a_return_ends_the_absence(rng: random.Random, now: Instant) -> None:
    pool = candidates(50)
    guards = chosen(rng, now, pool)
    gone = ids(guards)[0]
    others = [candidate for candidate in pool if candidate.peer_id != gone]
    guards.review(others, now, rng)
    guards.review(pool, now.after(5 * DAY_S), rng)
    guards.review(others, now.after(6 * DAY_S), rng)
    assert not guards.review(others, now.after(12 * DAY_S), rng)


@pytest.mark.parametrize("cut", [0, 1, 5, 20])
def test_broken_bytes_are_refused(rng: random.Random, now: Instant, cut: int) -> None:
    secret = chosen(rng, now, candidates(9)).to_secret()
    for broken in (secret[: len(secret) - cut - 1], secret + b"x", b"\x07" + secret[1:]):
        with pytest.raises(MalformedFrame):
            GuardSet.from_secret(broken)
