"""What this peer says of itself: true to its sockets, valid long enough, and old however often it is renewed."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any, cast

import pytest

from railgun_core.base.clock import Instant
from railgun_core.base.keys import Identity
from railgun_core.config import Config, HostPort
from railgun_core.engine.clock import Clock
from railgun_core.engine.presence import Presence, advertised_host, lifetime_s, outgoing_host, own_record
from railgun_core.wire.records import Address, AddressKind, PeerBody, PeerRole, Record, decode_record
from tests.unit.engine.machine import Machine

ME = Identity(b"i" * 32)
HOME = (Address(AddressKind.TLS, "127.9.0.1", 4_000), Address(AddressKind.DHT, "127.9.0.1", 4_000))


def test_renewing_does_not_make_a_newcomer() -> None:
    first = own_record(ME, HOME, PeerRole.RELAY, since_s=1_000_000.0, unix_s=1_000_000.0, epoch_s=600)
    later = own_record(ME, HOME, PeerRole.RELAY, since_s=1_000_000.0, unix_s=1_000_900.0, epoch_s=600)
    assert later.sequence > first.sequence
    assert later.not_before_s == first.not_before_s
    assert decode_record(later.raw) == later
    assert later.is_live(1_000_900.0)


@pytest.mark.parametrize(("epoch_s", "life_s"), [(2, 60), (60, 180), (600, 1_800), (86_400, 7_200)])
def test_a_record_lives_for_three_epochs_within_its_bounds(epoch_s: int, life_s: int) -> None:
    assert lifetime_s(epoch_s) == life_s
    record = own_record(ME, HOME, PeerRole.RELAY, since_s=5.0, unix_s=1_000_000.0, epoch_s=epoch_s)
    assert record.is_live(1_000_000.0 + life_s - 1)


def test_a_named_address_is_told_as_it_is_and_an_open_one_as_others_see_it() -> None:
    assert advertised_host("127.3.0.1", "198.51.100.7") == "127.3.0.1"
    assert advertised_host("0.0.0.0", "198.51.100.7") == "198.51.100.7"
    assert not ipaddress.ip_address(advertised_host("0.0.0.0", None)).is_unspecified
    assert not ipaddress.ip_address(outgoing_host()).is_unspecified


class Parts:
    """What a presence reads: the directory's view of us, our sockets, our mix. All of them in one."""

    seen_at: tuple[str, int] | None = None
    published_key = b""
    offers: tuple[str, ...] = ("relay", "mix", "mailbox")

    def addresses(self, host: str) -> tuple[Address, ...]:
        return (Address(AddressKind.TLS, host, 4_000),)

    def load_for_record(self, now: Instant) -> int:
        return 0


def presence(machine: Machine, *, listen: str = "127.9.0.1") -> tuple[Presence, Clock, Parts]:
    config = Config(data_dir=Path("unused"), listen=HostPort(listen, 0), roles=("relay", "mix", "mailbox"))
    clock, parts = machine.clock(), Parts()
    some = cast("Any", parts)
    mine = Presence(config, ME, offers=lambda: parts.offers, clock=clock, dht=some, ports=some, mix=some)
    return mine, clock, parts


def told(clock: Clock, machine: Machine, offset_s: float) -> None:
    for number in range(9):
        clock.heard(bytes([number]) * 20, machine.unix_s + offset_s, machine.mono_s)
    clock.review()


def test_sequences_grow_though_the_clock_is_set_back_within_what_others_may_have_taken() -> None:
    ahead_ms = int(1_000_100.0 * 1000)
    record = own_record(ME, HOME, PeerRole.RELAY, since_s=1.0, unix_s=1_000_000.0, epoch_s=600, after=ahead_ms)
    assert record.sequence == ahead_ms + 1
    assert record.is_live(1_000_000.0)
    far_ms = int(2_000_000.0 * 1000)  # nobody with a right clock took that one
    record = own_record(ME, HOME, PeerRole.RELAY, since_s=1.0, unix_s=1_000_000.0, epoch_s=600, after=far_ms)
    assert record.sequence == 1_000_000_000
    assert record.is_live(1_000_000.0)


