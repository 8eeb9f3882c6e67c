"""What this peer says of itself: true to its sockets, valid long enough, and old however often it is renewed."""

from __future__ import annotations

import ipaddress

import pytest

from railgun_core.base.keys import Identity
from railgun_core.engine.presence import advertised_host, lifetime_s, outgoing_host, own_record
from railgun_core.wire.records import Address, AddressKind, PeerRole, decode_record

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
