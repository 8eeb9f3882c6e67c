"""May this OPEN become a session? Only by the room's key, over this link, in the right epoch."""

from __future__ import annotations

import dataclasses
import random

import pytest

from railgun_core.base.clock import Instant
from railgun_core.base.ids import Group
from railgun_core.base.keys import Identity
from railgun_core.committee.epoch import make_clock
from railgun_core.committee.selection import Candidate, select_committee
from railgun_core.relay.opening import is_in_roster, open_message, refusal_of
from railgun_core.rooms.epoch_keys import epoch_keys
from railgun_core.wire.frames import Open, Role, Slice
from railgun_core.wire.kinds import Refusal

CLOCK, EPOCH = make_clock(600), 3_000_000
KEYS = epoch_keys(b"r" * 32, EPOCH)
RELAYS = [Identity(bytes((n,)) * 32) for n in range(12)]
POOL = [Candidate(relay.peer_id, Group(bytes((n,)) * 2), 0) for n, relay in enumerate(RELAYS)]
COMMITTEE = select_committee(KEYS.tag, EPOCH, POOL, 5)
MEMBER, BINDING = Identity(b"m" * 32).public_key, b"binding of this link".ljust(32)


def opened(binding: bytes = BINDING) -> Open:
    bare = Open(KEYS.tag, EPOCH, Role.MEMBER, Slice.PUSH, b"")
    return dataclasses.replace(bare, signature=KEYS.sign.sign("open", open_message(binding, bare)))


def asked(frame: Open, *, binding: bytes = BINDING, late_s: float = 300.0) -> Refusal | None:
    moment = Instant(5.0, CLOCK.start_s(EPOCH) + late_s)
    return refusal_of(frame, binding, CLOCK, moment)


def test_a_member_that_proves_the_room_is_let_in() -> None:
    assert asked(opened()) is None


def test_a_signature_of_another_link_is_refused() -> None:
    assert asked(opened(b"another link".ljust(32))) is Refusal.BAD_SIGNATURE
    assert asked(opened(), binding=b"another link".ljust(32)) is Refusal.BAD_SIGNATURE


def test_a_signature_by_another_key_or_of_another_epoch_is_refused() -> None:
    stranger = Identity(b"x" * 32)
    bare = opened()
    forged = dataclasses.replace(bare, signature=stranger.sign("open", open_message(BINDING, bare)))
    assert asked(forged) is Refusal.BAD_SIGNATURE
    assert asked(dataclasses.replace(bare, epoch=EPOCH + 1), late_s=600.0) is Refusal.BAD_SIGNATURE
    assert asked(dataclasses.replace(bare, signature=b"")) is Refusal.BAD_SIGNATURE


def test_any_bit_of_the_signature_turned_is_refused(rng: random.Random) -> None:
    good = opened()
    for bit in range(512):
        turned = bytearray(good.signature)
        turned[bit // 8] ^= 1 << (bit % 8)
        assert asked(dataclasses.replace(good, signature=bytes(turned))) is Refusal.BAD_SIGNATURE


@pytest.mark.parametrize("late_s", [-240.0, -120.0, 0.0, 599.0, 719.9])
def test_an_epoch_may_be_opened_from_its_preparation_to_its_end(late_s: float) -> None:
    assert asked(opened(), late_s=late_s) is None


@pytest.mark.parametrize("late_s", [-100_000.0, -240.1, 720.0, 1_200.0])
def test_an_epoch_that_is_over_or_far_ahead_is_refused(late_s: float) -> None:
    assert asked(opened(), late_s=late_s) is Refusal.WRONG_EPOCH


@pytest.mark.parametrize("epoch", [0, 1, 2**63, 2**64 - 1])
def test_epochs_out_of_all_reason_are_refused_without_error(epoch: int) -> None:
    assert asked(dataclasses.replace(opened(), epoch=epoch)) is Refusal.WRONG_EPOCH


def test_a_relay_is_let_in_by_its_place_in_the_roster_alone() -> None:
    assert asked(Open(KEYS.tag, EPOCH, Role.RELAY, Slice.QUIET, b"")) is None
    roster = {holder.peer_id for holder in (*COMMITTEE.seats, *COMMITTEE.standbys)}
    assert {relay.peer_id for relay in RELAYS if is_in_roster(relay.public_key, COMMITTEE)} == roster
    assert len(roster) < len(RELAYS)
    assert not is_in_roster(MEMBER, COMMITTEE)