@pytest.mark.parametrize("error_s", [600.0, -600.0])
def test_with_a_wrong_clock_a_peer_offers_nothing_and_says_it_so_that_others_take_it(error_s: float) -> None:
    machine = Machine()
    mine, clock, _ = presence(machine)
    first = mine.renew(clock.instant())
    assert isinstance(first.body, PeerBody)
    assert first.body.roles == PeerRole.RELAY | PeerRole.MIX | PeerRole.MAILBOX
    right_s = machine.unix_s
    machine.unix_s += error_s
    told(clock, machine, -error_s)
    assert mine.is_due(clock.instant())
    second = mine.renew(clock.instant())
    assert isinstance(second.body, PeerBody)
    assert second.body.roles == PeerRole(0)
    assert second.sequence > first.sequence
    assert second.is_live(right_s)
    assert not mine.is_due(clock.instant())
    machine.unix_s -= error_s
    clock.review()
    assert mine.is_due(clock.instant())
    third = mine.renew(clock.instant())
    assert third.sequence > second.sequence
    assert mine.roles == PeerRole.RELAY | PeerRole.MIX | PeerRole.MAILBOX


def test_a_role_that_is_switched_makes_a_new_record_due_that_says_so() -> None:
    machine = Machine()
    mine, clock, parts = presence(machine)
    first = mine.renew(clock.instant())
    parts.offers = ("relay", "mix")
    assert mine.is_due(clock.instant())
    second = mine.renew(clock.instant())
    assert isinstance(second.body, PeerBody)
    assert second.body.roles == PeerRole.RELAY | PeerRole.MIX
    assert (second.not_before_s, mine.is_due(clock.instant())) == (first.not_before_s, False)


def test_another_address_makes_a_new_record_due_and_a_corrected_clock_no_newcomer() -> None:
    machine = Machine()
    mine, clock, parts = presence(machine, listen="0.0.0.0")
    parts.seen_at = ("198.51.100.7", 1)
    first = mine.renew(clock.instant())
    parts.seen_at = ("198.51.100.8", 1)
    assert mine.is_due(clock.instant())
    machine.passes(3_000.0)
    told(clock, machine, 50.0)
    second = mine.renew(clock.instant())
    assert second.not_before_s == first.not_before_s + 50


def earlier(machine: Machine, *, signed_s: float, since_s: float, ahead_ms: int = 0) -> Record:
    """What the start before said last."""
    sequence_s = machine.unix_s + signed_s + ahead_ms / 1000
    return own_record(ME, HOME, PeerRole.RELAY, since_s=machine.unix_s + since_s, unix_s=sequence_s, epoch_s=600)


def test_what_an_earlier_start_said_is_outdone() -> None:
    machine = Machine()
    mine, clock, _ = presence(machine)
    mine.said_before(earlier(machine, signed_s=0.0, since_s=-9.0, ahead_ms=5_000))
    assert mine.renew(clock.instant()).sequence == int(machine.unix_s * 1000) + 5_001


def test_who_is_back_while_its_last_record_is_valid_is_no_newcomer_at_every_start_after() -> None:
    machine = Machine()
    before = earlier(machine, signed_s=-1_000.0, since_s=-90_000.0)
    for _ in range(3):
        mine, clock, _ = presence(machine)
        mine.said_before(before)
        record = mine.renew(clock.instant())
        assert record.not_before_s == int(machine.unix_s)  # this start: proofs of order name it
        assert record.serves_since_s == before.serves_since_s < record.not_before_s
        assert decode_record(record.raw) == record
        machine.passes(1_500.0)
        before = mine.renew(clock.instant())
        assert before.serves_since_s == record.serves_since_s


def test_who_was_away_for_longer_than_its_record_was_valid_begins_anew() -> None:
    machine = Machine()
    mine, clock, _ = presence(machine)
    mine.said_before(earlier(machine, signed_s=-2_000.0, since_s=-90_000.0))
    record = mine.renew(clock.instant())
    assert record.serves_since_s == record.not_before_s == int(machine.unix_s)
