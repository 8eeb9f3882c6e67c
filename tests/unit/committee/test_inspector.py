"""The inspector: honest evidence verifies on any machine, and any harm done to it is named."""

from __future__ import annotations

import random
import socket
from typing import NoReturn

import pytest

from railgun_core.base.ids import Tag
from railgun_core.base.keys import Identity
from railgun_core.committee.epoch import make_clock
from railgun_core.committee.inspector import Finding, explain, inspect, seat_name
from railgun_core.committee.selection import STANDBYS
from railgun_core.wire.records import PeerRole
from tests.property.mutants import mutants
from tests.property.networks import NOW_S, relay_record, relay_records, view_of

CLOCK, EPOCH, SIZE = make_clock(600), NOW_S // 600, 5
TAG = Tag(b"t" * 32)


def honest(relays: int = 60, groups: int = 40, seed: int = 7) -> list[bytes]:
    view = view_of(relay_records(relays, groups, random.Random(seed)))
    return list(view.evidence(view.committee(TAG, EPOCH, size=SIZE, clock=CLOCK)))


def inspected(records: list[bytes], tag: Tag = TAG) -> Finding:
    return inspect(records, tag=tag, epoch=EPOCH, clock=CLOCK, size=SIZE, by_port=False, at_s=NOW_S)


@pytest.mark.parametrize(("relays", "groups"), [(60, 40), (200, 200), (8, 8), (12, 3), (6, 6), (2, 1), (1, 1)])
def test_honest_evidence_verifies(relays: int, groups: int) -> None:
    finding = inspected(honest(relays, groups))
    assert finding.verified
    assert finding.differences == ()
    assert len(finding.committee.seats) == min(SIZE, relays)


def test_it_works_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_socket(*_: object, **__: object) -> NoReturn:
        raise AssertionError("the inspector opened a socket")

    monkeypatch.setattr(socket, "socket", no_socket)
    monkeypatch.setattr(socket, "create_connection", no_socket)
    monkeypatch.setattr(socket, "getaddrinfo", no_socket)
    assert inspected(honest()).verified


@pytest.mark.parametrize("seat", range(SIZE + STANDBYS))
def test_one_changed_byte_in_a_record_names_its_seat(seat: int, rng: random.Random) -> None:
    records = honest()
    for at in rng.sample(range(len(records[seat])), 12):
        changed = bytearray(records[seat])
        changed[at] ^= rng.randrange(1, 256)
        finding = inspected([*records[:seat], bytes(changed), *records[seat + 1 :]])
        assert not finding.verified
        assert len(finding.differences) == 1
        assert finding.differences[0].startswith(f"{seat_name(seat, SIZE)} no longer verifies")


def test_a_changed_byte_outside_the_roster_is_named_by_its_place() -> None:
    records = honest()
    records[20] = records[20][:-1] + bytes((records[20][-1] ^ 1,))
    assert inspected(records).differences == ("record 21 no longer verifies: signature",)


def test_a_claimed_seat_that_the_records_do_not_give_is_named() -> None:
    records = honest()
    records[1], records[30] = records[30], records[1]
    finding = inspected(records)
    assert [difference[:15] for difference in finding.differences] == ["seat 2: claimed"]


def test_two_seats_exchanged_are_both_named() -> None:
    records = honest()
    records[0], records[3] = records[3], records[0]
    assert [difference[:6] for difference in inspected(records).differences] == ["seat 1", "seat 4"]


def test_another_tag_does_not_verify() -> None:
    assert not inspected(honest(), Tag(b"u" * 32)).verified


def test_a_hidden_record_of_a_seat_is_noticed() -> None:
    records = honest()
    del records[2]
    assert not inspected(records).verified


def test_a_second_record_of_one_peer_is_named_and_does_not_confuse_the_draw() -> None:
    twin = Identity(b"\x09" * 32)
    records = honest()
    twice = [*records, relay_record(twin, 3).raw, relay_record(twin, 250).raw]
    assert inspected(twice).differences == (f"record {len(twice)} is a second record of one peer",)
    alone = [relay_record(twin, 3).raw, relay_record(twin, 250).raw]
    assert len(inspected(alone).committee.seats) == 1


@pytest.mark.parametrize(
    ("harm", "named"),
    [
        (relay_record(Identity(b"\x09" * 32), 3, expires_s=NOW_S - 300), "not valid at that time"),
        (relay_record(Identity(b"\x09" * 32), 3, roles=PeerRole.TESTER), "not a relay's record"),
    ],
    ids=["expired", "no relay"],
)
def test_records_that_do_not_count_are_named(harm: object, named: str) -> None:
    records = [*honest(), harm.raw]  # type: ignore[attr-defined]
    assert inspected(records).differences == (f"record 61 no longer verifies: {named}",)


def test_no_records_give_no_seats() -> None:
    finding = inspected([])
    assert finding.committee.seats == ()
    assert finding.verified


def test_damaged_records_never_raise_anything(rng: random.Random) -> None:
    records = honest(12, 6)
    for mutant in mutants(records, count=400, rng=rng):
        spoiled = list(records)
        spoiled[rng.randrange(len(spoiled))] = mutant
        rng.shuffle(spoiled)
        inspected(spoiled)


def test_every_seat_is_explained_in_one_sentence() -> None:
    for relays, groups in ((60, 40), (12, 3), (1, 1)):
        drawn = inspected(honest(relays, groups)).committee
        for holder in (*drawn.seats, *drawn.standbys):
            sentence = explain(holder)
            assert sentence[0].isupper()
            assert sentence.endswith(".")
            assert ("serve twice" in sentence) is holder.repeated
            assert ("the only one left" in sentence) is (holder.window == 1)
            assert "\n" not in sentence


def test_seats_and_standbys_are_counted_from_one() -> None:
    assert [seat_name(seat, 5) for seat in (0, 4, 5, 7)] == ["seat 1", "seat 5", "standby 1", "standby 3"]
